#include "outgoing.hpp"

#include "../chat_text/markdown.hpp"

#include <vector>

namespace slack {

using chat_text::Style;
using chat_text::Styled;
using parley::Json;
using parley::JsonWriter;

namespace {

// Behind what had to be cut, and before what had to be left out.
constexpr std::string_view cut_note = "… (cut, the text is longer)", rest_note = "… ";
constexpr std::size_t button_units = 75;

std::vector<Styled> pieces_of(std::string_view text, bool is_markdown, std::size_t units) {
    return chat_text::split(
        is_markdown ? chat_text::styled_from(text) : Styled{{std::string(text), {}}}, units);
}

// A notification shows it, and here alone three characters have another meaning.
std::string escaped(std::string_view text) {
    std::string out;
    for (char const c : text) {
        if (c == '&')
            out += "&amp;";
        else if (c == '<')
            out += "&lt;";
        else if (c == '>')
            out += "&gt;";
        else
            out += c;
    }
    return out;
}

void write_run(JsonWriter& out, chat_text::Run const& run) {
    auto const& style = run.style;
    bool const is_link = !style.link.empty() && !style.code;
    out.begin('{').pair("type", is_link ? "link" : "text");
    if (is_link) out.pair("url", style.link);
    out.pair("text", run.text);
    if (!style.block && (style.bold || style.italic || style.strike || style.code)) {
        out.key("style").begin('{');
        if (style.bold) out.pair("bold", true);
        if (style.italic) out.pair("italic", true);
        if (style.strike) out.pair("strike", true);
        if (style.code) out.pair("code", true);
        out.end('}');
    }
    out.end('}');
}

char const* kind_of(Style const& style) {
    if (style.block) return "rich_text_preformatted";
    return style.quote ? "rich_text_quote" : "rich_text_section";
}

// Around a block of code or a quote the line ends by itself.
Styled without_edges(Styled const& styled, std::size_t begin, std::size_t end) {
    Styled out(styled.begin() + static_cast<std::ptrdiff_t>(begin),
               styled.begin() + static_cast<std::ptrdiff_t>(end));
    bool const after = begin > 0, before = end < styled.size();
    if (after && out.front().text.starts_with('\n')) out.front().text.erase(0, 1);
    if (before && out.back().text.ends_with('\n')) out.back().text.pop_back();
    std::erase_if(out, [](auto const& run) { return run.text.empty(); });
    return out;
}

void write_rich_text(JsonWriter& out, Styled const& styled) {
    out.begin('{').pair("type", "rich_text").key("elements").begin('[');
    for (std::size_t begin = 0; begin < styled.size();) {
        auto const* const kind = kind_of(styled[begin].style);
        auto end = begin + 1;
        while (end < styled.size() && std::string_view(kind_of(styled[end].style)) == kind) ++end;
        auto const runs = without_edges(styled, begin, end);
        begin = end;
        if (runs.empty()) continue;
        out.begin('{').pair("type", kind).key("elements").begin('[');
        for (auto const& run : runs) write_run(out, run);
        out.end(']').end('}');
    }
    out.end(']').end('}');
}

// Each row is a block; the ids only have to differ.
void write_buttons(JsonWriter& out, Json const& buttons) {
    int number = 0;
    for (Json const row : buttons) {
        out.begin('{').pair("type", "actions").key("elements").begin('[');
        for (Json const button : row) {
            out.begin('{').pair("type", "button");
            out.pair("action_id", "button-" + std::to_string(++number));
            out.pair("value", button["data"].text()).key("text").begin('{');
            out.pair("type", "plain_text").pair("emoji", false);
            out.pair("text", chat_text::utf16_cut(button["text"].text(), button_units));
            out.end('}').end('}');
        }
        out.end(']').end('}');
    }
}

}  // namespace

std::deque<Styled> parts_from(std::string_view text, bool is_markdown) {
    std::deque<Styled> out;
    for (auto& piece : pieces_of(text, is_markdown, message_units)) {
        if (out.size() == parts_most) {
            out.push_back({{std::string(cut_note), {}}});
            break;
        }
        out.push_back(std::move(piece));
    }
    return out;
}

std::optional<Styled> one_part_from(std::string_view text, bool is_markdown, bool is_end) {
    auto pieces = pieces_of(text, is_markdown, message_units);
    if (pieces.empty()) return std::nullopt;
    if (pieces.size() == 1) return std::move(pieces.front());
    pieces = pieces_of(text, is_markdown, message_units - cut_note.size());
    if (!is_end) {
        pieces.front().push_back({std::string(cut_note), {}});
        return std::move(pieces.front());
    }
    pieces.back().insert(pieces.back().begin(), {std::string(rest_note), {}});
    return std::move(pieces.back());
}

void write_content(JsonWriter& out, Styled const& text, Json const& buttons) {
    out.pair("text", escaped(chat_text::text_of(text))).key("blocks").begin('[');
    write_rich_text(out, text);
    write_buttons(out, buttons);
    out.end(']');
}

}  // namespace slack
