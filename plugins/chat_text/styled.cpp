#include "styled.hpp"

#include "parley/text.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace chat_text {

namespace {

std::size_t units_at(std::string_view text, std::size_t at, std::size_t& bytes) {
    bytes = std::max<std::size_t>(1, parley::utf8_length(text, at));
    return bytes == 4 ? 2 : 1;
}

bool is_blank(std::string_view text) {
    return text.find_first_not_of(" \t\r\n") == text.npos;
}

// Where the first part ends.
std::size_t first_cut(std::string_view text, std::size_t units) {
    std::size_t const most = utf16_cut(text, units).size();
    if (most == text.size()) return most;
    for (std::string_view const mark : {"\n\n", "\n", " "}) {
        if (most < mark.size()) continue;
        auto const found = text.rfind(mark, most - mark.size());
        // One far to the front would leave most of the part unused.
        if (found != text.npos && found >= most / 2) return found + mark.size();
    }
    return most;
}

Styled slice(Styled const& styled, std::size_t begin, std::size_t end) {
    Styled out;
    std::size_t at = 0;
    for (auto const& run : styled) {
        std::size_t const from = std::max(begin, at), to = std::min(end, at + run.text.size());
        if (from < to) out.push_back({run.text.substr(from - at, to - from), run.style});
        at += run.text.size();
    }
    return out;
}

}  // namespace

std::size_t utf16_units(std::string_view text) {
    std::size_t units = 0;
    for (std::size_t at = 0, bytes = 0; at < text.size(); at += bytes) {
        units += units_at(text, at, bytes);
    }
    return units;
}

std::string_view utf16_cut(std::string_view text, std::size_t units) {
    std::size_t at = 0;
    while (at < text.size()) {
        std::size_t bytes = 0;
        std::size_t const needed = units_at(text, at, bytes);
        if (needed > units) break;
        units -= needed;
        at += bytes;
    }
    return text.substr(0, at);
}

std::string text_of(Styled const& styled) {
    std::string out;
    for (auto const& run : styled) out += run.text;
    return out;
}

std::vector<Styled> split(Styled const& styled, std::size_t units) {
    std::vector<Styled> out;
    std::string const whole = text_of(styled);
    for (std::size_t at = 0; at < whole.size();) {
        std::string_view const rest = std::string_view(whole).substr(at);
        std::size_t const size = first_cut(rest, units);
        if (!is_blank(rest.substr(0, size))) out.push_back(slice(styled, at, at + size));
        at += size;
    }
    return out;
}

}  // namespace chat_text
