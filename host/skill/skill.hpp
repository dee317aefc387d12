#pragma once

// Skills as the host sees them: which there are, what a model is told of them, whether arguments
// fit, and one call carried out. It never asks whether a call may happen.
#include "base/ids.hpp"
#include "base/result.hpp"
#include "config/config.hpp"
#include "plugin/attachment.hpp"
#include "plugin/catalogue.hpp"
#include "plugin/worker.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace parley {

struct SkillEntry {
    std::string name;  // as the model sees it: bare for first-party, `plugin:skill` for others
    PluginId plugin;
    bool first_party = false;
    std::shared_ptr<PluginFile const> file;  // null for the host's own
    SkillSpec const* spec = nullptr;         // of file's manifest

    // Done by the host itself, without a worker; its plugin is then `parley`.
    bool is_of_host() const { return !file; }
};

// The host's own skill by which an agent speaks first.
constexpr char send_message[] = "send_message";

class SkillCatalogue {
public:
    // Fault::conflict when two enabled plugins offer one name, naming both.
    Result<> rebuild(Catalogue const& plugins);
    SkillEntry const* find(std::string_view name) const;
    std::map<std::string, SkillEntry> const& all() const { return skills_; }

private:
    std::map<std::string, SkillEntry> skills_;
};

// One skill as a provider gets it: {"name","description","parameters"}.
std::string tool_json(SkillEntry const& entry);
// send_message as one agent gets it: `to` is one of these.
std::string send_message_json(std::vector<std::string> const& names);
// Fault::bad_input with words that help a model mend its call.
Result<> check_arguments(SkillEntry const& entry, std::string_view arguments);

struct Invocation {
    std::shared_ptr<SkillEntry const> skill;  // as it was permitted; a reload may change the list
    std::string arguments;  // the very bytes that were approved
    CallId call;
    SessionId session;
    AgentName agent;
    std::string key;        // idempotency
    std::vector<Grant> grants;
    std::string expect;     // JSON object of target path to digest, or empty
    InstanceName instance{};     // where send_message leads
    std::string conversation{};
};
std::string invoke_request(Invocation const& invocation, std::chrono::milliseconds timeout);

struct SkillResult {
    std::string content;
    bool error = false;
    std::vector<Attachment> attachments{};  // blobs of the plugin
};
// Checks what came back: UTF-8, size, shape.
Result<SkillResult> result_from(Result<std::string> const& answer);

// For a skill with a target: "path digest" of the file's present content below `folder`
// ("absent" when there is none), without following a link out. Also the JSON for `expect`.
struct Target {
    std::string shown, expect;
};
Result<Target> target_of(SkillSpec const& spec, std::string_view arguments,
                         std::filesystem::path const& folder);

// That a result brings no other file than the one that was approved: `expect` is the call's, and
// `blobs` are read as the plugin's. A result with anything else becomes Fault::denied.
Result<std::string> hold_to_target(Result<std::string> answer, SkillEntry const& skill,
                                   std::string const& expect, Blobs const* blobs);

}  // namespace parley
