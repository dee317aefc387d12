#include "check/judge.hpp"

#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/schema.hpp"
#include "base/text.hpp"
#include "plugin/attachment.hpp"
#include "plugin/inbound.hpp"
#include "plugin/link.hpp"

#include <parley/frame.h>
#define PARLEY_HOST_SIDE
#include <parley/plugin.h>

#include "check/frames.h"

#include <boost/json/value.hpp>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace parley {

namespace {

// The schema's file of a verb, by role and index.
std::string schema_name(std::uint32_t verb) {
    static std::map<std::uint32_t, char const*> const names{
        {0x100, "channel.1.run"},          {0x101, "channel.1.send"},
        {0x102, "channel.1.edit"},         {0x103, "channel.1.typing"},
        {0x104, "channel.1.draft"},        {0x200, "provider.1.generate"},
        {0x201, "provider.1.list_models"}, {0x202, "provider.1.count_tokens"},
        {0x300, "skill.1.invoke"},         {0x301, "skill.1.reconcile"},
        {0x302, "skill.1.preview"},        {0x400, "hook.1.on_event"}};
    auto found = names.find(verb);
    return found == names.end() ? "" : std::string("parley.") + found->second + ".json";
}

// A request without what it says of secrets, to see what the host says of its destination alone.
std::string without_inject(std::string_view request) {
    auto value = parse_json(request);
    if (!value || !value->is_object()) return std::string(request);
    value->get_object().erase("inject");
    return to_text(*value);
}

}  // namespace

Judge::Judge(Rule const& rule, Subject const& subject, WorkerSpec const& spec, std::string canary)
    : rule_(rule), subject_(subject), spec_(spec), canary_(std::move(canary)) {}
Judge::~Judge() = default;

bool Judge::is(std::string_view rule) const {
    return rule == rule_.name;
}

void Judge::complain(Verdict& verdict, std::string what) {
    what = visible(clipped(what, limits::check_line_bytes));
    if (verdict.lines.size() < limits::check_lines && said_.insert(what).second)
        verdict.fail(std::move(what));
}

