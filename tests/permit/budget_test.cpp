#include "permit/budget.hpp"

#include "temp_ledger.hpp"

#include <random>

using namespace parley;

namespace {

constexpr std::int64_t usd = 1'000'000'000;

Config config_with(std::int64_t agent_limit, std::int64_t global_limit,
                   OnLimit on_limit = OnLimit::refuse) {
    Config config;
    AgentConfig agent;
    agent.name = AgentName("ops");
    BudgetConfig budget;
    budget.limit_nano_usd = agent_limit;
    budget.on_limit = on_limit;
    agent.budget = budget;
    config.agents[agent.name] = agent;
    budget.limit_nano_usd = global_limit;
    config.global_budget = budget;
    return config;
}

// 1 USD per million tokens in, 2 USD out: 1000 and 2000 nano-USD a token.
Budgets::Ask ask_for(std::int64_t request_bytes, std::int64_t output) {
    Budgets::Ask ask;
    ask.agent = AgentName("ops");
    ask.session = SessionId("s-1");
    ask.request_bytes = request_bytes;
    ask.max_output_tokens = output;
    ask.price = Price{1'000'000, 2'000'000, 100'000, 1'250'000};
    ask.model = "m";
    return ask;
}

struct Fixture : TempLedger {
    Budgets budgets{*ledger};

    std::variant<Reservation, Refusal> reserve(Config const& config, Budgets::Ask const& ask) {
        auto batch = ledger->begin();
        auto result = budgets.reserve(batch, config, ask);
        commit(std::move(batch));
        return result;
    }
    void settle(Config const& config, Budgets::Ask const& ask, Reservation const& reservation,
                std::optional<Spend> spent) {
        auto batch = ledger->begin();
        budgets.settle(batch, config, ask, reservation, spent);
        commit(std::move(batch));
    }
};

}  // namespace

TEST_CASE("the reservation is the dearest input for every byte and all the output", "[permit]") {
    Fixture f;
    auto config = config_with(usd, usd);
    auto result = f.reserve(config, ask_for(1000, 500));
    auto const& reservation = std::get<Reservation>(result);
    REQUIRE(reservation.most.nano_usd == 1000 * 1250 + 500 * 2000);
    REQUIRE(reservation.rows.size() == 2);
}

TEST_CASE("a long request has its own rates, for all of it", "[permit]") {
    Price price{1'000'000, 2'000'000, 100'000, 1'250'000};
    price.long_from = 1000;
    price.of_long = {3'000'000, 5'000'000, 300'000, 3'750'000};
    CHECK(cost_of(price, {1000, 10, 0, 0}).nano_usd == 1000 * 1000 + 10 * 2000);
    CHECK(cost_of(price, {1001, 10, 0, 0}).nano_usd == 1001 * 3000 + 10 * 5000);
    CHECK(cost_of(price, {2000, 10, 500, 500}).nano_usd ==
          1000 * 3000 + 500 * 300 + 500 * 3750 + 10 * 5000);

    Fixture f;
    auto ask = ask_for(1000, 500);
    ask.price = price;
    auto shorter = f.reserve(config_with(usd, usd), ask);
    CHECK(std::get<Reservation>(shorter).most.nano_usd == 1000 * 1250 + 500 * 2000);
    // A byte may be a token, so that it may be long.
    ask.request_bytes = 1001;
    auto longer = f.reserve(config_with(usd, usd), ask);
    CHECK(std::get<Reservation>(longer).most.nano_usd == 1001 * 3750 + 500 * 5000);
}

TEST_CASE("a call that fits one budget but not the other is reserved in neither", "[permit]") {
    Fixture f;
    auto config = config_with(usd, 1000);
    auto result = f.reserve(config, ask_for(1000, 500));
    REQUIRE(std::get<Refusal>(result).budget == "global");
    for (auto const& view : f.budgets.view(config)) REQUIRE(view.reserved.nano_usd == 0);
    REQUIRE(f.kinds.back() == "budget.refused");
}

TEST_CASE("output is lowered to what fits, down to a floor", "[permit]") {
    Fixture f;
    // Room for 1000 bytes in and 300 tokens out.
    auto config = config_with(1000 * 1250 + 300 * 2000, usd);
    auto fits = f.reserve(config, ask_for(1000, 4096));
    REQUIRE(std::get<Reservation>(fits).max_output_tokens == 300);
    auto tight = config_with(1000 * 1250 + 200 * 2000, usd);
    Fixture g;
    REQUIRE(std::holds_alternative<Refusal>(g.reserve(tight, ask_for(1000, 4096))));
}

TEST_CASE("a call waits when only other reservations stand in its way", "[permit]") {
    Fixture f;
    auto config = config_with(3'000'000, usd);
    auto ask = ask_for(1000, 500);
    auto first = f.reserve(config, ask);
    auto second = f.reserve(config, ask);
    REQUIRE(std::get<Refusal>(second).wait);
    f.settle(config, ask, std::get<Reservation>(first), Spend{10'000, 10});
    REQUIRE(std::holds_alternative<Reservation>(f.reserve(config, ask)));
}

TEST_CASE("an unknown outcome settles at the full reservation", "[permit]") {
    Fixture f;
    auto config = config_with(usd, usd);
    auto ask = ask_for(1000, 500);
    auto reserved = f.reserve(config, ask);
    f.settle(config, ask, std::get<Reservation>(reserved), {});
    auto view = f.budgets.view(config).front();
    REQUIRE(view.settled.nano_usd == 2'250'000);
    REQUIRE(view.reserved.nano_usd == 0);
}

TEST_CASE("a settlement above its reservation is recorded whole", "[permit]") {
    Fixture f;
    auto config = config_with(usd, usd);
    auto ask = ask_for(1000, 500);
    auto reserved = f.reserve(config, ask);
    f.settle(config, ask, std::get<Reservation>(reserved), Spend{9'000'000, 10});
    REQUIRE(f.kinds.back() == "budget.overrun");
    REQUIRE(f.budgets.view(config).front().settled.nano_usd == 9'000'000);
}

TEST_CASE("a model without a price cannot run under a money cap, and zeros are free", "[permit]") {
    Fixture f;
    auto config = config_with(usd, usd);
    auto ask = ask_for(1000, 500);
    ask.price.reset();
    REQUIRE_FALSE(std::get<Refusal>(f.reserve(config, ask)).wait);
    ask.price = Price{};
    REQUIRE(std::holds_alternative<Reservation>(f.reserve(config, ask)));
}

TEST_CASE("a cap that warns says so once and goes on", "[permit]") {
    Fixture f;
    auto config = config_with(3'000'000, usd, OnLimit::warn);
    auto ask = ask_for(1000, 500);
    for (int i = 0; i < 4; ++i) {
        auto reserved = f.reserve(config, ask);
        REQUIRE(std::holds_alternative<Reservation>(reserved));
        f.settle(config, ask, std::get<Reservation>(reserved), Spend{2'000'000, 100});
    }
    REQUIRE(std::count(f.kinds.begin(), f.kinds.end(), "budget.warned") == 1);
}

TEST_CASE("spend belongs to the period that reserved it", "[permit]") {
    Fixture f;
    auto config = config_with(usd, usd);
    config.agents.begin()->second.budget->per = Period::day;
    auto ask = ask_for(1000, 500);
    auto reserved = f.reserve(config, ask);
    f.clock.advance_us(86'400'000'000);
    f.settle(config, ask, std::get<Reservation>(reserved), Spend{1000, 1});
    for (auto const& view : f.budgets.view(config))
        if (view.name == "agent/ops") REQUIRE(view.settled.nano_usd == 0);
}

TEST_CASE("reported usage never counts below a sixteenth of the bytes", "[permit]") {
    auto usage = believable({1, 1, 500, 0}, {1600, 320});
    REQUIRE(usage.input == 100);
    REQUIRE(usage.output == 20);
    REQUIRE(usage.cache_read == 100);
}

TEST_CASE("settled and reserved never pass the cap, in any order of calls", "[permit]") {
    auto seed = Catch::rngSeed() ? Catch::rngSeed() : 42u;
    INFO("seed " << seed);
    std::mt19937 random(seed);
    Fixture f;
    constexpr std::int64_t cap = 20'000'000;
    auto config = config_with(cap, 2 * cap);
    std::vector<Reservation> open;
    for (int step = 0; step < 400; ++step) {
        auto ask = ask_for(random() % 3000, 100 + random() % 2000);
        if (random() % 2) {
            auto result = f.reserve(config, ask);
            if (auto* reserved = std::get_if<Reservation>(&result)) open.push_back(*reserved);
        } else if (!open.empty()) {
            auto reservation = open.back();
            open.pop_back();
            std::optional<Spend> spent;
            if (random() % 3) spent = Spend{static_cast<std::int64_t>(random() % 1000), 1};
            f.settle(config, ask, reservation, spent);
        }
        for (auto const& view : f.budgets.view(config))
            REQUIRE(view.settled.nano_usd + view.reserved.nano_usd <= *view.config.limit_nano_usd);
    }
}

TEST_CASE("a period follows the calendar of the budget's zone", "[budget]") {
    // 2026-11-30 23:30 UTC is December already in Berlin.
    constexpr std::int64_t moment = 1796081400'000000;
    CHECK(period_name(Period::month, moment, "UTC") == "2026-11");
    CHECK(period_name(Period::month, moment, "Europe/Berlin") == "2026-12");
    CHECK(period_name(Period::day, moment, "Europe/Berlin") == "2026-12-01");
    CHECK(period_end_us(Period::month, moment, "UTC") == moment + 30 * 60'000'000LL);
    CHECK(period_end_us(Period::day, moment, "Europe/Berlin") == moment + (23 * 60 + 30) * 60'000'000LL);
    CHECK(period_end_us(Period::total, moment, "Europe/Berlin") == 0);
}
