#pragma once

// Finds secrets in text: their exact bytes and the usual encodings of them. Built anew when the
// vault changes; with an index by first four bytes, so that text without a hit is read once.
#include "base/secret.hpp"

#include <array>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace parley {

class Finder {
public:
    void clear();
    void add(std::string const& name, std::string_view value);
    std::string find(std::string_view text) const;  // the secret's name, or empty
    bool mask(std::string& text) const;             // true when something was replaced

private:
    struct Form {
        Secret bytes;
        std::string name;
    };
    struct Hit {
        std::size_t at, size;
        Form const* form;
    };
    void add_form(std::string const& name, std::string form);
    bool next(std::string_view text, std::size_t from, Hit& hit) const;

    std::vector<Form> forms_;
    std::unordered_map<std::uint32_t, std::vector<std::size_t>> by_start_;
    std::array<bool, 256> starts_{};
};

}  // namespace parley
