#pragma once

// When a message may leave: Slack takes one a second for each channel, and says when it was too
// much.
#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <string>

namespace slack {

class Pace {
public:
    using Clock = std::chrono::steady_clock;
    using Wait = std::chrono::milliseconds;

    // How long the next message to that channel has to wait; it counts as sent then. Nothing, and
    // it does not count, when that is longer than `most`.
    std::optional<Wait> reserve(std::string const& channel, Wait most,
                                Clock::time_point now = Clock::now()) {
        std::erase_if(free_, [&](auto const& one) { return one.second <= now; });
        auto const found = free_.find(channel);
        auto const start = found == free_.end() ? now : found->second;
        auto const wait = std::chrono::ceil<Wait>(start - now);
        if (wait > most) return std::nullopt;
        free_[channel] = start + between;
        return wait;
    }

    // Slack said how long that channel gets nothing.
    void hold(std::string const& channel, std::chrono::seconds wait,
              Clock::time_point now = Clock::now()) {
        auto& free = free_[channel];
        free = std::max(free, now + wait);
    }

private:
    static constexpr Wait between{1000};

    std::map<std::string, Clock::time_point> free_;  // when the channel's next one may leave
};

}  // namespace slack
