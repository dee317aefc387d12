#pragma once

// Styled text as the HTML that the Bot API reads.
#include "../chat_text/markdown.hpp"
#include "../chat_text/styled.hpp"

#include <string>

namespace telegram {

using chat_text::split;
using chat_text::Style;
using chat_text::Styled;
using chat_text::styled_from;
using chat_text::text_of;
using chat_text::utf16_cut;
using chat_text::utf16_units;

std::string html_of(Styled const& styled);

}  // namespace telegram
