#include "vault/keys.hpp"

#include <sodium.h>

namespace parley {

namespace {

constexpr std::string_view slot_domain = "parley.vault-slot/1";

constexpr std::uint32_t passes = crypto_pwhash_OPSLIMIT_MODERATE;
constexpr std::uint32_t memory_kib = crypto_pwhash_MEMLIMIT_MODERATE / 1024;

// The cost stands in the file, which anybody may have written: beyond these it is an attack.
constexpr std::uint32_t passes_most = 64, memory_kib_most = 4 * memory_kib;

std::uint32_t number_at(std::string const& bytes, std::size_t at) {
    std::uint32_t number = 0;
    for (int i = 3; i >= 0; --i)
        number = number << 8 | static_cast<unsigned char>(bytes[at + static_cast<std::size_t>(i)]);
    return number;
}

std::string cost_of(std::uint32_t first, std::uint32_t second) {
    std::string cost;
    for (auto number : {first, second})
        for (int i = 0; i < 4; ++i) cost += static_cast<char>(number >> (8 * i) & 255);
    return cost;
}

Result<Secret> stretched(Slot const& slot, Secret const& passphrase) {
    static_assert(crypto_pwhash_SALTBYTES == 16);
    auto times = number_at(slot.cost, 0), kib = number_at(slot.cost, 4);
    if (times == 0 || times > passes_most || kib < 8 || kib > memory_kib_most)
        return Error(Fault::bad_input, "the vault asks for an unreasonable cost of its passphrase");
    std::string key(32, '\0');
    auto text = passphrase.reveal();
    if (crypto_pwhash(reinterpret_cast<unsigned char*>(key.data()), key.size(), text.data(),
                      text.size(), reinterpret_cast<unsigned char const*>(slot.salt.data()), times,
                      std::size_t{kib} * 1024, crypto_pwhash_ALG_ARGON2ID13) != 0)
        return Error(Fault::unavailable, "there is not enough memory to check the passphrase");
    return secret_of(std::move(key));
}

Result<Secret> slot_key(Slot const& slot, Secret const& key) {
    if (slot.kind == Slot::Kind::passphrase) return stretched(slot, key);
    return secret_of(keyed_digest(slot.salt, key.reveal()));
}

std::string about(Slot const& slot, std::string_view vault_id) {
    return std::string(slot_domain) + slot.about() + std::string(vault_id);
}

}  // namespace

Result<Secret> derive(std::string_view root, std::string_view context, std::uint64_t number) {
    if (context.size() != crypto_kdf_CONTEXTBYTES)
        return Error(Fault::bad_input, "a key's context has eight bytes");
    std::string key(crypto_kdf_KEYBYTES, '\0');
    crypto_kdf_derive_from_key(reinterpret_cast<unsigned char*>(key.data()), key.size(), number,
                               context.data(), reinterpret_cast<unsigned char const*>(root.data()));
    return secret_of(std::move(key));
}

Result<Secret> secret_of(std::string bytes) {
    auto secret = Secret::from(bytes);
    wipe(bytes);
    return secret;
}

Result<Slot> sealed_slot(Slot::Kind kind, Secret const& root, Secret const& key,
                         std::string_view vault_id) {
    Slot slot;
    slot.kind = kind;
    if (kind == Slot::Kind::passphrase) slot.cost = cost_of(passes, memory_kib);
    slot.salt = random_bytes(slot.salt.size());
    slot.nonce = random_bytes(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES);
    TRY(with, slot_key(slot, key));
    slot.sealed_root = seal(root.reveal(), about(slot, vault_id), slot.nonce, with.reveal());
    return slot;
}

Result<Secret> root_from(Slot const& slot, Secret const& key, std::string_view vault_id) {
    TRY(with, slot_key(slot, key));
    return unseal(slot.sealed_root, about(slot, vault_id), slot.nonce, with.reveal());
}

}  // namespace parley
