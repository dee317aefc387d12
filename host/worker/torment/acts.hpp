#pragma once

// The checks that need the plugin to run, one act each: what the host of a play does to it. What is
// wrong is told as findings; whoever survives an act without any has passed it.
#include "stage.hpp"

#include <string>

namespace parley::worker {

// Plays the script's check. False when there is none of that name.
bool play(Stage& stage, Script const& script, std::string const& path);

}  // namespace parley::worker
