#include "skill/skill.hpp"

#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/schema.hpp"
#include "base/text.hpp"
#include "plugin/blobs.hpp"
#include "skill/beneath.hpp"

#include <boost/json/value.hpp>

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

namespace parley {

namespace {

// `to` as JSON Schema.
std::string send_message_parameters(std::string_view to) {
    return R"({"type":"object","additionalProperties":false,"required":["to","text"],"properties":{"to":)" +
           std::string(to) + R"(,"text":{"type":"string","minLength":1,"maxLength":)" +
           std::to_string(limits::first_words_length) + "}}}";
}

// It leaves for a person and cannot be called back, so a person is asked for each.
SkillSpec const& send_message_spec() {
    static SkillSpec const spec = [] {
        SkillSpec made;
        made.name = send_message;
        made.summary =
            "Write to a conversation of yours by yourself, when nobody has asked you there. It "
            "leaves when a person has agreed.";
        made.parameters = send_message_parameters(R"({"type":"string","minLength":1})");
        made.effect = EffectClass::irreversible;
        made.approval = ApprovalNeed::policy;
        return made;
    }();
    return spec;
}

}  // namespace

Result<> SkillCatalogue::rebuild(Catalogue const& plugins) {
    std::map<std::string, SkillEntry> skills;
    skills.emplace(send_message, SkillEntry{send_message, PluginId("parley"), true, nullptr,
                                            &send_message_spec()});
    for (auto const& entry : plugins.entries()) {
        if (!plugins.usable(entry.id) || !entry.file) continue;
        for (auto const& spec : entry.file->manifest().skills) {
            auto name = entry.first_party ? spec.name : entry.id.text + ':' + spec.name;
            auto [place, is_new] = skills.try_emplace(
                name, SkillEntry{name, entry.id, entry.first_party, entry.file, &spec});
            if (!is_new)
                return Error(Fault::conflict, "plugins " + place->second.plugin.text + " and " +
                                                  entry.id.text + " both offer the skill " + name +
                                                  "; disable one of them");
        }
    }
    skills_ = std::move(skills);
    return ok();
}

SkillEntry const* SkillCatalogue::find(std::string_view name) const {
    auto found = skills_.find(std::string(name));
    return found == skills_.end() ? nullptr : &found->second;
}

std::string tool_json(SkillEntry const& entry) {
    JsonWriter out;
    out.begin('{').pair("name", entry.name).pair("description", entry.spec->summary);
    return out.key("parameters").raw(entry.spec->parameters).end('}').take();
}

std::string send_message_json(std::vector<std::string> const& names) {
    auto const& spec = send_message_spec();
    JsonWriter to;
    to.begin('{').key("enum").begin('[');
    for (auto const& name : names) to.string(name);
    JsonWriter out;
    out.begin('{').pair("name", spec.name).pair("description", spec.summary);
    out.key("parameters").raw(send_message_parameters(to.end(']').end('}').take()));
    return out.end('}').take();
}

Result<> check_arguments(SkillEntry const& entry, std::string_view arguments) {
    TRY(schema, parse_json(entry.spec->parameters));
    auto value = parse_json(arguments.empty() ? std::string_view("{}") : arguments);
    if (!value) return Error(Fault::bad_input, "the arguments are " + value.error().what);
    if (!value->is_object()) return Error(Fault::bad_input, "the arguments are not a JSON object");
    return check_schema(schema, *value);
}

std::string invoke_request(Invocation const& i, std::chrono::milliseconds timeout) {
    JsonWriter out;
    out.begin('{').pair("skill", i.skill->spec->name);
    out.key("arguments").raw(i.arguments.empty() ? "{}" : i.arguments);
    out.pair("call", i.call.text).pair("session", i.session.text).pair("agent", i.agent.text);
    out.pair("key", i.key).key("grants").begin('{');
    for (auto const& grant : i.grants)
        if (grant.access != GrantNeed::Access::run) out.pair(grant.name, grant.path.string());
    out.end('}');
    if (!i.expect.empty()) out.key("expect").raw(i.expect);
    return out.pair("timeout_ms", timeout.count()).end('}').take();
}

Result<SkillResult> result_from(Result<std::string> const& answer) {
    if (!answer) {
        auto const& error = answer.error();
        auto detail = parse_json(error.what);
        return Error(error.fault,
                     detail ? std::string(text_at(*detail, "message", error.what)) : error.what);
    }
    if (!is_utf8(*answer)) return Error(Fault::peer_failed, "the skill's result is not UTF-8");
    auto value = parse_json(*answer);
    if (!value) return Error(Fault::peer_failed, "the skill's result is " + value.error().what);
    auto const* content = member(*value, "content");
    if (!content || !content->is_string())
        return Error(Fault::peer_failed, "the skill's result has no content");
    SkillResult result{std::string(text_at(*value, "content")), bool_at(*value, "error"), {}};
    if (!result.error) result.attachments = attachments_in(*value, "attachments");
    if (result.content.size() > limits::skill_result_bytes) {
        auto whole = result.content.size();
        result.content = clipped(result.content, limits::skill_result_bytes);
        result.content += "\n[cut: " + std::to_string(whole) + " bytes in all]";
    }
    return result;
}

namespace {

Result<std::string> content_digest(int file, std::string const& path) {
    struct stat facts {};
    if (fstat(file, &facts) != 0 || !S_ISREG(facts.st_mode))
        return Error(Fault::bad_input, path + " is not a regular file");
    if (facts.st_size > static_cast<off_t>(limits::egress_body_bytes))
        return Error(Fault::bad_input, path + " is too large");
    std::string content;
    char piece[65536];
    for (ssize_t n; (n = read(file, piece, sizeof piece)) > 0;) {
        content.append(piece, static_cast<std::size_t>(n));
        if (content.size() > limits::egress_body_bytes)
            return Error(Fault::bad_input, path + " is too large");
    }
    return hex(blake2b(content));
}

}  // namespace

Result<Target> target_of(SkillSpec const& spec, std::string_view arguments,
                         std::filesystem::path const& folder) {
    Target target;
    if (spec.target.empty()) return target;
    TRY(value, parse_json(arguments));
    std::string path(text_at(value, spec.target));
    // The kernel would read it as another name, which nobody was shown.
    if (path.find('\0') != std::string::npos)
        return Error(Fault::bad_input, "the " + spec.target + " holds a zero byte");
    Descriptor root(open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (root.number < 0)
        return Error(Fault::not_found, "the agent's workspace " + folder.string() + " is missing");
    Descriptor file(open_beneath(root.number, path, O_RDONLY));
    std::string digest = "absent";
    if (file.number >= 0) {
        TRY(found, content_digest(file.number, path));
        digest = std::move(found);
    } else if (errno != ENOENT) {
        return Error(Fault::bad_input, path + ": " + std::strerror(errno) +
                                           " (only files inside the workspace, without links)");
    }
    if (spec.sends_files && digest == "absent")
        return Error(Fault::not_found, "there is no file " + path + " in the workspace");
    target.shown = path + ' ' + digest;
    JsonWriter out;
    out.begin('{').pair(path, digest).end('}');
    target.expect = out.take();
    return target;
}

namespace {

Result<> is_the_target(std::vector<Attachment> const& files, SkillEntry const& skill,
                       std::string const& expect, Blobs const* blobs) {
    if (!skill.spec->sends_files)
        return Error(Fault::denied, "the skill brought a file, which its manifest does not say");
    TRY(expected, parse_json(expect));
    if (files.size() != 1 || !blobs || !expected.is_object() || expected.get_object().size() != 1)
        return Error(Fault::denied, "the skill brought other files than the one that was approved");
    TRY(blob, blobs->open(skill.plugin.text, files.front().blob));
    TRY(content, blob->read(0, blob->size()));
    auto const& digest = expected.get_object().begin()->value();
    if (!digest.is_string() || hex(blake2b(content)) != digest.get_string())
        return Error(Fault::denied, "the skill brought another content than what was approved");
    return ok();
}

}  // namespace

Result<std::string> hold_to_target(Result<std::string> answer, SkillEntry const& skill,
                                   std::string const& expect, Blobs const* blobs) {
    auto result = result_from(answer);
    if (!result || result->attachments.empty()) return answer;
    MUST(is_the_target(result->attachments, skill, expect, blobs));
    return answer;
}

}  // namespace parley
