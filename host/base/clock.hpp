#pragma once

// The only way to the time of day. Tests own a ManualClock.
#include <cstdint>
#include <string>

namespace parley {

class Clock {
public:
    virtual ~Clock() = default;
    // Microseconds since 1970-01-01 UTC. May jump; who needs order asks the ledger.
    virtual std::int64_t now_us() const = 0;
};

class SystemClock final : public Clock {
public:
    std::int64_t now_us() const override;
};

class ManualClock final : public Clock {
public:
    explicit ManualClock(std::int64_t now_us) : now_us_(now_us) {}
    std::int64_t now_us() const override { return now_us_; }
    void advance_us(std::int64_t by) { now_us_ += by; }

private:
    std::int64_t now_us_;
};

// 2026-11-23T06:05:00.123456Z
std::string iso_time(std::int64_t time_us);

}  // namespace parley
