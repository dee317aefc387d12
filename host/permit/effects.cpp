#include "permit/effects.hpp"

namespace parley {

Remedy remedy_for(EffectClass effect, Stage stage) {
    if (stage == Stage::started) return Remedy::run_again;
    switch (effect) {
        case EffectClass::pure:
        case EffectClass::idempotent:
            return Remedy::run_again;
        case EffectClass::reconcilable:
            return Remedy::reconcile;
        case EffectClass::irreversible:
            return Remedy::unknown;
    }
    return Remedy::unknown;
}

}  // namespace parley
