#include "line.hpp"

#include "parley/text.hpp"

#include <algorithm>
#include <cctype>

namespace irc {

namespace {

constexpr std::size_t params_most = 32;  // the RFC says 15; the last one takes the rest
constexpr std::size_t tags_most = 64;

std::string unescaped(std::string_view value) {
    std::string out;
    for (std::size_t at = 0; at < value.size(); ++at) {
        if (value[at] != '\\') {
            out += value[at];
            continue;
        }
        if (++at == value.size()) break;
        switch (value[at]) {
            case ':': out += ';'; break;
            case 's': out += ' '; break;
            case 'r': out += '\r'; break;
            case 'n': out += '\n'; break;
            default: out += value[at];
        }
    }
    return out;
}

// Takes one word off the front, and the spaces behind it.
std::string_view take_word(std::string_view& text) {
    auto const word = text.substr(0, text.find(' '));
    text.remove_prefix(word.size());
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    return word;
}

void read_tags(std::string_view text, Line& line) {
    while (!text.empty() && line.tags.size() < tags_most) {
        auto const item = text.substr(0, text.find(';'));
        text.remove_prefix(std::min(item.size() + 1, text.size()));
        auto const equals = std::min(item.find('='), item.size());
        auto const value = item.substr(std::min(equals + 1, item.size()));
        if (equals > 0) line.tags.emplace_back(item.substr(0, equals), unescaped(value));
    }
}

void read_prefix(std::string_view text, Line& line) {
    auto const at = text.rfind('@');
    if (at != text.npos) {
        line.host = text.substr(at + 1);
        text = text.substr(0, at);
    }
    auto const bang = text.find('!');
    if (bang != text.npos) {
        line.user = text.substr(bang + 1);
        text = text.substr(0, bang);
    }
    line.nick = text;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; }

// How many of the next characters, at most `most`, are of a kind.
template <class Kind>
std::size_t run_of(std::string_view text, std::size_t at, std::size_t most, Kind kind) {
    std::size_t count = 0;
    while (count < most && at + count < text.size() && kind(text[at + count])) ++count;
    return count;
}

// Where a colour code that begins at `at` ends: 3 and 4 take a number, or two with a comma.
template <class Kind>
std::size_t after_colour(std::string_view text, std::size_t at, std::size_t digits, Kind kind) {
    std::size_t const first = run_of(text, ++at, digits, kind);
    if (first == 0) return at;
    at += first;
    if (at >= text.size() || text[at] != ',') return at;
    std::size_t const second = run_of(text, at + 1, digits, kind);
    return second == 0 ? at : at + 1 + second;
}

}  // namespace

std::string_view Line::tag(std::string_view name) const {
    for (auto const& [key, value] : tags) {
        if (key == name) return value;
    }
    return {};
}

std::string_view Line::param(std::size_t index) const {
    return index < params.size() ? std::string_view(params[index]) : std::string_view();
}

std::optional<Line> parse_line(std::string_view bytes) {
    if (bytes.find_first_of(std::string_view("\r\n\0", 3)) != bytes.npos) return {};
    Line line;
    if (bytes.starts_with('@')) read_tags(take_word(bytes).substr(1), line);
    if (bytes.starts_with(':')) read_prefix(take_word(bytes).substr(1), line);
    bytes.remove_prefix(std::min(bytes.find_first_not_of(' '), bytes.size()));
    line.command = take_word(bytes);
    if (line.command.empty()) return {};
    for (auto& c : line.command) {
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    }
    while (!bytes.empty()) {
        bool const is_rest = bytes.starts_with(':') || line.params.size() + 1 == params_most;
        if (is_rest) {
            line.params.emplace_back(bytes.substr(bytes.starts_with(':') ? 1 : 0));
            break;
        }
        line.params.emplace_back(take_word(bytes));
    }
    return line;
}

std::optional<std::string> LineReader::next() {
    while (true) {
        auto const end = waiting_.find_first_of("\r\n", at_);
        if (end == waiting_.npos) {
            waiting_.erase(0, at_);
            at_ = 0;
            return {};
        }
        std::string line = waiting_.substr(at_, end - at_);
        at_ = end + 1;
        if (!line.empty()) return line;
    }
}

CaseMapping casemapping_named(std::string_view name) {
    if (name == "rfc1459") return CaseMapping::rfc1459;
    if (name == "strict-rfc1459" || name == "rfc1459-strict") return CaseMapping::strict_rfc1459;
    // What else there is agrees at least about these letters.
    return CaseMapping::ascii;
}

std::string folded(std::string_view name, CaseMapping mapping) {
    std::string out(name);
    for (auto& c : out) {
        bool const letter = c >= 'A' && c <= 'Z';
        bool const bracket = mapping != CaseMapping::ascii && c >= '[' && c <= ']';
        bool const tilde = mapping == CaseMapping::rfc1459 && c == '^';
        if (letter || bracket || tilde) c = static_cast<char>(c + 32);
    }
    return out;
}

std::string decoded(std::string_view bytes) {
    std::string out;
    out.reserve(bytes.size());
    for (std::size_t at = 0; at < bytes.size();) {
        std::size_t const length = parley::utf8_length(bytes, at);
        if (length > 0) {
            out.append(bytes, at, length);
            at += length;
            continue;
        }
        auto const byte = static_cast<unsigned char>(bytes[at++]);
        if (byte < 0xA0) {
            out += "\xEF\xBF\xBD";
        } else {
            out += static_cast<char>(0xC0 | byte >> 6);
            out += static_cast<char>(0x80 | (byte & 0x3F));
        }
    }
    return out;
}

std::string without_formatting(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        char const c = text[at];
        if (c == '\x03') {
            at = after_colour(text, at, 2, is_digit);
        } else if (c == '\x04') {
            at = after_colour(text, at, 6, is_hex);
        } else {
            bool const control = static_cast<unsigned char>(c) < 0x20 || c == '\x7F';
            if (!control || c == '\t') out += c;
            ++at;
        }
    }
    return out;
}

bool is_target(std::string_view name) {
    if (name.empty() || name.front() == ':') return false;
    // A comma would name several; a mask with $ may mean a whole server.
    if (name.front() == '$') return false;
    return std::none_of(name.begin(), name.end(), [](char c) {
        return static_cast<unsigned char>(c) <= 0x20 || c == ',' || c == '\x7F';
    });
}

}  // namespace irc
