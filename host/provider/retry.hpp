#pragma once

// What follows a model call that failed: the same model again, the next one, or the end. A plain
// function of what is known; it neither waits nor asks.
#include "provider/provider.hpp"

#include <chrono>

namespace parley {

struct AfterFault {
    enum class Kind { again, next, end } kind = Kind::end;
    std::chrono::milliseconds wait{0};  // of again
};

// `tries`: how often this model was asked before, for this call. `chance`, from 0 to 1, spreads
// those that failed together. A wait that the service asked for is never cut short; where another
// model is left, a long one is not waited at all.
AfterFault after_fault(AnswerFault const& fault, int tries, bool has_next, double chance);

}  // namespace parley
