// Channels: additions to the operator's own files, and why nothing replies. Only the lines that are
// asked for are written; the rest of a file stays as it is, to the byte.
#include "base/limits.hpp"
#include "base/text.hpp"
#include "cli/context.hpp"
#include "config/config.hpp"
#include "config/edit.hpp"
#include "plugin/catalogue.hpp"
#include "plugin/worker.hpp"
#include "vault/vault.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>

namespace parley {

namespace {

using Path = std::vector<std::string>;

// One of the operator's files, by its name below the home, while something is added to it.
struct Edit {
    std::string file, before, after;
    std::string wanted;  // what a person would have to add instead
    bool is_safe = true;

    bool is_changed() const { return after != before; }
    void add(Path const& path, Yaml const& value) {
        take(with_value(after, file, path, value));
        wanted += yaml_block(path, value);
    }
    void append(Path const& path, std::string const& text) {
        take(with_item(after, file, path, text));
        wanted += yaml_block(path, yaml_list({text}));
    }

private:
    void take(Result<std::string> changed) {
        if (changed) after = std::move(*changed);
        is_safe = is_safe && changed;
    }
};

Result<Edit> begin_edit(Context const& context, std::string const& file) {
    std::ifstream in(context.home / file, std::ios::binary);
    if (!in) return Error(Fault::not_found, (context.home / file).string() + " cannot be read");
    Edit edit;
    edit.file = file;
    edit.before = edit.after = {std::istreambuf_iterator<char>(in), {}};
    return edit;
}

// What results is read as the host will read it, before it takes the file's place.
Result<> end_edit(Context const& context, Edit const& edit) {
    if (!edit.is_safe)
        return Error(Fault::conflict, edit.file +
                                          " was left as it is: it is shaped so that nothing "
                                          "can be added to it safely. Add this yourself:\n\n" +
                                          edit.wanted);
    auto checked = load_config(context.home, {{edit.file, edit.after}});
    if (!checked)
        return Error(checked.error().fault, "nothing was changed: " + checked.error().what);
    return replace_file(context.home / edit.file, edit.before, edit.after);
}

// The files are those of this machine's home, so a host elsewhere has nothing to say about them.
Result<Config> own_config(Context const& context) {
    if (std::getenv("PARLEY_URL"))
        return Error(Fault::conflict,
                     "this changes files of a home on this machine; unset "
                     "PARLEY_URL");
    MUST(check_home(context.home));
    return load_config(context.home);
}

std::optional<std::int64_t> host_pid(Context const& context) {
    if (!context.host_answers()) return {};
    auto status = context.ask("GET", "/api/v1/status");
    return status ? std::optional(int_at(*status, "pid")) : std::nullopt;
}

// Is it in the vault? Nothing where that cannot be known without asking for a passphrase.
std::optional<bool> is_set(Context const& context, SecretName const& name) {
    if (auto list = context.host_answers() ? context.ask("GET", "/api/v1/secrets?limit=1000")
                                           : Result<json::value>(Error(Fault::unavailable, ""))) {
        auto const& items = list->at("items").as_array();
        return std::any_of(items.begin(), items.end(),
                           [&](auto const& item) { return text_at(item, "name") == name.text(); });
    }
    auto vault = Vault::open(context.home / "vault/secrets.vault", vault_key_path());
    if (!vault) return {};
    return (*vault)->has(name.scope, name.key);
}

// What is left to do after a change, as commands.
class Remaining {
public:
    explicit Remaining(Context const& context) : context_(context) {
        std::error_code ignored;
        if (context.home != std::filesystem::absolute(home_path(""), ignored))
            home_ = " --home " + shell_word(visible(context.home.string()));
    }
    void add(std::string command, std::string why) {
        steps_.push_back({std::move(command) + home_, std::move(why)});
    }
    void add_secret(SecretName const& name) {
        auto known = is_set(context_, name);
        if (known.value_or(false)) return;
        add("parley secret set " + name.text(), known ? "" : "if it is not there yet");
    }
    void add_start(bool is_changed) {
        auto pid = host_pid(context_);
        if (!pid)
            add("parley run", "no host is running");
        else if (is_changed)
            steps_.push_back(
                {"kill -HUP " + std::to_string(*pid), "the host reads its files again"});
    }
    int report(std::string const& words, JsonWriter& document) const {
        document.key("remaining").begin('[');
        for (auto const& step : steps_)
            document.begin('{').pair("command", step.command).pair("why", step.why).end('}');
        if (print_json(context_, document.end(']').end('}').take())) return 0;
        std::printf("%s\n", words.c_str());
        if (!steps_.empty()) std::printf("What remains to be done:\n");
        for (auto const& step : steps_)
            std::printf("  %s%s%s\n", step.command.c_str(), step.why.empty() ? "" : "   # ",
                        step.why.c_str());
        return 0;
    }

private:
    struct Step {
        std::string command, why;
    };
    Context const& context_;
    std::string home_;  // for those commands, when it is not the one that they take by themselves
    std::vector<Step> steps_;
};

Result<std::map<std::string, SecretName>> secrets_from(std::vector<std::string> const& given,
                                                       Manifest const& manifest,
                                                       std::string const& channel) {
    std::map<std::string, SecretName> secrets;
    for (auto const& text : given) {
        auto equals = text.find('=');
        auto name = parse_secret_name(equals == text.npos ? "" : text.substr(equals + 1));
        if (!name) return Error(Fault::bad_input, "--secret takes FIELD=SCOPE/KEY");
        secrets[text.substr(0, equals)] = *name;
    }
    for (auto const& [field, name] : secrets)
        if (!manifest.secret(field))
            return Error(Fault::bad_input, "the plugin has no secret field '" + field + "'");
    std::size_t needed = 0;
    for (auto const& field : manifest.secrets) needed += field.required;
    for (auto const& field : manifest.secrets)
        if (field.required && !secrets.contains(field.name))
            secrets[field.name] = {manifest.id.text,
                                   needed == 1 ? channel : channel + '.' + field.name};
    return secrets;
}

Yaml channel_yaml(NewChannel const& wanted, Yaml const& config,
                  std::map<std::string, SecretName> const& secrets) {
    std::vector<std::pair<std::string, Yaml>> entries{{"plugin", yaml_text(wanted.plugin)},
                                                      {"agent", yaml_text(wanted.agent)}};
    std::vector<std::pair<std::string, Yaml>> names;
    for (auto const& [field, name] : secrets) names.emplace_back(field, yaml_text(name.text()));
    if (wanted.inbound) entries.emplace_back("inbound", yaml_word("true"));
    if (!names.empty()) entries.emplace_back("secrets", yaml_map(std::move(names)));
    if (!config.keys.empty()) entries.emplace_back("config", config);
    return yaml_map(std::move(entries));
}

// A second time is no mistake when it says the same.
Result<> is_same(ChannelConfig const& there, NewChannel const& wanted, std::string const& config) {
    auto differs = [&](char const* what, std::string const& has) {
        return Error(Fault::conflict, "there is a channel " + wanted.name + " already, with the " +
                                          what + ' ' + has + "; it was left as it is");
    };
    if (there.plugin.text != wanted.plugin) return differs("plugin", there.plugin.text);
    if (there.agent.text != wanted.agent) return differs("agent", there.agent.text);
    if (wanted.inbound && !there.inbound) return differs("setting", "inbound: false");
    if (!wanted.config.empty() && there.config != config) return differs("config", there.config);
    for (auto const& text : wanted.secrets) {
        auto field = text.substr(0, text.find('='));
        auto bound = there.secrets.find(field);
        auto has = bound == there.secrets.end() ? "not bound" : bound->second.text();
        if (text != field + '=' + has) return differs("secret", field + ' ' + has);
    }
    return ok();
}

// Fault::bad_input says why nobody is named by it.
Result<> check_sender(std::string const& id, bool is_approver) {
    auto colon = id.find(':');
    auto type = id.substr(0, colon);
    auto refuse = [&](std::string const& why) {
        return Error(Fault::bad_input, "'" + visible(id) + "' " + why);
    };
    bool is_typed = colon != id.npos && colon + 1 < id.size() && !type.empty() &&
                    type.find_first_not_of("abcdefghijklmnopqrstuvwxyz") == type.npos;
    if (!is_typed)
        return refuse(
            "is not a sender; name them as `parley channel show` does: id:123, "
            "account:ada, mask:ada!a@host, or nick:ada");
    if (type == "decision" || type == "webhook")
        return refuse("is a count of refusals, not a sender");
    if (id.find_first_of("*?") != id.npos) return refuse("is a pattern; patterns match nobody");
    if (id.size() > limits::sender_id_bytes || !is_utf8(id) || visible(id) != id ||
        id.find_first_of(" \n") != id.npos)
        return refuse("holds what no sender's id holds");
    if (is_approver && type == "nick")
        return refuse(
            "is whoever takes that name first, and never an approver; use an id, an "
            "account or a mask");
    return ok();
}

// The agent that a channel gets when none is named.
Result<std::string> only_agent(Config const& config) {
    if (config.agents.size() == 1) return config.agents.begin()->first.text;
    std::string names;
    for (auto const& [name, agent] : config.agents)
        names += (names.empty() ? "" : ", ") + name.text;
    return Error(Fault::bad_input, "say which agent answers there, with --agent: " + names);
}

// ---- Showing ------------------------------------------------------------------------------------

// On one line, whoever wrote it: it must not look like lines of ours.
std::string one_line(std::string_view text) {
    auto line = visible(text);
    std::replace(line.begin(), line.end(), '\n', ' ');
    return line;
}

std::string word_at(json::value const& value, char const* key) {
    return one_line(text_at(value, key));
}

std::vector<std::string> words_at(json::value const& value, char const* key) {
    std::vector<std::string> words;
    if (auto const* list = member(value, key); list && list->is_array())
        for (auto const& item : list->get_array())
            if (item.is_string())
                words.push_back(one_line({item.get_string().data(), item.get_string().size()}));
    return words;
}

void print_words(char const* title, std::vector<std::string> const& words, char const* none) {
    std::string line;
    for (auto const& word : words) line += (line.empty() ? "" : ", ") + word;
    std::printf("%s: %s\n", title, line.empty() ? none : line.c_str());
}

template <class Each>
void each_at(json::value const& value, char const* key, Each each) {
    if (auto const* list = member(value, key); list && list->is_array())
        for (auto const& item : list->get_array()) each(item);
}

void print_channel(json::value const& channel) {
    auto or_none = [&](char const* key) {
        auto text = word_at(channel, key);
        return text.empty() ? "none since the host started, " + word_at(channel, "since") : text;
    };
    auto detail = word_at(channel, "detail");
    std::printf("channel %s is %s%s\n", word_at(channel, "name").c_str(),
                word_at(channel, "link").c_str(), detail.empty() ? "" : (": " + detail).c_str());
    std::printf("plugin: %s, %s\n", word_at(channel, "plugin").c_str(),
                word_at(channel, "plugin_state").c_str());
    std::printf("agent: %s, on model %s\n", word_at(channel, "agent").c_str(),
                word_at(channel, "model").c_str());
    std::printf("last message in: %s\n", or_none("last_in").c_str());
    std::printf("last message out: %s\n", or_none("last_out").c_str());
    auto const* error = member(channel, "last_error");
    std::printf("last error: %s\n",
                error ? (word_at(*error, "time") + ", " + word_at(*error, "text")).c_str()
                      : or_none("last_error").c_str());
    each_at(channel, "secrets", [](json::value const& secret) {
        std::printf("secret: %s is %s, %s\n", word_at(secret, "field").c_str(),
                    word_at(secret, "secret").c_str(), bool_at(secret, "set") ? "set" : "NOT SET");
    });
    print_words("may speak", words_at(channel, "authorized"), "nobody");
    print_words("approvers", words_at(channel, "approvers"), "none");
    each_at(channel, "approver_places", [](json::value const& place) {
        auto where = word_at(place, "conversation");
        std::printf("  %s: %s\n", word_at(place, "approver").c_str(),
                    where.empty() ? "has not written in private yet"
                                  : ("in conversation " + where).c_str());
    });
    each_at(channel, "refused", [](json::value const& refused) {
        std::printf("refused: %s, %lld times, last %s\n", word_at(refused, "sender").c_str(),
                    static_cast<long long>(int_at(refused, "count")),
                    word_at(refused, "last").c_str());
    });
    each_at(channel, "conversations", [](json::value const& one) {
        std::printf("conversation: %s, session %s, %s, last %s by %s\n",
                    word_at(one, "conversation").c_str(), word_at(one, "session").c_str(),
                    word_at(one, "state").c_str(), word_at(one, "updated").c_str(),
                    word_at(one, "sender").c_str());
    });
    if (auto const* outbox = member(channel, "outbox"))
        std::printf("outbox: %lld waiting, %lld on their way, %lld unknown, %lld failed\n",
                    static_cast<long long>(int_at(*outbox, "queued")),
                    static_cast<long long>(int_at(*outbox, "sent")),
                    static_cast<long long>(int_at(*outbox, "unknown")),
                    static_cast<long long>(int_at(*outbox, "failed")));
    auto problems = words_at(channel, "problems");
    std::printf("\n%s\n",
                problems.empty() ? "Nothing stands in the way." : "What stands in the way:");
    for (auto const& problem : problems) std::printf("- %s\n", problem.c_str());
}

// What the host has not read yet, or cannot read; empty when it goes by the files as they are.
std::string unread_files(Context const& context) {
    if (std::getenv("PARLEY_URL")) return {};
    auto status = context.ask("GET", "/api/v1/status");
    auto config = load_config(context.home);
    if (!status || (config && config->digest == text_at(*status, "config"))) return {};
    if (!config)
        return "the files hold a mistake, so the host goes by what it read before: " +
               config.error().what;
    return "the files were changed since the host read them; it reads them again with: kill -HUP " +
           std::to_string(int_at(*status, "pid"));
}

// All that the files say. Everything else is with the host.
int show_offline(Context const& context, std::string const& name) {
    auto config = load_config(context.home);
    if (!config) return fail(config.error());
    auto found = config->channels.find(InstanceName(name));
    if (found == config->channels.end()) return fail("there is no channel " + name);
    auto const& channel = found->second;
    Catalogue catalogue;
    catalogue.scan(context.programs->plugins, *config);
    auto const* plugin = catalogue.find(channel.plugin);
    JsonWriter out;
    out.begin('{').key("running").boolean(false).pair("name", name);
    out.pair("plugin", channel.plugin.text).pair("agent", channel.agent.text);
    out.pair("plugin_state", plugin ? name_of(plugin->state) : "missing");
    if (plugin && !plugin->reason.empty()) out.pair("plugin_reason", plugin->reason);
    out.key("approvers").begin('[');
    for (auto const& id : channel.approvers) out.string(id);
    out.end(']').key("authorized").begin('[');
    for (auto const& id : config->agents.at(channel.agent).authorized_senders[InstanceName(name)])
        out.string(id);
    out.end(']').key("secrets").begin('[');
    for (auto const& [field, secret] : channel.secrets) {
        out.begin('{').pair("field", field).pair("secret", secret.text()).key("set");
        if (auto set = is_set(context, secret))
            out.boolean(*set);
        else
            out.null();
        out.end('}');
    }
    out.end(']').key("unknown").begin('[');
    constexpr char const* asked[] = {"link",       "last_in",       "last_out",
                                     "last_error", "refused",       "outbox",
                                     "problems",   "conversations", "approver_places"};
    for (auto const* key : asked) out.string(key);
    auto text = out.end(']').end('}').take();
    if (print_json(context, text)) return 0;
    auto shown = parse_json(text);
    if (!shown) return fail(shown.error());
    std::printf("channel %s, as the files have it: no host is running on %s (parley run)\n",
                name.c_str(), context.home.c_str());
    std::printf("plugin: %s, %s %s\n", word_at(*shown, "plugin").c_str(),
                word_at(*shown, "plugin_state").c_str(), word_at(*shown, "plugin_reason").c_str());
    std::printf("agent: %s\n", word_at(*shown, "agent").c_str());
    print_words("may speak", words_at(*shown, "authorized"), "nobody");
    print_words("approvers", words_at(*shown, "approvers"), "none");
    each_at(*shown, "secrets", [](json::value const& secret) {
        auto const* set = member(secret, "set");
        std::printf("secret: %s is %s, %s\n", word_at(secret, "field").c_str(),
                    word_at(secret, "secret").c_str(),
                    !set || set->is_null() ? "which cannot be looked up without its passphrase"
                    : set->get_bool()      ? "set"
                                           : "NOT SET");
    });
    std::printf(
        "Connection, messages, refused senders, sessions and outbox are known to a running "
        "host alone.\n");
    return 0;
}

}  // namespace

int verb_channel_add(Context const& context, NewChannel wanted) {
    auto config = own_config(context);
    if (!config) return fail(config.error());
    if (!is_name(wanted.name) || wanted.name == "api")
        return fail("'" + wanted.name + "' is not a name for a channel (a-z, 0-9, '.', '_', '-')");
    if (wanted.agent.empty()) {
        auto agent = only_agent(*config);
        if (!agent) return fail(agent.error());
        wanted.agent = *agent;
    }
    if (!config->agents.contains(AgentName(wanted.agent)))
        return fail("there is no agent " + wanted.agent);

    Catalogue catalogue;
    catalogue.scan(context.programs->plugins, *config);
    auto const* plugin = catalogue.find(PluginId(wanted.plugin));
    if (!plugin || !plugin->file || !plugin->file->manifest().has_role("parley.channel/1")) {
        std::string names;
        for (auto const& entry : catalogue.entries())
            if (entry.file && entry.file->manifest().has_role("parley.channel/1"))
                names += (names.empty() ? "" : ", ") + entry.id.text;
        return fail("there is no plugin for a channel named " + wanted.plugin +
                    "; there are: " + names);
    }
    auto const& manifest = plugin->file->manifest();
    auto settings = parse_yaml(wanted.config.empty() ? "{}" : wanted.config, "--config");
    if (!settings) return fail(settings.error());
    if (settings->kind != Yaml::Kind::map) return fail("--config is a JSON object");
    auto text = yaml_to_json(*settings);

    auto path = context.home / "parley.yaml";
    auto rules = config->plugins.find(plugin->id);
    JsonWriter document;
    document.begin('{').pair("channel", wanted.name).pair("plugin", wanted.plugin);
    document.pair("agent", wanted.agent).pair("file", path.string());
    Remaining remaining(context);
    auto finish = [&](bool is_changed, std::map<std::string, SecretName> const& secrets) {
        if (!plugin->first_party && !catalogue.locked().contains(plugin->id))
            remaining.add("parley plugin lock " + wanted.plugin, "it is not our own");
        if (rules != config->plugins.end() && !rules->second.enabled)
            remaining.add("parley plugin enable " + wanted.plugin, "it is switched off");
        for (auto const& [field, name] : secrets) remaining.add_secret(name);
        auto const& lists = config->agents.at(AgentName(wanted.agent)).authorized_senders;
        if (auto list = lists.find(InstanceName(wanted.name));
            list == lists.end() || list->second.empty())
            remaining.add("parley channel allow " + wanted.name + " SENDER",
                          "nobody may speak there yet");
        remaining.add_start(is_changed);
        document.key("changed").boolean(is_changed);
        auto what = "channel " + wanted.name + " (plugin " + wanted.plugin + ", agent " +
                    wanted.agent + ")";
        return remaining.report(is_changed ? "Added " + what + " to " + path.string() + "."
                                           : what + " is there already; nothing was changed.",
                                document);
    };

    if (auto there = config->channels.find(InstanceName(wanted.name));
        there != config->channels.end()) {
        if (auto same = is_same(there->second, wanted, text); !same) return fail(same.error());
        return finish(false, there->second.secrets);
    }
    bool needs_inbound = std::find(manifest.needs.begin(), manifest.needs.end(),
                                   "parley.host.inbound/1") != manifest.needs.end();
    if (wanted.inbound && !manifest.inbound)
        return fail("plugin " + wanted.plugin + " hears no webhooks");
    if (needs_inbound && !wanted.inbound)
        return fail("plugin " + wanted.plugin +
                    " hears requests from outside; let it with --inbound");
    auto secrets = secrets_from(wanted.secrets, manifest, wanted.name);
    if (!secrets) return fail(secrets.error());
    auto laid = lay_over(rules == config->plugins.end() ? "{}" : rules->second.config, text);
    auto resolved = laid ? resolve_config(manifest, *laid) : std::move(laid);
    if (!resolved)
        return fail("the config does not fit plugin " + wanted.plugin + ": " +
                    resolved.error().what + "; give it with: --config '{\"KEY\": VALUE}'");

    auto edit = begin_edit(context, "parley.yaml");
    if (!edit) return fail(edit.error());
    if (rules == config->plugins.end())
        edit->add({"plugins", wanted.plugin}, yaml_map({{"enabled", yaml_word("true")}}));
    edit->add({"channels", wanted.name}, channel_yaml(wanted, *settings, *secrets));
    if (auto done = end_edit(context, *edit); !done) return fail(done.error());
    return finish(true, *secrets);
}

int verb_channel_allow(Context const& context, std::string const& name,
                       std::vector<std::string> const& senders, bool as_approvers) {
    auto config = own_config(context);
    if (!config) return fail(config.error());
    InstanceName instance(name);
    auto found = config->channels.find(instance);
    if (found == config->channels.end())
        return fail("there is no channel " + name + "; add it with: parley channel add " + name +
                    " PLUGIN");
    for (auto const& id : senders)
        if (auto fine = check_sender(id, as_approvers); !fine) return fail(fine.error());

    auto const& agent = found->second.agent.text;
    auto const& lists = config->agents.at(found->second.agent).authorized_senders;
    auto list = lists.find(instance);
    auto have = as_approvers          ? found->second.approvers
                : list == lists.end() ? std::vector<std::string>()
                                      : list->second;
    std::vector<std::string> fresh;
    for (auto const& id : senders)
        if (std::find(have.begin(), have.end(), id) == have.end() &&
            std::find(fresh.begin(), fresh.end(), id) == fresh.end())
            fresh.push_back(id);

    auto file = as_approvers ? std::string("parley.yaml") : "agents/" + agent + "/agent.yaml";
    auto edit = begin_edit(context, file);
    if (!edit) return fail(edit.error());
    auto const* key = as_approvers ? "approvers" : "authorized_senders";
    Path path{"channels", name, key};
    auto tree = parse_yaml(edit->before, file);
    if (!tree) return fail(tree.error());
    Yaml const* entry = tree->find("channels");
    entry = entry ? entry->find(name) : nullptr;
    auto const* present = entry ? entry->find(key) : nullptr;
    if (fresh.empty()) {
        // Nothing to write.
    } else if (present && present->kind == Yaml::Kind::list) {
        for (auto const& id : fresh) edit->append(path, id);
    } else if (entry) {
        edit->add(path, yaml_list(fresh));
    } else {
        edit->add({"channels", name}, yaml_map({{key, yaml_list(fresh)}}));
    }
    if (edit->is_changed() || !edit->is_safe)
        if (auto done = end_edit(context, *edit); !done) return fail(done.error());

    std::string who;
    for (auto const& id : senders) {
        who += (who.empty() ? "" : ", ") + id;
        if (id.starts_with("nick:"))
            std::fprintf(stderr,
                         "parley: careful: %s is whoever takes that name first; an account or a "
                         "mask is stronger\n",
                         id.c_str());
    }
    JsonWriter document;
    document.begin('{').pair("channel", name).pair("agent", agent);
    document.pair("file", (context.home / file).string()).key("added").begin('[');
    for (auto const& id : fresh) document.string(id);
    document.end(']').key("changed").boolean(!fresh.empty());
    Remaining remaining(context);
    remaining.add_start(!fresh.empty());
    auto may = as_approvers ? " may decide approvals on " + name
                            : " may speak to " + agent + " on " + name;
    return remaining.report(
        fresh.empty() ? who + may + " already; nothing was changed." : who + may + " now.",
        document);
}

int verb_channel_show(Context const& context, std::string const& name) {
    if (!std::getenv("PARLEY_URL") && !context.host_answers()) return show_offline(context, name);
    auto channel = context.ask("GET", "/api/v1/channels/" + percent_encoded(name));
    auto unread = unread_files(context);
    if (!channel) return fail(channel.error().what + (unread.empty() ? "" : "; " + unread));
    if (auto* problems = channel->as_object().if_contains("problems"); problems && !unread.empty())
        problems->as_array().insert(problems->as_array().begin(), json::value(unread));
    if (print_json(context, to_text(*channel))) return 0;
    print_channel(*channel);
    return 0;
}

}  // namespace parley
