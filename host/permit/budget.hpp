#pragma once

// Budgets: reserve before a model call, settle with its answer, both inside the ledger's batches,
// so that settled + reserved never passes a cap at any durable moment. Money is nano-USD; a byte
// counts as one token until the provider says better.
#include "base/ids.hpp"
#include "base/result.hpp"
#include "config/config.hpp"
#include "ledger/ledger.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace parley {

struct Spend {
    std::int64_t nano_usd = 0, tokens = 0;
};

// What one model call may cost at most, kept with the session until it is settled.
struct Reservation {
    Spend most;
    std::int64_t max_output_tokens = 0;  // as lowered to what fits
    std::vector<std::string> rows;       // budget rows that it stands in: "name/period"
    std::string to_json() const;
    static Reservation from_json(std::string_view text);
};

// What the provider reported, if it did. Input includes what came from its cache.
struct Usage {
    std::int64_t input = 0, output = 0, cache_read = 0, cache_write = 0;
};

struct ModelCallSize {
    std::int64_t request_bytes = 0, answer_bytes = 0;
};

// Nothing for an unknown price; zeros mean free.
Spend cost_of(std::optional<Price> const& price, Usage const& usage);
// The least that is believed: a sixteenth of the bytes that went each way.
Usage believable(Usage reported, ModelCallSize size);

struct BudgetView {
    std::string name;  // "global" or "agent/NAME"
    BudgetConfig config;
    Spend settled, reserved;
    std::string period;
    std::int64_t resets_us = 0;  // 0: never
};
std::string to_json(BudgetView const& view);

// Why a reservation did not fit.
struct Refusal {
    bool wait = false;  // only other reservations stand in the way
    std::string why;    // for a person: what was spent, reserved and needed, and when it resets
    std::string budget;
};

class Budgets {
public:
    explicit Budgets(Ledger const& ledger) : ledger_(ledger) {}

    // Reserves in every budget that applies or in none. Records budget.reserved or budget.refused.
    // With on_limit: warn a crossing is recorded once and the call goes on.
    struct Ask {
        AgentName agent;
        SessionId session;
        std::int64_t turn = 0;
        std::int64_t request_bytes = 0, max_output_tokens = 0;
        std::optional<Price> price;
        std::string model;
        Seq cause = 0;
    };
    std::variant<Reservation, Refusal> reserve(Batch& batch, Config const& config,
                                               Ask const& ask) const;
    // Turns a reservation into spend. `spent` empty: the outcome is not known, so all of it.
    void settle(Batch& batch, Config const& config, Ask const& ask, Reservation const& reservation,
                std::optional<Spend> spent) const;

    std::vector<BudgetView> view(Config const& config) const;

private:
    struct Row {
        Spend settled, reserved;
        bool warned = false;
    };
    Row read(std::string const& key) const;
    void write(Batch& batch, std::string const& key, Row const& row) const;
    Ledger const& ledger_;
};

// The period that `now` lies in by the calendar of that zone: its name ("2026-11", "2026-11-23",
// "total"), and its end.
std::string period_name(Period period, std::int64_t now_us, std::string const& timezone);
std::int64_t period_end_us(Period period, std::int64_t now_us, std::string const& timezone);

}  // namespace parley
