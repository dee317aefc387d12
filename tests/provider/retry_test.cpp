#include "provider/retry.hpp"

#include "base/limits.hpp"

#include <catch2/catch.hpp>

using namespace parley;
using namespace std::chrono_literals;
using Kind = AfterFault::Kind;

namespace {

AnswerFault fault_with(std::string code, bool retryable = false, Fault fault = Fault::peer_failed) {
    AnswerFault out;
    out.fault = fault;
    out.code = std::move(code);
    out.retryable = retryable;
    return out;
}

}  // namespace

TEST_CASE("what may pass is tried again, so often and no more", "[provider]") {
    auto fault = fault_with("overloaded", true);
    for (int tries = 0; tries < limits::retries_per_model_call; ++tries)
        REQUIRE(after_fault(fault, tries, false, 0).kind == Kind::again);
    REQUIRE(after_fault(fault, limits::retries_per_model_call, false, 0).kind == Kind::end);
    REQUIRE(after_fault(fault, limits::retries_per_model_call, true, 0).kind == Kind::next);
    REQUIRE(after_fault(fault_with("peer"), 0, false, 0).kind == Kind::end);
}

TEST_CASE("the next model is asked where it may fare otherwise", "[provider]") {
    struct Row {
        char const* code;
        bool retryable;
        Fault fault;
        Kind kind;
    };
    Row const rows[] = {
        {"money", false, Fault::peer_failed, Kind::next},
        {"auth", false, Fault::peer_failed, Kind::next},
        {"overloaded", false, Fault::peer_failed, Kind::next},
        {"rate", false, Fault::peer_failed, Kind::next},
        {"peer", false, Fault::peer_failed, Kind::next},
        {"timeout", false, Fault::timed_out, Kind::next},
        {"timed_out", false, Fault::timed_out, Kind::next},
        {"peer_gone", false, Fault::peer_gone, Kind::next},
        {"unavailable", false, Fault::unavailable, Kind::next},
        {"overloaded", true, Fault::peer_failed, Kind::again},
        // The request, a rule or a person is the cause: another model changes nothing.
        {"invalid", false, Fault::bad_input, Kind::end},
        {"limit", false, Fault::peer_failed, Kind::end},
        {"unsupported", false, Fault::bad_input, Kind::end},
        {"denied", false, Fault::denied, Kind::end},
        {"cancelled", false, Fault::cancelled, Kind::end},
        {"secret", false, Fault::secret, Kind::end},
        {"a word of a stranger", false, Fault::peer_failed, Kind::end},
    };
    for (auto const& row : rows) {
        INFO(row.code);
        auto fault = fault_with(row.code, row.retryable, row.fault);
        CHECK(after_fault(fault, 0, true, 0).kind == row.kind);
        if (row.kind == Kind::next) CHECK(after_fault(fault, 0, false, 0).kind == Kind::end);
    }
}

TEST_CASE("waits double, a quarter is left to chance, and there is a longest", "[provider]") {
    auto fault = fault_with("overloaded", true);
    CHECK(after_fault(fault, 0, false, 0).wait == 500ms);
    CHECK(after_fault(fault, 1, false, 0).wait == 1000ms);
    CHECK(after_fault(fault, 0, false, 1).wait == 375ms);
    CHECK(after_fault(fault, 1, false, 0.5).wait == 875ms);
    for (int tries = 0; tries < limits::retries_per_model_call; ++tries)
        CHECK(after_fault(fault, tries, false, 0).wait <= limits::model_retry_last);
}

TEST_CASE("a wait that the service asks for is not cut short, and has a bound", "[provider]") {
    auto fault = fault_with("rate", true);
    fault.retry_after = 7s;
    for (double chance : {0.0, 0.5, 1.0}) {
        auto wait = after_fault(fault, 0, false, chance).wait;
        CHECK(wait >= 7s);
        CHECK(wait <= 8s);
    }
    fault.retry_after = 100ms;
    CHECK(after_fault(fault, 0, false, 0).wait == 500ms);
    fault.retry_after = 1000h;
    CHECK(after_fault(fault, 0, false, 0).wait == limits::model_wait_most);
}

TEST_CASE("a long wait is not waited where another model is left", "[provider]") {
    auto fault = fault_with("rate", true);
    fault.retry_after = limits::model_wait_before_fallback + 1s;
    CHECK(after_fault(fault, 0, true, 0).kind == Kind::next);
    CHECK(after_fault(fault, 0, false, 0).kind == Kind::again);
    fault.retry_after = limits::model_wait_before_fallback - 2s;
    CHECK(after_fault(fault, 0, true, 0).kind == Kind::again);
}
