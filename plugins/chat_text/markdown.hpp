#pragma once

// What agents write as Markdown, read as styled text. It is the part of CommonMark that a chat can
// show: headings, lists, quotes, fenced code, tables (as they stand), emphasis, code, links. All
// else, HTML too, stays the text that it is. No input is an error, and the work is linear in it.
#include "styled.hpp"

namespace chat_text {

Styled styled_from(std::string_view markdown);

}  // namespace chat_text
