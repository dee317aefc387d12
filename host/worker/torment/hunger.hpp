#pragma once

// Memory that ends: while one of these lives, one allocation of this thread fails. malloc and its
// kin are this program's own, for the plugin and its libraries too; under a sanitizer they are the
// sanitizer's, and none fails.
#include <cstdint>

namespace parley::worker {

class Hunger {
public:
    // The allocation that fails, counted from 1; 0: none.
    explicit Hunger(std::uint64_t allocation);
    Hunger(Hunger const&) = delete;
    ~Hunger();
};

// The host's own functions, which the plugin calls meanwhile, are always fed.
class Fed {
public:
    Fed();
    Fed(Fed const&) = delete;
    ~Fed();

private:
    std::uint64_t before_;
};

// Has an allocation failed since this was last asked? Of any thread.
bool has_starved();

}  // namespace parley::worker
