#pragma once

// The vault's file as bytes: how it is laid out, sealed, checked and replaced. It knows keys and
// entries, and nothing of scopes or people.
//   "APV1" | vault id 16 | generation u64 | salt 16 | slot nonce 24 | sealed root key 48
//   | entries u32 | entry: nonce 24, size u32, sealed bytes … | MAC 32 over everything before
// The slot seals the root key with the key from the key file; entries are sealed with a subkey,
// with vault id and format as associated data; the MAC has a subkey of its own.
#include "base/result.hpp"
#include "base/secret.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace parley {

struct SealedFile {
    std::string vault_id;  // 16 raw bytes
    std::uint64_t generation = 0;
    std::string salt, slot_nonce, sealed_root;
    std::vector<std::pair<std::string, std::string>> entries;  // nonce, sealed bytes

    // Everything but the MAC.
    std::string bytes() const;
    // Fault::bad_input when it is not a vault file of this version, whole.
    static Result<SealedFile> parse(std::string_view bytes, std::string& mac);
};

// Replaces a file whole or not at all: new file, sync, rename, sync of the folder. 0600.
Result<> replace_file(std::filesystem::path const& path, std::string_view bytes);
Result<std::string> read_file(std::filesystem::path const& path, std::size_t bytes_most);

// XChaCha20-Poly1305; the key has 32 bytes.
std::string seal(std::string_view plain, std::string_view about, std::string_view nonce,
                 std::string_view key);
// Nothing when key, bytes or associated data are not the ones that were sealed.
Result<Secret> unseal(std::string_view sealed, std::string_view about, std::string_view nonce,
                      std::string_view key);
std::string random_bytes(std::size_t count);
std::string keyed_digest(std::string_view bytes, std::string_view key);  // 32 raw bytes

// The key in a key file. Fault::denied for a file that others can read, a link, or one inside
// `forbidden`; Fault::not_found when it is missing.
Result<Secret> read_key_file(std::filesystem::path const& path,
                             std::filesystem::path const& forbidden);
Result<> make_key_file(std::filesystem::path const& path);

}  // namespace parley
