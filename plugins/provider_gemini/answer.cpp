#include "content.hpp"

#include <algorithm>
#include <iterator>

namespace gemini {

using model_wire::count_at;
using parley::Json;
using parley::json_of;
using parley::JsonWriter;

namespace {

constexpr std::size_t parts_most = 100'000;  // streamed text comes in many

// The model, or a filter before or behind it, did not want to.
bool is_refusal(std::string_view reason) {
    static constexpr std::string_view reasons[] = {"SAFETY",      "RECITATION",         "LANGUAGE",
                                                   "BLOCKLIST",   "PROHIBITED_CONTENT", "SPII",
                                                   "IMAGE_SAFETY"};
    return std::find(std::begin(reasons), std::end(reasons), reason) != std::end(reasons);
}

// It wanted to, and got it wrong.
bool is_broken(std::string_view reason) {
    return reason == "MALFORMED_FUNCTION_CALL" || reason == "UNEXPECTED_TOOL_CALL" ||
           reason == "TOO_MANY_TOOL_CALLS" || reason == "OTHER";
}

}  // namespace

model_wire::Reader::Took Answer::take(std::string_view data, std::vector<std::string>& items) {
    std::string problem;
    Json const chunk = Json::parse(data, &problem);
    if (!chunk.is_object()) {
        garbage(problem.empty() ? "a chunk of the answer is no object"
                                : "a chunk of the answer is " + problem);
        return Took::garbage;
    }
    return take_chunk(chunk, items);
}

model_wire::Reader::Took Answer::take_chunk(Json const& chunk, std::vector<std::string>& items) {
    if (chunk["error"].is_object()) return Took::error;
    for (Json const candidate : chunk["candidates"]) {
        // One answer was asked for.
        if (candidate["index"].integer() != 0) continue;
        for (Json const part : candidate["content"]["parts"]) {
            if (!take_part(part, items)) return Took::garbage;
        }
        if (candidate["finishReason"].is_string()) reason_ = candidate["finishReason"].text();
        if (!candidate["finishMessage"].text().empty()) {
            detail_ =
                parley::utf8_cut(candidate["finishMessage"].text(), model_wire::error_text_bytes);
        }
    }
    auto const blocked = chunk["promptFeedback"]["blockReason"].text();
    if (!blocked.empty()) {
        reason_ = blocked;
        is_blocked_ = true;
    }
    take_usage(chunk["usageMetadata"]);
    return Took::fine;
}

bool Answer::take_part(Json const& part, std::vector<std::string>& items) {
    if (!part.is_object() || parts_.size() >= parts_most) {
        return garbage("the answer has a part that is none, or too many of them");
    }
    bool const is_signed = part["thoughtSignature"].exists();
    bool const is_text = part["text"].is_string();
    is_bound_ |= is_signed;
    if (is_signed || !is_text || !part["text"].text().empty()) parts_.emplace_back(part.raw());
    if (!grow(part.raw().size())) return false;
    if (is_text) {
        return say(part["thought"].boolean() ? "reasoning" : "text", part["text"].text(), items);
    }
    Json const call = part["functionCall"];
    if (!call.is_object()) return true;
    if (calls_.size() >= model_wire::calls_most) {
        return garbage("the answer has too many tool calls");
    }
    auto const arguments = call["args"].is_object() ? call["args"].raw() : std::string_view("{}");
    calls_.push_back(
        {std::string(call["id"].text()), std::string(call["name"].text()), std::string(arguments)});
    return true;
}

// Counts are of the whole up to here. What was thought is not among what was said.
void Answer::take_usage(Json const& usage) {
    if (!usage.is_object()) return;
    auto const count = [&](char const* key) { return count_at(usage, {key}); };
    auto const prompt = count("promptTokenCount"), said = count("candidatesTokenCount");
    auto const thought = count("thoughtsTokenCount");
    if (prompt < 0 || (said < 0 && thought < 0)) return;
    model_wire::Usage out;
    out.input = prompt + std::max<std::int64_t>(count("toolUsePromptTokenCount"), 0);
    out.output = std::max<std::int64_t>(said, 0) + std::max<std::int64_t>(thought, 0);
    out.cache_read = count("cachedContentTokenCount");
    out.reasoning = thought;
    usage_ = out;
}

void Answer::add_usage(std::vector<std::string>& items) const {
    if (usage_ && is_complete()) items.push_back(model_wire::usage_item(*usage_));
}

bool Answer::finish(std::vector<std::string>& items) {
    if (!is_blocked_ && is_broken(reason_)) {
        return garbage("the model's answer ended as " + reason_ +
                       (detail_.empty() ? "" : ": " + detail_));
    }
    add_usage(items);
    bool const refused = is_blocked_ || is_refusal(reason_);
    if (refused) {
        // What was broken off may have been the half of a call.
        auto const why = reason_ + (detail_.empty() ? "" : ": " + detail_);
        items.push_back(json_of("type", "stop", "reason", "refusal", "detail",
                                parley::utf8_cut(why, model_wire::error_text_bytes)));
        return true;
    }
    if (is_bound_) {
        JsonWriter state;
        state.begin('[');
        for (auto const& part : parts_) state.raw(part);
        model_wire::add_state(state.end(']').take(), items);
    }
    for (auto const& call : calls_) {
        if (call.name.empty()) return garbage("the answer has a tool call without a name");
        JsonWriter out;
        out.begin('{').pair("type", "call");
        if (!call.id.empty()) out.pair("id", call.id);
        out.pair("name", names_.meant_by(call.name)).pair("arguments", call.arguments);
        items.push_back(out.end('}').take());
    }
    std::string_view reason = calls_.empty() ? "end" : "calls";
    if (reason_ == "MAX_TOKENS") reason = "length";
    items.push_back(json_of("type", "stop", "reason", reason));
    return true;
}

}  // namespace gemini
