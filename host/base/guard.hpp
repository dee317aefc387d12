#pragma once

// The guards of the host by their names. In the shipped program all hold, at no cost. The mutants
// that tests build let the one go that PARLEY_WITHOUT names, and the specification of that room must
// then fail: a suite that does not notice proves nothing.
#ifdef PARLEY_MUTANTS
#include <cstdlib>
#include <string_view>
#endif

namespace parley {

#ifdef PARLEY_MUTANTS
inline bool holds(std::string_view guard) {
    static char const* const missing = std::getenv("PARLEY_WITHOUT");
    return !missing || guard != missing;
}
#else
constexpr bool holds(char const*) { return true; }
#endif

}  // namespace parley
