#pragma once

// Reads one mapping of a file: every key must be known, every value of the kind that is wanted, and
// every mistake is collected with its place instead of ending the reading.
#include "config/config.hpp"
#include "config/yaml.hpp"

#include <initializer_list>

namespace parley {

class MapReader {
public:
    MapReader(Yaml const& node, std::string const& file, Complaints& complaints,
              std::initializer_list<char const*> known);

    Yaml const* get(char const* key) const { return usable_ ? node_.find(key) : nullptr; }
    void text(char const* key, std::string& out) const;
    void boolean(char const* key, bool& out) const;
    void whole(char const* key, std::int64_t& out, std::int64_t least, std::int64_t most) const;
    std::optional<std::int64_t> money(char const* key, std::int64_t units_per_usd) const;
    void texts(char const* key, std::vector<std::string>& out) const;
    void secrets(char const* key, std::map<std::string, SecretName>& out) const;
    void json(char const* key, std::string& out) const;  // a mapping; refuses secrets in it
    template <class E>
    void word(char const* key, E& out,
              std::initializer_list<std::pair<char const*, E>> words) const;

    void complain(Yaml const& at, std::string const& what) const {
        complaints_.add(file_, at, what);
    }
    std::string const& file() const { return file_; }
    Complaints& complaints() const { return complaints_; }

private:
    Yaml const& node_;
    std::string const& file_;
    Complaints& complaints_;
    bool usable_;
};

template <class E>
void MapReader::word(char const* key, E& out,
                     std::initializer_list<std::pair<char const*, E>> words) const {
    auto const* value = get(key);
    if (!value) return;
    std::string list;
    for (auto const& [word, meaning] : words) {
        if (value->kind == Yaml::Kind::scalar && value->text == word) {
            out = meaning;
            return;
        }
        list += (list.empty() ? "" : ", ") + std::string(word);
    }
    complain(*value, std::string(key) + " must be one of " + list);
}

// Does this text look like a credential?
bool looks_secret(std::string_view key, std::string_view value);

}  // namespace parley
