#pragma once

// From the key in the key file to the root key, and from the root key to one key for each purpose.
// No key serves two.
#include "base/result.hpp"
#include "base/secret.hpp"
#include "vault/sealed_file.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace parley {

// Eight bytes each, as libsodium's crypto_kdf wants them.
constexpr std::string_view context_mac = "vaultmac", context_entries = "vaultent",
                           context_tokens = "tokenkey", context_ledger = "ledgrsig";

Result<Secret> derive(std::string_view root, std::string_view context, std::uint64_t number);

// Wipes the string that brought it.
Result<Secret> secret_of(std::string bytes);

// A passphrase goes through Argon2id, which takes most of a second and 256 MB.
Result<Slot> sealed_slot(Slot::Kind kind, Secret const& root, Secret const& key,
                         std::string_view vault_id);
// Fault::denied when it is another key's slot, Fault::bad_input when its cost is beyond reason.
Result<Secret> root_from(Slot const& slot, Secret const& key, std::string_view vault_id);

}  // namespace parley
