#pragma once

// Is this request what its sender signed? Pure: no clock, no vault, no memory of others. What the
// header alone can tell is told of the header alone, so that no body is read for nothing.
#include "base/hash.hpp"
#include "base/secret.hpp"
#include "plugin/manifest.hpp"
#include "wire/server.hpp"

#include <cstdint>
#include <optional>

namespace parley {

// Could it be? The signature, or the token, stands there once and in its form, and the timestamp is
// within the window. A token is judged whole.
bool is_credible(InboundNeed const& need, Request const& head, Secret const& secret,
                 std::int64_t now_us);

// It is: the digest that one of its signatures is equal to. A token has none, and gives an empty
// one. Nothing when it is not.
std::optional<Digest> verified(InboundNeed const& need, Request const& request,
                               Secret const& secret);

// When the timestamp's window ends, in microseconds; 0 without one. The request is credible.
std::int64_t window_end_us(InboundNeed const& need, Request const& head);

// Without parameters and in lower case: "application/json".
std::string media_type(Request const& head);

}  // namespace parley
