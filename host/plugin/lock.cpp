#include "plugin/lock.hpp"

#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"

#include <boost/json/value.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace parley {

namespace {

std::string joined(std::vector<std::string> const& words) {
    std::string out;
    for (auto const& word : words) out += (out.empty() ? "" : ", ") + visible(word);
    return out;
}

Error failed(std::filesystem::path const& path) {
    return Error(Fault::unavailable, path.string() + ": " + std::strerror(errno));
}

Result<> write_durably(std::filesystem::path const& path, std::string const& text) {
    auto fresh = path.string() + ".new";
    int file = open(fresh.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return failed(fresh);
    bool good = write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                fsync(file) == 0;
    if (close(file) != 0 || !good || rename(fresh.c_str(), path.c_str()) != 0) return failed(fresh);
    int folder = open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 || fsync(folder) != 0) good = false;
    if (folder >= 0) close(folder);
    return good ? ok() : Result<>(failed(path));
}

}  // namespace

Result<PluginLock> read_lock(std::filesystem::path const& home) {
    auto path = home / "plugins.lock";
    PluginLock lock;
    std::error_code missing;
    if (!std::filesystem::exists(path, missing)) return lock;
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    if (!in) return Error(Fault::unavailable, path.string() + " cannot be read");
    if (text.view().size() > limits::config_bytes)
        return Error(Fault::bad_input, path.string() + " is too large");
    auto value = parse_json(text.view());
    if (!value) return Error(Fault::bad_input, path.string() + ": " + value.error().what);
    auto const* plugins = member(*value, "plugins");
    if (int_at(*value, "format") != 1 || !plugins || !plugins->is_object())
        return Error(Fault::bad_input, path.string() + " is of another format");
    for (auto const& field : plugins->get_object()) {
        LockEntry entry;
        entry.hash = text_at(field.value(), "hash");
        if (auto const* rights = member(field.value(), "rights"); rights && rights->is_array())
            for (auto const& right : rights->get_array())
                if (right.is_string()) entry.rights.emplace_back(right.get_string());
        lock.emplace(PluginId(std::string(field.key())), std::move(entry));
    }
    return lock;
}

Result<> write_lock(std::filesystem::path const& home, PluginLock const& lock) {
    JsonWriter out;
    out.begin('{').pair("format", 1).key("plugins").begin('{');
    for (auto const& [id, entry] : lock) {
        out.key(id.text).begin('{').pair("hash", entry.hash).key("rights").begin('[');
        for (auto const& right : entry.rights) out.string(right);
        out.end(']').end('}');
    }
    out.end('}').end('}');
    return write_durably(home / "plugins.lock", out.text() + "\n");
}

std::vector<std::string> rights_of(Manifest const& manifest) {
    std::vector<std::string> rights;
    for (auto const& role : manifest.roles) rights.push_back("role " + role);
    for (auto const& id : manifest.needs) rights.push_back("service " + id);
    for (auto const& id : manifest.optional) rights.push_back("service " + id);
    for (auto const& rule : manifest.egress) {
        std::string right = rule.stream ? "stream " : "http ";
        right += rule.from_config.empty() ? rule.host
                                          : "the address in config " + visible(rule.from_config);
        if (rule.port) right += ":" + std::to_string(rule.port);
        if (!rule.methods.empty()) right += " " + joined(rule.methods);
        rights.push_back(std::move(right));
    }
    for (auto const& field : manifest.secrets)
        rights.push_back(std::string(field.tier == SecretField::Tier::reveal ? "reads secret "
                                                                             : "uses secret ") +
                         visible(field.name) + " in " + joined(field.slots) + " at " +
                         joined(field.hosts));
    for (auto const& grant : manifest.grants)
        rights.push_back(grant.access == GrantNeed::Access::run     ? "runs commands"
                         : grant.access == GrantNeed::Access::write ? "writes folder " + grant.name
                                                                    : "reads folder " + grant.name);
    for (auto const& skill : manifest.skills)
        rights.push_back("skill " + skill.name + ", " + name_of(skill.effect) + ", approval " +
                         name_of(skill.approval));
    return rights;
}

std::string refusal_of(PluginLock const& lock, PluginFile const& file) {
    auto const& id = file.manifest().id;
    auto found = lock.find(id);
    if (found == lock.end()) return "not accepted yet: parley plugin lock " + id.text;
    if (found->second.hash != file.hash())
        return "the file has changed since it was accepted: parley plugin lock " + id.text;
    if (found->second.rights != rights_of(file.manifest()))
        return "its rights are not those that were accepted: parley plugin lock " + id.text;
    return {};
}

}  // namespace parley
