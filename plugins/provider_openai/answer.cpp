#include "chat.hpp"

#include <algorithm>

namespace openai {

using model_wire::calls_most;
using model_wire::count_at;
using parley::Json;
using parley::json_of;
using parley::JsonWriter;

Answer::Took Answer::take(std::string_view data, std::vector<std::string>& items) {
    if (data == "[DONE]") {
        is_done_ = true;
        return Took::done;
    }
    std::string problem;
    Json const chunk = Json::parse(data, &problem);
    if (!chunk.is_object()) {
        garbage(problem.empty() ? "a chunk of the answer is no object"
                                : "a chunk of the answer is " + problem);
        return Took::garbage;
    }
    if (chunk["error"].exists() && !chunk["error"].is_null()) return Took::error;
    for (Json const choice : chunk["choices"]) {
        // One answer was asked for.
        if (choice["index"].integer() != 0) continue;
        bool const whole = !choice["delta"].is_object();
        if (!take_delta(choice[whole ? "message" : "delta"], items)) return Took::garbage;
        if (choice["finish_reason"].is_string()) finish_ = choice["finish_reason"].text();
    }
    // Some count as they go; the last one counts all.
    if (chunk["usage"].is_object()) take_usage(chunk["usage"]);
    is_counted_ = !finish_.empty() || chunk["choices"].size() == 0;
    return Took::fine;
}

bool Answer::take_delta(Json const& delta, std::vector<std::string>& items) {
    // Servers that show their reasoning call it the one or the other; some both.
    auto reasoning = delta["reasoning_content"].text();
    if (reasoning.empty()) reasoning = delta["reasoning"].text();
    if (!say("reasoning", reasoning, items)) return false;
    if (!say("text", delta["content"].text(), items)) return false;
    if (delta["content"].is_array()) {
        for (Json const part : delta["content"]) {
            if (!say("text", part["text"].text(), items)) return false;
        }
    }
    auto const refusal = delta["refusal"].text();
    is_refusal_ |= !refusal.empty();
    if (!say("text", refusal, items)) return false;
    std::int64_t position = 0;
    for (Json const fragment : delta["tool_calls"]) {
        if (!take_call(fragment, position++)) return false;
    }
    return true;
}

// Fragments belong together by their index. Some servers leave it out, or give every call the same
// one: then a new id is a new call.
Answer::Call& Answer::call_of(Json const& fragment, std::int64_t position) {
    auto const id = fragment["id"].text();
    bool const numbered = fragment["index"].is_number();
    std::int64_t const index = numbered ? fragment["index"].integer() : position;
    auto const found = std::find_if(calls_.rbegin(), calls_.rend(),
                                    [&](Call const& call) { return call.index == index; });
    if (found != calls_.rend()) {
        bool const other = !id.empty() && !found->id.empty() && found->id != id;
        if (!other) return *found;
    }
    calls_.push_back({index, {}, {}, {}});
    return calls_.back();
}

bool Answer::take_call(Json const& fragment, std::int64_t position) {
    if (!fragment.is_object()) return garbage("a tool call of the answer is no object");
    Call& call = call_of(fragment, position);
    if (calls_.size() > calls_most) return garbage("the answer has too many tool calls");
    Json const function = fragment["function"];
    auto const id = fragment["id"].text(), name = function["name"].text();
    if (call.id.empty()) call.id = id;
    if (call.name.empty()) call.name = name;
    // A text, or with some servers the object itself.
    Json const arguments = function["arguments"];
    auto const text = arguments.is_object() ? arguments.raw() : arguments.text();
    call.arguments += text;
    return grow(id.size() + name.size() + text.size() + 1);
}

void Answer::take_usage(Json const& usage) {
    model_wire::Usage out;
    out.input = count_at(usage, {"prompt_tokens"});
    out.output = count_at(usage, {"completion_tokens"});
    if (out.input < 0 || out.output < 0) return;
    out.cache_read = count_at(usage, {"prompt_tokens_details", "cached_tokens"});
    if (out.cache_read < 0) out.cache_read = count_at(usage, {"prompt_cache_hit_tokens"});
    out.cache_write = count_at(usage, {"prompt_tokens_details", "cache_write_tokens"});
    out.reasoning = count_at(usage, {"completion_tokens_details", "reasoning_tokens"});
    usage_ = out;
}

void Answer::add_usage(std::vector<std::string>& items) const {
    if (is_counted_) tell_usage(items);
}

void Answer::tell_usage(std::vector<std::string>& items) const {
    if (usage_) items.push_back(model_wire::usage_item(*usage_));
}

std::string_view Answer::stop_reason() const {
    if (is_refusal_ || finish_ == "content_filter") return "refusal";
    if (finish_ == "length") return "length";
    // Not every server says "tool_calls" when it calls, or calls when it says so.
    return calls_.empty() ? "end" : "calls";
}

bool Answer::finish(std::vector<std::string>& items) {
    tell_usage(items);
    auto const reason = stop_reason();
    // What was filtered away may have been the half of a call.
    if (reason == "refusal") calls_.clear();
    for (auto const& call : calls_) {
        if (call.name.empty()) return garbage("the answer has a tool call without a name");
        JsonWriter out;
        out.begin('{').pair("type", "call");
        if (!call.id.empty()) out.pair("id", call.id);
        out.pair("name", names_.meant_by(call.name));
        // A call without arguments is written as nothing by some.
        out.pair("arguments", call.arguments.empty() ? "{}" : call.arguments);
        items.push_back(out.end('}').take());
    }
    items.push_back(json_of("type", "stop", "reason", reason));
    return true;
}

}  // namespace openai
