#pragma once

// What an open vault is made of, for the sources of this room only. Values stay sealed in memory,
// too, and are opened when they are asked for.
#include "vault/entry.hpp"
#include "vault/finder.hpp"
#include "vault/keys.hpp"
#include "vault/vault.hpp"

namespace parley {

struct Vault::Inside {
    std::filesystem::path file;
    SealedFile sealed;
    std::unique_ptr<Secret> root, entries_key, tokens_key;
    std::vector<Entry> entries;
    // Retired in this life and dropped from the file since: they may still stand in what comes.
    std::vector<Entry> faded;
    std::unique_ptr<Finder> finder;  // null: there is nothing to find

    // What every entry's seal is bound to.
    std::string about() const { return "parley.vault-entry/1" + sealed.vault_id; }
    Result<> open(VaultKey const& key, std::filesystem::path const& home);
    Result<Secret> root_with(VaultKey const& key, std::filesystem::path const& home) const;
    Result<> derive_keys();
    Result<> read_entries();
    Result<Secret> value_of(Entry const& entry) const;
    Result<Entry> sealed_entry(Entry facts, Secret const& value) const;
    Result<> write(std::vector<Entry> next, SealedFile changed);
    // Of these and of what faded. A vault that cannot look for its secrets is not opened, and a
    // secret that cannot be looked for is not taken.
    Result<std::unique_ptr<Finder>> finder_of(std::vector<Entry> const& list) const;
    Entry const* live(std::string_view scope, std::string_view key) const;
    std::vector<Entry> take_oldest_retired(std::vector<Entry>& from) const;
};

}  // namespace parley
