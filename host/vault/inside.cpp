#include "vault/inside.hpp"

#include "vault/key_file.hpp"

#include <sodium.h>

#include <algorithm>

namespace parley {

namespace {

constexpr std::size_t retired_most = 8;

}  // namespace

// The slots say what is wanted; nobody is asked for what no slot takes.
Result<Secret> Vault::Inside::root_with(VaultKey const& key,
                                        std::filesystem::path const& home) const {
    for (auto kind : {Slot::Kind::key_file, Slot::Kind::passphrase}) {
        bool is_file = kind == Slot::Kind::key_file;
        auto is_it = [&](Slot const& slot) { return slot.kind == kind; };
        auto slot = std::find_if(sealed.slots.begin(), sealed.slots.end(), is_it);
        if (slot == sealed.slots.end()) continue;
        if (!is_file && !key.ask)
            return Error(
                Fault::unavailable,
                "the vault " + file.string() + " opens with a passphrase, and nobody can be asked");
        TRY(bytes, is_file ? read_key_file(key.file, home) : key.ask());
        auto found = root_from(*slot, bytes, sealed.vault_id);
        if (found || found.error().fault != Fault::denied) return found;
        return Error(Fault::denied,
                     (is_file ? "the key does not open the vault " + file.string() +
                                    "; is PARLEY_VAULT_KEY_FILE the key of this home?"
                              : "this passphrase does not open the vault " + file.string()));
    }
    return Error(Fault::bad_input, "the vault " + file.string() + " is damaged: no key opens it");
}

Result<> Vault::Inside::open(VaultKey const& key, std::filesystem::path const& home) {
    TRY(bytes, read_file(file, vault_file_bytes_most));
    std::string mac;
    auto parsed = SealedFile::parse(bytes, mac);
    if (!parsed)
        return Error(Fault::bad_input, "the vault " + file.string() + " is damaged: " +
                                           parsed.error().what + "; restore it from a backup");
    sealed = std::move(*parsed);
    TRY(opened, root_with(key, home));
    root = std::make_unique<Secret>(std::move(opened));
    TRY(mac_key, derive(root->reveal(), context_mac, 0));
    auto expected = keyed_digest(std::string_view(bytes).substr(0, bytes.size() - mac.size()),
                                 mac_key.reveal());
    if (sodium_memcmp(expected.data(), mac.data(), mac.size()) != 0)
        return Error(Fault::bad_input,
                     "the vault " + file.string() + " is damaged; restore it from a backup");
    MUST(derive_keys());
    return read_entries();
}

Result<> Vault::Inside::derive_keys() {
    TRY(for_entries, derive(root->reveal(), context_entries, 0));
    TRY(for_tokens, derive(root->reveal(), context_tokens, 0));
    entries_key = std::make_unique<Secret>(std::move(for_entries));
    tokens_key = std::make_unique<Secret>(std::move(for_tokens));
    return ok();
}

Result<> Vault::Inside::read_entries() {
    entries.clear();
    for (auto const& [nonce, bytes] : sealed.entries) {
        TRY(plain, unseal(bytes, about(), nonce, entries_key->reveal()));
        Entry entry;
        MUST(read_plain(plain.reveal(), entry));
        entry.nonce = nonce;
        entry.sealed = bytes;
        entries.push_back(std::move(entry));
    }
    TRY(built, finder_of(entries));
    finder = std::move(built);
    return ok();
}

Result<Secret> Vault::Inside::value_of(Entry const& entry) const {
    TRY(plain, unseal(entry.sealed, about(), entry.nonce, entries_key->reveal()));
    Entry ignored;
    TRY(value, read_plain(plain.reveal(), ignored));
    return Secret::from(value);
}

Result<Entry> Vault::Inside::sealed_entry(Entry facts, Secret const& value) const {
    auto plain = plain_of(facts, value.reveal());
    facts.nonce = random_bytes(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES);
    facts.sealed = seal(plain, about(), facts.nonce, entries_key->reveal());
    wipe(plain);
    return facts;
}

// The file is replaced whole before anything in memory changes.
Result<> Vault::Inside::write(std::vector<Entry> next, SealedFile changed) {
    ++changed.generation;
    changed.entries.clear();
    for (auto const& entry : next) changed.entries.emplace_back(entry.nonce, entry.sealed);
    // The order in the file tells nothing of names or times.
    for (auto i = changed.entries.size(); i > 1; --i)
        std::swap(changed.entries[i - 1],
                  changed.entries[randombytes_uniform(static_cast<std::uint32_t>(i))]);
    TRY(mac_key, derive(root->reveal(), context_mac, 0));
    auto bytes = changed.bytes();
    bytes += keyed_digest(bytes, mac_key.reveal());
    if (bytes.size() > vault_file_bytes_most) return Error(Fault::bad_input, "the vault is full");
    TRY(next_finder, finder_of(next));
    MUST(replace_file(file, bytes));
    sealed = std::move(changed);
    entries = std::move(next);
    finder = std::move(next_finder);
    return ok();
}

Entry const* Vault::Inside::live(std::string_view scope, std::string_view key) const {
    for (auto const& entry : entries)
        if (!entry.is_retired() && entry.scope == scope && entry.key == key) return &entry;
    return nullptr;
}

Result<std::unique_ptr<Finder>> Vault::Inside::finder_of(std::vector<Entry> const& list) const {
    std::vector<Finder::Named> all;
    for (auto const* some : {&list, &faded})
        for (auto const& entry : *some) {
            TRY(value, value_of(entry));
            all.push_back({entry.text(), std::move(value)});
        }
    if (all.empty()) return std::unique_ptr<Finder>();
    TRY(built, Finder::of(all));
    return std::make_unique<Finder>(std::move(built));
}

// Of the retired, the file keeps those that were retired last.
std::vector<Entry> Vault::Inside::take_oldest_retired(std::vector<Entry>& from) const {
    std::vector<Entry> taken;
    auto is_retired = [](Entry const& entry) { return entry.is_retired(); };
    while (std::count_if(from.begin(), from.end(), is_retired) > static_cast<long>(retired_most)) {
        auto oldest = std::min_element(from.begin(), from.end(), [](auto const& a, auto const& b) {
            return std::pair(!a.is_retired(), a.retired_in) <
                   std::pair(!b.is_retired(), b.retired_in);
        });
        taken.push_back(std::move(*oldest));
        from.erase(oldest);
    }
    return taken;
}

}  // namespace parley
