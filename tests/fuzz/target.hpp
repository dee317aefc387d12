#pragma once

// A target takes bytes that anybody may have written. It must come back, without a crash, a hang or
// an error that a sanitizer sees; what else must hold it says with must().
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

void try_bytes(std::string_view bytes);

inline void must(bool holds, char const* what) {
    if (holds) return;
    std::fprintf(stderr, "does not hold: %s\n", what);
    std::abort();
}
