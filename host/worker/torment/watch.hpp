#pragma once

// A filter that answers as a strict worker's does, and notes who asked: what a worker refuses in
// silence is said aloud here. The filter has every call of interest trapped; this is what happens
// then.
#include "setup.hpp"

#include <signal.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace parley::worker::watch {

// The sixth argument of a call that we make ourselves, by which the filter knows it. Guessing it
// gives nothing: what such a call may reach is Landlock's business all the same.
constexpr std::uint64_t cookie = 0x7061726c6579ull;

// From now on, calls are noted. Before the filter is loaded.
void begin(Setup const& setup);
bool is_on();
// In a handler of SIGSYS: true when the call was answered, as a worker answers it. `is_refused`:
// the filter has an error for it, and no death.
bool answer(siginfo_t const& facts, void* context, bool is_refused);

// Calls whose paths are looked at; they work as far as mounts and Landlock let them.
std::vector<int> const& of_files();
// Descriptors of ours, and the calls that have no business with them.
constexpr int first_own = 3, last_own = 4;
std::vector<int> const& of_descriptors();

// What was noted since the last time, a line each.
std::vector<std::string> noted();

}  // namespace parley::worker::watch
