#pragma once

// Text with the styles that chats have, cut to the size of a message. Styles lie over plain text,
// so a cut can neither break a mark nor an entity: what is open at the end of one part is closed
// there and opened again in the next.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace chat_text {

struct Style {
    bool bold = false, italic = false, strike = false, code = false, quote = false, block = false;
    std::string link;      // a URL
    std::string language;  // of a block of code
    bool operator==(Style const&) const = default;
};
struct Run {
    std::string text;
    Style style;
};
using Styled = std::vector<Run>;

// How long chats find it: UTF-16 units.
std::size_t utf16_units(std::string_view text);
// The longest beginning of so many units that splits no character.
std::string_view utf16_cut(std::string_view text, std::size_t units);

// All the text, without styles.
std::string text_of(Styled const& styled);
// Parts of at most so many units each (two or more), cut after a paragraph, else a line, else a
// word; none is blank.
std::vector<Styled> split(Styled const& styled, std::size_t units);

}  // namespace chat_text
