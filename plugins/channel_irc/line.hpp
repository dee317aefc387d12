#pragma once

// The IRC wire as text: lines, masks, case, formatting. It knows nothing of connections.
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace irc {

// One line from the server, as bytes: IRC has no encoding.
struct Line {
    std::vector<std::pair<std::string, std::string>> tags;  // values unescaped
    std::string nick, user, host;  // of the sender; a server stands in `nick`, alone
    std::string command;           // upper case, or three digits
    std::vector<std::string> params;

    std::string_view tag(std::string_view name) const;       // empty when there is none
    std::string_view param(std::size_t index) const;         // the same
    std::string_view last() const { return params.empty() ? std::string_view() : params.back(); }
};

// Nothing when it is no line of IRC: without a command, or with a NUL.
std::optional<Line> parse_line(std::string_view bytes);

// Cuts what arrives into lines.
class LineReader {
public:
    // Tags and the line proper have limits of their own; no server sends more than their sum.
    static constexpr std::size_t line_bytes = 8191 + 512;

    void add(std::string_view bytes) { waiting_.append(bytes); }
    // The next line without its end, or nothing yet. Empty lines are skipped.
    std::optional<std::string> next();
    // More than a line came without the end of one.
    bool is_flooded() const { return waiting_.size() - at_ > line_bytes; }

private:
    std::string waiting_;
    std::size_t at_ = 0;
};

enum class CaseMapping { ascii, rfc1459, strict_rfc1459 };
CaseMapping casemapping_named(std::string_view name);
std::string folded(std::string_view name, CaseMapping mapping);

// As UTF-8. What is not becomes, byte by byte, what Latin-1 means by it, and U+FFFD where that
// would be an invisible control.
std::string decoded(std::string_view bytes);
// Without colours, bold and the like, and without any other control but tab.
std::string without_formatting(std::string_view text);

// Can a message be sent there, without saying anything else to the server?
bool is_target(std::string_view name);

}  // namespace irc
