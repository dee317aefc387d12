#include "base/hash.hpp"

#include "base/text.hpp"

#include <sodium/crypto_auth_hmacsha256.h>
#include <sodium/crypto_generichash.h>
#include <sodium/crypto_sign.h>
#include <sodium/utils.h>

#include <cstring>

namespace parley {

static_assert(sizeof(crypto_generichash_state) <= 384);

namespace {

crypto_generichash_state* state_of(unsigned char* bytes) {
    return reinterpret_cast<crypto_generichash_state*>(bytes);
}

unsigned char const* bytes_of(std::string_view text) {
    return reinterpret_cast<unsigned char const*>(text.data());
}

}  // namespace

Digest blake2b(std::string_view bytes) {
    Digest digest;
    crypto_generichash(digest.data(), digest.size(), bytes_of(bytes), bytes.size(), nullptr, 0);
    return digest;
}

std::string hex(Digest const& digest) {
    return hex(std::string_view(reinterpret_cast<char const*>(digest.data()), digest.size()));
}

Digest hmac_sha256(std::string_view key, std::initializer_list<std::string_view> pieces) {
    static_assert(sizeof(Digest) == crypto_auth_hmacsha256_BYTES);
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, bytes_of(key), key.size());
    for (auto piece : pieces)
        crypto_auth_hmacsha256_update(&state, bytes_of(piece), piece.size());
    Digest digest;
    crypto_auth_hmacsha256_final(&state, digest.data());
    sodium_memzero(&state, sizeof state);
    return digest;
}

bool same_bytes(Digest const& digest, std::string_view bytes) {
    return bytes.size() == digest.size() &&
           sodium_memcmp(digest.data(), bytes.data(), digest.size()) == 0;
}

bool is_signed(std::string_view bytes, std::string_view signature, std::string_view key) {
    auto raw = [](std::string_view text) {
        return reinterpret_cast<unsigned char const*>(text.data());
    };
    return signature.size() == crypto_sign_BYTES && key.size() == crypto_sign_PUBLICKEYBYTES &&
           crypto_sign_verify_detached(raw(signature), raw(bytes), bytes.size(), raw(key)) == 0;
}

Hasher::Hasher(std::string_view domain) {
    crypto_generichash_init(state_of(state_), nullptr, 0, sizeof(Digest));
    field(domain);
}

Hasher& Hasher::field(std::string_view bytes) {
    unsigned char size[4];
    for (unsigned i = 0; i < 4; ++i) size[i] = static_cast<unsigned char>(bytes.size() >> (8 * i));
    crypto_generichash_update(state_of(state_), size, sizeof size);
    return raw(bytes);
}

Hasher& Hasher::field(std::int64_t number) {
    char bytes[8];
    for (unsigned i = 0; i < 8; ++i)
        bytes[i] = static_cast<char>(static_cast<std::uint64_t>(number) >> (8 * i));
    return field(std::string_view(bytes, sizeof bytes));
}

Hasher& Hasher::raw(std::string_view bytes) {
    crypto_generichash_update(state_of(state_), bytes_of(bytes), bytes.size());
    return *this;
}

Digest Hasher::done() {
    Digest digest;
    crypto_generichash_final(state_of(state_), digest.data(), digest.size());
    return digest;
}

}  // namespace parley
