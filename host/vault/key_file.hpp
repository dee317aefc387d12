#pragma once

// The key file of a vault: 64 hex digits and a newline, readable by its owner alone, outside the
// home. It is made once, and never written over.
#include "base/result.hpp"
#include "base/secret.hpp"

#include <filesystem>

namespace parley {

// Fault::denied for a file that others can read, a link, or one inside `home`; Fault::not_found
// when it is missing; Fault::bad_input when it does not hold a key.
Result<Secret> read_key_file(std::filesystem::path const& path, std::filesystem::path const& home);

// Makes one unless there is something at that path; 0600, in a folder that is made 0700.
Result<> make_key_file_unless_there(std::filesystem::path const& path);

}  // namespace parley
