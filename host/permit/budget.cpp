#include "permit/budget.hpp"

#include "base/clock.hpp"
#include "base/guard.hpp"
#include "base/json.hpp"
#include "base/zone.hpp"

#include <boost/json/value.hpp>

#include <algorithm>
#include <cstdio>
#include <limits>

namespace parley {

namespace {

// Below this an answer is of no use, so the call is refused instead.
constexpr std::int64_t least_output_tokens = 256;
constexpr auto most = std::numeric_limits<std::int64_t>::max() / 4;

__extension__ using Wide = __int128;

// Prices are nano-USD per token × 1000.
std::int64_t price_of(std::int64_t tokens, std::int64_t price) {
    auto exact = static_cast<Wide>(tokens) * price;
    auto rounded = (exact + 999) / 1000;
    return rounded > most ? most : static_cast<std::int64_t>(rounded);
}

std::int64_t dearest_input(Rates const& rates) {
    return std::max({rates.input, rates.cache_read, rates.cache_write});
}

bool may_be_long(Price const& price, std::int64_t input_tokens) {
    return price.long_from > 0 && input_tokens > price.long_from;
}

Spend ceiling(std::optional<Price> const& price, std::int64_t request_bytes,
              std::int64_t output_tokens) {
    Spend spend;
    spend.tokens = request_bytes + output_tokens;
    if (!price) return spend;
    auto input = dearest_input(*price), output = price->output;
    if (may_be_long(*price, request_bytes)) {
        input = std::max(input, dearest_input(price->of_long));
        output = std::max(output, price->of_long.output);
    }
    spend.nano_usd = price_of(request_bytes, input) + price_of(output_tokens, output);
    return spend;
}

struct Applied {
    std::string name, key;
    BudgetConfig const* config;
};

std::vector<Applied> applying(Config const& config, AgentName const& agent, std::int64_t now_us) {
    std::vector<Applied> list;
    auto add = [&](std::string name, BudgetConfig const& budget) {
        auto key = name + '/' + period_name(budget.per, now_us, budget.timezone);
        list.push_back({std::move(name), std::move(key), &budget});
    };
    if (config.global_budget) add("global", *config.global_budget);
    auto found = config.agents.find(agent);
    if (found != config.agents.end() && found->second.budget)
        add("agent/" + agent.text, *found->second.budget);
    return list;
}

std::string dollars(std::int64_t nano_usd) {
    JsonWriter out;
    out.usd(nano_usd);
    return out.take();
}

std::string amounts(BudgetConfig const& budget, Spend const& spend) {
    std::string text;
    if (budget.limit_nano_usd) text = dollars(spend.nano_usd) + " USD";
    if (budget.limit_tokens)
        text += (text.empty() ? "" : ", ") + std::to_string(spend.tokens) + " tokens";
    return text;
}

std::string reset_words(BudgetConfig const& budget, std::int64_t now_us) {
    auto end = period_end_us(budget.per, now_us, budget.timezone);
    return end ? "it resets at " + iso_time(end).substr(0, 19) + "Z" : "it never resets";
}

Draft draft_for(char const* kind, Budgets::Ask const& ask) {
    Draft draft;
    draft.kind = kind;
    draft.agent = ask.agent;
    draft.session = ask.session;
    draft.turn = ask.turn;
    draft.cause = ask.cause;
    return draft;
}

bool fits(BudgetConfig const& budget, Spend const& already, Spend const& more) {
    if (!holds("cap")) return true;
    if (budget.limit_nano_usd && already.nano_usd + more.nano_usd > *budget.limit_nano_usd)
        return false;
    return !budget.limit_tokens || already.tokens + more.tokens <= *budget.limit_tokens;
}

Spend sum(Spend const& a, Spend const& b) {
    return {a.nano_usd + b.nano_usd, a.tokens + b.tokens};
}

bool has_passed(std::int64_t value, std::optional<std::int64_t> const& limit, double share) {
    return limit && static_cast<double>(value) >= static_cast<double>(*limit) * share;
}

}  // namespace

Spend cost_of(std::optional<Price> const& price, Usage const& usage) {
    Spend spend;
    spend.tokens = usage.input + usage.output;
    if (price) {
        Rates const& rates = may_be_long(*price, usage.input) ? price->of_long : *price;
        auto plain = std::max<std::int64_t>(0, usage.input - usage.cache_read - usage.cache_write);
        spend.nano_usd =
            price_of(plain, rates.input) + price_of(usage.cache_read, rates.cache_read) +
            price_of(usage.cache_write, rates.cache_write) + price_of(usage.output, rates.output);
    }
    return spend;
}

Usage believable(Usage reported, ModelCallSize size) {
    if (!holds("usage-floor")) return reported;
    reported.input = std::max(reported.input, size.request_bytes / 16);
    reported.output = std::max(reported.output, size.answer_bytes / 16);
    reported.cache_read = std::clamp<std::int64_t>(reported.cache_read, 0, reported.input);
    reported.cache_write =
        std::clamp<std::int64_t>(reported.cache_write, 0, reported.input - reported.cache_read);
    return reported;
}

std::string Reservation::to_json() const {
    JsonWriter out;
    out.begin('{').pair("nano", most.nano_usd).pair("tokens", most.tokens);
    out.pair("output", max_output_tokens).key("rows").begin('[');
    for (auto const& row : rows) out.string(row);
    return out.end(']').end('}').take();
}

Reservation Reservation::from_json(std::string_view text) {
    Reservation reservation;
    auto value = parse_json(text);
    if (!value) return reservation;
    reservation.most = {int_at(*value, "nano"), int_at(*value, "tokens")};
    reservation.max_output_tokens = int_at(*value, "output");
    if (auto const* rows = member(*value, "rows"); rows && rows->is_array())
        for (auto const& row : rows->get_array())
            if (row.is_string()) reservation.rows.emplace_back(row.get_string());
    return reservation;
}

Budgets::Row Budgets::read(std::string const& key) const {
    Row row;
    auto text = ledger_.get(Table::spend, key);
    if (!text) return row;
    long long numbers[4] = {};
    int warned = 0;
    std::sscanf(text->c_str(), "%lld %lld %lld %lld %d", &numbers[0], &numbers[1], &numbers[2],
                &numbers[3], &warned);
    row.settled = {numbers[0], numbers[1]};
    row.reserved = {numbers[2], numbers[3]};
    row.warned = warned != 0;
    return row;
}

void Budgets::write(Batch& batch, std::string const& key, Row const& row) const {
    char text[128];
    std::snprintf(
        text, sizeof text, "%lld %lld %lld %lld %d", static_cast<long long>(row.settled.nano_usd),
        static_cast<long long>(row.settled.tokens), static_cast<long long>(row.reserved.nano_usd),
        static_cast<long long>(row.reserved.tokens), row.warned ? 1 : 0);
    batch.put(Table::spend, key, text);
}

std::variant<Reservation, Refusal> Budgets::reserve(Batch& batch, Config const& config,
                                                    Ask const& ask) const {
    auto now_us = ledger_.now_us();
    auto budgets = applying(config, ask.agent, now_us);
    Reservation reservation;
    reservation.max_output_tokens = ask.max_output_tokens;

    auto refuse = [&](Applied const& budget, Row const& row, Spend const& need,
                      std::string const& why, bool wait) {
        Refusal refusal;
        refusal.wait = wait;
        refusal.budget = budget.name;
        refusal.why = why;
        if (wait) return refusal;
        auto draft = draft_for("budget.refused", ask);
        JsonWriter body;
        body.begin('{').pair("budget", budget.key).pair("model", ask.model).pair("why", why);
        body.key("settled_usd").usd(row.settled.nano_usd);
        body.key("reserved_usd").usd(row.reserved.nano_usd);
        body.key("needed_usd").usd(need.nano_usd).pair("needed_tokens", need.tokens).end('}');
        draft.body = body.take();
        batch.record(std::move(draft));
        return refusal;
    };

    // Output is lowered until every refusing budget can take it, or the floor is reached.
    for (auto const& budget : budgets) {
        auto row = read(budget.key);
        auto const& cap = *budget.config;
        bool refuses = cap.on_limit == OnLimit::refuse;
        if (cap.limit_nano_usd && !ask.price && refuses)
            return refuse(budget, row, {},
                          "model " + ask.model + " has no price, and budget " + budget.name +
                              " is in money; give it a price (zeros mean free)",
                          false);
        if (!refuses) continue;
        auto least = std::min(least_output_tokens, ask.max_output_tokens);
        auto taken = sum(row.settled, row.reserved);
        auto with = [&](std::int64_t tokens) {
            return ceiling(ask.price, ask.request_bytes, tokens);
        };
        if (fits(cap, taken, with(reservation.max_output_tokens))) continue;
        if (!fits(cap, taken, with(least))) {
            auto need = with(least);
            bool wait = fits(cap, row.settled, need);
            return refuse(
                budget, row, need,
                "budget " + budget.name + " (" +
                    amounts(cap, {cap.limit_nano_usd.value_or(0), cap.limit_tokens.value_or(0)}) +
                    "): " + amounts(cap, row.settled) + " spent, " + amounts(cap, row.reserved) +
                    " reserved, " + amounts(cap, need) + " needed; " + reset_words(cap, now_us),
                wait);
        }
        auto low = least, high = reservation.max_output_tokens;
        while (low < high) {
            auto middle = low + (high - low + 1) / 2;
            if (fits(cap, taken, with(middle)))
                low = middle;
            else
                high = middle - 1;
        }
        reservation.max_output_tokens = low;
    }

    reservation.most = ceiling(ask.price, ask.request_bytes, reservation.max_output_tokens);
    if (budgets.empty()) return reservation;
    for (auto const& budget : budgets) {
        auto row = read(budget.key);
        row.reserved = sum(row.reserved, reservation.most);
        write(batch, budget.key, row);
        reservation.rows.push_back(budget.key);
    }
    auto draft = draft_for("budget.reserved", ask);
    JsonWriter body;
    body.begin('{').key("usd").usd(reservation.most.nano_usd);
    body.pair("tokens", reservation.most.tokens);
    body.pair("max_output_tokens", reservation.max_output_tokens);
    if (reservation.max_output_tokens < ask.max_output_tokens)
        body.pair("lowered_from", ask.max_output_tokens);
    draft.body = body.end('}').take();
    batch.record(std::move(draft));
    return reservation;
}

void Budgets::settle(Batch& batch, Config const& config, Ask const& ask,
                     Reservation const& reservation, std::optional<Spend> spent) const {
    if (reservation.rows.empty()) return;
    auto cost = spent.value_or(reservation.most);
    bool overrun =
        cost.nano_usd > reservation.most.nano_usd || cost.tokens > reservation.most.tokens;
    // The caps as they are now, for warnings; the row is the one that reserved, whatever the day.
    auto budgets = applying(config, ask.agent, ledger_.now_us());
    for (auto const& key : reservation.rows) {
        auto row = read(key);
        row.reserved.nano_usd =
            std::max<std::int64_t>(0, row.reserved.nano_usd - reservation.most.nano_usd);
        row.reserved.tokens =
            std::max<std::int64_t>(0, row.reserved.tokens - reservation.most.tokens);
        row.settled = sum(row.settled, cost);
        auto budget = std::find_if(budgets.begin(), budgets.end(),
                                   [&](Applied const& b) { return b.key == key; });
        if (budget != budgets.end() && !row.warned) {
            auto const& cap = *budget->config;
            auto share = cap.on_limit == OnLimit::warn ? std::min(cap.warn_at, 1.0) : cap.warn_at;
            if (has_passed(row.settled.nano_usd, cap.limit_nano_usd, share) ||
                has_passed(row.settled.tokens, cap.limit_tokens, share)) {
                row.warned = true;
                auto draft = draft_for("budget.warned", ask);
                JsonWriter body;
                body.begin('{').pair("budget", key).key("settled_usd").usd(row.settled.nano_usd);
                draft.body = body.pair("settled_tokens", row.settled.tokens).end('}').take();
                batch.record(std::move(draft));
            }
        }
        write(batch, key, row);
    }
    auto draft = draft_for(overrun ? "budget.overrun" : "budget.settled", ask);
    JsonWriter body;
    body.begin('{').key("usd").usd(cost.nano_usd).pair("tokens", cost.tokens);
    if (!spent) body.key("unknown").boolean(true);
    draft.body = body.end('}').take();
    batch.record(std::move(draft));
}

std::vector<BudgetView> Budgets::view(Config const& config) const {
    std::vector<BudgetView> views;
    auto now_us = ledger_.now_us();
    auto add = [&](std::string name, BudgetConfig const& budget) {
        BudgetView view;
        view.period = period_name(budget.per, now_us, budget.timezone);
        auto row = read(name + '/' + view.period);
        view.name = std::move(name);
        view.config = budget;
        view.settled = row.settled;
        view.reserved = row.reserved;
        view.resets_us = period_end_us(budget.per, now_us, budget.timezone);
        views.push_back(std::move(view));
    };
    if (config.global_budget) add("global", *config.global_budget);
    for (auto const& [name, agent] : config.agents)
        if (agent.budget) add("agent/" + name.text, *agent.budget);
    return views;
}

std::string to_json(BudgetView const& v) {
    constexpr char const* periods[] = {"day", "month", "total"};
    JsonWriter out;
    out.begin('{').pair("name", v.name).key("limit_usd");
    if (v.config.limit_nano_usd)
        out.usd(*v.config.limit_nano_usd);
    else
        out.null();
    if (v.config.limit_tokens) out.pair("limit_tokens", *v.config.limit_tokens);
    out.pair("per", periods[static_cast<int>(v.config.per)]);
    out.pair("on_limit", v.config.on_limit == OnLimit::warn ? "warn" : "refuse");
    out.key("spent_usd").usd(v.settled.nano_usd).key("reserved_usd").usd(v.reserved.nano_usd);
    out.pair("spent_tokens", v.settled.tokens).pair("reserved_tokens", v.reserved.tokens);
    out.key("resets");
    if (v.resets_us)
        out.string(iso_time(v.resets_us));
    else
        out.null();
    return out.end('}').take();
}

std::string period_name(Period period, std::int64_t now_us, std::string const& timezone) {
    if (period == Period::total) return "total";
    auto today = civil_day(timezone, now_us);
    char text[32];
    auto size = std::snprintf(text, sizeof text, "%04d-%02u", today.year, today.month);
    if (period == Period::day)
        std::snprintf(text + size, sizeof text - static_cast<std::size_t>(size), "-%02u",
                      today.day);
    return text;
}

std::int64_t period_end_us(Period period, std::int64_t now_us, std::string const& timezone) {
    if (period == Period::total) return 0;
    auto next = civil_day(timezone, now_us);
    if (period == Period::day)
        ++next.day;
    else
        ++next.month, next.day = 1;
    return start_of_day_us(timezone, next);
}

}  // namespace parley
