#include "inbound/bounds.hpp"

#include <catch2/catch.hpp>

using namespace parley;

namespace {
constexpr std::int64_t second = 1'000'000;
}

TEST_CASE("a rate lets a burst through, then so many a second", "[bounds]") {
    Rate rate(10, 5);
    std::int64_t moment = 0, now = 1000 * second;
    for (int i = 0; i < 5; ++i) {
        REQUIRE(rate.wait_us(moment, now) == 0);
        rate.count(moment, now);
    }
    CHECK(rate.wait_us(moment, now) == second / 10);
    CHECK(rate.wait_us(moment, now + second / 10 - 1) == 1);
    CHECK(rate.wait_us(moment, now + second / 10) == 0);
    // Rest is not saved up beyond the burst.
    now += 1000 * second;
    for (int i = 0; i < 5; ++i) rate.count(moment, now);
    CHECK(rate.wait_us(moment, now) > 0);
}

TEST_CASE("each address has its own rate, and a network of IPv6 is one", "[bounds]") {
    PeerRates peers(Rate(1, 1), 8);
    peers.count("192.0.2.1", second);
    CHECK(peers.wait_us("192.0.2.1", second) > 0);
    CHECK(peers.wait_us("192.0.2.2", second) == 0);
    peers.count("2001:db8:1:2::1", second);
    CHECK(peers.wait_us("2001:db8:1:2:ffff::9", second) > 0);
    CHECK(peers.wait_us("2001:db8:1:3::1", second) == 0);
    CHECK(peer_key("::ffff:192.0.2.1") != peer_key("::ffff:192.0.2.2"));
}

TEST_CASE("more addresses than are remembered share one count", "[bounds]") {
    PeerRates peers(Rate(1, 1), 4);
    for (int i = 0; i < 4; ++i) peers.count("192.0.2." + std::to_string(i), second);
    CHECK(peers.wait_us("198.51.100.1", second) == 0);
    peers.count("198.51.100.1", second);
    CHECK(peers.wait_us("198.51.100.2", second) > 0);
    CHECK(peers.size() == 4);
    // Those that were quiet long enough make room.
    CHECK(peers.wait_us("198.51.100.3", 10 * second) == 0);
    CHECK(peers.size() == 1);
}

TEST_CASE("a signature is taken once within its window", "[bounds]") {
    Signatures taken(2);
    auto one = blake2b("1"), two = blake2b("2"), three = blake2b("3");
    CHECK(taken.take(one, 10, 1));
    CHECK_FALSE(taken.take(one, 10, 2));
    CHECK(taken.take(two, 20, 2));

    SECTION("what was not taken after all may come again") {
        taken.forget(one);
        CHECK(taken.take(one, 10, 3));
    }
    SECTION("without room nothing is taken: a copy could not be told") {
        CHECK_FALSE(taken.take(three, 30, 9));
        CHECK(taken.take(three, 30, 10));
    }
    SECTION("what ended is forgotten") {
        CHECK(taken.take(three, 30, 20));
        taken.forget(one);
        CHECK_FALSE(taken.take(three, 30, 21));
    }
}
