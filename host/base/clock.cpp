#include "base/clock.hpp"

#include <chrono>
#include <cstdio>
#include <ctime>

namespace parley {

std::int64_t SystemClock::now_us() const {
    auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

std::string iso_time(std::int64_t time_us) {
    std::time_t seconds = time_us / 1'000'000;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char text[64];
    auto size = std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ",
                              parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                              parts.tm_min, parts.tm_sec, static_cast<int>(time_us % 1'000'000));
    return {text, static_cast<std::size_t>(size)};
}

}  // namespace parley
