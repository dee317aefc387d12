#include "permit/rules.hpp"

#include "base/guard.hpp"

#include <algorithm>

namespace parley {

bool names_skill(std::vector<std::string> const& list, PluginId const& plugin,
                 std::string_view skill, bool first_party) {
    auto full = plugin.text + ':' + std::string(skill);
    return std::any_of(list.begin(), list.end(), [&](std::string const& entry) {
        return entry == full || entry == plugin.text + ":*" || (first_party && entry == skill);
    });
}

bool may_use(AgentConfig const& agent, PluginId const& plugin, std::string_view skill,
             bool first_party) {
    return names_skill(agent.skills_allow, plugin, skill, first_party) &&
           !names_skill(agent.skills_deny, plugin, skill, first_party);
}

Ruling rule_on(AgentConfig const& agent, PluginId const& plugin, SkillSpec const& skill,
               bool first_party) {
    using Kind = Ruling::Kind;
    if (!may_use(agent, plugin, skill.name, first_party) && holds("skill-list"))
        return {Kind::refuse, "agent " + agent.name.text + " may not use " + skill.name};

    auto need = skill.approval;
    if (need == ApprovalNeed::never && skill.effect != EffectClass::pure && holds("pure-only"))
        need = ApprovalNeed::policy;

    ApprovalRule const* rule = nullptr;
    for (auto const& [name, value] : agent.approval)
        if (names_skill({name}, plugin, skill.name, first_party)) rule = &value;

    std::string why =
        std::string("manifest: ") + name_of(need) + ", effect " + name_of(skill.effect);
    if (rule) {
        constexpr char const* words[] = {"never", "policy", "always"};
        why += std::string("; agent rule: ") + words[static_cast<int>(*rule)];
    }
    bool asks = need == ApprovalNeed::always || (rule && *rule == ApprovalRule::always);
    if (need == ApprovalNeed::policy)
        asks = asks || !rule || *rule != ApprovalRule::never ||
               (skill.effect == EffectClass::irreversible && holds("irreversible-asks"));
    return {asks ? Kind::ask : Kind::run, why};
}

}  // namespace parley
