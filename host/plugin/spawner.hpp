#pragma once

// Where a worker's life gets its process and its link from. A host has one spawner, of confined
// processes; a test may bring another, to hear what the link carries or to do without the process.
// Room-private.
#include "base/result.hpp"
#include "plugin/link.hpp"
#include "plugin/process.hpp"

#include <memory>

namespace parley {

struct WorkerDeps;
struct WorkerSpec;

class Spawner {
public:
    struct Spawned {
        std::shared_ptr<Process> process;
        std::shared_ptr<Link> link;
    };
    virtual ~Spawner() = default;
    // Nothing is told before it returns.  [event thread]
    virtual Result<Spawned> spawn(WorkerDeps const& deps, WorkerSpec const& spec,
                                  Process::Told words, Link::Told heard) = 0;
};

}  // namespace parley
