#pragma once

// Each guard of a worker by its name. In the shipped program all hold, at no cost. The mutant that
// tests build lets the one go that its file's name says ("parley-worker-without-landlock") and lies
// about it: a suite that does not notice proves nothing.
#ifdef PARLEY_MUTANTS
#include <unistd.h>

#include <string>
#include <string_view>
#endif

namespace parley::worker {

#ifdef PARLEY_MUTANTS
// First asked before anything is taken away.
inline bool holds(std::string_view guard) {
    static std::string const missing = [] {
        char path[4096];
        auto size = readlink("/proc/self/exe", path, sizeof path);
        std::string name(path, size > 0 ? static_cast<std::size_t>(size) : 0);
        auto at = name.rfind("-without-");
        return at == name.npos ? std::string() : name.substr(at + 9);
    }();
    return guard != missing;
}
#else
constexpr bool holds(char const*) { return true; }
#endif

}  // namespace parley::worker
