#include "base/zone.hpp"

#include <date/tz.h>

namespace parley {

namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using Moment = date::sys_time<microseconds>;

// Nothing for UTC, and for what the machine does not know.
date::time_zone const* zone_of(std::string const& name) try {
    return name == "UTC" ? nullptr : date::locate_zone(name);
} catch (std::exception const&) {
    return nullptr;
}

}  // namespace

bool is_zone(std::string const& name) {
    return name == "UTC" || zone_of(name);
}

CivilDay civil_day(std::string const& zone, std::int64_t time_us) {
    Moment moment{microseconds(time_us)};
    auto const* there = zone_of(zone);
    auto local =
        there ? there->to_local(moment) : date::local_time<microseconds>(moment.time_since_epoch());
    date::year_month_day day{date::floor<date::days>(local)};
    return {static_cast<int>(day.year()), static_cast<unsigned>(day.month()),
            static_cast<unsigned>(day.day())};
}

std::int64_t start_of_day_us(std::string const& zone, CivilDay day) {
    auto months = date::year(day.year) / date::January + date::months(day.month - 1);
    auto midnight = date::local_days(months / 1) + date::days(day.day - 1);
    auto const* there = zone_of(zone);
    if (!there) return duration_cast<microseconds>(midnight.time_since_epoch()).count();
    auto start = there->to_sys(midnight, date::choose::earliest);
    return duration_cast<microseconds>(start.time_since_epoch()).count();
}

}  // namespace parley
