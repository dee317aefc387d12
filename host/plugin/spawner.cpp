#include "plugin/spawner.hpp"

#include "plugin/worker.hpp"

namespace parley {

namespace {

class ProcessSpawner final : public Spawner {
public:
    Result<Spawned> spawn(WorkerDeps const& deps, WorkerSpec const& spec, Process::Told words,
                          Link::Told heard) override {
        int descriptor = -1;
        TRY(process, Process::spawn(*deps.loop, deps.worker_program, spec.file->descriptor(),
                                    descriptor, std::move(words)));
        return Spawned{std::move(process), Link::open(*deps.loop, descriptor, std::move(heard))};
    }
};

}  // namespace

// Alone in this file but for what it makes: a program of the tests that brings its own is linked
// without it.
std::shared_ptr<Spawner> make_spawner() {
    return std::make_shared<ProcessSpawner>();
}

}  // namespace parley
