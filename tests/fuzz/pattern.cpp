// A pattern in the first line, and below it the text that is searched.
#include "target.hpp"

#include "base/pattern.hpp"

namespace {

// As found_in(), or nothing when the steps run out.
int found(std::string const& pattern, std::string_view text) {
    auto compiled = parley::Pattern::compile(pattern);
    if (!compiled) return -1;
    parley::Steps steps(200'000);
    auto is_found = compiled->found_in(text, steps);
    return steps.spent() ? -1 : is_found;
}

}  // namespace

void try_bytes(std::string_view bytes) {
    auto line = bytes.find('\n');
    std::string pattern(bytes.substr(0, line));
    auto text = line == bytes.npos ? std::string_view() : bytes.substr(line + 1);
    auto plain = found(pattern, text);
    if (plain < 0) return;
    auto agrees = [&](std::string const& other, bool expected) {
        auto result = found(other, text);
        must(result < 0 || result == int(expected), other.c_str());
    };
    agrees("(?:" + pattern + ")", plain);
    agrees("(?=" + pattern + ")", plain);
    agrees("(?:" + pattern + "){1,2}", plain);
    agrees("(?:" + pattern + ")|(?:" + pattern + ")", plain);
    agrees("^(?![^]*(?:" + pattern + "))", !plain);
}
