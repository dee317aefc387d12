#pragma once

// BLAKE2b-256 and the one canonical form: a domain tag, then each field as u32le length and bytes.
#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace parley {

using Digest = std::array<unsigned char, 32>;

Digest blake2b(std::string_view bytes);
std::string hex(Digest const& digest);

// HMAC-SHA256 (RFC 2104) over the pieces as one text.
Digest hmac_sha256(std::string_view key, std::initializer_list<std::string_view> pieces);
// In constant time for bytes of the digest's length.
bool same_bytes(Digest const& digest, std::string_view bytes);

// Is this the Ed25519 signature (64 bytes, RFC 8032) of these bytes, by this key (32 bytes)?
bool is_signed(std::string_view bytes, std::string_view signature, std::string_view key);

class Hasher {
public:
    // `domain` separates uses: no two kinds of thing share one.
    explicit Hasher(std::string_view domain);
    Hasher& field(std::string_view bytes);      // u32le length, bytes
    Hasher& field(std::int64_t number);         // length 8, i64le
    Hasher& raw(std::string_view bytes);        // no length: only for one body at the end
    Digest done();

private:
    alignas(64) unsigned char state_[384];
};

}  // namespace parley
