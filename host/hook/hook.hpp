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

// One place of the chain.
struct HookLink {
    PluginId plugin;
    bool is_usable = true;  // if not, it stands for every point and fails closed
    std::vector<HookNeed> points;

    HookNeed const* at(HookPoint point) const;
};
// The chain as the operator has it. What the operator relies on is not quietly left out: a hook
// that cannot be used stays in it.
std::vector<HookLink> hook_chain(Config const& config, Catalogue const& plugins);

class Hooks {
public:
    using WorkerOf = std::function<std::shared_ptr<Worker>(PluginId const&)>;
    // `worker_of` gives the running worker of a hook plugin, or null. Event thread only.
    explicit Hooks(WorkerOf worker_of) : worker_of_(std::move(worker_of)) {}

    // From now on; texts that are on their way go through the chain that they began with.
    void use(std::vector<HookLink> chain) { chain_ = std::move(chain); }
    bool listens(HookPoint point) const;

    // `done` is told once; at once when nobody listens. A hook that fails, is late or makes no
    // sense rejects when it fails closed, and is passed over when it fails open.
    void run(HookEvent event, std::function<void(HookOutcome)> done) const;

private:
    struct Run;
    static void step(std::shared_ptr<Run> run);

    WorkerOf worker_of_;
    std::vector<HookLink> chain_;
};

}  // namespace parley