Schema const* Judge::schema(std::uint32_t verb, char const* part) {
    auto name = schema_name(verb);
    auto& kept = schemas_[name + part];
    if (kept || name.empty()) return kept.get();
    std::ifstream in(subject_.places.schemas / name, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    auto document = parse_json(text.str());
    auto const* parts = document ? member(*document, "$defs") : nullptr;
    if (!parts || !member(*parts, part)) return nullptr;
    json::object whole;
    whole["$defs"] = *parts;
    whole["$ref"] = std::string("#/$defs/") + part;
    if (auto opened = Schema::open(std::move(whole), UnknownKeywords::ignored))
        kept = std::make_unique<Schema>(std::move(*opened));
    return kept.get();
}

void Judge::hold(std::uint32_t verb, char const* part, std::string_view text,
                 std::string const& what, Verdict& verdict) {
    if (!is_utf8(text)) return complain(verdict, what + " is not UTF-8");
    auto value = parse_json(text.empty() && part == std::string_view("result") ? "{}" : text);
    if (!value) return complain(verdict, what + " is not JSON: " + value.error().what);
    auto const* held = schema(verb, part);
    if (!held) return;
    if (auto fits = held->check(*value); !fits) complain(verdict, what + ": " + fits.error().what);
}

// A host sends none that the manifest does not speak of.
void Judge::hold_files(std::uint32_t verb, std::string_view text, Verdict& verdict) {
    auto value = parse_json(text);
    auto const& skills = spec_.file->manifest().skills;
    if (verb != static_cast<std::uint32_t>(Verb::skill_invoke) || !value) return;
    if (attachments_in(*value, "attachments").empty()) return;
    if (std::none_of(skills.begin(), skills.end(), [](auto const& one) { return one.sends_files; }))
        complain(verdict, "a result brings a file, and no skill of the manifest uses files");
}

void Judge::look_for_canary(std::string_view where, std::string_view bytes, Verdict& verdict) {
    if (is("secret-canary") && !canary_.empty() && bytes.find(canary_) != bytes.npos)
        complain(verdict, "the revealed secret stands in " + std::string(where));
}

void Judge::hear(std::uint16_t type, std::uint64_t id, std::string_view body, Verdict& verdict) {
    std::uint64_t call = 0;
    std::uint32_t number = 0, length = 0;
    std::int32_t status = 0;
    switch (type) {
        case PARLEY_F_CALL:
            if (take_number(body, number) && verbs_.size() < limits::check_calls)
                verbs_[id] = number;
            return;
        case PARLEY_F_EMIT:
            look_for_canary("an item of a stream", body, verdict);
            if (is("response-schema"))
                hold(verbs_[id], "emit", body, "an item of " + schema_name(verbs_[id]), verdict);
            return;
        case PARLEY_F_COMPLETE:
            if (!take_number(body, status)) return;
            look_for_canary("an answer", body, verdict);
            if (!is("response-schema")) return;
            if (status == PARLEY_OK) {
                hold(verbs_[id], "result", body, "a result of " + schema_name(verbs_[id]), verdict);
                hold_files(verbs_[id], body, verdict);
            } else if (!body.empty())
                hold(verbs_[id], "failure", body, "a failure of " + schema_name(verbs_[id]),
                     verdict);
            return;
        case PARLEY_F_LOG:
            return look_for_canary("a line of the log", body, verdict);
        case PARLEY_F_HTTP_START:
            if (!take_number(body, call) || !take_number(body, length) || length > body.size())
                return;
            return hear_http(body.substr(0, length), body.substr(length), verdict);
        case PARLEY_F_STREAM_OPEN:
            if (take_number(body, call)) hear_stream(id, body, verdict);
            return;
        case PARLEY_F_STREAM_WRITE:
            if (!take_number(body, length) || length > body.size()) return;
            look_for_canary("what is written to a stream", body.substr(length), verdict);
            return hear_write(id, body.substr(0, length), judge_write, verdict);
        case PARLEY_F_WS_OPEN:
            if (take_number(body, call)) hear_ws(id, body, verdict);
            return;
        case PARLEY_F_WS_WRITE:
            if (!take_number(body, number) || !take_number(body, length) || length > body.size())
                return;
            look_for_canary("a message to a WebSocket", body.substr(length), verdict);
            return hear_write(id, body.substr(0, length), judge_ws_write, verdict);
        case PARLEY_F_WS_CLOSE:
            return look_for_canary("a goodbye", body, verdict);
        case PARLEY_F_KV:
            return look_for_canary("the store", body, verdict);
        case PARLEY_F_BLOB_WRITE:
            return look_for_canary("a blob", body, verdict);
        case PARLEY_F_INBOUND_ANSWER: {
            std::uint64_t webhook = 0;
            if (!take_number(body, webhook)) return;
            look_for_canary("an answer to a webhook", body, verdict);
            if (auto answer = read_inbound_answer(body); is("response-schema") && !answer)
                complain(verdict, answer.error().what);
            return;
        }
        case PARLEY_F_REVEAL:
            if (!take_number(body, call) || !is("secret-undeclared")) return;
            if (auto const* field = spec_.file->manifest().secret(body);
                !field || field->tier != SecretField::Tier::reveal)
                complain(verdict, "it asks for the bytes of " + visible(clipped(body, 64)) +
                                      ", which the manifest does not declare to be revealed");
            return;
        default:
            return;
    }
}

void Judge::hear_http(std::string_view request, std::string_view body, Verdict& verdict) {
    look_for_canary("an address or header", request, verdict);
    look_for_canary("a body", body, verdict);
    auto destination = judge_http(spec_, without_inject(request), body);
    if (is("egress-undeclared") && !destination) complain(verdict, destination.error().what);
    if (!destination || is("egress-undeclared")) return;
    auto value = parse_json(request);
    auto const* inject = value ? member(*value, "inject") : nullptr;
    if (!inject || !names_declared_secrets(to_text(*inject), verdict)) return;
    if (auto judged = judge_http(spec_, request, body); is("secret-slot") && !judged)
        complain(verdict, judged.error().what);
}

bool Judge::names_declared_secrets(std::string_view inject, Verdict& verdict) {
    auto value = parse_json(inject);
    if (!value || !value->is_array()) return false;
    for (auto const& one : value->get_array()) {
        auto field = text_at(one, "secret");
        if (spec_.file->manifest().secret(field)) continue;
        if (is("secret-undeclared"))
            complain(verdict, "it names the secret " + visible(clipped(field, 64)) +
                                  ", which the manifest does not declare");
        return false;
    }
    return true;
}

void Judge::hear_stream(std::uint64_t id, std::string_view request, Verdict& verdict) {
    look_for_canary("the address of a stream", request, verdict);
    if (streams_.size() < limits::check_streams) streams_[id] = request;
    auto judged = judge_stream(spec_, request);
    if (is("egress-undeclared") && !judged) complain(verdict, judged.error().what);
}

void Judge::hear_ws(std::uint64_t id, std::string_view request, Verdict& verdict) {
    look_for_canary("the address or a header of a WebSocket", request, verdict);
    if (streams_.size() < limits::check_streams) streams_[id] = request;
    auto destination = judge_ws(spec_, without_inject(request));
    if (is("egress-undeclared") && !destination) complain(verdict, destination.error().what);
    if (!destination || is("egress-undeclared")) return;
    auto value = parse_json(request);
    auto const* inject = value ? member(*value, "inject") : nullptr;
    if (!inject || !names_declared_secrets(to_text(*inject), verdict)) return;
    if (auto judged = judge_ws(spec_, request); is("secret-slot") && !judged)
        complain(verdict, judged.error().what);
}

void Judge::hear_write(std::uint64_t id, std::string_view inject, JudgeWrite& judge,
                       Verdict& verdict) {
    if (inject.empty() || !streams_.contains(id) || !names_declared_secrets(inject, verdict))
        return;
    if (auto judged = judge(spec_, streams_[id], inject); is("secret-slot") && !judged)
        complain(verdict, judged.error().what);
}

}  // namespace parley
