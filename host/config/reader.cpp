#include "config/reader.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <cctype>

namespace parley {

namespace {

// A decimal in exact units; nothing when it is not a decimal, negative or too fine.
std::optional<std::int64_t> decimal(std::string const& text, std::int64_t units) {
    std::int64_t value = 0;
    bool digits = false, point = false;
    for (char c : text) {
        if (c == '.' && !point) {
            point = true;
            continue;
        }
        if (c < '0' || c > '9') return {};
        digits = true;
        if (point) {
            if (units % 10) return c == '0' ? std::optional(value) : std::nullopt;
            units /= 10;
        }
        if (value > (std::int64_t(1) << 62) / 10) return {};
        value = value * 10 + (c - '0');
    }
    if (!digits || (value && units > (std::int64_t(1) << 62) / value)) return {};
    return value * units;
}

bool has_prefix_and_length(std::string_view text, std::string_view prefix, std::size_t length) {
    return text.starts_with(prefix) && text.size() >= length &&
           text.find_first_of(" \t\n") == std::string_view::npos;
}

}  // namespace

bool looks_secret(std::string_view key, std::string_view value) {
    std::string name(key);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    auto ends = [&](std::string_view tail) {
        return name == tail || name.ends_with('_' + std::string(tail));
    };
    if (!value.empty() && (ends("token") || ends("secret") || ends("password") || ends("passwd") ||
                           ends("api_key") || ends("apikey") || ends("private_key")))
        return true;
    for (auto const* prefix :
         {"sk-", "xoxb-", "xapp-", "ghp_", "github_pat_", "glpat-", "AKIA", "AIza", "apa_", "apr_"})
        if (has_prefix_and_length(value, prefix, 20)) return true;
    auto colon = value.find(':');
    return colon >= 6 && colon < 14 && value.size() >= colon + 31 &&
           std::all_of(value.begin(), value.begin() + static_cast<long>(colon),
                       [](unsigned char c) { return std::isdigit(c); }) &&
           value.find_first_of(" /\t\n") == std::string_view::npos;
}

MapReader::MapReader(Yaml const& node, std::string const& file, Complaints& complaints,
                     std::initializer_list<char const*> known)
    : node_(node), file_(file), complaints_(complaints), usable_(node.kind == Yaml::Kind::map) {
    if (!usable_) {
        if (node.kind != Yaml::Kind::null) complain(node, "a mapping is needed here");
        return;
    }
    for (auto const& key : node.keys) {
        bool is_known = std::any_of(known.begin(), known.end(),
                                    [&](char const* name) { return key.text == name; });
        if (is_known) continue;
        auto near = nearest(key.text, known);
        complain(key, "unknown key '" + visible(key.text) + "'" +
                          (near.empty() ? "" : "; did you mean '" + near + "'?"));
    }
}

void MapReader::text(char const* key, std::string& out) const {
    auto const* value = get(key);
    if (!value) return;
    if (value->kind != Yaml::Kind::scalar)
        return complain(*value, std::string(key) + " must be text");
    out = value->text;
}

void MapReader::boolean(char const* key, bool& out) const {
    word(key, out, {{"true", true}, {"false", false}});
}

void MapReader::whole(char const* key, std::int64_t& out, std::int64_t least,
                      std::int64_t most) const {
    auto const* value = get(key);
    if (!value) return;
    auto number = value->kind == Yaml::Kind::scalar && value->text.size() < 19 &&
                          value->text.find('.') == std::string::npos
                      ? decimal(value->text, 1)
                      : std::nullopt;
    if (!number || *number < least || *number > most)
        return complain(*value, std::string(key) + " must be a whole number from " +
                                    std::to_string(least) + " to " + std::to_string(most));
    out = *number;
}

std::optional<std::int64_t> MapReader::money(char const* key, std::int64_t units_per_usd) const {
    auto const* value = get(key);
    if (!value) return {};
    auto amount = value->kind == Yaml::Kind::scalar && value->text.size() < 24
                      ? decimal(value->text, units_per_usd)
                      : std::nullopt;
    if (!amount) complain(*value, std::string(key) + " must be an amount of USD such as 2.50");
    return amount;
}

void MapReader::texts(char const* key, std::vector<std::string>& out) const {
    auto const* value = get(key);
    if (!value) return;
    out.clear();
    if (value->kind == Yaml::Kind::null) return;
    if (value->kind != Yaml::Kind::list)
        return complain(*value, std::string(key) + " must be a list, such as [one, two]");
    for (auto const& item : value->items) {
        if (item.kind != Yaml::Kind::scalar)
            complain(item, std::string(key) + " holds something that is not text");
        else
            out.push_back(item.text);
    }
}

void MapReader::secrets(char const* key, std::map<std::string, SecretName>& out) const {
    auto const* value = get(key);
    if (!value || value->kind == Yaml::Kind::null) return;
    if (value->kind != Yaml::Kind::map)
        return complain(*value, std::string(key) + " must be a mapping of FIELD: SCOPE/KEY");
    for (std::size_t i = 0; i < value->keys.size(); ++i) {
        auto const& item = value->items[i];
        if (looks_secret("", item.text)) {
            complain(item,
                     "this looks like a secret itself; put it into the vault with `parley "
                     "secret set SCOPE/KEY` and write SCOPE/KEY here");
            continue;
        }
        auto name = item.kind == Yaml::Kind::scalar
                        ? parse_secret_name(item.text)
                        : Result<SecretName>(Error(Fault::bad_input, "it must be SCOPE/KEY"));
        if (!name)
            complain(item, name.error().what);
        else
            out[value->keys[i].text] = *name;
    }
}

static void refuse_secrets(MapReader const& reader, Yaml const& node, std::string_view key) {
    for (std::size_t i = 0; i < node.items.size(); ++i)
        refuse_secrets(reader, node.items[i],
                       node.kind == Yaml::Kind::map ? std::string_view(node.keys[i].text) : key);
    if (node.kind == Yaml::Kind::scalar && looks_secret(key, node.text))
        reader.complain(node, "'" + std::string(key) +
                                  "' looks like a secret; put it into the vault with "
                                  "`parley secret set SCOPE/KEY` and name it under secrets:");
}

void MapReader::json(char const* key, std::string& out) const {
    auto const* value = get(key);
    if (!value || value->kind == Yaml::Kind::null) return;
    if (value->kind != Yaml::Kind::map)
        return complain(*value, std::string(key) + " must be a mapping");
    refuse_secrets(*this, *value, key);
    out = yaml_to_json(*value);
}

}  // namespace parley
