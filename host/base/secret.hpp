#pragma once

// The bytes of a secret. They cannot be copied, printed, compared with == or serialised; they
// live in locked, guarded memory outside dumps and are wiped when the owner goes.
#include "base/result.hpp"

#include <cstddef>
#include <memory>
#include <string_view>

namespace parley {

class Secret {
public:
    // Copies `bytes` into guarded memory. Fault::unavailable when that cannot be locked.
    static Result<Secret> from(std::string_view bytes);

    Secret(Secret&&) noexcept;
    Secret& operator=(Secret&&) noexcept;
    ~Secret();
    Secret(Secret const&) = delete;
    Secret& operator=(Secret const&) = delete;
    bool operator==(Secret const&) const = delete;

    std::size_t size_bytes() const;
    // In constant time for equal lengths.
    bool equals(std::string_view other) const;
    // The bytes, for the length of one call: place them, hash them, never keep them.
    std::string_view reveal() const;

private:
    struct Inside;
    explicit Secret(std::unique_ptr<Inside> inside);
    std::unique_ptr<Inside> inside_;
};

// Overwrites a string's bytes and empties it.
void wipe(std::string& text);

}  // namespace parley
