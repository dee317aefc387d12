#pragma once

// What the agent says, as parameters of the Web API's methods.
#include "../chat_text/styled.hpp"
#include "envelope.hpp"
#include "parley/json.hpp"

#include <deque>
#include <optional>
#include <string>
#include <string_view>

namespace slack {

constexpr std::size_t message_units = 3500;  // UTF-16; Slack advises against more than 4000
constexpr std::size_t parts_most = 16;       // of one message: they must leave within its time

// The parts in order; none when there is nothing to see. Behind the last that is allowed stands
// that the text was cut.
std::deque<chat_text::Styled> parts_from(std::string_view text, bool is_markdown);
// The same for what has one part alone: its beginning, or with `is_end` its end.
std::optional<chat_text::Styled> one_part_from(std::string_view text, bool is_markdown,
                                               bool is_end = false);

// "text" and "blocks": rich text, in which nothing is notation, so that it shows these characters
// exactly; and below it the buttons, rows of {"text","data"}, where there are any.
void write_content(parley::JsonWriter& out, chat_text::Styled const& text,
                   parley::Json const& buttons);

}  // namespace slack
