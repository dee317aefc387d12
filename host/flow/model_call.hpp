#pragma once

// One call to a model as its session's row keeps it, from the first attempt to the answer: which
// model is asked now and how often it was, and what the attempts before it came to. It asks nobody.
#include "base/ids.hpp"
#include "base/json.hpp"
#include "permit/budget.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace parley {

// What one attempt came to.
struct AttemptEnd {
    std::string outcome;         // answered, or the code of what went wrong
    std::string why = {};        // for a person
    std::optional<Usage> usage;  // where the service told it
    std::int64_t nano_usd = 0;
    bool left = true, is_priced = true;
    std::int64_t now_us = 0;
};

struct ModelCall {
    // The attempt in hand.
    std::string model;  // name of it; empty until the first
    std::int64_t number = 0, tries = 0, waited_ms = 0;
    std::int64_t request_bytes = 0, started_us = 0;
    bool compacts = false, suspect = false;
    std::string state_owner;  // whose a state of the answer will be; nobody's for a summary
    Reservation reservation;
    Seq requested = 0;  // 0: none is under way

    // Those that are over, as JSON objects joined by commas, and their sums.
    std::string past;
    std::int64_t listed = 0, attempts = 0;  // a model that could not be asked is no attempt
    std::int64_t nano_usd = 0, tokens_in = 0, tokens_out = 0;
    bool has_unpriced = false;
    std::string why;  // the last one failed

    bool is_under_way() const { return requested != 0; }

    // The attempt under way is over.
    void end_attempt(AttemptEnd const& end);
    // The model in hand was not asked at all.
    void pass_over(std::string_view outcome);
    void turn_to(std::string_view name);

    // What the call cost, in a record that ends it: "cost_usd", null where a price is not known,
    // and "attempts" where there was more than one.
    void write_cost(JsonWriter& out) const;

    std::string to_json() const;
    static ModelCall from(std::string_view text);
};

}  // namespace parley
