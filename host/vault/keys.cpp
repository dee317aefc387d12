#include "vault/keys.hpp"

#include <sodium.h>

namespace parley {

namespace {

constexpr std::string_view slot_domain = "parley.vault-slot/1";

Result<Secret> slot_key(Slot const& slot, Secret const& key) {
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

Result<Slot> sealed_slot(Secret const& root, Secret const& key, std::string_view vault_id) {
    Slot slot;
    slot.salt = random_bytes(slot.salt.size());
    slot.nonce = random_bytes(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES);
    TRY(with, slot_key(slot, key));
    slot.sealed_root = seal(root.reveal(), about(slot, vault_id), slot.nonce, with.reveal());
    return slot;
}

Result<Secret> root_from(Slot const& slot, Secret const& key, std::string_view vault_id) {
    if (slot.kind != Slot::Kind::key_file)
        return Error(Fault::denied, "it is no slot of a key file");
    TRY(with, slot_key(slot, key));
    return unseal(slot.sealed_root, about(slot, vault_id), slot.nonce, with.reveal());
}

}  // namespace parley
