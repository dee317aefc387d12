#include "base/hash.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"
#include "base/zone.hpp"
#include "config/config.hpp"
#include "config/reader.hpp"

#include <algorithm>
#include <fstream>
#include <set>

namespace parley {

namespace fs = std::filesystem;

namespace {

struct File {
    std::string name, text;
    bool is_there = false;
};

using Texts = std::map<std::string, std::string>;

// The text of a file below the home, or what stands for it; a file that is not there is empty.
Result<File> read(fs::path const& home, fs::path const& below, Texts const& instead) {
    File file;
    file.name = below.string();
    if (auto found = instead.find(file.name); found != instead.end()) {
        file.is_there = true;
        file.text = found->second;
        return file;
    }
    std::ifstream in(home / below, std::ios::binary);
    if (!in) return file;
    file.is_there = true;
    file.text.resize(limits::config_bytes + 1);
    in.read(file.text.data(), static_cast<std::streamsize>(file.text.size()));
    file.text.resize(static_cast<std::size_t>(in.gcount()));
    if (file.text.size() > limits::config_bytes)
        return Error(Fault::bad_input, file.name + ": the file is too large");
    return file;
}

// Calls `each` with a name and a value for every entry of a mapping of names.
template <class Each>
void entries(MapReader const& reader, char const* key, Each each) {
    auto const* node = reader.get(key);
    if (!node || node->kind == Yaml::Kind::null) return;
    if (node->kind != Yaml::Kind::map)
        return reader.complain(*node, std::string(key) + " must be a mapping");
    for (std::size_t i = 0; i < node->keys.size(); ++i) {
        auto const& name = node->keys[i];
        if (!is_name(name.text))
            reader.complain(name,
                            "'" + visible(name.text) + "' is not a name (a-z, 0-9, '.', '_', '-')");
        else
            each(name, node->items[i]);
    }
}

}  // namespace

std::string webhook_url(Config const& config, InstanceName const& instance) {
    auto base = config.public_url;
    while (base.ends_with('/')) base.pop_back();
    return base.empty() ? base : base + "/hooks/" + instance.text;
}

char const* name_of(Isolation isolation) {
    return isolation == Isolation::reduced ? "reduced" : "strict";
}

namespace {

BudgetConfig budget_from(Yaml const& node, std::string const& file, Complaints& complaints) {
    MapReader in(node, file, complaints,
                 {"limit_usd", "limit_tokens", "per", "on_limit", "warn_at", "timezone"});
    BudgetConfig budget;
    budget.limit_nano_usd = in.money("limit_usd", 1'000'000'000);
    if (in.get("limit_tokens")) {
        std::int64_t tokens = 0;
        in.whole("limit_tokens", tokens, 0, std::int64_t(1) << 50);
        budget.limit_tokens = tokens;
    }
    in.word("per", budget.per,
            {{"day", Period::day}, {"month", Period::month}, {"total", Period::total}});
    in.word("on_limit", budget.on_limit, {{"warn", OnLimit::warn}, {"refuse", OnLimit::refuse}});
    if (auto const* at = in.get("warn_at")) {
        char* end = nullptr;
        budget.warn_at = std::strtod(at->text.c_str(), &end);
        if (at->text.empty() || *end || !(budget.warn_at > 0 && budget.warn_at <= 1))
            in.complain(*at, "warn_at must be a share from 0 to 1, such as 0.8");
    }
    in.text("timezone", budget.timezone);
    if (!is_zone(budget.timezone))
        in.complain(
            *in.get("timezone"),
            "this machine knows no time zone of that name; use one such as Europe/Berlin, or UTC");
    return budget;
}

void read_signer(MapReader const& in, std::string& key) {
    in.text("signed_by", key);
    auto raw = from_hex(key);
    if (!key.empty() && (!raw || raw->size() != 32))
        in.complain(*in.get("signed_by"),
                    "signed_by is the 64 hex digits of an Ed25519 public key");
}

void plugins_from(MapReader const& top, Config& config, bool is_override) {
    entries(top, "plugins", [&](Yaml const& name, Yaml const& node) {
        auto& plugin = config.plugins[PluginId(name.text)];
        if (is_override) {
            MapReader in(node, top.file(), top.complaints(), {"enabled"});
            in.boolean("enabled", plugin.enabled);
            config.overrides.push_back("plugins." + name.text + ".enabled");
            return;
        }
        MapReader in(node, top.file(), top.complaints(),
                     {"enabled", "config", "secrets", "egress", "grants", "reveal", "allow_private",
                      "isolation", "signed_by"});
        in.boolean("enabled", plugin.enabled);
        in.boolean("allow_private", plugin.allow_private);
        read_signer(in, plugin.signed_by);
        in.word("isolation", plugin.isolation,
                {{"strict", Isolation::strict}, {"reduced", Isolation::reduced}});
        in.json("config", plugin.config);
        in.secrets("secrets", plugin.secrets);
        in.texts("reveal", plugin.reveal);
        if (in.get("egress")) in.texts("egress", plugin.egress.emplace());
        if (auto const* grants = in.get("grants"); grants && grants->kind == Yaml::Kind::map)
            for (std::size_t i = 0; i < grants->keys.size(); ++i) {
                fs::path path(grants->items[i].text);
                if (!path.is_absolute())
                    in.complain(grants->items[i], "a granted folder is an absolute path");
                plugin.grants[grants->keys[i].text] = path.lexically_normal();
            }
    });
}

// The way from `name` along fallbacks that comes back to it; empty when there is none.
std::string circle_from(Config const& config, std::string const& name, std::string const& at,
                        std::set<std::string>& seen) {
    auto found = config.models.find(at);
    if (found == config.models.end()) return {};
    for (auto const& next : found->second.fallbacks) {
        if (next == name) return at + ", " + name;
        if (!seen.insert(next).second) continue;
        if (auto rest = circle_from(config, name, next, seen); !rest.empty())
            return at + ", " + rest;
    }
    return {};
}

// Only when all models are known can their names be checked.
void fallbacks_from(MapReader const& top, Config const& config) {
    auto const* nodes = top.get("models");
    if (!nodes || nodes->kind != Yaml::Kind::map) return;
    for (std::size_t i = 0; i < nodes->keys.size(); ++i) {
        auto const& name = nodes->keys[i].text;
        auto const* list = nodes->items[i].find("fallbacks");
        if (!list || list->kind != Yaml::Kind::list) continue;
        bool known = true;
        for (auto const& item : list->items) {
            if (config.models.contains(item.text)) continue;
            known = false;
            top.complain(item, "'" + visible(item.text) +
                                   "' is no model; fallbacks are names of other models under "
                                   "models:");
        }
        if (!known) continue;
        std::set<std::string> seen;
        if (auto circle = circle_from(config, name, name, seen); !circle.empty())
            top.complain(*list, "fallbacks lead back to where they began: " + circle);
        else if (models_in_order(config, name).size() > limits::model_fallbacks + 1)
            top.complain(*list, "model '" + name + "' has more than " +
                                    std::to_string(limits::model_fallbacks) +
                                    " fallbacks, theirs included");
    }
}

void models_from(MapReader const& top, Config& config) {
    entries(top, "models", [&](Yaml const& name, Yaml const& node) {
        MapReader in(node, top.file(), top.complaints(),
                     {"provider", "model", "config", "secrets", "price", "max_output_tokens",
                      "context_tokens", "fallbacks"});
        auto& model = config.models[name.text];
        in.text("provider", model.provider.text);
        in.text("model", model.model);
        if (model.provider.empty()) in.complain(name, "model '" + name.text + "' needs a provider");
        if (model.model.empty()) in.complain(name, "model '" + name.text + "' needs a model");
        in.json("config", model.config);
        in.secrets("secrets", model.secrets);
        in.texts("fallbacks", model.fallbacks);
        if (auto const* price = in.get("price"); price && price->kind != Yaml::Kind::null) {
            MapReader of(*price, top.file(), top.complaints(),
                         {"input", "output", "cache_read", "cache_write"});
            // USD per million tokens is a thousand nano-USD a token, which are kept in thousandths.
            constexpr std::int64_t units = 1'000'000;
            auto input = of.money("input", units), output = of.money("output", units);
            if (!input || !output)
                in.complain(*price, "a price has input and output, in USD per million tokens");
            model.price = Price{input.value_or(0), output.value_or(0),
                                of.money("cache_read", units).value_or(input.value_or(0)),
                                of.money("cache_write", units).value_or(input.value_or(0))};
            model.price_source = "parley.yaml";
        }
        in.whole("max_output_tokens", model.max_output_tokens, 16, 10'000'000);
        in.whole("context_tokens", model.context_tokens, 256, 100'000'000);
        if (model.context_tokens <= model.max_output_tokens)
            in.complain(name, "context_tokens must be larger than max_output_tokens");
    });
    fallbacks_from(top, config);
}

void channels_from(MapReader const& top, Config& config) {
    entries(top, "channels", [&](Yaml const& name, Yaml const& node) {
        if (name.text == "api") return top.complain(name, "'api' is the built-in instance");
        MapReader in(node, top.file(), top.complaints(),
                     {"plugin", "agent", "config", "secrets", "approvers", "inbound"});
        auto& channel = config.channels[InstanceName(name.text)];
        in.text("plugin", channel.plugin.text);
        in.text("agent", channel.agent.text);
        if (channel.plugin.empty()) in.complain(name, "channel '" + name.text + "' needs a plugin");
        if (channel.agent.empty()) in.complain(name, "channel '" + name.text + "' needs an agent");
        in.json("config", channel.config);
        in.secrets("secrets", channel.secrets);
        in.texts("approvers", channel.approvers);
        in.boolean("inbound", channel.inbound);
        for (auto const& id : channel.approvers)
            if (id.find(':') == std::string::npos || id.starts_with("nick:"))
                in.complain(*in.get("approvers"),
                            "an approver is named as strongly as the channel can "
                            "prove (id:…, account:…, mask:…), not by '" +
                                visible(id) + "'");
    });
}

std::optional<std::int64_t> seconds_from(std::string const& text) {
    if (text.size() < 2 || text.size() > 8) return {};
    std::int64_t number = 0;
    for (char c : std::string_view(text).substr(0, text.size() - 1)) {
        if (c < '0' || c > '9') return {};
        number = number * 10 + (c - '0');
    }
    switch (text.back()) {
        case 's':
            return number;
        case 'm':
            return number * 60;
        case 'h':
            return number * 3600;
        case 'd':
            return number * 86400;
    }
    return {};
}

void listen_from(MapReader const& top, Config& config) {
    top.boolean("unsafe_listen", config.unsafe_listen);
    top.text("public_url", config.public_url);
    auto const* node = top.get("listen");
    if (!node) return;
    auto text = node->text;
    auto colon = text.rfind(':');
    auto host = colon == std::string::npos ? "" : text.substr(0, colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']')
        host = host.substr(1, host.size() - 2);
    auto digits = colon == std::string::npos ? "" : text.substr(colon + 1);
    long port = digits.empty() || digits.size() > 5 ||
                        digits.find_first_not_of("0123456789") != std::string::npos
                    ? -1
                    : std::strtol(digits.c_str(), nullptr, 10);
    if (host.empty() || port < 0 || port > 65535)
        return top.complain(*node, "listen must be ADDRESS:PORT, such as 127.0.0.1:7420");
    config.listen_host = host;
    config.listen_port = static_cast<std::uint16_t>(port);
    // Compared as whole addresses: 127.evil.example is no loopback.
    bool loopback = host == "127.0.0.1" || host == "::1" || host == "localhost";
    if (!loopback && !config.unsafe_listen)
        top.complain(*node,
                     "listening beyond loopback needs unsafe_listen: true; better put a proxy with "
                     "TLS before it");
}

// hooks: [ID, {plugin: ID, fail: closed}, …]
void hooks_from(MapReader const& top, Config& config) {
    auto const* node = top.get("hooks");
    if (!node) return;
    if (node->kind != Yaml::Kind::list) return top.complain(*node, "hooks is a list of plugins");
    for (auto const& item : node->items) {
        HookConfig hook;
        if (item.kind == Yaml::Kind::map) {
            MapReader in(item, top.file(), top.complaints(), {"plugin", "fail"});
            in.text("plugin", hook.plugin.text);
            in.word("fail", hook.fails_closed, {{"closed", true}});
        } else if (item.kind == Yaml::Kind::scalar) {
            hook.plugin.text = item.text;
        }
        if (!config.plugins.contains(hook.plugin))
            top.complain(item, "a hook names a plugin that stands under plugins; there is none '" +
                                   hook.plugin.text + "'");
        config.hooks.push_back(std::move(hook));
    }
}

void top_from(Yaml const& tree, std::string const& file, Config& config, Complaints& complaints) {
    MapReader top(tree, file, complaints,
                  {"listen", "unsafe_listen", "public_url", "plugins", "models", "channels",
                   "approvals", "budgets", "hooks"});
    listen_from(top, config);
    plugins_from(top, config, false);
    models_from(top, config);
    channels_from(top, config);
    hooks_from(top, config);
    if (auto const* node = top.get("approvals")) {
        MapReader in(*node, file, complaints, {"expire_after", "notify"});
        std::string expire;
        in.text("expire_after", expire);
        auto seconds =
            expire.empty() ? std::optional<std::int64_t>(24 * 3600) : seconds_from(expire);
        if (!seconds || *seconds < 1 || *seconds > 30 * 86400)
            in.complain(*in.get("expire_after"),
                        "expire_after is a time such as 15m, 24h or 7d, up to 30d");
        else
            config.approvals_expire_after = std::chrono::seconds(*seconds);
        std::vector<std::string> notify;
        in.texts("notify", notify);
        for (auto const& name : notify) config.approvals_notify.emplace_back(name);
    }
    if (auto const* node = top.get("budgets")) {
        MapReader in(*node, file, complaints, {"global"});
        if (auto const* global = in.get("global"))
            config.global_budget = budget_from(*global, file, complaints);
    }
}

void overrides_from(Yaml const& tree, std::string const& file, Config& config,
                    Complaints& complaints) {
    MapReader top(tree, file, complaints, {"plugins", "budgets", "agents"});
    plugins_from(top, config, true);
    if (auto const* node = top.get("budgets")) {
        MapReader in(*node, file, complaints, {"global"});
        if (auto const* global = in.get("global")) {
            config.global_budget = budget_from(*global, file, complaints);
            config.overrides.push_back("budgets.global");
        }
    }
    entries(top, "agents", [&](Yaml const& name, Yaml const& node) {
        MapReader in(node, file, complaints, {"budget"});
        auto agent = config.agents.find(AgentName(name.text));
        if (agent == config.agents.end()) return;  // An override outlives its agent harmlessly.
        if (auto const* budget = in.get("budget")) {
            agent->second.budget = budget_from(*budget, file, complaints);
            config.overrides.push_back("agents." + name.text + ".budget");
        }
    });
}

AgentConfig agent_from(Yaml const& tree, std::string const& file, std::string const& name,
                       Complaints& complaints) {
    MapReader in(tree, file, complaints,
                 {"model", "skills", "approval", "channels", "budget", "peers", "reach"});
    AgentConfig agent;
    agent.name = AgentName(name);
    in.text("model", agent.model);
    if (auto const* skills = in.get("skills")) {
        MapReader lists(*skills, file, complaints, {"allow", "deny"});
        lists.texts("allow", agent.skills_allow);
        lists.texts("deny", agent.skills_deny);
    }
    if (auto const* rules = in.get("approval"); rules && rules->kind == Yaml::Kind::map)
        for (std::size_t i = 0; i < rules->keys.size(); ++i) {
            auto const& word = rules->items[i];
            if (word.text == "always")
                agent.approval[rules->keys[i].text] = ApprovalRule::always;
            else if (word.text == "policy")
                agent.approval[rules->keys[i].text] = ApprovalRule::policy;
            else if (word.text == "never")
                agent.approval[rules->keys[i].text] = ApprovalRule::never;
            else
                in.complain(word, "an approval rule is always, policy or never");
        }
    if (auto const* channels = in.get("channels"); channels && channels->kind == Yaml::Kind::map)
        for (std::size_t i = 0; i < channels->keys.size(); ++i) {
            MapReader of(channels->items[i], file, complaints, {"authorized_senders"});
            auto& senders = agent.authorized_senders[InstanceName(channels->keys[i].text)];
            of.texts("authorized_senders", senders);
            for (auto const& id : senders)
                if (id.find(':') == std::string::npos ||
                    id.find_first_of("*?") != std::string::npos)
                    of.complain(channels->items[i], "'" + visible(id) +
                                                        "' is not a sender id such as "
                                                        "id:123, account:ada, mask:ada!a@host or "
                                                        "nick:ada; patterns match nobody");
        }
    if (auto const* budget = in.get("budget"))
        agent.budget = budget_from(*budget, file, complaints);
    in.texts("peers", agent.peers);
    entries(in, "reach", [&](Yaml const& word, Yaml const& node) {
        MapReader of(node, file, complaints, {"channel", "conversation"});
        auto& reach = agent.reach[word.text];
        of.text("channel", reach.channel.text);
        of.text("conversation", reach.conversation);
        if (reach.channel.empty() || reach.conversation.empty() ||
            reach.conversation.size() > limits::sender_id_bytes)
            of.complain(word,
                        "a conversation to reach is named by its channel and its own name "
                        "there, as `parley channel show` prints it");
    });
    return agent;
}

void agents_from(Config& config, Texts const& instead, Complaints& complaints, Hasher& hash) {
    std::set<std::string> names;
    std::error_code error;
    for (auto const& entry : fs::directory_iterator(config.home / "agents", error))
        if (entry.is_directory(error)) names.insert(entry.path().filename().string());
    for (auto const& name : names) {
        auto folder = fs::path("agents") / name;
        auto file = read(config.home, folder / "agent.yaml", instead);
        if (file && !file->is_there) continue;
        if (!is_name(name)) {
            complaints.add((folder / "agent.yaml").string() + ":1:1: '" + visible(name) +
                           "' is not a name for an agent");
            continue;
        }
        auto tree = file ? parse_yaml(file->text, file->name) : Result<Yaml>(file.error());
        auto soul = read(config.home, folder / "soul.md", instead),
             instructions = read(config.home, folder / "instructions.md", instead);
        for (auto const* part : {&soul, &instructions})
            if (!*part)
                complaints.add((*part).error().what);
            else if (!is_utf8((*part)->text))
                complaints.add((*part)->name + ":1:1: the file is not UTF-8");
        if (!tree) {
            complaints.add(tree.error().what);
            continue;
        }
        auto agent = agent_from(*tree, file->name, name, complaints);
        if (soul && instructions) {
            agent.soul = soul->text;
            agent.instructions = instructions->text;
            for (auto const* part : {&*file, &*soul, &*instructions})
                hash.field(std::string_view(part->name)).field(std::string_view(part->text));
        }
        agent.workspace = config.home / folder / "workspace";
        config.agents[agent.name] = std::move(agent);
    }
}

// What one file says of another.
void check_together(Config const& config, Complaints& complaints) {
    for (auto const& [name, model] : config.models)
        if (!model.provider.empty() && !config.plugins.contains(model.provider))
            complaints.add("parley.yaml: model '" + name + "' uses the plugin '" +
                           model.provider.text + "', which is not under plugins:");
    for (auto const& [name, channel] : config.channels) {
        if (!channel.plugin.empty() && !config.plugins.contains(channel.plugin))
            complaints.add("parley.yaml: channel '" + name.text + "' uses the plugin '" +
                           channel.plugin.text + "', which is not under plugins:");
        if (!channel.agent.empty() && !config.agents.contains(channel.agent))
            complaints.add("parley.yaml: channel '" + name.text + "' names the agent '" +
                           channel.agent.text + "', but there is no agents/" + channel.agent.text +
                           "/agent.yaml");
    }
    for (auto const& name : config.approvals_notify)
        if (!config.channels.contains(name))
            complaints.add("parley.yaml: approvals.notify names '" + name.text +
                           "', which is no channel");
    for (auto const& [name, agent] : config.agents) {
        auto file = "agents/" + name.text + "/agent.yaml";
        if (!config.models.contains(agent.model))
            complaints.add(file + ": the model '" + agent.model +
                           "' is not under models: in parley.yaml");
        for (auto const& [channel, senders] : agent.authorized_senders)
            if (channel.text != "api" && !config.channels.contains(channel))
                complaints.add(file + ": the channel '" + channel.text +
                               "' is not under channels: in parley.yaml");
        for (auto const& [word, reach] : agent.reach) {
            auto channel = config.channels.find(reach.channel);
            if (channel == config.channels.end() || channel->second.agent != name)
                complaints.add(file + ": reach '" + word + "' names the channel '" +
                               visible(reach.channel.text) +
                               "', on which this agent does not answer");
        }
    }
}

}  // namespace

std::vector<std::string> models_in_order(Config const& config, std::string const& name) {
    std::vector<std::string> order;
    std::vector<std::string> due{name};
    while (!due.empty()) {
        auto next = std::move(due.back());
        due.pop_back();
        auto found = config.models.find(next);
        bool is_known = std::find(order.begin(), order.end(), next) != order.end();
        if (found == config.models.end() || is_known) continue;
        auto const& after = found->second.fallbacks;
        due.insert(due.end(), after.rbegin(), after.rend());
        order.push_back(std::move(next));
    }
    return order;
}

Result<SecretName> parse_secret_name(std::string_view text) {
    auto slash = text.find('/');
    SecretName name;
    if (slash != std::string_view::npos) {
        name.scope = text.substr(0, slash);
        name.key = text.substr(slash + 1);
    }
    if (!is_name(name.scope) || !is_name(name.key))
        return Error(Fault::bad_input, "a secret is named SCOPE/KEY, such as openai/default");
    return name;
}

Result<Config> load_config(fs::path const& home, Texts const& instead) {
    Config config;
    std::error_code error;
    config.home = fs::canonical(home, error);
    if (error)
        return Error(Fault::not_found,
                     "there is no home at " + home.string() + "; make one with: parley init");
    Complaints complaints;
    Hasher hash("parley.config/1");
    TRY(file, read(config.home, "parley.yaml", instead));
    if (!file.is_there)
        return Error(Fault::not_found, (config.home / "parley.yaml").string() +
                                           " is missing; make a home with: parley init");
    hash.field(std::string_view(file.text));
    if (auto tree = parse_yaml(file.text, file.name))
        top_from(*tree, file.name, config, complaints);
    else
        complaints.add(tree.error().what);
    agents_from(config, instead, complaints, hash);
    TRY(overrides, read(config.home, "overrides.yaml", instead));
    hash.field(std::string_view(overrides.text));
    if (auto tree = parse_yaml(overrides.text, overrides.name))
        overrides_from(*tree, overrides.name, config, complaints);
    else
        complaints.add(tree.error().what);
    if (!complaints.any()) check_together(config, complaints);
    if (complaints.any()) return Error(Fault::bad_input, complaints.take());
    config.digest = hex(hash.done());
    return config;
}

}  // namespace parley
