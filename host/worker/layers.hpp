#pragma once

// The layers of a worker's confinement that are large enough for a source of their own. Each adds
// its name to the profile, or says what failed and answers false.
#include "profile.hpp"

namespace parley::worker {

// "WHAT: the system's error", unless something failed before.
bool fail(Profile& profile, std::string const& what);

// Landlock: libraries and the granted folders, nothing else. A kernel without it refuses.
bool restrict_files(Setup const& setup, Profile& profile);

// The system call filter, last of all: an allowlist for plugins; for commands, which are programs
// of all kinds, a list of what is refused.
bool filter_calls(Setup const& setup, Profile& profile);

}  // namespace parley::worker
