// What becomes of a message whose send ended, in time that the test owns.
#include "base/clock.hpp"
#include "base/limits.hpp"
#include "channel/channel.hpp"

#include <catch2/catch.hpp>

#include <deque>

using namespace parley;
using namespace std::chrono_literals;
using Kind = Fate::Kind;

namespace {

SendOutcome not_left(bool retryable, std::chrono::milliseconds asked = 0ms) {
    SendOutcome outcome;
    outcome.left = false;
    outcome.retryable = retryable;
    outcome.retry_after = asked;
    return outcome;
}

}  // namespace

TEST_CASE("what may have left is never tried again, whatever its plugin says", "[fate]") {
    SendOutcome outcome;
    outcome.retryable = true;
    outcome.retry_after = 5s;
    for (bool is_up : {false, true}) REQUIRE(fate_of(outcome, is_up, 1, 0s).kind == Kind::unknown);
    outcome.delivered = true;
    REQUIRE(fate_of(outcome, true, 1, 48h).kind == Kind::delivered);
}

TEST_CASE("a refusal is final, and what did not leave is tried again for a day", "[fate]") {
    REQUIRE(fate_of(not_left(false), true, 1, 0s).kind == Kind::failed);
    REQUIRE(fate_of(not_left(true), true, 1, 0s).kind == Kind::again);
    REQUIRE(fate_of(not_left(true), true, 5000, limits::send_keep_time - 1us).kind == Kind::again);
    REQUIRE(fate_of(not_left(true), true, 5000, limits::send_keep_time).kind == Kind::failed);
    // While the channel is down it is not the message that is at fault.
    REQUIRE(fate_of(not_left(true), false, 5000, limits::send_keep_time * 30).kind == Kind::again);
}

TEST_CASE("pauses grow up to a bound", "[fate]") {
    auto before = 0ms;
    for (std::int64_t tries = 1; tries < 40; ++tries) {
        auto wait = fate_of(not_left(true), true, tries, 0s).wait;
        REQUIRE(wait >= before);
        REQUIRE(wait <= limits::send_again_most);
        before = wait;
    }
    REQUIRE(before == limits::send_again_most);
    REQUIRE(fate_of(not_left(true), true, -1, 0s).wait > 0ms);
}

TEST_CASE("the pause that a service asks for is kept, unless ours is longer", "[fate]") {
    REQUIRE(fate_of(not_left(true, 90s), true, 1, 0s).wait == 90s);
    REQUIRE(fate_of(not_left(true, 90s), false, 1, 0s).wait == 90s);
    REQUIRE(fate_of(not_left(true, 1ms), true, 3, 0s).wait ==
            fate_of(not_left(true), true, 3, 0s).wait);
}

TEST_CASE("an outage of more than a day loses nothing, keeps the order and ends by itself",
          "[fate]") {
    constexpr std::int64_t hour_us = 3600'000'000;
    ManualClock clock(1'800'000'000'000'000);
    auto const begin = clock.now_us(), back = begin + 26 * hour_us;
    struct Waiting {
        int number;
        std::int64_t queued_us, tries = 0;
    };
    std::deque<Waiting> line;
    std::vector<int> arrived;
    int written = 0;
    while (arrived.size() < 27) {
        // Somebody writes every hour.
        while (written < 27 && clock.now_us() >= begin + written * hour_us)
            line.push_back({written++, clock.now_us()});
        if (line.empty()) {
            clock.advance_us(hour_us);
            continue;
        }
        auto& first = line.front();
        ++first.tries;
        bool is_up = clock.now_us() >= back;
        SendOutcome outcome = not_left(true);
        outcome.delivered = is_up;
        auto fate = fate_of(outcome, is_up, first.tries,
                            std::chrono::microseconds(clock.now_us() - first.queued_us));
        REQUIRE((fate.kind == Kind::delivered || fate.kind == Kind::again));
        if (fate.kind == Kind::again) {
            clock.advance_us(std::chrono::microseconds(fate.wait).count());
            continue;
        }
        arrived.push_back(first.number);
        line.pop_front();
    }
    for (int number = 0; number < 27; ++number) REQUIRE(arrived[number] == number);
    REQUIRE(clock.now_us() - back < std::chrono::microseconds(limits::send_again_most).count());
}
