#include "base/zone.hpp"

#include "base/clock.hpp"

#include <catch2/catch.hpp>

using namespace parley;

namespace {

std::string start(std::string const& zone, CivilDay day) {
    return iso_time(start_of_day_us(zone, day)).substr(0, 16);
}

}  // namespace

TEST_CASE("a zone is known by its name in the machine's table", "[base]") {
    CHECK(is_zone("UTC"));
    CHECK(is_zone("Europe/Berlin"));
    CHECK_FALSE(is_zone("Mars/Base"));
    CHECK_FALSE(is_zone(""));
    CHECK_FALSE(is_zone("../../etc/passwd"));
}

TEST_CASE("a day begins at midnight there, summer and winter", "[base]") {
    CHECK(start("UTC", {2026, 11, 23}) == "2026-11-23T00:00");
    CHECK(start("Europe/Berlin", {2026, 11, 23}) == "2026-11-22T23:00");
    CHECK(start("Europe/Berlin", {2026, 7, 1}) == "2026-06-30T22:00");
    CHECK(start("Asia/Kathmandu", {2026, 1, 1}) == "2025-12-31T18:15");
}

TEST_CASE("where the clocks jump over midnight the day begins after the gap", "[base]") {
    CHECK(start("Africa/Cairo", {2026, 4, 24}) == "2026-04-23T22:00");
}

TEST_CASE("days and months past their end carry over", "[base]") {
    CHECK(start("UTC", {2026, 2, 29}) == "2026-03-01T00:00");
    CHECK(start("UTC", {2026, 13, 1}) == "2027-01-01T00:00");
    CHECK(start("Europe/Berlin", {2026, 12, 32}) == "2026-12-31T23:00");
}

TEST_CASE("the day of a moment is the one on the wall there", "[base]") {
    auto late = start_of_day_us("UTC", {2026, 11, 23}) + 23 * 3'600'000'000LL + 1;
    CHECK(civil_day("UTC", late).day == 23);
    CHECK(civil_day("Europe/Berlin", late).day == 24);
    CHECK(civil_day("America/New_York", late).day == 23);
}
