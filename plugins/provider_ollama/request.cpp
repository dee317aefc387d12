#include "chat.hpp"

namespace ollama {

namespace {

using parley::Json;
using parley::json_of;
using parley::JsonWriter;

// The wire takes an object; what is none is given back as the words that it was.
void write_arguments(JsonWriter& out, std::string_view arguments) {
    Json const value = Json::parse(arguments);
    if (value.is_object())
        out.pair("arguments", value);
    else
        out.key("arguments").raw(json_of("not_an_object", arguments));
}

void write_message(JsonWriter& out, Json const& message, Names const& names) {
    auto const role = message["role"].text();
    out.begin('{');
    if (role == "assistant") {
        out.pair("role", "assistant").pair("content", message["text"].text());
        if (message["calls"].size() > 0) {
            out.key("tool_calls").begin('[');
            for (Json const call : message["calls"]) {
                out.begin('{').pair("id", call["id"].text()).key("function").begin('{');
                out.pair("name", names.on_wire(call["name"].text()));
                write_arguments(out, call["arguments"].text());
                out.end('}').end('}');
            }
            out.end(']');
        }
    } else if (role == "skill") {
        // The wire has no sign for a failure but words.
        std::string const mark = message["error"].boolean() ? "[failed] " : "";
        out.pair("role", "tool").pair("tool_name", names.on_wire(message["name"].text()));
        out.pair("tool_call_id", message["call"].text());
        out.pair("content", mark + std::string(message["content"].text()));
    } else {
        std::string text(message["text"].text());
        auto const name = message["name"].text();
        if (!name.empty()) text = std::string(name) + ": " + text;
        out.pair("role", "user").pair("content", text);
    }
    out.end('}');
}

}  // namespace

std::string body_for(Json const& request, Names const& names, Manners const& manners) {
    JsonWriter out;
    out.begin('{').pair("model", request["model"].text()).pair("stream", true);
    if (manners.think == "on" || manners.think == "off")
        out.pair("think", manners.think == "on");
    else if (manners.think != "auto")
        out.pair("think", manners.think);
    if (!manners.keep_alive.empty()) out.pair("keep_alive", manners.keep_alive);
    out.key("options").begin('{').pair("num_ctx", manners.num_ctx);
    auto const most = request["max_output_tokens"].integer();
    if (most > 0) out.pair("num_predict", most);
    out.end('}').key("messages").begin('[');
    auto const system = request["system"].text();
    if (!system.empty()) out.raw(json_of("role", "system", "content", system));
    for (Json const message : request["messages"]) write_message(out, message, names);
    out.end(']');
    model_wire::write_chat_tools(out, request["skills"], names);
    return out.end('}').take();
}

}  // namespace ollama
