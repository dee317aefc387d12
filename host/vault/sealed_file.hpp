#pragma once

// The vault's file as bytes: how it is laid out, sealed, checked and replaced. It knows keys and
// entries, and nothing of scopes or people.
//   "APV1" | format u8 | vault id 16 | generation u64
//   | slots u8 | slot: kind u8, salt 16, cost 8, nonce 24, sealed root key 48 …
//   | entries u32 | entry: nonce 24, size u32, sealed bytes … | MAC 32 over everything before
// A slot seals the root key, with what stands before its nonce and the vault id as associated
// data; entries are sealed with a subkey, with vault id and format as associated data; the MAC has
// a subkey of its own.
#include "base/result.hpp"
#include "base/secret.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace parley {

// One way to the root key. `cost` is what a passphrase's Argon2id takes: passes u32, KiB u32; all
// zero for a key file.
struct Slot {
    enum class Kind : unsigned char { key_file = 1, passphrase = 2 };
    Kind kind = Kind::key_file;
    std::string salt = std::string(16, '\0'), cost = std::string(8, '\0'), nonce, sealed_root;

    std::string about() const { return std::string(1, static_cast<char>(kind)) + salt + cost; }
};

struct SealedFile {
    std::string vault_id;  // 16 raw bytes
    std::uint64_t generation = 0;
    std::vector<Slot> slots;
    std::vector<std::pair<std::string, std::string>> entries;  // nonce, sealed bytes

    // Everything but the MAC.
    std::string bytes() const;
    // Fault::bad_input when it is not a vault file of this version, whole.
    static Result<SealedFile> parse(std::string_view bytes, std::string& mac);
};

constexpr std::size_t vault_file_bytes_most = 8u << 20;

// A file's descriptor; closes it.
struct Descriptor {
    int number;
    explicit Descriptor(int number) : number(number) {}
    ~Descriptor();
    Descriptor(Descriptor const&) = delete;
};

// Replaces a file whole or not at all: new file, sync, rename, sync of the folder. 0600.
Result<> replace_file(std::filesystem::path const& path, std::string_view bytes);
// The same for a file that must not exist: Fault::conflict when it does.
Result<> make_file(std::filesystem::path const& path, std::string_view bytes,
                   std::string_view more = {});
Result<std::string> read_file(std::filesystem::path const& path, std::size_t bytes_most);

// XChaCha20-Poly1305; the key has 32 bytes.
std::string seal(std::string_view plain, std::string_view about, std::string_view nonce,
                 std::string_view key);
// Nothing when key, bytes or associated data are not the ones that were sealed.
Result<Secret> unseal(std::string_view sealed, std::string_view about, std::string_view nonce,
                      std::string_view key);
std::string random_bytes(std::size_t count);
std::string keyed_digest(std::string_view bytes, std::string_view key);  // 32 raw bytes

}  // namespace parley
