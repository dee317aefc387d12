#include "config/prices.hpp"

#include "base/json.hpp"
#include "base/limits.hpp"

#include <boost/json/value.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <fstream>

namespace parley {

namespace {

// Nobody asks a thousand dollars for a thousand tokens.
constexpr std::int64_t dearest = 1'000'000'000'000;

std::optional<std::int64_t> day_of(std::string_view date) {
    std::array<int, 3> parts{};
    constexpr std::size_t places[] = {0, 5, 8}, sizes[] = {4, 2, 2};
    if (date.size() != 10 || date[4] != '-' || date[7] != '-') return {};
    for (std::size_t i = 0; i < 3; ++i) {
        auto const* first = date.data() + places[i];
        auto const [end, problem] = std::from_chars(first, first + sizes[i], parts[i]);
        if (problem != std::errc{} || end != first + sizes[i] || parts[i] < 0) return {};
    }
    namespace ch = std::chrono;
    ch::year_month_day const day{ch::year(parts[0]), ch::month(static_cast<unsigned>(parts[1])),
                                 ch::day(static_cast<unsigned>(parts[2]))};
    if (!day.ok()) return {};
    return ch::sys_days(day).time_since_epoch().count();
}

// Input and output must be there; what came from a cache or went there costs as input where no
// other price is known.
std::optional<Rates> rates_from(json::value const& value) {
    Rates out;
    out.input = int_at(value, "input", -1);
    out.output = int_at(value, "output", -1);
    out.cache_read = int_at(value, "cache_read", out.input);
    out.cache_write = int_at(value, "cache_write", out.input);
    for (auto rate : {out.input, out.output, out.cache_read, out.cache_write})
        if (rate < 0 || rate > dearest) return {};
    return out;
}

std::optional<Price> price_from(json::value const& value) {
    auto rates = rates_from(value);
    if (!rates) return {};
    Price price;
    static_cast<Rates&>(price) = *rates;
    if (auto const* longer = member(value, "long")) {
        auto dear = rates_from(*longer);
        price.long_from = int_at(*longer, "from");
        if (!dear || price.long_from <= 0) return {};
        price.of_long = *dear;
    }
    return price;
}

// The place that a configuration names; empty when it names none.
std::string place_in(std::string const& config) {
    auto value = parse_json(config);
    std::string place(value ? text_at(*value, "base_url") : "");
    while (place.ends_with('/')) place.pop_back();
    return place;
}

}  // namespace

Result<PriceTable> PriceTable::load(std::filesystem::path const& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) return Error(Fault::not_found, "there is no price table at " + file.string());
    std::string text(limits::price_table_bytes + 1, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    if (text.size() > limits::price_table_bytes)
        return Error(Fault::bad_input, file.string() + " is too large for a price table");
    return from(text);
}

Result<PriceTable> PriceTable::from(std::string_view text) {
    TRY(value, parse_json(text));
    PriceTable table;
    table.date_ = text_at(value, "date");
    auto day = day_of(table.date_);
    auto const* vendors = member(value, "vendors");
    if (int_at(value, "version") != 1 || !day || !vendors || !vendors->is_array())
        return Error(Fault::bad_input, "the price table is not of a form that this host knows");
    table.day_ = *day;
    for (auto const& one : vendors->get_array()) {
        Vendor vendor;
        vendor.plugin.text = text_at(one, "plugin");
        vendor.base_url = text_at(one, "base_url");
        vendor.is_usual = bool_at(one, "usual");
        auto const* models = member(one, "models");
        if (vendor.plugin.empty() || vendor.base_url.empty() || !models || !models->is_object())
            return Error(Fault::bad_input, "a vendor of the price table has no plugin or models");
        for (auto const& [id, costs] : models->get_object()) {
            auto price = price_from(costs);
            if (!price)
                return Error(Fault::bad_input,
                             "the price table's price of " + std::string(id) + " is none");
            vendor.models.emplace(id, *price);
        }
        table.vendors_.push_back(std::move(vendor));
    }
    return table;
}

std::int64_t PriceTable::days_old(std::int64_t now_us) const {
    return std::max<std::int64_t>(0, now_us / 86'400'000'000 - day_);
}

void PriceTable::apply(Config& config) const {
    for (auto& [name, model] : config.models) {
        if (model.price) continue;
        auto place = place_in(model.config);
        if (auto plugin = config.plugins.find(model.provider);
            place.empty() && plugin != config.plugins.end())
            place = place_in(plugin->second.config);
        for (auto const& vendor : vendors_) {
            bool is_there = place.empty() ? vendor.is_usual : place == vendor.base_url;
            auto found = vendor.models.find(model.model);
            if (vendor.plugin != model.provider || !is_there || found == vendor.models.end())
                continue;
            model.price = found->second;
            model.price_source = "table " + date_;
        }
    }
}

}  // namespace parley
