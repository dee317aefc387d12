#pragma once

// A worker lives in namespaces of its own: it sees the folders that were granted and not what is
// hidden.
#include "profile.hpp"
#include "setup.hpp"

namespace parley::worker {

// Enters user, mount, pid and ipc namespaces, and but for a command those of the network and the
// host's name; returns in the inner process only, which is the first of its pid namespace. The outer process stays, holds no plugin code, and ends the inner one
// when the link (`link`) is shut down or the host dies. On failure `profile.failure` says why, and
// nothing of the plugin may run.
void enter_namespaces(Setup const& setup, int link, Profile& profile);

// Arranges what the inner process sees. `plugin` is the descriptor of the plugin's sealed file;
// returns the path to load it from.
std::string arrange(Setup const& setup, int plugin, Profile& profile);

}  // namespace parley::worker
