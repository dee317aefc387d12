#pragma once

// What models cost at their vendors' own places, from the table that comes with the host. The
// operator's price always goes before it, and what it does not know stays unknown.
#include "config/config.hpp"

namespace parley {

class PriceTable {
public:
    // Fault::not_found, or Fault::bad_input with what is wrong.
    static Result<PriceTable> load(std::filesystem::path const& file);
    static Result<PriceTable> from(std::string_view json);

    std::string const& date() const { return date_; }  // of the prices: "2026-09-22"
    // Whole days from the table's date to that moment; never less than 0.
    std::int64_t days_old(std::int64_t now_us) const;

    // Gives a price to each model that has none of its own and speaks to its vendor itself, by the
    // exact name that the vendor gave it.
    void apply(Config& config) const;

private:
    struct Vendor {
        PluginId plugin;
        std::string base_url;
        bool is_usual = false;  // where the plugin goes when its configuration names no place
        std::map<std::string, Price, std::less<>> models;
    };
    std::string date_;
    std::int64_t day_ = 0;  // since 1970
    std::vector<Vendor> vendors_;
};

}  // namespace parley
