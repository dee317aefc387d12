// An instant channel for the benchmark: as many conversations as it is told, each of which says its
// next words when it has heard the answer to the last. When enough answers came it says in the log
// how long they took, as one line of JSON.
#include <parley/plugin.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

class Crowd final : public parley::Channel {
public:
    Crowd(parley::Host& host, parley::Json const& config)
        : host_(host),
          people_(static_cast<std::size_t>(config["people"].integer())),
          turns_(static_cast<std::size_t>(config["turns"].integer())),
          text_(config["text"].text()),
          said_at_(people_) {
        latencies_us_.reserve(turns_);
    }

    void run(parley::Call call, parley::Json) override {
        run_ = std::move(call);
        run_.on_resume([this] {
            is_paused_ = false;
            speak();
        });
        run_.emit(parley::json_of("type", "state", "state", "connected"));
        begun_ = Clock::now();
        for (std::size_t person = 0; person < people_ && person < turns_; ++person)
            waiting_.push_back(person);
        speak();
    }

    void send(parley::Call call, parley::Json request) override {
        auto const person = std::stoul(std::string(request["conversation"].text()));
        auto const took = Clock::now() - said_at_.at(person);
        call.complete_ok(parley::json_of("parts", 1));
        latencies_us_.push_back(
            std::chrono::duration_cast<std::chrono::microseconds>(took).count());
        if (latencies_us_.size() == turns_) return report();
        if (said_ + waiting_.size() < turns_) waiting_.push_back(person);
        speak();
    }

private:
    void speak() {
        while (!is_paused_ && !waiting_.empty()) {
            auto const person = waiting_.front();
            waiting_.pop_front();
            auto const name = std::to_string(person), number = std::to_string(++said_);
            said_at_[person] = Clock::now();
            parley::JsonWriter message;
            message.begin('{').pair("type", "message").pair("conversation", name);
            message.key("sender").raw(R"({"ids":["id:1"]})").pair("id", number);
            message.pair("cursor", number).pair("private", true).pair("text", text_);
            is_paused_ = run_.emit(message.end('}').take()) == parley::Emit::pause;
        }
    }

    void report() {
        auto const wall = Clock::now() - begun_;
        std::sort(latencies_us_.begin(), latencies_us_.end());
        auto at = [&](std::size_t percent) {
            return latencies_us_[(latencies_us_.size() - 1) * percent / 100];
        };
        host_.log(
            PARLEY_LOG_INFO,
            parley::json_of("turns", static_cast<std::int64_t>(turns_), "wall_us",
                            std::chrono::duration_cast<std::chrono::microseconds>(wall).count(),
                            "p50_us", at(50), "p99_us", at(99)));
    }

    parley::Host& host_;
    std::size_t const people_, turns_;
    std::string const text_;
    parley::Call run_;
    Clock::time_point begun_;
    std::vector<Clock::time_point> said_at_;
    std::vector<std::int64_t> latencies_us_;
    std::deque<std::size_t> waiting_;  // who speaks next
    std::size_t said_ = 0;
    bool is_paused_ = false;
};

}  // namespace

PARLEY_PLUGIN(Crowd)
