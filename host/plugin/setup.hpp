#pragma once

// What the host tells a worker before anything else, as the lines that it reads. Room-private.
#include "base/result.hpp"
#include "plugin/worker.hpp"

#include <string>

namespace parley {

// Fault::denied when home or key cannot be hidden from a command: then none may run.
Result<std::string> setup_lines(WorkerSpec const& spec);

}  // namespace parley
