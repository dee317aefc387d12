#pragma once

// Where an agent finds the files that came with a message: inbox/ in its workspace.
#include "base/result.hpp"
#include "plugin/blobs.hpp"

#include <filesystem>
#include <string>

namespace parley {

// Writes a blob there, durably, under that plain name, and answers its path in the workspace. No
// link is followed and no file replaced: a name that is taken gets a number. A file of that name
// with the very same bytes is taken for this one, so a message that comes twice makes no second.
// Fault::not_found when there is no workspace.
Result<std::string> put_in_inbox(std::filesystem::path const& workspace, std::string const& name,
                                 Blobs::Reader const& blob);

}  // namespace parley
