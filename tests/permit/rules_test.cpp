#include "permit/rules.hpp"

#include "permit/effects.hpp"

#include <catch2/catch.hpp>

using namespace parley;
using Kind = Ruling::Kind;

namespace {

AgentConfig agent_with(std::vector<std::string> allow, std::vector<std::string> deny = {}) {
    AgentConfig agent;
    agent.name = AgentName("ops");
    agent.skills_allow = std::move(allow);
    agent.skills_deny = std::move(deny);
    return agent;
}

SkillSpec skill(EffectClass effect, ApprovalNeed approval) {
    SkillSpec spec;
    spec.name = "shell";
    spec.effect = effect;
    spec.approval = approval;
    return spec;
}

Kind ruling(AgentConfig const& agent, EffectClass effect, ApprovalNeed approval) {
    return rule_on(agent, PluginId("shell"), skill(effect, approval), true).kind;
}

}  // namespace

TEST_CASE("a skill that is not allowed by name is refused", "[permit]") {
    REQUIRE(ruling(agent_with({}), EffectClass::pure, ApprovalNeed::never) == Kind::refuse);
    REQUIRE(ruling(agent_with({"shel", "shell2"}), EffectClass::pure, ApprovalNeed::never) ==
            Kind::refuse);
    REQUIRE(ruling(agent_with({"shell"}), EffectClass::pure, ApprovalNeed::never) == Kind::run);
    REQUIRE(ruling(agent_with({"shell:*"}), EffectClass::pure, ApprovalNeed::never) == Kind::run);
}

TEST_CASE("what is denied is refused although it is allowed", "[permit]") {
    REQUIRE(ruling(agent_with({"shell"}, {"shell:shell"}), EffectClass::pure,
                   ApprovalNeed::never) == Kind::refuse);
}

TEST_CASE("a bare name never means a third party's skill", "[permit]") {
    auto agent = agent_with({"shell"});
    auto spec = skill(EffectClass::pure, ApprovalNeed::never);
    REQUIRE(rule_on(agent, PluginId("org.evil"), spec, false).kind == Kind::refuse);
    agent.skills_allow = {"org.evil:shell"};
    REQUIRE(rule_on(agent, PluginId("org.evil"), spec, false).kind == Kind::run);
}

TEST_CASE("`never` of a manifest counts only for a skill that changes nothing", "[permit]") {
    auto agent = agent_with({"shell"});
    REQUIRE(ruling(agent, EffectClass::irreversible, ApprovalNeed::never) == Kind::ask);
    REQUIRE(ruling(agent, EffectClass::idempotent, ApprovalNeed::never) == Kind::ask);
}

TEST_CASE("an operator's rule can tighten and never loosen what must always be asked", "[permit]") {
    auto agent = agent_with({"shell"});
    agent.approval["shell"] = ApprovalRule::always;
    REQUIRE(ruling(agent, EffectClass::pure, ApprovalNeed::never) == Kind::ask);
    agent.approval["shell"] = ApprovalRule::never;
    REQUIRE(ruling(agent, EffectClass::idempotent, ApprovalNeed::always) == Kind::ask);
    REQUIRE(ruling(agent, EffectClass::idempotent, ApprovalNeed::policy) == Kind::run);
    REQUIRE(ruling(agent, EffectClass::irreversible, ApprovalNeed::policy) == Kind::ask);
}

TEST_CASE("a call that was cut off before its mark runs again, whatever its class", "[permit]") {
    for (auto effect : {EffectClass::pure, EffectClass::idempotent, EffectClass::reconcilable,
                        EffectClass::irreversible})
        REQUIRE(remedy_for(effect, Stage::started) == Remedy::run_again);
}

TEST_CASE("a call that was cut off after its mark is judged by its class", "[permit]") {
    REQUIRE(remedy_for(EffectClass::pure, Stage::sent) == Remedy::run_again);
    REQUIRE(remedy_for(EffectClass::idempotent, Stage::sent) == Remedy::run_again);
    REQUIRE(remedy_for(EffectClass::reconcilable, Stage::sent) == Remedy::reconcile);
    REQUIRE(remedy_for(EffectClass::irreversible, Stage::sent) == Remedy::unknown);
}
