#pragma once

// The checks by number and name. Both are stable: sdk/CHECKS.md says what each means.
#include <span>
#include <string>

namespace parley {

struct Rule {
    enum class Kind {
        file,    // looks at the bytes
        play,    // parley-worker-check torments the plugin
        worker,  // the real host side runs it
    };
    int number;
    char const* name;
    Kind kind;

    std::string code() const;  // C07
};

std::span<Rule const> check_rules();

}  // namespace parley
