#include "chat.hpp"

namespace ollama {

using model_wire::count_at;
using parley::Json;
using parley::json_of;
using parley::JsonWriter;

model_wire::Reader::Took Answer::take(std::string_view data, std::vector<std::string>& items) {
    std::string problem;
    Json const line = Json::parse(data, &problem);
    if (!line.is_object()) {
        garbage(problem.empty() ? "a line of the answer is no object"
                                : "a line of the answer is " + problem);
        return Took::garbage;
    }
    if (line["error"].exists() && !line["error"].is_null()) return Took::error;
    Json const message = line["message"];
    if (!say("reasoning", message["thinking"].text(), items)) return Took::garbage;
    if (!say("text", message["content"].text(), items)) return Took::garbage;
    for (Json const call : message["tool_calls"]) {
        if (calls_.size() >= model_wire::calls_most) {
            garbage("the answer has too many tool calls");
            return Took::garbage;
        }
        Json const arguments = call["function"]["arguments"];
        auto const text = arguments.is_string() ? arguments.text() : arguments.raw();
        calls_.push_back({std::string(call["id"].text()),
                          std::string(call["function"]["name"].text()), std::string(text)});
        if (!grow(call.raw().size())) return Took::garbage;
    }
    if (!line["done"].boolean()) return Took::fine;
    model_wire::Usage usage;
    usage.input = count_at(line, {"prompt_eval_count"});
    usage.output = count_at(line, {"eval_count"});
    if (usage.input >= 0 && usage.output >= 0) usage_ = usage;
    reason_ = line["done_reason"].text();
    is_done_ = true;
    return Took::done;
}

// It is told with the last line, and so for the whole.
void Answer::add_usage(std::vector<std::string>& items) const {
    if (usage_) items.push_back(model_wire::usage_item(*usage_));
}

bool Answer::finish(std::vector<std::string>& items) {
    add_usage(items);
    for (auto const& call : calls_) {
        if (call.name.empty()) return garbage("the answer has a tool call without a name");
        JsonWriter out;
        out.begin('{').pair("type", "call");
        if (!call.id.empty()) out.pair("id", call.id);
        out.pair("name", names_.meant_by(call.name));
        out.pair("arguments", call.arguments.empty() ? "{}" : call.arguments);
        items.push_back(out.end('}').take());
    }
    std::string_view reason = calls_.empty() ? "end" : "calls";
    if (reason_ == "length") reason = "length";
    items.push_back(json_of("type", "stop", "reason", reason));
    return true;
}

}  // namespace ollama
