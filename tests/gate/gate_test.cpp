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
