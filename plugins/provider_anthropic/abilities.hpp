#pragma once

// What a model can do, as the service says it of itself, and what is left of our manners then.
#include "messages.hpp"

#include <cstdint>
#include <string>

namespace anthropic {

struct Abilities {
    bool thinks_adaptively = true;
    std::string efforts = " low medium high xhigh max ";  // a space around each
    std::int64_t max_tokens = 0;                          // 0: not known
    std::string leaving;  // for the operator: that it is about to go, or gone; empty: it stays
};

// From GET /v1/models/ID. What is not said there is taken to be able.
Abilities abilities_from(parley::Json const& model);
// Without what the model would refuse the whole request for.
Manners fitted(Manners manners, Abilities const& abilities);

}  // namespace anthropic
