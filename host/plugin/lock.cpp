#include "plugin/lock.hpp"

#include "base/guard.hpp"
#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"
#include "plugin/file_view.hpp"

#include <boost/json/value.hpp>

#include <fstream>
#include <sstream>

namespace parley {

namespace {

std::string joined(std::vector<std::string> const& words) {
    std::string out;
    for (auto const& word : words) out += (out.empty() ? "" : ", ") + visible(word);
    return out;
}

std::vector<std::string> texts_of(json::value const& value, std::string_view key) {
    std::vector<std::string> texts;
    if (auto const* items = member(value, key); items && items->is_array())
        for (auto const& item : items->get_array())
            if (item.is_string()) texts.emplace_back(item.get_string());
    return texts;
}

void write_texts(JsonWriter& out, std::string_view key, std::vector<std::string> const& texts) {
    out.key(key).begin('[');
    for (auto const& text : texts) out.string(text);
    out.end(']');
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
        entry.rights = texts_of(field.value(), "rights");
        if (auto const* previous = member(field.value(), "previous")) {
            entry.previous_hash = text_at(*previous, "hash");
            entry.previous_rights = texts_of(*previous, "rights");
        }
        lock.emplace(PluginId(std::string(field.key())), std::move(entry));
    }
    return lock;
}

Result<> write_lock(std::filesystem::path const& home, PluginLock const& lock) {
    JsonWriter out;
    out.begin('{').pair("format", 1).key("plugins").begin('{');
    for (auto const& [id, entry] : lock) {
        out.key(id.text).begin('{').pair("hash", entry.hash);
        write_texts(out, "rights", entry.rights);
        if (!entry.previous_hash.empty()) {
            out.key("previous").begin('{').pair("hash", entry.previous_hash);
            write_texts(out, "rights", entry.previous_rights);
            out.end('}');
        }
        out.end('}');
    }
    out.end('}').end('}');
    return replace_file(home / "plugins.lock", out.text() + "\n", 0600);
}

std::vector<std::string> rights_of(Manifest const& manifest) {
    std::vector<std::string> rights;
    for (auto const& role : manifest.roles) rights.push_back("role " + role);
    for (auto const& id : manifest.needs) rights.push_back("service " + id);
    for (auto const& id : manifest.optional) rights.push_back("service " + id);
    for (auto const& rule : manifest.egress) {
        std::string right = rule.stream ? "stream " : rule.ws ? "websocket " : "http ";
        right += rule.from_config.empty() ? rule.host
                                          : "the address in config " + visible(rule.from_config);
        if (rule.port) right += ":" + std::to_string(rule.port);
        if (!rule.methods.empty()) right += " " + joined(rule.methods);
        rights.push_back(std::move(right));
    }
    for (auto const& field : manifest.secrets) {
        if (field.tier == SecretField::Tier::reveal)
            rights.push_back("reads secret " + visible(field.name) + ", where `reveal` grants it");
        if (field.tier == SecretField::Tier::compute && !field.slots.empty())
            rights.push_back("signs with secret " + visible(field.name) + " in " +
                             joined(field.slots) + " at " + joined(field.hosts));
        else if (field.tier == SecretField::Tier::inject || !field.slots.empty())
            rights.push_back("uses secret " + visible(field.name) + " in " + joined(field.slots) +
                             " at " + joined(field.hosts));
    }
    for (auto const& grant : manifest.grants)
        rights.push_back(grant.access == GrantNeed::Access::run     ? "runs commands"
                         : grant.access == GrantNeed::Access::write ? "writes folder " + grant.name
                                                                    : "reads folder " + grant.name);
    if (auto const& inbound = manifest.inbound)
        rights.push_back(std::string("hears webhooks ") +
                         (inbound->scheme == InboundNeed::Scheme::token ? "that carry secret "
                                                                        : "signed with secret ") +
                         inbound->secret + ", where `inbound` allows it");
    for (auto const& hook : manifest.hooks)
        rights.push_back(std::string("hook ") + name_of(hook.point) + ", fails " +
                         (hook.fails_open ? "open" : "closed"));
    for (auto const& skill : manifest.skills)
        rights.push_back("skill " + skill.name + ", " + name_of(skill.effect) + ", approval " +
                         name_of(skill.approval) + (skill.sends_files ? ", sends files" : ""));
    return rights;
}

std::string refusal_of(PluginLock const& lock, PluginFile const& file) {
    auto const& id = file.manifest().id;
    auto found = lock.find(id);
    if (!holds("lock")) return {};
    if (found == lock.end()) return "not accepted yet: parley plugin lock " + id.text;
    if (found->second.hash != file.hash())
        return "the file has changed since it was accepted: parley plugin lock " + id.text;
    if (found->second.rights != rights_of(file.manifest()))
        return "its rights are not those that were accepted: parley plugin lock " + id.text;
    return {};
}

}  // namespace parley
