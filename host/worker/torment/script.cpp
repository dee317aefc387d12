#include "script.hpp"

#include <charconv>

namespace parley::worker {

namespace {

template <class Number>
bool number(std::string_view text, Number& out) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc() && end == text.data() + text.size();
}

bool request(std::string_view text, std::vector<Request>& out) {
    auto space = text.find(' ');
    if (space == text.npos) return false;
    Request one;
    if (!number(text.substr(0, space), one.verb)) return false;
    one.bytes = text.substr(space + 1);
    out.push_back(std::move(one));
    return true;
}

bool take(Script& script, std::string_view key, std::string_view value) {
    if (key == "check") return script.check = value, true;
    if (key == "config") return script.config = value, true;
    if (key == "canary") return script.canary = value, true;
    if (key == "role") return script.roles.emplace_back(value), true;
    if (key == "require") return script.required.emplace_back(value), true;
    if (key == "optional") return script.optional.emplace_back(value), true;
    if (key == "request") return request(value, script.requests);
    if (key == "odd") return request(value, script.odd);
    if (key == "large") return request(value, script.large);
    if (key == "preview") return request(value, script.previews);
    if (key == "webhook") return script.webhooks.emplace_back(value), true;
    if (key == "seed") return number(value, script.seed);
    if (key == "milliseconds") return number(value, script.milliseconds);
    if (key == "pending") return number(value, script.pending);
    if (key == "promises") return number(value, script.promises.emplace_back());
    return false;
}

}  // namespace

std::optional<Script> parse_script(std::string_view text) {
    Script script;
    while (!text.empty()) {
        auto end = text.find('\n');
        auto line = text.substr(0, end);
        auto space = line.find(' ');
        if (end == text.npos || space == line.npos) return {};
        if (!take(script, line.substr(0, space), line.substr(space + 1))) return {};
        text.remove_prefix(end + 1);
    }
    return script;
}

}  // namespace parley::worker
