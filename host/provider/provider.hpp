#pragma once

// A model provider as the host sees it: one request in, one checked answer out, text on the way.
// It never retries, pays or records.
#include "base/ids.hpp"
#include "base/result.hpp"
#include "plugin/worker.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace parley {

struct Answer {
    struct Call {
        std::string name, arguments;  // as emitted; is `arguments` JSON? the skill's schema decides
    };
    std::string text, reasoning;
    std::vector<Call> calls;
    std::string stop;    // end, calls, length, refusal
    std::string detail;  // of a refusal, for a person
    std::string state;   // what the plugin wants back with this answer, unread
    std::optional<std::int64_t> input, output, cache_read, cache_write;  // tokens, as reported
    std::optional<std::int64_t> thought;  // of the output, what was reasoning
    std::int64_t bytes = 0;  // of all that came
};

struct AnswerFault {
    Fault fault = Fault::peer_failed;
    std::string code, message;
    bool retryable = false;
    std::chrono::milliseconds retry_after{0};
    bool left = false;         // a byte of the request may have left this machine
    std::int64_t bytes = 0;    // that came before it failed
    std::optional<std::int64_t> input, output, cache_read, cache_write;  // if they were told
};

class Provider {
public:
    struct Sink {
        std::function<void(std::string_view text)> on_text;
        std::function<void(Answer answer)> on_answer;
        std::function<void(AnswerFault fault)> on_fault;
    };

    // At most `pending_most` calls are open in the worker; others wait their turn.
    Provider(std::shared_ptr<Worker> worker, int pending_most)
        : worker_(std::move(worker)), pending_most_(pending_most) {}

    // A worker that dies takes all its open calls with it, and nobody knows which was to blame. One
    // that died in company may be tried again as a suspect: never beside another suspect. One that
    // died alone is not retryable.
    enum class Manner { usual, suspect };

    // The sink is told exactly one of on_answer and on_fault. Returns a handle for cancel().
    std::uint64_t generate(std::string request, Manner manner, Sink sink);
    void cancel(std::uint64_t handle);
    // Takes no new requests; its worker ends when the last has been answered.
    void retire();
    std::shared_ptr<Worker> const& worker() const { return worker_; }

private:
    struct Waiting;
    struct InFlight;
    void start(std::shared_ptr<InFlight> call);
    bool may_start(InFlight const& call) const;
    void next();
    void end_when_idle();

    std::shared_ptr<Worker> worker_;
    int pending_most_;
    int pending_ = 0;
    bool tries_suspect_ = false, retiring_ = false;
    std::uint64_t last_handle_ = 0;
    std::deque<std::shared_ptr<InFlight>> waiting_;
    std::vector<std::shared_ptr<InFlight>> open_;
};

}  // namespace parley
