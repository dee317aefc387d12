#pragma once

// A worker with grants: a process for each call, which dies with it. Room-private.
#include "plugin/worker.hpp"

#include <deque>
#include <functional>
#include <memory>

namespace parley {

// At most limits::call_workers at once; who comes later waits in line.
class CallSlots {
public:
    // `begin` runs at once or when a slot is free; it must end in one release().
    void take(std::function<void()> begin);
    void release();

private:
    std::size_t used_ = 0;
    std::deque<std::function<void()>> line_;
};

std::shared_ptr<Worker> make_call_worker(WorkerDeps const& deps, WorkerSpec spec);

}  // namespace parley
