#include "vault/vault.hpp"

#include "base/limits.hpp"
#include "base/text.hpp"
#include "vault/inside.hpp"
#include "vault/key_file.hpp"

#include <sodium.h>

#include <algorithm>
#include <iterator>

namespace parley {

namespace {

unsigned char const* raw(std::string_view text) {
    return reinterpret_cast<unsigned char const*>(text.data());
}

// The vault lies in a folder of the home.
std::filesystem::path home_of(std::filesystem::path const& file) {
    std::error_code ignored;
    return std::filesystem::absolute(file, ignored).parent_path().parent_path();
}

// A slot that this key opens, for a root key that is new or known.
Result<Slot> slot_for(VaultKey const& key, Secret const& root, std::string const& vault_id,
                      std::filesystem::path const& home) {
    if (!key.ask) {
        MUST(make_key_file_unless_there(key.file));
        TRY(bytes, read_key_file(key.file, home));
        return sealed_slot(Slot::Kind::key_file, root, bytes, vault_id);
    }
    TRY(passphrase, key.ask());
    return sealed_slot(Slot::Kind::passphrase, root, passphrase, vault_id);
}

bool is_there(std::filesystem::path const& path) {
    std::error_code ignored;
    return std::filesystem::exists(path, ignored);
}

}  // namespace

Vault::Vault(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {}
Vault::~Vault() = default;

Result<std::unique_ptr<Vault>> Vault::create(std::filesystem::path const& file,
                                             VaultKey const& key) {
    if (sodium_init() < 0) return Error(Fault::unavailable, "libsodium could not start");
    if (is_there(file)) return Error(Fault::conflict, "there is a vault already: " + file.string());
    auto inside = std::make_unique<Inside>();
    inside->file = file;
    TRY(root, secret_of(random_bytes(32)));
    inside->root = std::make_unique<Secret>(std::move(root));
    MUST(inside->derive_keys());
    SealedFile fresh;
    fresh.vault_id = random_bytes(16);
    TRY(slot, slot_for(key, *inside->root, fresh.vault_id, home_of(file)));
    fresh.slots.push_back(std::move(slot));
    MUST(inside->write({}, std::move(fresh)));
    return std::unique_ptr<Vault>(new Vault(std::move(inside)));
}

Result<std::unique_ptr<Vault>> Vault::open(std::filesystem::path const& file, VaultKey const& key) {
    if (sodium_init() < 0) return Error(Fault::unavailable, "libsodium could not start");
    if (!is_there(file))
        return Error(Fault::not_found,
                     "there is no vault " + file.string() + "; make one with: parley init");
    auto inside = std::make_unique<Inside>();
    inside->file = file;
    MUST(inside->open(key, home_of(file)));
    return std::unique_ptr<Vault>(new Vault(std::move(inside)));
}

std::string Vault::id() const {
    return hex(inside_->sealed.vault_id);
}
std::uint64_t Vault::generation() const {
    return inside_->sealed.generation;
}

std::vector<SecretInfo> Vault::list() const {
    std::vector<SecretInfo> list;
    for (auto const& entry : inside_->entries)
        if (!entry.is_retired())
            list.push_back({entry.scope, entry.key, entry.version, entry.set_us});
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
        return Error(Fault::not_found,
                     "the vault has no secret " + std::string(scope) + '/' + std::string(key));
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
        return Error(Fault::not_found,
                     "the vault has no secret " + std::string(scope) + '/' + std::string(key));
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
    auto kept = inside_->faded.size();
    std::move(dropped.begin(), dropped.end(), std::back_inserter(inside_->faded));
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
    auto written = inside_->write(std::move(next), inside_->sealed);
    if (!written)
        inside_->faded.erase(inside_->faded.begin() + static_cast<std::ptrdiff_t>(kept),
                             inside_->faded.end());
    return written;
}

Result<> Vault::rekey(VaultKey const& key) {
    auto changed = inside_->sealed;
    TRY(slot, slot_for(key, *inside_->root, changed.vault_id, home_of(inside_->file)));
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
    explicit SigningKeys(std::string_view seed) {
        crypto_sign_seed_keypair(open, secret, raw(seed));
    }
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
    return inside_->finder ? inside_->finder->find(bytes) : std::string();
}

bool Vault::mask(std::string& text) const {
    return inside_->finder && inside_->finder->mask(text);
}

}  // namespace parley
