#include "cli/cli.hpp"

#include "cli/context.hpp"
#include "config/config.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <cstdio>
#include <functional>

namespace parley {

namespace {

// The tree of verbs. Each leaf sets what to run once the home is known.
class Verbs {
public:
    explicit Verbs(Programs const& programs)
        : app_("AgentParley: agents on your own machine, with your hand on the switch.") {
        context_.programs = &programs;
        app_.require_subcommand(1);
        build();
    }

    int run(int argc, char** argv) {
        try {
            app_.parse(argc, argv);
        } catch (CLI::ParseError const& error) {
            int code = app_.exit(error, std::cout, std::cerr);
            return code == 0 ? 0 : 2;
        }
        std::error_code ignored;
        context_.home = std::filesystem::absolute(home_path(home_), ignored);
        return chosen_();
    }

private:
    CLI::App* verb(CLI::App* below, char const* name, char const* words,
                   std::function<int()> work) {
        auto* made = below->add_subcommand(name, words);
        made->add_option("--home", home_, "The home; else $PARLEY_HOME, else ~/parley");
        made->add_flag("--json", context_.json, "Print one JSON document");
        made->callback([this, work = std::move(work)] { chosen_ = work; });
        return made;
    }
    CLI::App* group(char const* name, char const* words) {
        auto* made = app_.add_subcommand(name, words);
        made->require_subcommand(1);
        return made;
    }
    CLI::App* with(CLI::App* made, char const* name, std::string& value, char const* words) {
        made->add_option(name, value, words)->required();
        return made;
    }

    void build();
    void tapes(CLI::App* command);
    void build_looking();
    void build_deciding();
    void build_home();
    void build_plugins();
    void build_check(CLI::App* plugin);

