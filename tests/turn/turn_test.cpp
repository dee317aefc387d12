#include "turn/turn.hpp"

#include "base/limits.hpp"

#include <catch2/catch.hpp>

using namespace parley;

namespace {

std::vector<WantedCall> two_calls() {
    return {{CallId("c-1"), "shell", "{}"}, {CallId("c-2"), "read_file", "{}"}};
}

template <class T>
bool only(std::vector<Step> const& steps) {
    return steps.size() == 1 && std::holds_alternative<T>(steps[0]);
}

}  // namespace

TEST_CASE("a turn begins by asking the model", "[turn]") {
    Turn turn(1);
    REQUIRE(only<AskModel>(turn.begin()));
    REQUIRE(turn.is_thinking());
}

TEST_CASE("an answer without calls is the reply", "[turn]") {
    Turn turn(1);
    turn.begin();
    auto steps = turn.model_answered("noon", {});
    REQUIRE(only<GiveReply>(steps));
    REQUIRE(std::get<GiveReply>(steps[0]).text == "noon");
}

TEST_CASE("the calls of one answer are considered in its order", "[turn]") {
    Turn turn(1);
    turn.begin();
    auto steps = turn.model_answered("", two_calls());
    REQUIRE(steps.size() == 2);
    REQUIRE(std::get<ConsiderCall>(steps[0]).index == 0);
    REQUIRE(std::get<ConsiderCall>(steps[1]).index == 1);
}

TEST_CASE("the model is asked again only when every call has a result", "[turn]") {
    Turn turn(1);
    turn.begin();
    turn.model_answered("", two_calls());
    turn.call_settled(1);
    REQUIRE(turn.due().empty());
    turn.call_settled(0);
    REQUIRE(only<AskModel>(turn.due()));
    REQUIRE(turn.is_thinking());
    REQUIRE(turn.model_calls() == 2);
}

TEST_CASE("a turn waits for a person only when nothing else moves", "[turn]") {
    Turn turn(1);
    turn.begin();
    turn.model_answered("", two_calls());
    turn.set_phase(0, CallPhase::parked);
    turn.set_phase(1, CallPhase::started);
    REQUIRE_FALSE(turn.waits_for_approval());
    turn.call_settled(1);
    REQUIRE(turn.waits_for_approval());
    REQUIRE(turn.due().empty());
}

TEST_CASE("a turn that asks the model without end is given up at its limit", "[turn]") {
    Turn turn(1);
    turn.begin();
    std::vector<Step> steps;
    for (int i = 0; i < limits::model_calls_per_turn; ++i) {
        turn.model_answered("", {{CallId("c-1"), "read_file", "{}"}});
        turn.call_settled(0);
        steps = turn.due();
    }
    REQUIRE(only<GiveUp>(steps));
}

TEST_CASE("a turn comes back from its JSON as it was", "[turn]") {
    Turn turn(7);
    turn.begin();
    turn.model_answered("", two_calls());
    turn.set_phase(0, CallPhase::parked);
    turn.set_approval(0, "a-1");
    turn.set_phase(1, CallPhase::sent);
    auto again = Turn::from_json(turn.to_json());
    REQUIRE(again);
    REQUIRE(again->to_json() == turn.to_json());
    REQUIRE(again->number() == 7);
    REQUIRE(again->calls()[0].approval == "a-1");
    REQUIRE(again->find("c-2") == 1);
}

TEST_CASE("a phase that nobody knows is read as one that may have acted", "[turn]") {
    auto turn = Turn::from_json(
        R"({"number":1,"model_calls":1,"calls":[{"id":"c-1","skill":"x","phase":"novel"}]})");
    REQUIRE(turn);
    REQUIRE(turn->calls()[0].phase == CallPhase::sent);
}
