// What an IRC server sends.
#include "target.hpp"

#include "line.hpp"

void try_bytes(std::string_view bytes) {
    irc::LineReader reader;
    reader.add(bytes);
    while (auto text = reader.next()) {
        must(text->find('\n') == text->npos, "a line is one line");
        if (auto line = irc::parse_line(*text)) must(!line->command.empty(), "it has a command");
        static_cast<void>(irc::without_formatting(irc::decoded(*text)));
    }
}