    CLI::App app_;
    Context context_;
    std::function<int()> chosen_;
    std::string home_, listen_ = "127.0.0.1:7420", id_, call_, verdict_, reason_, digest_, note_,
                       at_, file_, against_, key_, from_, to_, agent_filter_, state_;
    ChatOptions chat_;
    TryOptions try_;
    NewPlugin new_;
    NewChannel channel_;
    std::vector<std::string> senders_;
    bool as_approvers_ = false;
    CheckWishes check_;
    CLI::Option* message_ = nullptr;
    bool yes_ = false, follow_ = false, passphrase_ = false;
    long count_ = 20, fuzz_seconds_ = 2;
};

void Verbs::build() {
    auto const& programs = *context_.programs;
    auto* init = verb(&app_, "init", "Make a home that works at once.",
                      [this] { return verb_init(context_, listen_, passphrase_); });
    init->add_option("--listen", listen_, "Address and port of the API");
    init->add_flag("--passphrase", passphrase_,
                   "Seal the vault with a passphrase instead of a key file");
    auto* run = verb(&app_, "run", "Run the host in the foreground.", [this, &programs] {
        return programs.run_host(context_.home, try_.record, try_.replay);
    });
    tapes(run);
    auto* chat = verb(&app_, "chat", "Talk to an agent.", [this] {
        chat_.has_text = message_->count() > 0;
        return verb_chat(context_, chat_);
    });
    chat->add_option("agent", chat_.agent, "The agent")->default_val("assistant");
    message_ = chat->add_option("-m,--message", chat_.text, "Say this, print the reply, and end");
    chat->add_option("--session", chat_.session, "Go on in this session");
    verb(&app_, "status", "What runs, what does not, and why.",
         [this] { return verb_status(context_); });
    verb(&app_, "doctor", "Find what is wrong with a home, and how to mend it.",
         [this] { return verb_doctor(context_); });
    verb(&app_, "version", "Print the version.", [this] {
        if (!print_json(context_, "{\"parley\":\"" PARLEY_VERSION "\"}"))
            std::printf("parley %s\n", PARLEY_VERSION);
        return 0;
    });
    build_looking();
    build_deciding();
    build_home();
    build_plugins();
}

// For authors: what plugins ask of HTTP, kept or played.
void Verbs::tapes(CLI::App* command) {
    auto* record = command->add_option("--record-http", try_.record,
                                       "Keep on a tape what plugins fetch, as they see it");
    command->add_option("--replay-http", try_.replay, "Answer from a tape; nothing is fetched")
        ->excludes(record);
}

void Verbs::build_looking() {
    auto* agent = group("agent", "Agents.");
    verb(agent, "list", "List the agents.", [this] {
        return verb_list(context_, "/agents", {"name", "model", "skills"});
    });
    with(verb(agent, "show", "Show one agent.",
              [this] { return verb_show(context_, "/agents/" + percent_encoded(id_)); }),
         "name", id_, "The agent");

    auto* channel = group("channel", "Channel instances.");
    verb(channel, "list", "List the channels.", [this] {
        return verb_list(context_, "/channels", {"name", "plugin", "agent", "link", "detail"});
    });
    with(verb(channel, "show", "Show one channel, whom it refused, and why nothing replies.",
              [this] { return verb_channel_show(context_, id_); }),
         "name", id_, "The channel");
    auto* add = verb(channel, "add", "Add a channel to parley.yaml; the rest of it stays as it is.",
                     [this] { return verb_channel_add(context_, channel_); });
    with(with(add, "name", channel_.name, "Its name"), "plugin", channel_.plugin, "Its plugin");
    add->add_option("--agent", channel_.agent, "The agent that answers there");
    add->add_flag("--inbound", channel_.inbound, "It may hear webhooks, at /hooks/NAME");
    add->add_option("--config", channel_.config, "The plugin's config, JSON");
    add->add_option("--secret", channel_.secrets,
                    "FIELD=SCOPE/KEY; repeatable. Required fields get a name by themselves");
    auto* allow = verb(channel, "allow", "Let people speak to the agent on a channel.", [this] {
        return verb_channel_allow(context_, id_, senders_, as_approvers_);
    });
    with(allow, "name", id_, "The channel");
    allow->add_option("senders", senders_, "Typed ids, as `channel show` names who was refused")
        ->required();
    allow->add_flag("--approver", as_approvers_,
                    "Let them decide approvals there instead of speaking");
    with(verb(channel, "test", "Is the channel connected?",
              [this] { return verb_channel_test(context_, id_); }),
         "name", id_, "The channel");

    auto* session = group("session", "Sessions.");
    auto* list = verb(session, "list", "List the sessions.", [this] {
        std::string path = "/sessions?limit=1000";
        if (!agent_filter_.empty()) path += "&agent=" + percent_encoded(agent_filter_);
        if (!state_.empty()) path += "&state=" + percent_encoded(state_);
        return verb_list(
            context_, path,
            {"id", "agent", "state", "reason", "channel", "conversation", "turns", "updated"});
    });
    list->add_option("--agent", agent_filter_, "Only of this agent");
    list->add_option("--state", state_, "Only in this state");
    with(verb(session, "show", "Show one session.",
              [this] { return verb_show(context_, "/sessions/" + percent_encoded(id_)); }),
         "id", id_, "The session");
    with(verb(session, "replay", "Print all that happened in a session.",
              [this] { return verb_replay(context_, id_); }),
         "id", id_, "The session");
    auto* context =
        with(verb(session, "context", "Print the exact request that the provider was given.",
                  [this] { return verb_context(context_, id_, at_); }),
             "id", id_, "The session");
    context->add_option("--at", at_, "As of this record");
    with(verb(session, "cancel", "End a session.",
              [this] {
                  return verb_post(context_, "/sessions/" + percent_encoded(id_) + "/cancel", "{}",
                                   "cancelled");
              }),
         "id", id_, "The session");
    with(verb(session, "resume", "Let a stopped session go on.",
              [this] {
                  return verb_post(context_, "/sessions/" + percent_encoded(id_) + "/resume", "{}",
                                   "resumed");
              }),
         "id", id_, "The session");
    auto* resolve = verb(session, "resolve", "Decide a call whose outcome is unknown.", [this] {
        JsonWriter body;
        body.begin('{').pair("verdict", verdict_).pair("note", note_).end('}');
        return verb_post(context_,
                         "/sessions/" + percent_encoded(id_) + "/calls/" + percent_encoded(call_) +
                             "/resolution",
                         body.take(), "resolved");
    });
    with(with(resolve, "id", id_, "The session"), "call", call_, "The call");
    resolve->add_option("verdict", verdict_, "done, not_done or retry")
        ->required()
        ->check(CLI::IsMember({"done", "not_done", "retry"}));
    resolve->add_option("--note", note_, "For the model and the ledger");

    auto* outbox =
        group("outbox", "Messages that could not be delivered, or of which nobody knows.");
    verb(outbox, "list", "List them.", [this] {
        return verb_list(context_, "/outbox",
                         {"id", "state", "channel", "conversation", "text", "detail"});
    });
    with(verb(outbox, "retry", "Send one again.",
              [this] {
                  return verb_post(context_, "/outbox/" + percent_encoded(id_) + "/retry", "{}",
                                   "queued again");
              }),
         "id", id_, "The message");
    with(verb(outbox, "drop", "Give one up.",
              [this] {
                  return verb_post(context_, "/outbox/" + percent_encoded(id_) + "/drop", "{}",
                                   "dropped");
              }),
         "id", id_, "The message");

    auto* budget = group("budget", "Budgets.");
    verb(budget, "show", "What was spent, reserved and is left.", [this] {
        return verb_list(context_, "/budgets",
                         {"name", "limit_usd", "limit_tokens", "per", "on_limit", "spent_usd",
                          "reserved_usd", "resets"});
    });
}

void Verbs::build_deciding() {
    auto* approval = group("approval", "Calls that wait for a person.");
    auto* list = verb(approval, "list", "List approvals, the pending ones first.", [this] {
        return verb_list(
            context_,
            "/approvals?limit=1000&state=" + (state_.empty() ? "pending" : percent_encoded(state_)),
            {"id", "state", "agent", "skill", "arguments", "requested", "expires"});
    });
    list->add_option(
        "--state", state_,
        "pending (default), approved, consumed, denied, expired, superseded or cancelled");
    with(verb(approval, "show", "Show the exact call.",
              [this] { return verb_approval_show(context_, id_); }),
         "id", id_, "The approval");
    auto* approve = with(verb(approval, "approve", "Let exactly this call run, once.",
                              [this] { return verb_decide(context_, id_, true, digest_, ""); }),
                         "id", id_, "The approval");
    approve->add_option("--digest", digest_,
                        "The digest that you saw; else that of what is shown now");
    auto* deny = with(verb(approval, "deny", "Do not let it run.",
                           [this] { return verb_decide(context_, id_, false, digest_, reason_); }),
                      "id", id_, "The approval");
    deny->add_option("--reason", reason_, "For the model and the ledger");
    deny->add_option("--digest", digest_, "The digest that you saw");
}

void Verbs::build_home() {
    auto* secret = group("secret", "The vault. There is no way to read a secret back.");
    with(verb(secret, "set", "Set a secret from a prompt or standard input.",
              [this] { return verb_secret_set(context_, id_); }),
         "name", id_, "SCOPE/KEY");
    verb(secret, "list", "List the names.", [this] { return verb_secret_list(context_); });
    with(verb(secret, "remove", "Remove a secret.",
              [this] { return verb_secret_remove(context_, id_); }),
         "name", id_, "SCOPE/KEY");
    auto* rekey = verb(secret, "rekey", "Seal the vault with another key; no host may run.",
                       [this] { return verb_secret_rekey(context_, id_, passphrase_); });
    auto* new_key = rekey->add_option_group("key")->require_option(1);
    new_key->add_option("key-file", id_, "The key file; made when missing");
    new_key->add_flag("--passphrase", passphrase_,
                      "A passphrase, from a prompt or the first line of standard input");

    auto* token = group("token", "The two tokens of the API.");
    verb(token, "list", "Which there are.", [this] { return verb_token_list(context_); });
    with(verb(token, "rotate", "Make a new token, print it once, and end the old one.",
              [this] { return verb_token_rotate(context_, id_); }),
         "scope", id_, "admin or read")
        ->get_option("scope")
        ->check(CLI::IsMember({"admin", "read"}));

    auto* ledger = group("ledger", "The record of everything.");
    auto* tail = verb(ledger, "tail", "Print the last records.",
                      [this] { return verb_tail(context_, follow_, count_); });
    tail->add_flag("-f,--follow", follow_, "And those to come");
    tail->add_option("-n", count_, "How many")->check(CLI::Range(0L, 1'000'000L));
    with(verb(ledger, "show", "Show one record.",
              [this] { return verb_ledger_show(context_, id_); }),
         "seq", id_, "Its number");
    auto* verify = verb(ledger, "verify",
                        "Verify the chain: 0 sound, 1 tampered, 3 shorter than the checkpoint.",
                        [this] { return verb_ledger_verify(context_, file_, against_, key_); });
    verify->add_option("file", file_, "An export, instead of the home");
    verify->add_option("--against", against_, "A file with a checkpoint that the chain must reach");
    verify->add_option("--key", key_,
                       "A file with the public key (hex) that must have signed an export");
    auto* exported = verb(ledger, "export", "Print records as NDJSON.",
                          [this] { return verb_ledger_export(context_, from_, to_); });
    exported->add_option("--from", from_, "First record");
    exported->add_option("--to", to_, "Last record");
    verb(ledger, "accept-loss", "Go on although records were lost; open approvals are void.",
         [this] { return verb_accept_loss(context_); });
}

void Verbs::build_check(CLI::App* plugin) {
    auto& options = check_.options;
    auto* check = with(verb(plugin, "check", "Hold a plugin's file against the contract.",
                            [this] {
                                check_.options.fuzz_time = std::chrono::seconds(fuzz_seconds_);
                                return verb_plugin_check(context_, check_);
                            }),
                       "file", check_.file, "The .so file");
    check->add_option("--config", options.config, "The plugin's config, JSON");
    check->add_option("--include", options.include,
                      "Only checks whose number or name fits this regular expression");
    check->add_option("--exclude", options.exclude, "All but those");
    check->add_flag("--only-failed", check_.only_failed, "Print what failed or crashed");
    check->add_option("--seed", options.seed, "Draw as an earlier run drew");
    check->add_option("--seconds", fuzz_seconds_, "How long the check fuzz goes on")
        ->check(CLI::Range(0L, 86'400L));
    check->add_option("--signature", check_.signature, "A detached Ed25519 signature of the file");
    check->add_option("--signed-by", options.signed_by, "The key that must have made it, hex");
}

void Verbs::build_plugins() {
    auto* plugin = group("plugin", "Plugins.");
    verb(plugin, "list", "What is there, and why it is or is not running.",
         [this] { return verb_plugin_list(context_); });
    with(verb(plugin, "show", "Show one plugin.",
              [this] { return verb_plugin_show(context_, id_); }),
         "id", id_, "The plugin");
    auto* lock = with(verb(plugin, "lock", "Accept a third party's file and its rights.",
                           [this] { return verb_plugin_lock(context_, id_, yes_); }),
                      "id", id_, "The plugin");
    lock->add_flag("--yes", yes_, "Do not ask");
    with(verb(plugin, "rollback", "Put the file back that was accepted before.",
              [this] { return verb_plugin_rollback(context_, id_); }),
         "id", id_, "The plugin");
    with(verb(plugin, "enable", "Switch a plugin on.",
              [this] {
                  return verb_post(context_, "/plugins/" + percent_encoded(id_) + "/enable", "{}",
                                   "enabled");
              }),
         "id", id_, "The plugin");
    with(verb(plugin, "disable", "Switch a plugin off.",
              [this] {
                  return verb_post(context_, "/plugins/" + percent_encoded(id_) + "/disable", "{}",
                                   "disabled");
              }),
         "id", id_, "The plugin");
    auto* tried = with(verb(plugin, "try", "Try a plugin in a home that is thrown away.",
                            [this] { return verb_plugin_try(context_, try_); }),
                       "file", try_.file, "The .so file");
    tried->add_option("--config", try_.config, "The plugin's config, JSON");
    tried->add_option("--secret", try_.secrets, "An optional secret field to ask for; repeatable");
    tried->add_option("--model", try_.model, "The model's name, for a provider");
    tried->add_option("--sender", try_.sender, "Who may speak, for a channel: id:42");
    tried->add_option("-m,--message", try_.text, "Say this, print the reply, and end");
    tried->add_flag("--log", try_.shows_log, "Print the host's log at the end");
    tapes(tried);
    build_check(plugin);
    auto* made = verb(plugin, "new", "Write a plugin to begin with, in c, cpp or rust.",
                      [this] { return verb_plugin_new(context_, new_); });
    made->add_option("language", new_.language, "c, cpp or rust")
        ->required()
        ->check(CLI::IsMember({"c", "cpp", "rust"}));
    with(made, "folder", new_.folder, "Where; new, or empty");
    made->add_option("--id", new_.id, "Reverse DNS; else org.example. and the folder's name")
        ->check(CLI::Validator(
            [](std::string const& id) {
                return is_third_party_id(id) ? "" : "not an id such as org.example.weather";
            },
            "ID"));
    made->add_option("--role", new_.role, "skill (default), channel or provider")
        ->check(CLI::IsMember({"skill", "channel", "provider"}));
}

}  // namespace

int run_cli(int argc, char** argv, Programs const& programs) {
    Verbs verbs(programs);
    return verbs.run(argc, argv);
}

}  // namespace parley
