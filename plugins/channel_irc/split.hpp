#pragma once

// A text as lines that fit into IRC's 512 bytes. It never cuts a character in two.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace irc {

// The whole of a line as the server hands it on, its CR LF included.
constexpr std::size_t wire_line_bytes = 512;
constexpr std::size_t lines_most = 40;  // of one message; a longer one is a flood

// What is left for the text in ":mask PRIVMSG target :text\r\n"; 0 when nothing is.
std::size_t room_for_text(std::size_t mask_bytes, std::string_view target);

// `text` (UTF-8) at its line breaks, and where a line is longer than `room` after a space, or where
// there is none between two characters. A space stays at the end of its line, so that the pieces
// of a line put together are the line. Lines without anything to see are left out, and so are
// NUL and the mark that would make a line a command to the reader's program (CTCP).
std::vector<std::string> split_text(std::string_view text, std::size_t room);

// The same, with an end after `lines_most` that says how much is missing.
std::vector<std::string> lines_to_send(std::string_view text, std::size_t room);

}  // namespace irc
