#pragma once

// Which plugins are there, and why each is or is not running. Reads files, runs none.
#include "base/ids.hpp"
#include "base/result.hpp"
#include "config/config.hpp"
#include "plugin/manifest.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace parley {

// The plugin's bytes, sealed in memory when they were hashed: what runs is what was checked.
class PluginFile {
public:
    static Result<std::shared_ptr<PluginFile const>> read(std::filesystem::path const& path);
    ~PluginFile();
    PluginFile(PluginFile const&) = delete;
    int descriptor() const { return descriptor_; }  // sealed memory file
    std::string const& hash() const { return hash_; }  // hex BLAKE2b-256
    Manifest const& manifest() const { return manifest_; }

private:
    PluginFile() = default;
    int descriptor_ = -1;
    std::string hash_;
    Manifest manifest_;
};

enum class PluginState {
    found, refused, disabled, draining, loading, healthy, restarting, quarantined, stopped
};
char const* name_of(PluginState state);

struct PluginEntry {
    PluginId id;  // from the manifest; the file's name when that could not be read
    std::filesystem::path path;
    bool first_party = false;
    Isolation isolation = Isolation::strict;  // as the operator's configuration has it
    PluginState state = PluginState::found;
    std::string reason;                      // for every state but healthy
    bool is_ending = false;                  // calls of its former workers are still open
    std::shared_ptr<PluginFile const> file;  // null when refused before reading
};

std::string to_json(PluginEntry const& entry);

class Catalogue {
public:
    // Looks into the install's own folder, then the home's. Files that are not enabled are read
    // only as far as their manifest. Refuses, each with its reason: no note, broken manifest,
    // wrong ABI, undeclared role, two files with one id (both), first-party id outside the
    // install's folder, third-party file that plugins.lock does not accept or that is not signed
    // as the operator asks, a file or folder that others can write, a required secret that is not
    // bound, config that the schema refuses. A file that is as it was keeps its state, unless that
    // was quarantine: looking again gives another chance.
    void scan(std::filesystem::path const& install_folder, Config const& config);

    std::vector<PluginEntry> const& entries() const { return entries_; }
    // The hashes that plugins.lock accepts, as the last scan found them.
    std::map<PluginId, std::string> const& locked() const { return locked_; }
    PluginEntry const* find(PluginId const& id) const;
    // Ready to run: enabled and not refused.
    PluginEntry const* usable(PluginId const& id) const;
    void set_state(PluginId const& id, PluginState state, std::string reason);
    void set_ending(PluginId const& id, bool is_ending);

private:
    std::vector<PluginEntry> entries_;
    std::map<PluginId, std::string> locked_;
};

}  // namespace parley
