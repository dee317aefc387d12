#pragma once

// A spawner without processes, for tests and benchmarks alone: the plugin is loaded into this very
// process, and each message crosses by a plain call on the event thread. It speaks by the worker's
// own code for plugins (host/worker/plugin.cpp), so that a sanitizer sees host and plugin at once,
// and so that a real worker can be compared with what it should be: a plugin at a distance.
//
// What it cannot show: confinement, of which there is none; a plugin that hangs or crashes, which
// is the end of the program; frames on a socket, and the threads on its two sides; and the death of
// what a plugin keeps in globals, which live on to the next life of the same PluginFile.
#include "plugin/spawner.hpp"

namespace parity {

std::shared_ptr<parley::Spawner> in_process_spawner();

}  // namespace parity
