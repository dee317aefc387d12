#pragma once

// The verbs. Each is a client of a running host, over its control socket or PARLEY_URL; those that
// only read or write the home also work with no host, under the home's lock.
#include <filesystem>
#include <functional>

namespace parley {

struct Programs {
    // The home; a tape to record HTTP on, and one to play instead of it. Both may be empty.
    std::function<int(std::filesystem::path const& home, std::filesystem::path const& record,
                      std::filesystem::path const& replay)>
        run_host;
    // Of this installation.
    std::filesystem::path plugins, worker, check_worker, templates, schemas, prices;
};

// Exit codes: 0 done, 1 failed, 2 wrong usage, 3 parked (chat) or shorter (ledger verify).
int run_cli(int argc, char** argv, Programs const& programs);

}  // namespace parley
