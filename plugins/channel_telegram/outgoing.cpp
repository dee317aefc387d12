#include "outgoing.hpp"

#include "markdown.hpp"

namespace telegram {

using parley::Json;
using parley::JsonWriter;

std::deque<Part> parts_from(std::string_view text, bool is_markdown) {
    auto const styled = is_markdown ? styled_from(text) : Styled{{std::string(text), {}}};
    std::deque<Part> out;
    for (auto& part : split(styled, message_units)) {
        if (out.size() < parts_most) {
            out.push_back({std::move(part), !is_markdown});
            continue;
        }
        out.push_back({{{"… (cut, the text is longer)", {}}}, true});
        break;
    }
    return out;
}

std::string keyboard_from(Json const& buttons) {
    if (buttons.size() == 0) return {};
    JsonWriter out;
    out.begin('{').key("inline_keyboard").begin('[');
    for (Json const row : buttons) {
        out.begin('[');
        for (Json const button : row) {
            out.begin('{').pair("text", button["text"].text());
            out.pair("callback_data", button["data"].text()).end('}');
        }
        out.end(']');
    }
    return out.end(']').end('}').take();
}

void write_place(JsonWriter& out, Place const& place) {
    out.pair("chat_id", place.chat);
    if (place.topic != 0) out.pair("message_thread_id", place.topic);
}

void write_part(JsonWriter& out, Part const& part) {
    out.pair("text", part.is_plain ? text_of(part.text) : html_of(part.text));
    if (!part.is_plain) out.pair("parse_mode", "HTML");
    // A preview would fetch what an agent was made to write.
    out.key("link_preview_options").begin('{').pair("is_disabled", true).end('}');
}

}  // namespace telegram
