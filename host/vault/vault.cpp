#include "vault/vault.hpp"

#include "base/hash.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"
#include "vault/entry.hpp"
#include "vault/finder.hpp"
#include "vault/key_file.hpp"
#include "vault/sealed_file.hpp"

#include <sodium.h>

#include <algorithm>
#include <iterator>

namespace parley {

namespace {

constexpr char context_mac[] = "vaultmac", context_entries[] = "vaultent", context_tokens[] = "tokenkey",
               context_ledger[] = "ledgrsig";
constexpr std::string_view entry_domain = "parley.vault-entry/1", slot_domain = "parley.vault-slot/1";
constexpr std::size_t retired_most = 8;
// What every text is taken to hold while nobody can look: no memory could be locked.
constexpr std::string_view unknown = "unknown";

unsigned char const* raw(std::string_view text) {
    return reinterpret_cast<unsigned char const*>(text.data());
}

Result<Secret> derive(std::string_view root, std::string_view context, std::uint64_t number) {
    std::string key(32, '\0'), name(context);
    name.resize(crypto_kdf_CONTEXTBYTES, '\0');
    crypto_kdf_derive_from_key(reinterpret_cast<unsigned char*>(key.data()), key.size(), number,
                               name.c_str(), raw(root));
    auto secret = Secret::from(key);
    wipe(key);
    return secret;
}

// Wipes the string that brought it.
Result<Secret> secret_of(std::string bytes) {
    auto secret = Secret::from(bytes);
    wipe(bytes);
    return secret;
}

Result<Secret> slot_key(Slot const& slot, Secret const& key) {
    return secret_of(keyed_digest(slot.salt, key.reveal()));
}

std::string slot_about(Slot const& slot, std::string_view vault_id) {
    return std::string(slot_domain) + slot.about() + std::string(vault_id);
}

Result<Slot> sealed_slot(Secret const& root, Secret const& key, std::string_view vault_id) {
    Slot slot;
    slot.salt = random_bytes(slot.salt.size());
    slot.nonce = random_bytes(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES);
    TRY(with, slot_key(slot, key));
    slot.sealed_root = seal(root.reveal(), slot_about(slot, vault_id), slot.nonce, with.reveal());
    return slot;
}

// The vault lies in a folder of the home.
std::filesystem::path home_of(std::filesystem::path const& file) {
    std::error_code ignored;
    return std::filesystem::absolute(file, ignored).parent_path().parent_path();
}

bool is_there(std::filesystem::path const& path) {
    std::error_code ignored;
    return std::filesystem::exists(path, ignored);
}

}  // namespace

struct Vault::Inside {
    std::filesystem::path file;
    SealedFile sealed;
    std::unique_ptr<Secret> root, entries_key, tokens_key;
    std::vector<Entry> entries;
    // Retired in this life and dropped from the file since: they may still stand in what comes.
    std::vector<Entry> faded;
    mutable std::unique_ptr<Finder> finder;  // null: to be built

