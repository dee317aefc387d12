#pragma once

// Sealed secrets, named by scope and key, in one encrypted file; and the keys derived from its
// root key for other rooms. Never prints, logs or returns a secret but as a Secret.
#include "base/result.hpp"
#include "base/secret.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace parley {

struct SecretInfo {
    std::string scope, key;
    std::uint64_t version = 0;
    std::int64_t set_us = 0;
};

// What opens a vault: a key file, or a passphrase, asked for when it is a passphrase that is wanted.
using AskPassphrase = std::function<Result<Secret>()>;
struct VaultKey {
    std::filesystem::path file;
    AskPassphrase ask;

    VaultKey(std::filesystem::path file, AskPassphrase ask = {})
        : file(std::move(file)), ask(std::move(ask)) {}
};

class Vault {
public:
    // Makes a new vault, sealed with a passphrase when one can be asked for, else with the key file:
    // it is made (0600, outside the home) unless one exists, which is then used. Fault::conflict
    // when the vault file exists.
    static Result<std::unique_ptr<Vault>> create(std::filesystem::path const& file,
                                                 VaultKey const& key);
    // The vault knows whether a key file or a passphrase opens it. Fault::denied for a wrong one,
    // Fault::not_found for a missing file or key, Fault::bad_input for a damaged file. Each message
    // says which file and what to do.
    static Result<std::unique_ptr<Vault>> open(std::filesystem::path const& file,
                                               VaultKey const& key);
    ~Vault();

    std::string id() const;              // hex, names this vault in the ledger
    std::uint64_t generation() const;    // grows by one with every write
    std::vector<SecretInfo> list() const;
    bool has(std::string_view scope, std::string_view key) const;
    Result<Secret> get(std::string_view scope, std::string_view key) const;  // Fault::not_found
    // Written, synced and renamed before it returns. Refuses values shorter than
    // limits::secret_bytes_least. A failed write leaves the old file.
    Result<> set(std::string_view scope, std::string_view key, Secret value, std::int64_t now_us);
    Result<> remove(std::string_view scope, std::string_view key);
    // Seals the vault with this key alone: the passphrase when there is one to ask for.
    Result<> rekey(VaultKey const& key);

    // A 32-byte subkey for one purpose, by libsodium's crypto_kdf: 8-byte context, number.
    Result<Secret> subkey(std::string_view context, std::uint64_t number) const;
    // Ed25519 with the key kept for the ledger.
    std::string ledger_public_key() const;                       // hex
    std::string sign_for_ledger(std::string_view bytes) const;   // hex
    // Keyed BLAKE2b-256, hex: tokens and codes are stored as this.
    std::string keyed_hash(std::string_view purpose, std::string_view bytes) const;

    // Does any live or retired secret stand in these bytes, raw or in a usual encoding? Returns
    // its scope/key, or nothing.
    std::string find_secret_in(std::string_view bytes) const;
    // Replaces each with [secret:scope/key]. True when something was replaced.
    bool mask(std::string& text) const;

private:
    struct Inside;
    // Retires what is there; puts a sealed entry in its place when one is given.
    Result<> remove_from(std::string scope, std::string key, std::string const* sealed,
                         std::string const* nonce, std::uint64_t version, std::int64_t set_us);
    explicit Vault(std::unique_ptr<Inside> inside);
    std::unique_ptr<Inside> inside_;
};

// The two tokens: `home/tokens` holds keyed hashes. A token is ap<a|r>_ and 43 base62 characters.
enum class Scope { read, admin };
std::string make_token(Scope scope);

class Tokens {
public:
    static Result<Tokens> load(std::filesystem::path const& file, Vault const& vault);
    // Constant time over both; nothing for an unknown token, or one that was made for the other
    // scope.
    // `token` is the raw bearer; empty or malformed is refused before hashing.
    std::optional<Scope> check(std::string_view token) const;
    // Stores keyed_hash of a lower-case hex SHA-256, durably.
    Result<> rotate(Scope scope, std::string_view sha256_hex);
    std::uint64_t epoch(Scope scope) const;  // grows on rotation: open streams compare it
    bool has(Scope scope) const;

private:
    Tokens(std::filesystem::path file, Vault const& vault) : file_(std::move(file)), vault_(&vault) {}
    std::filesystem::path file_;
    Vault const* vault_;
    std::string hash_[2];
    std::uint64_t epoch_[2] = {0, 0};
};
std::string sha256_hex(std::string_view bytes);

}  // namespace parley
