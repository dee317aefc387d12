#include "config/prices.hpp"

#include <catch2/catch.hpp>

using namespace parley;

namespace {

constexpr char text[] = R"({"version": 1, "date": "2026-09-22", "vendors": [
  {"name": "a", "plugin": "anthropic", "base_url": "https://api.a.example", "usual": true,
   "models": {"sonnet": {"input": 3000, "output": 15000, "cache_read": 300, "cache_write": 3750},
              "haiku": {"input": 1000, "output": 5000,
                        "long": {"from": 200000, "input": 2000, "output": 7000}}}},
  {"name": "g", "plugin": "openai", "base_url": "https://g.example/v1", "usual": false,
   "models": {"flash": {"input": 10, "output": 20}}}]})";

Config config_with(std::string provider, std::string model, std::string config = "{}") {
    Config out;
    out.plugins[PluginId(provider)] = {};
    ModelConfig one;
    one.provider = PluginId(provider);
    one.model = std::move(model);
    one.config = std::move(config);
    out.models["m"] = one;
    return out;
}

ModelConfig priced(Config config) {
    auto table = PriceTable::from(text);
    REQUIRE(table);
    table->apply(config);
    return config.models.at("m");
}

}  // namespace

TEST_CASE("a model at its vendor's own place has the table's price, and says since when",
          "[config]") {
    for (auto const* config : {"{}", R"({"base_url":"https://api.a.example"})",
                               R"({"base_url":"https://api.a.example/"})"}) {
        auto model = priced(config_with("anthropic", "sonnet", config));
        REQUIRE(model.price);
        CHECK(static_cast<Rates const&>(*model.price) == Rates{3000, 15000, 300, 3750});
        CHECK(model.price->long_from == 0);
        CHECK(model.price_source == "table 2026-09-22");
    }
    auto model = priced(config_with("anthropic", "haiku"));
    REQUIRE(model.price);
    // A cache whose price is not known costs what input does.
    CHECK(static_cast<Rates const&>(*model.price) == Rates{1000, 5000, 1000, 1000});
    CHECK(model.price->long_from == 200000);
    CHECK(model.price->of_long == Rates{2000, 7000, 2000, 2000});
    CHECK(priced(config_with("openai", "flash", R"({"base_url":"https://g.example/v1"})")).price);
}

TEST_CASE("what the table does not know exactly stays unknown", "[config]") {
    for (auto const& config :
         {config_with("anthropic", "sonnet-2"), config_with("anthropic", "sonne"),
          config_with("anthropic", ""), config_with("org.other.anthropic", "sonnet"),
          config_with("openai", "sonnet"), config_with("openai", "flash"),
          config_with("anthropic", "sonnet", R"({"base_url":"http://127.0.0.1:8080"})"),
          config_with("anthropic", "sonnet", R"({"base_url":"https://api.a.example.evil"})"),
          config_with("anthropic", "sonnet", R"({"base_url":"https://api.a.example/proxy"})")}) {
        auto model = priced(config);
        INFO(model.model << " " << model.config);
        CHECK_FALSE(model.price);
        CHECK(model.price_source == "unknown");
    }
    // The plugin's own place counts where the model names none.
    auto config = config_with("anthropic", "sonnet");
    config.plugins.begin()->second.config = R"({"base_url":"http://127.0.0.1:8080"})";
    CHECK_FALSE(priced(config).price);
    config.models.at("m").config = R"({"base_url":"https://api.a.example"})";
    CHECK(priced(config).price);
}

TEST_CASE("the operator's price goes before the table's", "[config]") {
    auto config = config_with("anthropic", "sonnet");
    config.models.at("m").price = Price{};
    config.models.at("m").price_source = "parley.yaml";
    auto model = priced(config);
    CHECK(*model.price == Price{});
    CHECK(model.price_source == "parley.yaml");
}

TEST_CASE("a table that makes no sense is refused whole", "[config]") {
    std::string const good = text;
    auto with = [&](std::string const& old, std::string const& now) {
        auto at = good.find(old);
        REQUIRE(at != std::string::npos);
        return std::string(good).replace(at, old.size(), now);
    };
    for (auto const& bad :
         {std::string("{}"), std::string("not json"), with("\"version\": 1", "\"version\": 2"),
          with("2026-09-22", "2026-13-22"), with("2026-09-22", "yesterday"),
          with("\"input\": 3000", "\"input\": -1"), with("\"input\": 3000", "\"input\": 3.5"),
          with("\"input\": 3000, ", ""), with("\"input\": 3000", "\"input\": 9000000000000"),
          with("\"from\": 200000", "\"from\": 0"), with("\"plugin\": \"openai\", ", "")}) {
        INFO(bad);
        CHECK_FALSE(PriceTable::from(bad));
    }
    CHECK(PriceTable::load("/nowhere").error().fault == Fault::not_found);
}

TEST_CASE("the table knows its age", "[config]") {
    auto table = PriceTable::from(text);
    REQUIRE(table);
    constexpr std::int64_t day = 86'400'000'000;
    constexpr std::int64_t its_own = 20'718 * day;  // 2026-09-22
    CHECK(table->date() == "2026-09-22");
    CHECK(table->days_old(its_own) == 0);
    CHECK(table->days_old(its_own + 61 * day - 1) == 60);
    CHECK(table->days_old(its_own + 61 * day) == 61);
    CHECK(table->days_old(its_own - 5 * day) == 0);
}

TEST_CASE("the table that comes with the host is one", "[config]") {
    auto table = PriceTable::load(SOURCE_FOLDER "/host/prices.json");
    REQUIRE(table);
    auto config = config_with("anthropic", "claude-sonnet-5");
    table->apply(config);
    REQUIRE(config.models.at("m").price);
    CHECK(static_cast<Rates const&>(*config.models.at("m").price) ==
          Rates{2'000'000, 10'000'000, 200'000, 2'500'000});
}
