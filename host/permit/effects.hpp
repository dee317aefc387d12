#pragma once

// What may be done about a call that a crash cut off: decided by its effect class and by how far
// the ledger says it had come. The same rule serves recovery and a worker that dies in mid-call.
#include "plugin/manifest.hpp"

namespace parley {

enum class Stage { started, sent };  // INTENT durable; EGRESS durable

enum class Remedy {
    run_again,  // provably nothing happened, or a repeat is harmless
    reconcile,  // ask the plugin what became of it
    unknown,    // a person must look
};
Remedy remedy_for(EffectClass effect, Stage stage);

}  // namespace parley
