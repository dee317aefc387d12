#pragma once

// When a message may leave. Telegram takes about thirty a second from a bot, one a second for a
// chat, twenty a minute for a group; who sends more is told to wait much longer.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>

namespace telegram {

class Pace {
public:
    using Clock = std::chrono::steady_clock;
    using Wait = std::chrono::milliseconds;

    // How long the next message to that chat has to wait; it counts as sent then. Nothing, and it
    // does not count, when that is longer than `most`.
    std::optional<Wait> reserve(std::int64_t chat, Wait most,
                                Clock::time_point now = Clock::now()) {
        std::erase_if(free_, [&](auto const& one) { return one.second <= now; });
        auto const found = free_.find(chat);
        auto start = std::max(now, all_free_);
        if (found != free_.end()) start = std::max(start, found->second);
        auto const wait = std::chrono::ceil<Wait>(start - now);
        if (wait > most) return std::nullopt;
        all_free_ = std::max(now, all_free_) + between_all;
        free_[chat] = start + (chat < 0 ? between_in_group : between_in_chat);
        return wait;
    }

    // Telegram said how long that chat gets nothing.
    void hold(std::int64_t chat, std::chrono::seconds wait, Clock::time_point now = Clock::now()) {
        auto& free = free_[chat];
        free = std::max(free, now + wait);
    }

private:
    static constexpr std::chrono::milliseconds between_all{34}, between_in_chat{1000},
        between_in_group{3000};

    Clock::time_point all_free_{};
    std::map<std::int64_t, Clock::time_point> free_;  // when the chat's next one may leave
};

}  // namespace telegram
