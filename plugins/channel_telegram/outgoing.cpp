#include "outgoing.hpp"

#include "markdown.hpp"

namespace telegram {

using parley::Json;
using parley::JsonWriter;

namespace {

// Behind what had to be cut.
constexpr std::string_view cut_note = "… (cut, the text is longer)";

std::vector<Styled> pieces_of(std::string_view text, bool is_markdown, std::size_t units) {
    return split(is_markdown ? styled_from(text) : Styled{{std::string(text), {}}}, units);
}

}  // namespace

std::deque<Part> parts_from(std::string_view text, bool is_markdown) {
    std::deque<Part> out;
    for (auto& piece : pieces_of(text, is_markdown, message_units)) {
        if (out.size() == parts_most) {
            out.push_back({{{std::string(cut_note), {}}}, true});
            break;
        }
        out.push_back({std::move(piece), !is_markdown});
    }
    return out;
}

std::optional<Part> one_part_from(std::string_view text, bool is_markdown) {
    auto pieces = pieces_of(text, is_markdown, message_units);
    if (pieces.empty()) return std::nullopt;
    if (pieces.size() > 1) {
        pieces = pieces_of(text, is_markdown, message_units - cut_note.size());
        pieces.front().push_back({std::string(cut_note), {}});
    }
    return Part{std::move(pieces.front()), !is_markdown};
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
