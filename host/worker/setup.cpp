#include "setup.hpp"

#include <charconv>

namespace parley::worker {

namespace {

bool number(std::string_view text, unsigned long& out) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc() && end == text.data() + text.size();
}

bool take(Setup& setup, std::string_view key, std::string_view value) {
    if (key == "frame") return value == "1";
    if (key == "role") return setup.roles.emplace_back(value), true;
    if (key == "service") return setup.services.emplace_back(value), true;
    if (key == "hide") return setup.hidden.emplace_back(value), true;
    if (key == "probe") return setup.probe = value, true;
    if (key == "read") return setup.folders.push_back({std::string(value), false}), true;
    if (key == "write") return setup.folders.push_back({std::string(value), true}), true;
    if (key == "memory_mb") return number(value, setup.memory_mb);
    if (key == "processes") return number(value, setup.processes);
    if (key == "open_files") return number(value, setup.open_files);
    if (key != "sandbox") return false;
    if (value == "strict") return setup.sandbox = Sandbox::strict, true;
    if (value == "reduced") return setup.sandbox = Sandbox::reduced, true;
    if (value == "command") return setup.sandbox = Sandbox::command, true;
    return false;
}

}  // namespace

std::optional<Setup> parse_setup(std::string_view text) {
    Setup setup;
    while (!text.empty()) {
        auto end = text.find('\n');
        auto line = text.substr(0, end);
        auto space = line.find(' ');
        if (end == text.npos || space == line.npos) return {};
        if (!take(setup, line.substr(0, space), line.substr(space + 1))) return {};
        text.remove_prefix(end + 1);
    }
    return setup;
}

}  // namespace parley::worker
