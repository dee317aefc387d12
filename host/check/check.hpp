#pragma once

// Is this file fit to be a plugin? Each check is a process of its own, with a time limit. None
// loads the file into this program: what must run it runs it in a strict worker's sandbox, and
// nothing of it leaves the machine.
#include "base/result.hpp"
#include "check/rules.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace parley {

struct CheckOptions {
    std::filesystem::path file;
    std::string config;               // JSON; empty: made from the schema
    std::string include, exclude;     // regular expressions over "C35 cancel-latency"
    std::filesystem::path signature;  // and whose it must be, as hex
    std::string signed_by;
    std::uint64_t seed = 0;  // 0: drawn
    std::chrono::seconds fuzz_time{2};
};

// Programs and files of this installation.
struct CheckPlaces {
    std::filesystem::path worker, check_worker, schemas;
};

struct CheckOutcome {
    enum class Kind { pass, warn, skip, fail, crash };
    Rule const* rule = nullptr;
    Kind kind = Kind::pass;
    std::vector<std::string> lines;  // what was seen, or why it was skipped
    std::int64_t milliseconds = 0;

    bool is_bad() const { return kind == Kind::fail || kind == Kind::crash; }
};
char const* name_of(CheckOutcome::Kind kind);

struct CheckReport {
    std::string id, version, hash;  // as far as the file says so
    std::vector<std::string> rights;
    std::vector<CheckOutcome> outcomes;  // by number
    std::uint64_t seed = 0;

    std::size_t count(CheckOutcome::Kind kind) const;
    bool is_good() const;
};

// Fault::bad_input when an option makes no sense, Fault::not_found when the file cannot be read;
// what is wrong with the plugin stands in the report. `told` hears of each check in turn.
Result<CheckReport> check_plugin(CheckOptions const& options, CheckPlaces const& places,
                                 std::function<void(CheckOutcome const&)> const& told);

}  // namespace parley