    std::string about() const { return std::string(entry_domain) + sealed.vault_id; }
    Result<> open(Secret key);
    Result<> derive_keys();
    Result<> read_entries();
    Result<Secret> value_of(Entry const& entry) const;
    Result<Entry> sealed_entry(Entry facts, Secret const& value) const;
    Result<> write(std::vector<Entry> next, SealedFile changed);
    // Null when it cannot be built: then no text can be let through.
    Finder const* fresh_finder() const;
    Entry const* live(std::string_view scope, std::string_view key) const;
    std::vector<Entry> take_oldest_retired(std::vector<Entry>& from) const;
};

Result<> Vault::Inside::open(Secret key) {
    TRY(bytes, read_file(file, vault_file_bytes_most));
    std::string mac;
    auto parsed = SealedFile::parse(bytes, mac);
    if (!parsed)
        return Error(Fault::bad_input, "the vault " + file.string() + " is damaged: " +
                                           parsed.error().what + "; restore it from a backup");
    sealed = std::move(*parsed);
    for (auto const& slot : sealed.slots) {
        if (slot.kind != Slot::Kind::key_file) continue;
        TRY(with, slot_key(slot, key));
        auto opened = unseal(slot.sealed_root, slot_about(slot, sealed.vault_id), slot.nonce, with.reveal());
        if (opened) root = std::make_unique<Secret>(std::move(*opened));
    }
    if (!root)
        return Error(Fault::denied, "the key does not open the vault " + file.string() +
                                        "; is PARLEY_VAULT_KEY_FILE the key of this home?");
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
        std::swap(changed.entries[i - 1], changed.entries[randombytes_uniform(static_cast<std::uint32_t>(i))]);
    TRY(mac_key, derive(root->reveal(), context_mac, 0));
    auto bytes = changed.bytes();
    bytes += keyed_digest(bytes, mac_key.reveal());
    if (bytes.size() > vault_file_bytes_most) return Error(Fault::bad_input, "the vault is full");
    MUST(replace_file(file, bytes));
    sealed = std::move(changed);
    entries = std::move(next);
    finder.reset();
    return ok();
}

Entry const* Vault::Inside::live(std::string_view scope, std::string_view key) const {
    for (auto const& entry : entries)
        if (!entry.is_retired() && entry.scope == scope && entry.key == key) return &entry;
    return nullptr;
}

Finder const* Vault::Inside::fresh_finder() const {
    if (finder) return finder.get();
    std::vector<Finder::Named> all;
    for (auto const* list : {&entries, &faded})
        for (auto const& entry : *list) {
            auto value = value_of(entry);
            if (!value) return nullptr;
            all.push_back({entry.text(), std::move(*value)});
        }
    auto built = Finder::of(all);
    if (!built) return nullptr;
    finder = std::make_unique<Finder>(std::move(*built));
    return finder.get();
}

// Of the retired, the file keeps those that were retired last.
std::vector<Entry> Vault::Inside::take_oldest_retired(std::vector<Entry>& from) const {
    std::vector<Entry> taken;
    auto is_retired = [](Entry const& entry) { return entry.is_retired(); };
    while (std::count_if(from.begin(), from.end(), is_retired) > static_cast<long>(retired_most)) {
        auto oldest = std::min_element(from.begin(), from.end(), [](auto const& a, auto const& b) {
            return std::pair(!a.is_retired(), a.retired_in) < std::pair(!b.is_retired(), b.retired_in);
        });
        taken.push_back(std::move(*oldest));
        from.erase(oldest);
    }
    return taken;
}

Vault::Vault(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {}
Vault::~Vault() = default;

Result<std::unique_ptr<Vault>> Vault::create(std::filesystem::path const& file,
                                             std::filesystem::path const& key_file) {
    if (sodium_init() < 0) return Error(Fault::unavailable, "libsodium could not start");
    if (is_there(file)) return Error(Fault::conflict, "there is a vault already: " + file.string());
    MUST(make_key_file_unless_there(key_file));
    TRY(key, read_key_file(key_file, home_of(file)));
    auto inside = std::make_unique<Inside>();
    inside->file = file;
    TRY(root, secret_of(random_bytes(32)));
    inside->root = std::make_unique<Secret>(std::move(root));
    MUST(inside->derive_keys());
    SealedFile fresh;
    fresh.vault_id = random_bytes(16);
    TRY(slot, sealed_slot(*inside->root, key, fresh.vault_id));
    fresh.slots.push_back(std::move(slot));
    MUST(inside->write({}, std::move(fresh)));
    return std::unique_ptr<Vault>(new Vault(std::move(inside)));
}

Result<std::unique_ptr<Vault>> Vault::open(std::filesystem::path const& file,
                                           std::filesystem::path const& key_file) {
    if (sodium_init() < 0) return Error(Fault::unavailable, "libsodium could not start");
    if (!is_there(file))
        return Error(Fault::not_found, "there is no vault " + file.string() + "; make one with: parley init");
    TRY(key, read_key_file(key_file, home_of(file)));
    auto inside = std::make_unique<Inside>();
    inside->file = file;
    MUST(inside->open(std::move(key)));
    return std::unique_ptr<Vault>(new Vault(std::move(inside)));
}

std::string Vault::id() const { return hex(inside_->sealed.vault_id); }
std::uint64_t Vault::generation() const { return inside_->sealed.generation; }

std::vector<SecretInfo> Vault::list() const {
    std::vector<SecretInfo> list;
    for (auto const& entry : inside_->entries)
        if (!entry.is_retired()) list.push_back({entry.scope, entry.key, entry.version, entry.set_us});
    std::sort(list.begin(), list.end(), [](auto const& a, auto const& b) {
        return std::tie(a.scope, a.key) < std::tie(b.scope, b.key);
    });
    return list;
}

bool Vault::has(std::string_view scope, std::string_view key) const {
    return inside_->live(scope, key) != nullptr;
}

Result<Secret> Vault::get(std::string_view scope, std::string_view key) const {
    auto const* entry = inside_->live(scope, key);
    if (!entry)
        return Error(Fault::not_found, "the vault has no secret " + std::string(scope) + '/' +
                                           std::string(key));
    return inside_->value_of(*entry);
}

// The replaced value is kept as retired for a while: it may still stand in what comes in.
Result<> Vault::set(std::string_view scope, std::string_view key, Secret value,
                    std::int64_t now_us) {
    if (value.size_bytes() < limits::secret_bytes_least)
        return Error(Fault::bad_input, "a secret has at least " +
                                           std::to_string(limits::secret_bytes_least) +
                                           " bytes; a shorter one could not be kept out of texts");
    if (value.size_bytes() > limits::secret_bytes_most)
        return Error(Fault::bad_input, "a secret has at most " +
                                           std::to_string(limits::secret_bytes_most) + " bytes");
    if (auto const* there = inside_->live(scope, key))
        if (auto old = inside_->value_of(*there); old && old->equals(value.reveal())) return ok();
    Entry facts;
    facts.scope = scope;
    facts.key = key;
    facts.set_us = now_us;
    facts.version = 1;
    for (auto const& entry : inside_->entries)
        if (entry.scope == scope && entry.key == key)
            facts.version = std::max(facts.version, entry.version + 1);
    TRY(next, inside_->sealed_entry(std::move(facts), value));
    MUST(remove_from(next.scope, next.key, &next.sealed, &next.nonce, next.version, next.set_us));
    return ok();
}

Result<> Vault::remove(std::string_view scope, std::string_view key) {
    if (!has(scope, key))
        return Error(Fault::not_found, "the vault has no secret " + std::string(scope) + '/' +
                                           std::string(key));
    return remove_from(std::string(scope), std::string(key), nullptr, nullptr, 0, 0);
}

Result<> Vault::remove_from(std::string scope, std::string key, std::string const* sealed,
                            std::string const* nonce, std::uint64_t version, std::int64_t set_us) {
    std::vector<Entry> next;
    for (auto const& entry : inside_->entries) {
        if (entry.is_retired() || entry.scope != scope || entry.key != key) {
            next.push_back(entry);
            continue;
        }
        TRY(value, inside_->value_of(entry));
        auto retired = entry;
        retired.retired_in = generation() + 1;
        TRY(again, inside_->sealed_entry(std::move(retired), value));
        next.push_back(std::move(again));
    }
    auto dropped = inside_->take_oldest_retired(next);
    if (sealed) {
        Entry entry;
        entry.scope = std::move(scope);
        entry.key = std::move(key);
        entry.version = version;
        entry.set_us = set_us;
        entry.sealed = *sealed;
        entry.nonce = *nonce;
        next.push_back(std::move(entry));
    }
    MUST(inside_->write(std::move(next), inside_->sealed));
    std::move(dropped.begin(), dropped.end(), std::back_inserter(inside_->faded));
    return ok();
}

Result<> Vault::rekey(std::filesystem::path const& new_key_file) {
    MUST(make_key_file_unless_there(new_key_file));
    TRY(key, read_key_file(new_key_file, home_of(inside_->file)));
    auto changed = inside_->sealed;
    TRY(slot, sealed_slot(*inside_->root, key, changed.vault_id));
    changed.slots.assign(1, std::move(slot));
    return inside_->write(inside_->entries, std::move(changed));
}

Result<Secret> Vault::subkey(std::string_view context, std::uint64_t number) const {
    return derive(inside_->root->reveal(), context, number);
}

namespace {

struct SigningKeys {
    unsigned char open[crypto_sign_PUBLICKEYBYTES];
    unsigned char secret[crypto_sign_SECRETKEYBYTES];
    explicit SigningKeys(std::string_view seed) { crypto_sign_seed_keypair(open, secret, raw(seed)); }
    ~SigningKeys() { sodium_memzero(secret, sizeof secret); }
};

}  // namespace

std::string Vault::ledger_public_key() const {
    auto seed = subkey(context_ledger, 0);
    if (!seed) return {};
    SigningKeys keys(seed->reveal());
    return hex(std::string_view(reinterpret_cast<char const*>(keys.open), sizeof keys.open));
}

std::string Vault::sign_for_ledger(std::string_view bytes) const {
    auto seed = subkey(context_ledger, 0);
    if (!seed) return {};
    SigningKeys keys(seed->reveal());
    unsigned char signature[crypto_sign_BYTES];
    crypto_sign_detached(signature, nullptr, raw(bytes), bytes.size(), keys.secret);
    return hex(std::string_view(reinterpret_cast<char const*>(signature), sizeof signature));
}

std::string Vault::keyed_hash(std::string_view purpose, std::string_view bytes) const {
    auto size = static_cast<std::uint32_t>(purpose.size());
    std::string both;
    both.reserve(sizeof size + purpose.size() + bytes.size());
    for (int i = 0; i < 4; ++i) both += static_cast<char>(size >> (8 * i) & 255);
    both.append(purpose).append(bytes);
    auto digest = hex(keyed_digest(both, inside_->tokens_key->reveal()));
    wipe(both);
    return digest;
}

std::string Vault::find_secret_in(std::string_view bytes) const {
    if (inside_->entries.empty() && inside_->faded.empty()) return {};
    auto const* finder = inside_->fresh_finder();
    return finder ? finder->find(bytes) : std::string(unknown);
}

bool Vault::mask(std::string& text) const {
    if (inside_->entries.empty() && inside_->faded.empty()) return false;
    if (auto const* finder = inside_->fresh_finder()) return finder->mask(text);
    wipe(text);
    text = "[secret:" + std::string(unknown) + "]";
    return true;
}

bool is_signed(std::string_view bytes, std::string_view signature, std::string_view public_key) {
    auto sig = from_hex(signature), key = from_hex(public_key);
    return sig && key && sig->size() == crypto_sign_BYTES && key->size() == crypto_sign_PUBLICKEYBYTES &&
           crypto_sign_verify_detached(raw(*sig), raw(bytes), bytes.size(), raw(*key)) == 0;
}

}  // namespace parley
