#include "chat.hpp"

#include <algorithm>

namespace openai {

namespace {

using parley::Json;
using parley::json_of;
using parley::JsonWriter;

// What the wire allows as the name of a speaker.
std::string speaker(std::string_view name) {
    static constexpr std::string_view forbidden = "<|\\/>";
    std::string out(parley::utf8_cut(name, 64));
    for (auto& c : out) {
        bool const bad = static_cast<unsigned char>(c) <= 0x20 || c == '\x7F' ||
                         forbidden.find(c) != forbidden.npos;
        if (bad) c = '_';
    }
    return out;
}

void write_assistant(JsonWriter& out, Json const& message, Names const& names) {
    auto const text = message["text"].text();
    bool const calls = message["calls"].size() > 0;
    out.pair("role", "assistant").key("content");
    if (text.empty() && calls)
        out.null();
    else
        out.value(text);
    if (!calls) return;
    out.key("tool_calls").begin('[');
    for (Json const call : message["calls"]) {
        out.begin('{').pair("id", call["id"].text()).pair("type", "function");
        out.key("function").begin('{').pair("name", names.on_wire(call["name"].text()));
        out.pair("arguments", call["arguments"].text()).end('}').end('}');
    }
    out.end(']');
}

void write_message(JsonWriter& out, Json const& message, Names const& names) {
    auto const role = message["role"].text();
    out.begin('{');
    if (role == "assistant") {
        write_assistant(out, message, names);
    } else if (role == "skill") {
        // The wire has no sign for a failure but words.
        std::string const mark = message["error"].boolean() ? "[failed] " : "";
        out.pair("role", "tool").pair("tool_call_id", message["call"].text());
        out.pair("content", mark + std::string(message["content"].text()));
    } else {
        out.pair("role", "user").pair("content", message["text"].text());
        std::string const name = speaker(message["name"].text());
        if (!name.empty()) out.pair("name", name);
    }
    out.end('}');
}

}  // namespace

std::string body_for(Json const& request, Names const& names, std::string_view max_tokens_field) {
    JsonWriter out;
    out.begin('{').pair("model", request["model"].text()).pair("stream", true);
    out.key("stream_options").begin('{').pair("include_usage", true).end('}');
    auto const most = request["max_output_tokens"].integer();
    if (most > 0) out.pair(max_tokens_field, most);
    out.key("messages").begin('[');
    auto const system = request["system"].text();
    if (!system.empty()) out.raw(json_of("role", "system", "content", system));
    for (Json const message : request["messages"]) write_message(out, message, names);
    out.end(']');
    model_wire::write_chat_tools(out, request["skills"], names);
    return out.end('}').take();
}

}  // namespace openai
