#pragma once

// Tells the service manager how the host is doing (sd_notify's protocol); without one, nothing.
namespace parley {

void notify(char const* state);

}  // namespace parley
