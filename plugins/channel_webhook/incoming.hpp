#pragma once

// What the other side sends, read into an item of `run`; or why it is none, in words for whoever
// wrote the sender.
#include "parley/json.hpp"

#include <string>
#include <string_view>

namespace webhook {

struct Incoming {
    std::string item;   // for the host, still without its cursor
    std::string wrong;  // set instead
};

// `id` is the request's own, which counts where the body names none.
Incoming incoming_from(parley::Json const& body, std::string_view id);
// The same with the cursor that the host will acknowledge.
std::string with_cursor(std::string const& item, std::string_view cursor);

}  // namespace webhook
