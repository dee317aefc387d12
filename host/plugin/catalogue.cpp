#include "plugin/catalogue.hpp"

#include "base/guard.hpp"
#include "base/json.hpp"
#include "base/limits.hpp"
#include "plugin/lock.hpp"
#include "plugin/worker.hpp"

#define PARLEY_HOST_SIDE
#include <parley/plugin.h>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace parley {

namespace {

Result<std::vector<std::filesystem::path>> files_in(std::filesystem::path const& folder) {
    std::vector<std::filesystem::path> files;
    struct stat facts {};
    if (stat(folder.c_str(), &facts) != 0) {
        if (errno == ENOENT) return files;
        return Error(Fault::unavailable, folder.string() + ": " + std::strerror(errno));
    }
    // Whoever may write the folder may put a plugin there.
    if ((facts.st_uid != 0 && facts.st_uid != geteuid()) || (facts.st_mode & (S_IWGRP | S_IWOTH)))
        return Error(Fault::denied, folder.string() + " can be written by others; chmod go-w it");
    std::error_code error;
    for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
         it.increment(error))
        if (it->path().extension() == ".so") files.push_back(it->path());
    if (error) return Error(Fault::unavailable, folder.string() + ": " + error.message());
    std::sort(files.begin(), files.end());
    if (files.size() > limits::plugin_files) files.resize(limits::plugin_files);
    return files;
}

// Named by its file until its manifest says better.
PluginEntry unread(std::filesystem::path const& path, bool first_party) {
    PluginEntry entry;
    entry.id = PluginId(path.filename().string());
    entry.path = path;
    entry.first_party = first_party;
    return entry;
}

// The bindings of one use of a plugin, the plugin's own beneath.
Result<> check_use(Manifest const& manifest, PluginConfig const& base, std::string const& config,
                   std::map<std::string, SecretName> const& secrets, std::string const& where) {
    for (auto const& field : manifest.secrets)
        if (field.required && !secrets.contains(field.name) && !base.secrets.contains(field.name))
            return Error(Fault::bad_input, where + ": the secret " + field.name +
                                               " is not bound; write secrets: {" + field.name +
                                               ": scope/key} there");
    for (auto const* bound : {&base.secrets, &secrets})
        for (auto const& [name, secret] : *bound)
            if (!manifest.secret(name))
                return Error(Fault::bad_input, where + ": the plugin has no secret field " + name);
    for (auto const& name : base.reveal)
        if (auto const* field = manifest.secret(name);
            !field || field->tier != SecretField::Tier::reveal)
            return Error(Fault::bad_input, "plugins." + manifest.id.text +
                                               ".reveal: the plugin "
                                               "does not ask to read a secret " +
                                               name);
    TRY(whole, lay_over(base.config, config));
    auto resolved = resolve_config(manifest, whole);
    if (!resolved)
        return Error(resolved.error().fault, where + ".config: " + resolved.error().what);
    auto egress = resolve_egress(manifest, *resolved, base.egress);
    if (!egress) return Error(egress.error().fault, where + ": " + egress.error().what);
    return ok();
}

Result<> check_uses(Manifest const& manifest, Config const& config, PluginConfig const& base) {
    bool instances = false;
    for (auto const& [name, channel] : config.channels) {
        if (channel.plugin != manifest.id) continue;
        instances = true;
        if (channel.inbound && !manifest.inbound)
            return Error(Fault::bad_input, "channels." + name.text +
                                               ".inbound: the plugin hears no webhooks");
        MUST(check_use(manifest, base, channel.config, channel.secrets, "channels." + name.text));
    }
    for (auto const& [name, model] : config.models) {
        if (model.provider != manifest.id) continue;
        instances = true;
        MUST(check_use(manifest, base, model.config, model.secrets, "models." + name));
    }
    bool stands_alone = manifest.has_role(PARLEY_ROLE_SKILL) || manifest.has_role(PARLEY_ROLE_HOOK);
    if (stands_alone && !instances)
        return check_use(manifest, base, "{}", {}, "plugins." + manifest.id.text);
    return ok();
}

// What runs goes on running over a scan.
void keep_state(std::vector<PluginEntry> const& before, PluginEntry& entry) {
    for (auto const& old : before) {
        if (old.id != entry.id || !old.file || !entry.file) continue;
        bool ran = old.state != PluginState::refused && old.state != PluginState::disabled &&
                   old.state != PluginState::quarantined;
        if (!ran || entry.state != PluginState::found) continue;
        if (old.file->hash() != entry.file->hash()) continue;
        entry.state = old.state;
        entry.reason = old.reason;
    }
}

}  // namespace

char const* name_of(PluginState state) {
    switch (state) {
        case PluginState::found:
            return "found";
        case PluginState::refused:
            return "refused";
        case PluginState::disabled:
            return "disabled";
        case PluginState::draining:
            return "draining";
        case PluginState::loading:
            return "loading";
        case PluginState::healthy:
            return "healthy";
        case PluginState::restarting:
            return "restarting";
        case PluginState::quarantined:
            return "quarantined";
        case PluginState::stopped:
            return "stopped";
    }
    return "refused";
}

