#pragma once

// What every verb needs: the home, the way to a host, and how to print.
#include "base/json.hpp"
#include "base/result.hpp"
#include "check/check.hpp"
#include "cli/cli.hpp"
#include "wire/local_client.hpp"

#include <boost/json/value.hpp>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace parley {

struct Context {
    std::filesystem::path home;
    bool json = false;
    Programs const* programs = nullptr;

    LocalTarget target() const;
    bool host_answers() const;
    // A parsed answer; a problem becomes an Error with its detail. Fault::unavailable, with advice,
    // when no host runs.
    Result<json::value> ask(std::string const& method, std::string const& path,
                            std::string const& body = "") const;
    Result<std::string> ask_text(std::string const& method, std::string const& path,
                                 std::string const& body = "") const;
};

// Prints an error the one way, and returns 1.
int fail(Error const& error);
int fail(std::string_view what);

// With --json the document with "version": 1 in front; otherwise nothing, and the caller prints.
bool print_json(Context const& context, std::string_view document);
// A list {items,next} as aligned columns of the named members.
void print_table(json::value const& list, std::initializer_list<char const*> columns);
void print_members(json::value const& object, std::string_view indent = "");
std::string percent_encoded(std::string_view text);
bool is_terminal(int descriptor);

// verbs_online.cpp
int verb_status(Context const&);
int verb_list(Context const&, std::string const& path, std::initializer_list<char const*> columns);
int verb_show(Context const&, std::string const& path);
int verb_post(Context const&, std::string const& path, std::string const& body, char const* done);
void print_approval(json::value const& approval);
int verb_approval_show(Context const&, std::string const& id);
int verb_decide(Context const&, std::string const& id, bool approve, std::string digest,
                std::string const& reason);
int verb_replay(Context const&, std::string const& session);
int verb_context(Context const&, std::string const& session, std::string const& at);
int verb_tail(Context const&, bool follow, long count);
int verb_channel_test(Context const&, std::string const& name);
std::string record_line(json::value const& record);

// verbs_channel.cpp
struct NewChannel {
    std::string name, plugin;
    std::string agent;                 // empty: the only one there is
    std::string config;                // JSON; empty: none
    std::vector<std::string> secrets;  // FIELD=SCOPE/KEY; required ones that are left out get a name
    bool inbound = false;              // it may hear requests from outside
};
int verb_channel_add(Context const&, NewChannel wanted);
int verb_channel_allow(Context const&, std::string const& name,
                       std::vector<std::string> const& senders, bool as_approvers);
int verb_channel_show(Context const&, std::string const& name);

// chat.cpp
struct ChatOptions {
    std::string agent, text, session;
    bool has_text = false;
};
int verb_chat(Context const&, ChatOptions const& options);

// verbs_home.cpp
int verb_init(Context const&, std::string const& listen, bool with_passphrase);
int verb_secret_set(Context const&, std::string const& name);
int verb_secret_list(Context const&);
int verb_secret_remove(Context const&, std::string const& name);
int verb_secret_rekey(Context const&, std::string const& key_file, bool with_passphrase);
int verb_token_list(Context const&);
int verb_token_rotate(Context const&, std::string const& scope);
int verb_ledger_verify(Context const&, std::string const& file, std::string const& against,
                       std::string const& key_file);
int verb_ledger_export(Context const&, std::string const& from, std::string const& to);
int verb_ledger_show(Context const&, std::string const& seq);
int verb_accept_loss(Context const&);
int verb_plugin_lock(Context const&, std::string const& id, bool yes);
int verb_plugin_rollback(Context const&, std::string const& id);
// plugin_check.cpp
struct CheckWishes {
    CheckOptions options;
    std::string file, signature;
    bool only_failed = false;
};
int verb_plugin_check(Context const&, CheckWishes const& wishes);
// plugin_try.cpp
struct TryOptions {
    std::string file;
    std::string config;                // JSON
    std::vector<std::string> secrets;  // optional fields to ask for, beside the required ones
    std::string model = "default";
    std::string sender;                // who may speak on a channel that is tried
    std::string record, replay;        // a tape
    std::string text;                  // say this and end; empty: a conversation
    bool shows_log = false;
    bool asks_for(std::string const& field) const;
};
int verb_plugin_try(Context const&, TryOptions const& options);
struct NewPlugin {
    std::string language, folder, id, role = "skill";
};
// Whether an id may be a stranger's: reverse DNS, within bounds.
bool is_third_party_id(std::string_view id);
int verb_plugin_new(Context const&, NewPlugin const& wanted);
int verb_plugin_list(Context const&);
int verb_plugin_show(Context const&, std::string const& id);

// doctor.cpp
int verb_doctor(Context const&);

}  // namespace parley
