#include "outgoing.hpp"

#include <utility>

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
            out.push_back({{{std::string(cut_note), {}}}, true, {}});
            break;
        }
        out.push_back({std::move(piece), !is_markdown, {}});
    }
    return out;
}

std::deque<Part> parts_from(std::string_view text, bool is_markdown, Json const& attachments) {
    auto out = parts_from(text, is_markdown);
    bool is_caption = out.size() == 1 && utf16_units(text_of(out.front().text)) <= caption_units;
    for (Json const attachment : attachments) {
        Part part{{}, true, {}};
        if (std::exchange(is_caption, false)) {
            part = std::move(out.front());
            out.pop_front();
        }
        part.file = {std::string(attachment["blob"].text()), std::string(attachment["name"].text()),
                     std::string(attachment["type"].text())};
        out.push_back(std::move(part));
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
    return Part{std::move(pieces.front()), !is_markdown, {}};
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

std::vector<parley::HttpPart> form_of(Place const& place, Part const& part,
                                      std::string const& keyboard) {
    std::vector<parley::HttpPart> out{{.name = "chat_id", .value = std::to_string(place.chat)}};
    if (place.topic != 0)
        out.push_back({.name = "message_thread_id", .value = std::to_string(place.topic)});
    if (auto const caption = text_of(part.text); !caption.empty()) {
        out.push_back({.name = "caption", .value = part.is_plain ? caption : html_of(part.text)});
        if (!part.is_plain) out.push_back({.name = "parse_mode", .value = "HTML"});
    }
    if (!keyboard.empty()) out.push_back({.name = "reply_markup", .value = keyboard});
    auto const& file = part.file.value();
    out.push_back(
        {.name = "document", .blob = file.blob, .filename = file.name, .type = file.type});
    return out;
}

}  // namespace telegram