std::string to_json(PluginEntry const& entry) {
    JsonWriter out;
    bool is_off = entry.state == PluginState::disabled || entry.state == PluginState::refused;
    bool drains = is_off && entry.is_ending;
    out.begin('{').pair("id", entry.id.text);
    out.pair("state", name_of(drains ? PluginState::draining : entry.state));
    if (drains)
        out.pair("reason", entry.reason + "; its last calls are ending");
    else if (!entry.reason.empty())
        out.pair("reason", entry.reason);
    out.pair("path", entry.path.string()).key("first_party").boolean(entry.first_party);
    out.pair("isolation", name_of(entry.isolation));
    if (!entry.file) return out.end('}').take();
    auto const& manifest = entry.file->manifest();
    out.pair("version", manifest.version).pair("summary", manifest.summary);
    out.pair("hash", entry.file->hash()).key("roles").begin('[');
    for (auto const& role : manifest.roles) out.string(role);
    out.end(']').key("rights").begin('[');
    for (auto const& right : rights_of(manifest)) out.string(right);
    return out.end(']').key("manifest").raw(manifest.text).end('}').take();
}

void Catalogue::scan(std::filesystem::path const& install_folder, Config const& config) {
    auto const before = std::exchange(entries_, {});
    auto lock = read_lock(config.home);
    locked_.clear();
    if (lock)
        for (auto const& [id, accepted] : *lock) locked_[id] = accepted.hash;
    auto refuse = [](PluginEntry& entry, std::string reason) {
        entry.state = PluginState::refused;
        entry.reason = std::move(reason);
    };
    auto look = [&](std::filesystem::path const& folder, bool first_party) {
        auto files = files_in(folder);
        if (!files) {
            auto entry = unread(folder, first_party);
            refuse(entry, files.error().what);
            entries_.push_back(std::move(entry));
            return;
        }
        for (auto const& path : *files) {
            auto entry = unread(path, first_party);
            auto file = PluginFile::read(path);
            if (!file) {
                refuse(entry, file.error().what);
                entries_.push_back(std::move(entry));
                continue;
            }
            entry.file = *file;
            auto const& manifest = entry.file->manifest();
            entry.id = manifest.id;
            auto wanted = config.plugins.find(entry.id);
            if (wanted != config.plugins.end()) entry.isolation = wanted->second.isolation;
            bool is_short = entry.id.text.find('.') == std::string::npos;
            if (is_short && !first_party && holds("first-party-id")) {
                refuse(entry, "an id without a dot belongs to the plugins of this release");
            } else if (wanted == config.plugins.end() || !wanted->second.enabled) {
                entry.state = PluginState::disabled;
                entry.reason = "not enabled in parley.yaml";
            } else if (!first_party && !lock) {
                refuse(entry, lock.error().what);
            } else if (auto held = first_party ? "" : refusal_of(*lock, *entry.file);
                       !held.empty()) {
                refuse(entry, held);
            } else if (auto why =
                           wanted->second.signed_by.empty()
                               ? ""
                               : unsigned_reason(path, *entry.file, wanted->second.signed_by);
                       !why.empty()) {
                refuse(entry, why);
            } else if (auto fits = check_uses(manifest, config, wanted->second); !fits) {
                refuse(entry, fits.error().what);
            }
            entries_.push_back(std::move(entry));
        }
    };
    look(install_folder, true);
    look(config.home / "plugins", false);

    std::map<PluginId, int> count;
    for (auto const& entry : entries_)
        if (entry.file) ++count[entry.id];
    for (auto& entry : entries_)
        if (entry.file && count[entry.id] > 1)
            refuse(entry, "two files say that they are " + entry.id.text);
    for (auto& entry : entries_) keep_state(before, entry);
}

PluginEntry const* Catalogue::find(PluginId const& id) const {
    auto found = std::find_if(entries_.begin(), entries_.end(),
                              [&](auto const& entry) { return entry.id == id; });
    return found == entries_.end() ? nullptr : &*found;
}

PluginEntry const* Catalogue::usable(PluginId const& id) const {
    auto const* entry = find(id);
    if (!entry || !entry->file) return nullptr;
    bool is_off = entry->state == PluginState::refused || entry->state == PluginState::disabled;
    return is_off ? nullptr : entry;
}

void Catalogue::set_state(PluginId const& id, PluginState state, std::string reason) {
    for (auto& entry : entries_)
        if (entry.id == id) {
            entry.state = state;
            entry.reason = std::move(reason);
        }
}

void Catalogue::set_ending(PluginId const& id, bool is_ending) {
    for (auto& entry : entries_)
        if (entry.id == id) entry.is_ending = is_ending;
}

}  // namespace parley
