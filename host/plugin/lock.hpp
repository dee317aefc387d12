#pragma once

// plugins.lock: which third-party files the operator has accepted, with which rights. Written by
// `parley plugin lock` only.
#include "base/ids.hpp"
#include "base/result.hpp"
#include "plugin/catalogue.hpp"

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace parley {

struct LockEntry {
    std::string hash;                 // of the whole file
    std::vector<std::string> rights;  // as rights_of() said when they were accepted
    // What was accepted before, with no predecessor of its own; empty when there is none. Its file
    // is kept, so that an upgrade can be taken back.
    std::string previous_hash = {};
    std::vector<std::string> previous_rights = {};
};
using PluginLock = std::map<PluginId, LockEntry>;

// An absent file is an empty lock. Fault::bad_input when it makes no sense: then nothing is
// accepted.
Result<PluginLock> read_lock(std::filesystem::path const& home);
// Replaces the file, durably.
Result<> write_lock(std::filesystem::path const& home, PluginLock const& lock);

// Everything that a manifest asks for, one right a line, in a fixed order: what the operator reads
// before accepting, and what is compared with the last time.
std::vector<std::string> rights_of(Manifest const& manifest);

// Accepts a file as it stands: keeps a copy of it and of the one accepted before, and writes the
// lock. What was accepted earlier than that is forgotten.
Result<> accept(std::filesystem::path const& home, PluginLock& lock, PluginFile const& file);
// Puts the file that was accepted before in the place of `path` and accepts it again; what stood
// there becomes the one before. Fault::not_found when none was kept.
Result<> roll_back(std::filesystem::path const& home, PluginLock& lock, PluginId const& id,
                   std::filesystem::path const& path);

// Does the file beside it, with .sig at its end, hold this key's signature of the file's bytes?
// Says what is wrong, or nothing.
std::string unsigned_reason(std::filesystem::path const& path, PluginFile const& file,
                            std::string const& key);

// What holds an entry back from running, or empty: Fault-free, for show.
std::string refusal_of(PluginLock const& lock, PluginFile const& file);

}  // namespace parley
