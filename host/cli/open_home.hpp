#pragma once

// The home in our own hands, for verbs that also work with no host: locked, vault and ledger open.
// Room-private.
#include "base/clock.hpp"
#include "base/loop.hpp"
#include "cli/context.hpp"
#include "config/config.hpp"
#include "ledger/ledger.hpp"
#include "vault/vault.hpp"

#include <filesystem>
#include <memory>
#include <string>

namespace parley {

struct OpenHome {
    std::unique_ptr<HomeLock> lock;
    std::unique_ptr<Vault> vault;
    SystemClock clock;
    Loop loop;
    std::unique_ptr<Ledger> ledger;

    static Result<std::unique_ptr<OpenHome>> take(std::filesystem::path const& path,
                                                  bool accept_loss = false);
    // Returns when it is durable.
    Result<> record(char const* kind, std::string body);
};

// What is to open a vault from now on. A passphrase is asked for at once, so that a mistake in it
// changes nothing.
Result<VaultKey> new_key(std::filesystem::path file, bool with_passphrase);

// {"key":"value"}
std::string one(char const* key, std::string const& value);
// Prints the document with --json, else the words; answers 0.
int say(Context const& context, std::string const& json, std::string const& words);

}  // namespace parley
