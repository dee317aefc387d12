#include "split.hpp"

#include "parley/text.hpp"

#include <algorithm>

namespace irc {

namespace {

constexpr std::size_t room_least = 32;  // below it a message would be a flood of crumbs

std::string cleaned(std::string_view line) {
    std::string out;
    std::copy_if(line.begin(), line.end(), std::back_inserter(out),
                 [](char c) { return c != '\0' && c != '\x01'; });
    return out;
}

// The first piece of a line that is too long.
std::string_view first_piece(std::string_view line, std::size_t room) {
    if (line.size() <= room) return line;
    auto const space = line.rfind(' ', room - 1);
    // A space far to the front would leave most of the line unused.
    if (space != line.npos && space >= room / 2) return line.substr(0, space + 1);
    return parley::utf8_cut(line, room);
}

}  // namespace

std::size_t room_for_text(std::size_t mask_bytes, std::string_view target) {
    // ':' mask " PRIVMSG " target " :" text CR LF
    std::size_t const used = 1 + mask_bytes + 9 + target.size() + 2 + 2;
    return used + room_least <= wire_line_bytes ? wire_line_bytes - used : 0;
}

std::vector<std::string> split_text(std::string_view text, std::size_t room) {
    std::vector<std::string> out;
    while (!text.empty()) {
        auto const end = std::min(text.find_first_of("\r\n"), text.size());
        std::string const line = cleaned(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.find_first_not_of(" \t") == line.npos) continue;
        for (std::string_view rest = line; !rest.empty();) {
            auto const piece = first_piece(rest, room);
            out.emplace_back(piece);
            rest.remove_prefix(piece.size());
        }
    }
    return out;
}

std::vector<std::string> lines_to_send(std::string_view text, std::size_t room) {
    auto lines = split_text(text, room);
    if (lines.size() <= lines_most) return lines;
    std::size_t const more = lines.size() - lines_most;
    lines.resize(lines_most);
    lines.push_back("… (cut, " + std::to_string(more) + " more lines)");
    return lines;
}

}  // namespace irc
