#pragma once

// Finds secrets in text: their exact bytes and the usual encodings of them. Built whole when the
// vault changed. A filter by the first four bytes lets text without a hit be read once, and fast.
#include "base/secret.hpp"

#include <bitset>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace parley {

class Finder {
public:
    struct Named {
        std::string name;
        Secret value;
    };
    // Fault::unavailable when memory for the forms cannot be locked.
    static Result<Finder> of(std::vector<Named> const& secrets);

    std::string find(std::string_view text) const;  // the secret's name, or empty
    // True when something was replaced. Secrets that overlap are replaced together.
    bool mask(std::string& text) const;

private:
    struct Form {
        std::size_t at, size;  // in bytes_
        std::size_t name;
    };
    static constexpr std::size_t filter_bits = 1u << 16;

    explicit Finder(Secret bytes) : bytes_(std::move(bytes)) {}
    void index();
    // The longest form that begins at this place.
    Form const* at(std::string_view text, std::size_t place) const;
    std::string_view bytes_of(Form const& form) const {
        return bytes_.reveal().substr(form.at, form.size);
    }

    Secret
        bytes_;  // all forms, one after another: one locked block, however many secrets there are
    std::vector<std::string> names_;
    std::vector<Form> forms_;
    std::unordered_map<std::uint32_t, std::vector<std::size_t>> by_start_;
    std::bitset<filter_bits> starts_;
};

}  // namespace parley
