#pragma once

// Hooks as the host sees them: the operator's chain, run in its order over one text at a time. A
// hook may pass, replace that text, or reject it; it never sees a way to change who speaks, what is
// called, or where it goes. Knows nothing of sessions and ledger: what became of a text is said to
// the caller, who records it.
#include "base/ids.hpp"
#include "base/loop.hpp"
#include "config/config.hpp"
#include "plugin/catalogue.hpp"
#include "plugin/worker.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace parley {

// Where a chain is run, over which text, and for whom. What is empty is not told.
struct HookEvent {
    HookPoint point = HookPoint::message_in;
    AgentName agent;
    SessionId session;
    InstanceName instance;
    std::string conversation, sender, skill;
    std::string text;
};

// What one hook did, for the record.
struct HookNote {
    PluginId plugin;
    enum class Kind { changed, rejected, failed } kind = Kind::changed;
    std::string before;  // the text as the hook was given it
    std::string why;     // its reason, or how it failed
};

struct HookOutcome {
    std::string text;  // as the last hook left it
    bool is_rejected = false;
    std::string why;  // and by whom
    std::vector<HookNote> notes;
};

class Hooks {
public:
    using WorkerOf = std::function<std::shared_ptr<Worker>(PluginId const&)>;
    // `worker_of` gives the running worker of a hook plugin, or null. Event thread only.
    explicit Hooks(WorkerOf worker_of) : worker_of_(std::move(worker_of)) {}

    // The chain as the configuration has it. A hook that is in it and cannot be used stands for
    // every point and fails closed: what the operator relies on is not quietly left out.
    void rebuild(Config const& config, Catalogue const& plugins);
    bool listens(HookPoint point) const;

    // `done` is told once; at once when nobody listens. A hook that fails, is late or makes no
    // sense rejects when it fails closed, and is passed over when it fails open.
    void run(HookEvent event, std::function<void(HookOutcome)> done) const;

private:
    struct Link {
        PluginId plugin;
        bool is_usable = true;
        std::vector<std::pair<HookPoint, bool>> points;  // and: does it fail closed?
        bool const* closed_at(HookPoint point) const;
    };
    struct Run;
    static void step(std::shared_ptr<Run> run);

    WorkerOf worker_of_;
    std::vector<Link> chain_;
};

}  // namespace parley
