#include "gate/gate.hpp"

#include "temp_ledger.hpp"

#include <algorithm>

using namespace parley;

namespace {

Config config_with(std::vector<std::string> senders) {
    Config config;
    AgentConfig agent;
    agent.name = AgentName("ops");
    agent.authorized_senders[InstanceName("irc-main")] = std::move(senders);
    config.agents[agent.name] = agent;
    return config;
}

}  // namespace

TEST_CASE("a sender is admitted by an id that stands on the list, exactly and whole", "[gate]") {
    std::vector<std::string> list{"account:ada", "mask:bob!b@host"};
    REQUIRE(admitted_as({{"account:ada"}, "ada"}, list) == "account:ada");
    REQUIRE(admitted_as({{"nick:x", "mask:bob!b@host"}, "bob"}, list) == "mask:bob!b@host");
}

TEST_CASE("nobody is admitted by a prefix, a pattern, another case, a space or a name", "[gate]") {
    std::vector<std::string> list{"account:ada", "account:*", "*", "nick:?", ""};
    for (auto const* id : {"account:ad", "account:adaa", "account:Ada", "account:ada ", " account:ada",
                           "ada", "nick:ada", "account:*", "*", "", "account:\xd0\xb0"
                                                                   "da"})
        REQUIRE(admitted_as({{id}, "account:ada"}, list).empty());
    REQUIRE(admitted_as({{}, "account:ada"}, list).empty());
}

TEST_CASE("no list means no entry", "[gate]") {
    TempLedger home;
    Gate gate(*home.ledger);
    auto config = config_with({"account:ada"});
    Sender ada{{"account:ada"}, "ada"};
    REQUIRE(gate.admit(config, AgentName("ops"), InstanceName("irc-main"), ada));
    REQUIRE_FALSE(gate.admit(config, AgentName("ops"), InstanceName("irc-other"), ada));
    REQUIRE_FALSE(gate.admit(config, AgentName("nobody"), InstanceName("irc-main"), ada));
    config = config_with({});
    REQUIRE_FALSE(gate.admit(config, AgentName("ops"), InstanceName("irc-main"), ada));
}

namespace {

Config config_that_reaches(std::vector<std::string> senders) {
    auto config = config_with(std::move(senders));
    InstanceName instance("irc-main");
    config.channels[instance].agent = AgentName("ops");
    config.agents.at(AgentName("ops")).reach["ada"] = {instance, "ada"};
    return config;
}

Result<> speak(Config const& config, char const* conversation, char const* opener) {
    return may_speak_first(config, AgentName("ops"), InstanceName("irc-main"), conversation, opener);
}

}  // namespace

TEST_CASE("an agent speaks first only in a conversation that stands in its reach", "[gate]") {
    auto config = config_that_reaches({"account:ada"});
    REQUIRE(speak(config, "ada", "account:ada"));
    for (auto const* other : {"", "ad", "Ada", "bea", "#ops"})
        REQUIRE(speak(config, other, "account:ada").error().fault == Fault::denied);
    config.agents.at(AgentName("ops")).reach.clear();
    REQUIRE_FALSE(speak(config, "ada", "account:ada"));
    REQUIRE_FALSE(may_speak_first(config, AgentName("nobody"), InstanceName("irc-main"), "ada", "account:ada"));
}

TEST_CASE("an agent speaks first only on a channel where it answers", "[gate]") {
    auto config = config_that_reaches({"account:ada"});
    config.channels.at(InstanceName("irc-main")).agent = AgentName("other");
    REQUIRE(speak(config, "ada", "account:ada").error().fault == Fault::denied);
    config.channels.clear();
    REQUIRE(speak(config, "ada", "account:ada").error().fault == Fault::denied);
}

TEST_CASE("an agent speaks first only to whom its list lets in now", "[gate]") {
    auto config = config_that_reaches({"account:ada"});
    for (auto const* opener : {"", "account:eve", "nick:ada", "account:Ada", "account:*"})
        REQUIRE(speak(config, "ada", opener).error().fault == Fault::denied);
    config.agents.at(AgentName("ops")).authorized_senders.clear();
    REQUIRE_FALSE(speak(config, "ada", "account:ada"));
}

TEST_CASE("refusals ride on another batch, one record an hour for each sender", "[gate]") {
    TempLedger home;
    Gate gate(*home.ledger);
    InstanceName instance("irc-main");
    for (int i = 0; i < 50; ++i) gate.count_refusal(instance, {{"nick:eve"}, "eve"});
    auto batch = home.ledger->begin();
    gate.add_due_refusals(batch);
    REQUIRE(batch.records() == 1);
    home.commit(std::move(batch));
    gate.count_refusal(instance, {{"nick:eve"}, "eve"});
    auto soon = home.ledger->begin();
    gate.add_due_refusals(soon);
    REQUIRE(soon.records() == 0);
    home.clock.advance_us(3'700'000'000);
    gate.count_refusal(instance, {{"nick:eve"}, "eve"});
    auto later = home.ledger->begin();
    gate.add_due_refusals(later);
    REQUIRE(later.records() == 1);
    REQUIRE(gate.refused(instance).front().count == 52);
}

TEST_CASE("ten thousand strangers take no more room than a hundred", "[gate]") {
    TempLedger home;
    Gate gate(*home.ledger);
    InstanceName instance("irc-main");
    for (int i = 0; i < 10'000; ++i)
        gate.count_refusal(instance, {{"nick:n" + std::to_string(i)}, ""});
    auto refused = gate.refused(instance);
    REQUIRE(refused.size() == 101);
    auto others = std::find_if(refused.begin(), refused.end(),
                               [](auto const& entry) { return entry.sender == "others"; });
    REQUIRE(others != refused.end());
    REQUIRE(others->count == 9'900);
}
