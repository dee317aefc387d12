#pragma once

// What is taken away from this process before any code of the plugin runs, and the proof of it.
#include "setup.hpp"

#include <string>
#include <vector>

namespace parley::worker {

// What holds, by name; and the first thing that does not, for the host to refuse by.
struct Profile {
    std::vector<std::string> layers;
    std::string failure;
};

// For every worker, first of all: dies with the host, dumps nothing, gains nothing.
void begin_life();

// Limits, capabilities, Landlock and the system call filter. Only while one thread runs.
void confine(Setup const& setup, Profile& profile);

// Tries what must be impossible now.
void probe(Setup const& setup, Profile& profile);

}  // namespace parley::worker
