#pragma once

// Civil time: where days and months begin for people in a time zone, by the machine's own table of
// zones. "UTC" needs no table.
#include <cstdint>
#include <string>

namespace parley {

// Does the machine know this zone by its IANA name ("Europe/Berlin")?
bool is_zone(std::string const& name);

struct CivilDay {
    int year = 1970;
    unsigned month = 1, day = 1;
};

// The day that `time_us` lies in there. A zone that the machine does not know (any more) is UTC.
CivilDay civil_day(std::string const& zone, std::int64_t time_us);
// The first moment of a day there: midnight, or the end of the gap where the clocks jump over it.
// Months and days past their end carry over.
std::int64_t start_of_day_us(std::string const& zone, CivilDay day);

}  // namespace parley
