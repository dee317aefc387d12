#include "plugin/worker.hpp"

#include "base/guard.hpp"
#include "base/json.hpp"
#include "base/schema.hpp"
#include "base/text.hpp"
#include "wire/client.hpp"
#include "wire/websocket.hpp"

#include <boost/json/value.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace parley {

namespace {

namespace fs = std::filesystem;

Error bad(std::string what) {
    return Error(Fault::bad_input, std::move(what));
}

// host or host:port, as an operator writes it in `egress:`.
struct Named {
    std::string host;
    std::uint16_t port = 0;
};

Result<Named> read_named(std::string const& text) {
    Named named{text, 0};
    auto colon = text.rfind(':');
    if (colon != text.npos && text.find(':') == colon) {
        unsigned long port = std::strtoul(text.c_str() + colon + 1, nullptr, 10);
        if (port == 0 || port > 65535)
            return bad("egress: \"" + visible(text) + "\" has no port after its colon");
        named = {text.substr(0, colon), static_cast<std::uint16_t>(port)};
    }
    std::transform(named.host.begin(), named.host.end(), named.host.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return named;
}

bool covers(std::string_view pattern, std::string_view host) {
    if (pattern == host) return true;
    if (!pattern.starts_with("*.")) return false;
    auto suffix = pattern.substr(1);
    return host.size() > suffix.size() && host.ends_with(suffix);
}

// The rule with the host and port that the operator's config names, or nothing when that key is not
// set: then there is nowhere to go.
Result<std::optional<EgressRule>> from_config(EgressRule rule, json::value const& config) {
    auto text = text_at(config, rule.from_config);
    if (text.empty()) return std::optional<EgressRule>();
    if (rule.stream) {
        rule.host = text;
        auto key = rule.port_from_config.empty() ? std::string("port") : rule.port_from_config;
        auto port = int_at(config, key, rule.port);
        if (port < 1 || port > 65535) return bad("config." + key + " is not a port");
        rule.port = static_cast<std::uint16_t>(port);
        auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
        std::transform(rule.host.begin(), rule.host.end(), rule.host.begin(), lower);
        if (rule.host.find_first_of("/@*? \t\r\n") != std::string::npos)
            return bad("config." + rule.from_config + " is not a host name");
        return std::optional(std::move(rule));
    }
    auto url = rule.ws ? parse_ws_url(text) : parse_url(text);
    if (!url) return bad("config." + rule.from_config + ": " + url.error().what);
    rule.host = url->host;
    rule.port = url->port;
    rule.plain = url->scheme == "http" || url->scheme == "ws";
    return std::optional(std::move(rule));
}

// By device and inode: a path can be written in many ways.
struct Place {
    dev_t device = 0;
    ino_t inode = 0;
    bool operator==(Place const&) const = default;
};

std::optional<Place> place_of(fs::path const& path) {
    struct stat facts {};
    if (stat(path.c_str(), &facts) != 0) return {};
    return Place{facts.st_dev, facts.st_ino};
}

// Is `inner` the same as `outer`, or below it?
bool is_within(fs::path const& inner, fs::path const& outer) {
    auto wanted = place_of(outer);
    if (!wanted) return false;
    std::error_code error;
    auto path = fs::canonical(inner, error);
    if (error) return false;
    for (;; path = path.parent_path()) {
        if (place_of(path) == wanted) return true;
        if (path == path.root_path()) return false;
    }
}

}  // namespace

Result<std::vector<EgressRule>> resolve_egress(
    Manifest const& manifest, std::string const& config,
    std::optional<std::vector<std::string>> const& narrowed) {
    TRY(value, parse_json(config));
    std::vector<EgressRule> rules;
    for (auto const& rule : manifest.egress) {
        if (rule.from_config.empty()) {
            // A whole domain is the operator's to allow, name by name or as it stands.
            if (!rule.host.starts_with("*.") || narrowed) rules.push_back(rule);
            continue;
        }
        TRY(resolved, from_config(rule, value));
        if (resolved) rules.push_back(std::move(*resolved));
    }
    if (!narrowed) return rules;

    std::vector<EgressRule> kept;
    for (auto const& text : *narrowed) {
        TRY(named, read_named(text));
        bool found = false;
        for (auto rule : rules) {
            if (!rule.from_config.empty() || !covers(rule.host, named.host)) continue;
            auto port = rule.port ? rule.port : std::uint16_t{443};
            if (named.port && named.port != port) continue;
            rule.host = named.host;
            kept.push_back(std::move(rule));
            found = true;
        }
        if (!found)
            return bad("egress: " + visible(text) + " is not in the manifest of " +
                       manifest.id.text + "; the list may only narrow it");
    }
    // What the operator wrote in the config is the operator's own word already.
    for (auto& rule : rules)
        if (!rule.from_config.empty()) kept.push_back(std::move(rule));
    return kept;
}

Result<std::string> lay_over(std::string const& base, std::string const& over) {
    TRY(below, parse_json(base.empty() ? "{}" : base));
    TRY(above, parse_json(over.empty() ? "{}" : over));
    if (!below.is_object() || !above.is_object()) return bad("a config is not a JSON object");
    for (auto const& field : above.get_object())
        below.get_object().insert_or_assign(field.key(), field.value());
    return to_text(below);
}

Result<std::string> resolve_config(Manifest const& manifest, std::string const& config) {
    TRY(schema, parse_json(manifest.config_schema));
    TRY(value, parse_json(config.empty() ? "{}" : config));
    if (!value.is_object()) return bad("the config is not a JSON object");
    auto whole = with_defaults(schema, std::move(value));
    MUST(check_schema(schema, whole));
    return to_text(whole);
}

Result<> check_grant(Grant const& grant, Config const& config,
                     std::filesystem::path const& key_file,
                     std::vector<std::filesystem::path> const& programs) {
    auto const& path = grant.path;
    std::error_code error;
    auto real = fs::canonical(path, error);
    if (error)
        return Error(Fault::not_found, "the folder " + path.string() + ": " + error.message());
    if (!fs::is_directory(real, error))
        return bad("the grant " + path.string() + " is not a folder");
    for (auto const& [name, agent] : config.agents)
        if (!agent.workspace.empty() && is_within(real, agent.workspace)) return ok();
    auto refuse = [&](fs::path const& what) {
        return Error(Fault::denied, "the folder " + path.string() + " overlaps " + what.string() +
                                        ", which is not for plugins");
    };
    std::vector<fs::path> kept{config.home};
    if (!key_file.empty()) kept.push_back(key_file.parent_path());
    if (grant.access != GrantNeed::Access::read)
        kept.insert(kept.end(), programs.begin(), programs.end());
    for (auto const& place : kept) {
        auto there = fs::canonical(place, error);
        if (error) continue;
        if ((is_within(real, there) || is_within(there, real)) && holds("grant"))
            return refuse(place);
    }
    return ok();
}

}  // namespace parley
