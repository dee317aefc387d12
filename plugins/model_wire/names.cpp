#include "names.hpp"

#include <algorithm>
#include <cstdint>

namespace model_wire {

using parley::Json;

namespace {

constexpr std::size_t name_bytes = 64, number_bytes = 6;

bool is_allowed(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

bool fits(std::string_view name) {
    return !name.empty() && name.size() <= name_bytes &&
           std::all_of(name.begin(), name.end(), is_allowed);
}

// The end of a full name says the most, so that is what stays.
std::string resembling(std::string_view name) {
    std::string out;
    for (char const c : name) out += is_allowed(c) ? c : '_';
    if (out.size() > name_bytes) out.erase(0, out.size() - name_bytes);
    return out.empty() ? "_" : out;
}

// Of all skills that a request offers or remembers.
std::vector<std::string> all_of(Json const& request) {
    std::vector<std::string> names;
    for (Json const skill : request["skills"]) names.emplace_back(skill["name"].text());
    for (Json const message : request["messages"]) {
        for (Json const call : message["calls"]) names.emplace_back(call["name"].text());
    }
    return names;
}

}  // namespace

Names::Names(Json const& request) : Names(all_of(request)) {}

Names::Names(std::vector<std::string> const& names) {
    for (auto const& name : names) {
        if (fits(name) && wire_.emplace(name, name).second) meant_.emplace(name, name);
    }
    for (auto const& name : names) {
        if (wire_.contains(name)) continue;
        std::string const like = resembling(name);
        std::string wire = like;
        for (std::uint32_t number = 2; meant_.contains(wire); ++number) {
            wire = like.substr(0, name_bytes - number_bytes) + "_" + std::to_string(number);
        }
        wire_.emplace(name, wire);
        meant_.emplace(wire, name);
    }
}

std::string_view Names::on_wire(std::string_view name) const {
    auto const found = wire_.find(name);
    return found == wire_.end() ? name : std::string_view(found->second);
}

std::string_view Names::meant_by(std::string_view wire) const {
    auto const found = meant_.find(wire);
    return found == meant_.end() ? wire : std::string_view(found->second);
}

void write_chat_tools(parley::JsonWriter& out, Json const& skills, Names const& names) {
    if (skills.size() == 0) return;
    out.key("tools").begin('[');
    for (Json const skill : skills) {
        out.begin('{').pair("type", "function").key("function").begin('{');
        out.pair("name", names.on_wire(skill["name"].text()));
        out.pair("description", skill["description"].text());
        if (skill["parameters"].is_object()) out.pair("parameters", skill["parameters"]);
        out.end('}').end('}');
    }
    out.end(']');
}

}  // namespace model_wire
