#include "plugin/exact_text.hpp"

#include <algorithm>

namespace parley {

namespace {

constexpr std::string_view blanks = " \t\r\n";

void skip_blanks(std::string_view& rest) {
    rest.remove_prefix(std::min(rest.find_first_not_of(blanks), rest.size()));
}

std::string_view take_string(std::string_view& rest) {
    std::size_t end = 1;
    while (end < rest.size() && rest[end] != '"') end += rest[end] == '\\' ? 2 : 1;
    auto text = rest.substr(0, end + 1);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return text;
}

// Takes one value of any kind off the front.
std::string_view take_value(std::string_view& rest) {
    auto start = rest;
    int depth = 0;
    do {
        if (rest.empty()) break;
        char c = rest.front();
        if (c == '"') {
            take_string(rest);
            continue;
        }
        if (depth == 0 && (c == ',' || c == '}' || c == ']' || blanks.find(c) != blanks.npos))
            break;
        if (c == '{' || c == '[') ++depth;
        if (c == '}' || c == ']') --depth;
        rest.remove_prefix(1);
        if (depth == 0 && (c == '}' || c == ']')) break;
    } while (depth > 0 || (!rest.empty() && rest.front() != ',' && rest.front() != '}' &&
                           rest.front() != ']' && blanks.find(rest.front()) == blanks.npos));
    return start.substr(0, start.size() - rest.size());
}

// The member or item of that name, or nothing.
std::string_view step(std::string_view value, std::string const& name) {
    skip_blanks(value);
    bool is_object = value.starts_with('{');
    if (!is_object && !value.starts_with('[')) return {};
    value.remove_prefix(1);
    for (std::size_t index = 0;; ++index) {
        skip_blanks(value);
        if (value.empty() || value.front() == '}' || value.front() == ']') return {};
        auto key = std::to_string(index);
        if (is_object) {
            auto quoted = take_string(value);
            if (quoted.size() < 2) return {};
            key = quoted.substr(1, quoted.size() - 2);
            skip_blanks(value);
            if (!value.starts_with(':')) return {};
            value.remove_prefix(1);
            skip_blanks(value);
        }
        auto item = take_value(value);
        if (key == name) return item;
        skip_blanks(value);
        if (!value.starts_with(',')) return {};
        value.remove_prefix(1);
    }
}

}  // namespace

std::string exact_text(std::string_view json, std::vector<std::string> const& path,
                       std::string fallback) {
    for (auto const& name : path) json = step(json, name);
    return json.empty() ? fallback : std::string(json);
}

}  // namespace parley
