#include "base/secret.hpp"

#include <sodium/core.h>
#include <sodium/utils.h>

#include <sys/mman.h>

#include <cstring>
#include <string>

namespace parley {

struct Secret::Inside {
    char* const bytes;
    std::size_t const size;

    Inside(char* bytes, std::size_t size) : bytes(bytes), size(size) {}
    Inside(Inside const&) = delete;
    ~Inside() { sodium_free(bytes); }
};

Result<Secret> Secret::from(std::string_view bytes) {
    if (sodium_init() < 0) return Error(Fault::unavailable, "libsodium could not start");
    auto* memory = static_cast<char*>(sodium_malloc(bytes.size() ? bytes.size() : 1));
    if (!memory) return Error(Fault::unavailable, "no guarded memory for a secret");
    if (!bytes.empty()) std::memcpy(memory, bytes.data(), bytes.size());
    auto inside = std::make_unique<Inside>(memory, bytes.size());
    // sodium_malloc hands out memory even when it could not lock it; ask again, and look.
    if (sodium_mlock(memory, bytes.size() ? bytes.size() : 1) != 0)
        return Error(Fault::unavailable,
                     "a secret could not be locked in memory; raise the limit (ulimit -l)");
    return Secret(std::move(inside));
}

Secret::Secret(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {}
Secret::Secret(Secret&&) noexcept = default;
Secret& Secret::operator=(Secret&&) noexcept = default;
Secret::~Secret() = default;

std::size_t Secret::size_bytes() const {
    return inside_->size;
}

bool Secret::equals(std::string_view other) const {
    return other.size() == inside_->size &&
           sodium_memcmp(inside_->bytes, other.data(), other.size()) == 0;
}

std::string_view Secret::reveal() const {
    return {inside_->bytes, inside_->size};
}

void wipe(std::string& text) {
    sodium_memzero(text.data(), text.size());
    text.clear();
}

}  // namespace parley
