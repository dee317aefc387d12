#pragma once

// What the host tells a worker before anything else, as the lines that it reads. Room-private.
#include "base/json.hpp"
#include "base/result.hpp"
#include "plugin/worker.hpp"

#include <string>

namespace parley {

// Fault::denied when home or key cannot be hidden from a command: then none may run.
Result<std::string> setup_lines(WorkerSpec const& spec);

// The first layer that this worker must have and whose report does not name; empty when none.
std::string missing_layer(WorkerSpec const& spec, json::value const& report);

}  // namespace parley
