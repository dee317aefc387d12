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

// What holds an entry back from running, or empty: Fault-free, for show.
std::string refusal_of(PluginLock const& lock, PluginFile const& file);

}  // namespace parley
