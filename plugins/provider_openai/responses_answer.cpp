#include "responses.hpp"

namespace openai {

using model_wire::count_at;
using parley::Json;
using parley::json_of;
using parley::JsonWriter;

namespace {

constexpr std::size_t items_most = 1024;

// What can be said again in our own words; all else is bound to what stood before it.
bool is_plain(Json const& item) {
    auto const type = item["type"].text();
    if (type == "function_call") return true;
    return type == "message" && !item["phase"].exists();
}

std::string text_in(Json const& item, char const* list, char const* kind, char const* member) {
    std::string out;
    for (Json const part : item[list]) {
        if (part["type"].text() == kind) out += part[member].text();
    }
    return out;
}

}  // namespace

model_wire::Reader::Took ResponsesAnswer::take(std::string_view data,
                                               std::vector<std::string>& items) {
    if (data == "[DONE]") return is_done_ ? Took::done : Took::fine;
    std::string problem;
    Json const event = Json::parse(data, &problem);
    if (!event.is_object()) {
        garbage(problem.empty() ? "an event of the answer is no object"
                                : "an event of the answer is " + problem);
        return Took::garbage;
    }
    return take_event(event, items);
}

model_wire::Reader::Took ResponsesAnswer::take_event(Json const& event,
                                                     std::vector<std::string>& items) {
    auto const type = event["type"].text();
    bool fine = true;
    if (type == "error") return Took::error;
    if (type == "response.output_text.delta") {
        fine = say_at("text", event, items);
    } else if (type == "response.refusal.delta") {
        is_refusal_ = true;
        fine = say_at("text", event, items);
    } else if (type == "response.reasoning_summary_text.delta" ||
               type == "response.reasoning_text.delta") {
        fine = say_at("reasoning", event, items);
    } else if (type == "response.output_item.done") {
        fine = take_item(event["output_index"].integer(-1), event["item"], items);
    } else if (type == "response.completed" || type == "response.incomplete" ||
               type == "response.failed" || type == "response.cancelled") {
        return take_end(event["response"], items);
    } else if (type.empty() && event["object"].text() == "response") {
        // The server does not stream, though it was asked to.
        return take_end(event, items);
    } else if (type.empty() && event["error"].is_object()) {
        return Took::error;
    }
    // Whatever else there is, and what is yet to be invented, means nothing to us.
    return fine ? Took::fine : Took::garbage;
}

bool ResponsesAnswer::say_at(char const* type, Json const& event, std::vector<std::string>& items) {
    spoken_[event["output_index"].integer(-1)] = true;
    return spoken_.size() <= items_most ? say(type, event["delta"].text(), items)
                                        : garbage("the answer has too many parts");
}

bool ResponsesAnswer::take_item(std::int64_t index, Json const& item,
                                std::vector<std::string>& items) {
    if (!item.is_object() || output_.size() >= items_most) {
        return garbage("the answer has an item that is none, or too many of them");
    }
    if (!grow(item.raw().size())) return false;
    // A copy of its own: the event that it came in is much larger at times.
    output_.insert_or_assign(index, Json::parse(item.raw()));
    bool const was_told = spoken_.contains(index);
    auto const refusal = text_in(item, "content", "refusal", "refusal");
    is_refusal_ |= !refusal.empty();
    if (was_told) return true;
    return say("reasoning", text_in(item, "summary", "summary_text", "text"), items) &&
           say("text", text_in(item, "content", "output_text", "text"), items) &&
           say("text", refusal, items);
}

model_wire::Reader::Took ResponsesAnswer::take_end(Json const& response,
                                                   std::vector<std::string>& items) {
    take_usage(response["usage"]);
    auto const status = response["status"].text();
    if (status == "failed" || response["error"].is_object()) return Took::error;
    if (status != "completed" && status != "incomplete") {
        garbage("the answer ended as '" + std::string(parley::utf8_cut(status, 64)) + "'");
        return Took::garbage;
    }
    if (status == "incomplete") {
        reason_ = response["incomplete_details"]["reason"].text("incomplete");
    }
    // Some send the items at the end alone.
    std::int64_t index = 0;
    for (Json const item : response["output"]) {
        if (!output_.contains(index) && !take_item(index, item, items)) return Took::garbage;
        ++index;
    }
    is_done_ = true;
    return Took::done;
}

void ResponsesAnswer::take_usage(Json const& usage) {
    model_wire::Usage out;
    out.input = count_at(usage, {"input_tokens"});
    out.output = count_at(usage, {"output_tokens"});
    if (out.input < 0 || out.output < 0) return;
    out.cache_read = count_at(usage, {"input_tokens_details", "cached_tokens"});
    out.cache_write = count_at(usage, {"input_tokens_details", "cache_write_tokens"});
    out.reasoning = count_at(usage, {"output_tokens_details", "reasoning_tokens"});
    usage_ = out;
}

// It is told with the last event, and so for the whole.
void ResponsesAnswer::add_usage(std::vector<std::string>& items) const {
    if (usage_) items.push_back(model_wire::usage_item(*usage_));
}

std::string ResponsesAnswer::content() const {
    JsonWriter out;
    out.begin('[');
    for (auto const& [index, item] : output_) out.raw(item.raw());
    return out.end(']').take();
}

bool ResponsesAnswer::finish(std::vector<std::string>& items) {
    add_usage(items);
    std::string_view reason = "end";
    if (is_refusal_ || reason_ == "content_filter")
        reason = "refusal";
    else if (!reason_.empty())
        reason = "length";
    bool is_bound = false;
    std::vector<std::string> wanted;
    for (auto const& [index, item] : output_) {
        is_bound |= !is_plain(item);
        if (item["type"].text() != "function_call") continue;
        // What was filtered away or broken off may have been the half of a call.
        if (reason == "refusal" || item["status"].text() == "incomplete") continue;
        if (wanted.size() >= model_wire::calls_most) {
            return garbage("the answer has too many tool calls");
        }
        auto const name = item["name"].text(), arguments = item["arguments"].text();
        if (name.empty()) return garbage("the answer has a tool call without a name");
        wanted.push_back(json_of("type", "call", "id", item["call_id"].text(), "name",
                                 names_.meant_by(name), "arguments",
                                 arguments.empty() ? std::string_view("{}") : arguments));
    }
    // Half an answer is not taken back.
    if (is_bound && reason == "end") model_wire::add_state(content(), items);
    bool const calls = !wanted.empty();
    for (auto& call : wanted) items.push_back(std::move(call));
    if (reason == "end" && calls) reason = "calls";
    items.push_back(json_of("type", "stop", "reason", reason));
    return true;
}

}  // namespace openai
