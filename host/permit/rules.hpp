#pragma once

// May this agent use this skill, and must a person be asked? Rules are read when the call is about
// to start: what was taken away while it waited is gone.
#include "base/ids.hpp"
#include "base/result.hpp"
#include "config/config.hpp"
#include "plugin/manifest.hpp"

#include <string>

namespace parley {

// True when `list` names the skill: bare for first-party plugins, `plugin:skill`, or `plugin:*`.
bool names_skill(std::vector<std::string> const& list, PluginId const& plugin,
                 std::string_view skill, bool first_party);

bool may_use(AgentConfig const& agent, PluginId const& plugin, std::string_view skill,
             bool first_party);

struct Ruling {
    enum class Kind { run, ask, refuse } kind = Kind::refuse;
    std::string why;  // the rules that matched, in words; part of what an approval is bound to
};
// The stricter of manifest and operator. `never` of a manifest counts only for pure skills; an
// operator's rule can only tighten, save that `policy` needs a rule to run without asking, and an
// irreversible skill always asks.
Ruling rule_on(AgentConfig const& agent, PluginId const& plugin, SkillSpec const& skill,
               bool first_party);

}  // namespace parley
