#pragma once

// Finds and loads the libcurl module, once, when it is first needed.
#include "base/result.hpp"
#include "wire/curl_table.h"

#include <string>

namespace parley {

// Fault::unavailable names the places that were tried. The table lives as long as the program.
Result<parley_curl_table const*> curl_table();

// PARLEY_CA_FILE instead of the system's trust store; "" when it is not set.
std::string ca_file_from_environment();

}  // namespace parley
