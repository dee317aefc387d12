#pragma once

// Skill names as the wire allows them: [a-zA-Z0-9_-], at most 64. A name that is not of that form
// gets a stand-in for the length of one request, unique in it.
#include "parley/json.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace model_wire {

class Names {
public:
    // Of all skills that a request of the host offers or remembers.
    explicit Names(parley::Json const& request);
    // What needs no stand-in keeps its own, whoever comes first.
    explicit Names(std::vector<std::string> const& names);

    std::string_view on_wire(std::string_view name) const;
    // A name that was never sent is given back as it is: the host knows that it is none.
    std::string_view meant_by(std::string_view wire) const;

private:
    std::map<std::string, std::string, std::less<>> wire_, meant_;
};

// The member `tools` as Chat Completions has it, and those who took its form; nothing without
// skills.
void write_chat_tools(parley::JsonWriter& out, parley::Json const& skills, Names const& names);

}  // namespace model_wire
