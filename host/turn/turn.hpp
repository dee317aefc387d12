#pragma once

// The agent's mind as a plain machine: what happened goes in, what to do next comes out. It knows
// no clock, no network, no disk, no rule and no budget; those who carry out its steps do.
#include "base/ids.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace parley {

// One thing that the model wants done. `arguments` are the very bytes that the model emitted.
struct WantedCall {
    CallId id;
    std::string skill;
    std::string arguments;
};

enum class CallPhase {
    wanted,   // not yet considered
    parked,   // waits for a person
    started,  // INTENT is recorded
    sent,     // EGRESS is recorded: from here on a crash leaves the outcome unknown
    unknown,  // it may have acted; a person must say
    settled,  // has a result
};
char const* name_of(CallPhase phase);

// Steps.
struct AskModel {};
struct ConsiderCall {
    std::size_t index;
};
struct GiveReply {
    std::string text;
};
struct GiveUp {
    std::string why;
};
using Step = std::variant<AskModel, ConsiderCall, GiveReply, GiveUp>;

class Turn {
public:
    struct OpenCall {
        CallId id;
        std::string skill;
        CallPhase phase = CallPhase::wanted;
        std::string approval;  // id, while it has one
    };

    Turn() = default;
    explicit Turn(std::int64_t number) : number_(number) {}

    // Each returns the steps that are due now, in order.
    std::vector<Step> begin();
    std::vector<Step> model_answered(std::string text, std::vector<WantedCall> const& calls);
    std::vector<Step> model_failed(std::string why);
    // Marks a call as settled; what follows from it is said by due().
    void call_settled(std::size_t index) { calls_[index].phase = CallPhase::settled; }
    // When every call has its result: the model again, or the end. Otherwise nothing.
    std::vector<Step> due();

    // After a restart: what stands open. Calls that were started are the permit's to judge first.
    std::vector<Step> resume() const;

    void set_phase(std::size_t index, CallPhase phase) { calls_[index].phase = phase; }
    void set_approval(std::size_t index, std::string id) { calls_[index].approval = std::move(id); }

    std::int64_t number() const { return number_; }
    int model_calls() const { return model_calls_; }
    bool is_thinking() const { return calls_.empty(); }
    // True when nothing moves until a person decides.
    bool waits_for_approval() const;
    bool has(CallPhase phase) const;
    std::vector<OpenCall> const& calls() const { return calls_; }
    // Index of the call, or npos.
    std::size_t find(std::string_view call) const;

    std::string to_json() const;
    static Result<Turn> from_json(std::string_view text);

private:
    std::int64_t number_ = 0;
    int model_calls_ = 0;
    std::vector<OpenCall> calls_;  // of the answer in hand; empty while the model thinks
};

}  // namespace parley
