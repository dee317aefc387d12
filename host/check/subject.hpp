#pragma once

// What is checked, and what a single check gives back. Room-private.
#include "check/check.hpp"
#include "plugin/catalogue.hpp"
#include "plugin/worker.hpp"

#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace parley {

struct Subject {
    CheckOptions const& options;
    CheckPlaces const& places;
    std::string bytes;                       // of the file
    std::shared_ptr<PluginFile const> file;  // null when the host would refuse it
    std::string refusal;                     // why
    std::string config;                      // checked, with defaults
    std::string no_config;                   // why there is none
    std::filesystem::path folder;            // for granted folders; gone afterwards
    std::uint64_t seed = 0;

    // As the host would start it, without a command grant: no command is ever run.
    WorkerSpec spec() const;
    bool runs_commands() const;
};

struct Verdict {
    CheckOutcome::Kind kind = CheckOutcome::Kind::pass;
    std::vector<std::string> lines;

    static Verdict skip(std::string why) { return {CheckOutcome::Kind::skip, {std::move(why)}}; }
    void fail(std::string what) { note(CheckOutcome::Kind::fail, std::move(what)); }
    void warn(std::string what) { note(CheckOutcome::Kind::warn, std::move(what)); }
    void crash(std::string what) { note(CheckOutcome::Kind::crash, std::move(what)); }

private:
    void note(CheckOutcome::Kind worse, std::string what);
};

// One check, in the process that was made for it.
Verdict check_file(Rule const& rule, Subject const& subject);
Verdict check_play(Rule const& rule, Subject const& subject);
Verdict check_worker(Rule const& rule, Subject const& subject);

}  // namespace parley
