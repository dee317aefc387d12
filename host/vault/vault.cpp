#include "vault/vault.hpp"

#include "base/hash.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"
#include "vault/finder.hpp"
#include "vault/sealed_file.hpp"

#include <sodium.h>

#include <algorithm>
#include <cstring>

namespace parley {

namespace {

constexpr char context_mac[] = "vaultmac", context_entries[] = "vaultent", context_tokens[] = "tokenkey",
               context_ledger[] = "ledgrsig";
constexpr std::string_view entry_domain = "parley.vault-entry/1", slot_domain = "parley.vault-slot/1";
constexpr std::size_t retired_most = 8;

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

void append_text(std::string& out, std::string_view text) {
    auto size = static_cast<std::uint32_t>(text.size());
    for (int i = 0; i < 4; ++i) out += static_cast<char>(size >> (8 * i) & 255);
    out += text;
}

// The plain bytes of an entry; names are inside, so the file tells nobody what it holds.
struct Entry {
    std::string scope, key;
    std::uint64_t version = 0;
    std::int64_t set_us = 0;
    bool retired = false;
    std::string nonce, sealed;  // as in the file

    std::string text() const { return scope + '/' + key; }
};

Result<std::string_view> take_text(std::string_view& rest) {
    if (rest.size() < 4) return Error(Fault::bad_input, "an entry is cut short");
    std::uint32_t size = 0;
    for (int i = 3; i >= 0; --i) size = size << 8 | static_cast<unsigned char>(rest[i]);
    if (rest.size() - 4 < size) return Error(Fault::bad_input, "an entry is cut short");
    auto found = rest.substr(4, size);
    rest.remove_prefix(4 + size);
    return found;
}

std::uint64_t take_number(std::string_view& rest) {
    std::uint64_t value = 0;
    for (int i = 7; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(rest[i]);
    rest.remove_prefix(8);
    return value;
}

}  // namespace

struct Vault::Inside {
    std::filesystem::path file;
    SealedFile sealed;
    std::unique_ptr<Secret> root, entries_key;
    std::vector<Entry> entries;
    mutable Finder finder;
    mutable bool finder_is_fresh = false;

    std::string about() const { return std::string(entry_domain) + sealed.vault_id; }
    Result<> open(Secret key);
    Result<> read_entries();
    Result<Secret> value_of(Entry const& entry) const;
    Result<Entry> sealed_entry(Entry facts, Secret const& value) const;
    Result<> write(std::vector<Entry> next, SealedFile changed);
    void refresh_finder() const;
    Entry const* live(std::string_view scope, std::string_view key) const;
};

namespace {

// An entry's plain bytes: flags, version, time, scope, key, value; padded to 64 bytes.
std::string plain_of(Entry const& facts, std::string_view value) {
    std::string plain(1, facts.retired ? '\1' : '\0');
    for (auto number : {facts.version, static_cast<std::uint64_t>(facts.set_us)})
        for (int i = 0; i < 8; ++i) plain += static_cast<char>(number >> (8 * i) & 255);
    append_text(plain, facts.scope);
    append_text(plain, facts.key);
    append_text(plain, value);
    plain.resize((plain.size() + 63) / 64 * 64, '\0');
    return plain;
}

Result<std::string_view> read_plain(std::string_view plain, Entry& facts) {
    if (plain.size() < 17) return Error(Fault::bad_input, "an entry is cut short");
    facts.retired = plain[0] != '\0';
    plain.remove_prefix(1);
    facts.version = take_number(plain);
    facts.set_us = static_cast<std::int64_t>(take_number(plain));
    TRY(scope, take_text(plain));
    TRY(key, take_text(plain));
    facts.scope = scope;
    facts.key = key;
    return take_text(plain);
}

Result<Secret> slot_key(SealedFile const& file, Secret const& key) {
    return Secret::from(keyed_digest(file.salt, key.reveal()));
}

}  // namespace

Result<> Vault::Inside::open(Secret key) {
    TRY(bytes, read_file(file, 8u << 20));
    std::string mac;
    auto parsed = SealedFile::parse(bytes, mac);
    if (!parsed)
        return Error(Fault::bad_input, "the vault " + file.string() + " is damaged: " +
                                           parsed.error().what + "; restore it from a backup");
    sealed = std::move(*parsed);
    TRY(slot, slot_key(sealed, key));
    auto opened = unseal(sealed.sealed_root, std::string(slot_domain) + sealed.vault_id,
                         sealed.slot_nonce, slot.reveal());
    if (!opened)
        return Error(Fault::denied, "the key does not open the vault " + file.string() +
                                        "; is PARLEY_VAULT_KEY_FILE the key of this home?");
    root = std::make_unique<Secret>(std::move(*opened));
    TRY(mac_key, derive(root->reveal(), context_mac, 0));
    auto expected = keyed_digest(std::string_view(bytes).substr(0, bytes.size() - mac.size()),
                                 mac_key.reveal());
    if (sodium_memcmp(expected.data(), mac.data(), mac.size()) != 0)
        return Error(Fault::bad_input,
                     "the vault " + file.string() + " is damaged; restore it from a backup");
    TRY(subkey, derive(root->reveal(), context_entries, 0));
    entries_key = std::make_unique<Secret>(std::move(subkey));
    return read_entries();
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
    MUST(replace_file(file, bytes));
    sealed = std::move(changed);
    entries = std::move(next);
    finder_is_fresh = false;
    return ok();
}

Entry const* Vault::Inside::live(std::string_view scope, std::string_view key) const {
    for (auto const& entry : entries)
        if (!entry.retired && entry.scope == scope && entry.key == key) return &entry;
    return nullptr;
}

void Vault::Inside::refresh_finder() const {
    if (finder_is_fresh) return;
    finder.clear();
    for (auto const& entry : entries)
        if (auto value = value_of(entry)) finder.add(entry.text(), value->reveal());
    finder_is_fresh = true;
}

Vault::Vault(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {}
Vault::~Vault() = default;

Result<std::unique_ptr<Vault>> Vault::create(std::filesystem::path const& file,
                                             std::filesystem::path const& key_file) {
    if (sodium_init() < 0) return Error(Fault::unavailable, "libsodium could not start");
    if (std::filesystem::exists(file))
        return Error(Fault::conflict, "there is a vault already: " + file.string());
    if (!std::filesystem::exists(key_file)) MUST(make_key_file(key_file));
    TRY(key, read_key_file(key_file, file.parent_path().parent_path()));
    auto inside = std::make_unique<Inside>();
    inside->file = file;
    TRY(root, Secret::from(random_bytes(32)));
    inside->root = std::make_unique<Secret>(std::move(root));
    SealedFile fresh;
    fresh.vault_id = random_bytes(16);
    fresh.salt = random_bytes(16);
    fresh.slot_nonce = random_bytes(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES);
    TRY(slot, slot_key(fresh, key));
    fresh.sealed_root = seal(inside->root->reveal(), std::string(slot_domain) + fresh.vault_id,
                             fresh.slot_nonce, slot.reveal());
    TRY(subkey, derive(inside->root->reveal(), context_entries, 0));
    inside->entries_key = std::make_unique<Secret>(std::move(subkey));
    MUST(inside->write({}, std::move(fresh)));
    return std::unique_ptr<Vault>(new Vault(std::move(inside)));
}

Result<std::unique_ptr<Vault>> Vault::open(std::filesystem::path const& file,
                                           std::filesystem::path const& key_file) {
    if (sodium_init() < 0) return Error(Fault::unavailable, "libsodium could not start");
    if (!std::filesystem::exists(file))
        return Error(Fault::not_found, "there is no vault " + file.string() + "; make one with: parley init");
    TRY(key, read_key_file(key_file, file.parent_path().parent_path()));
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
        if (!entry.retired) list.push_back({entry.scope, entry.key, entry.version, entry.set_us});
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
        if (entry.retired || entry.scope != scope || entry.key != key) {
            next.push_back(entry);
            continue;
        }
        TRY(value, inside_->value_of(entry));
        auto retired = entry;
        retired.retired = true;
        TRY(again, inside_->sealed_entry(std::move(retired), value));
        next.push_back(std::move(again));
    }
    auto is_retired = [](Entry const& entry) { return entry.retired; };
    while (std::count_if(next.begin(), next.end(), is_retired) > static_cast<long>(retired_most)) {
        auto oldest = std::min_element(next.begin(), next.end(), [&](auto const& a, auto const& b) {
            return std::pair(!a.retired, a.set_us) < std::pair(!b.retired, b.set_us);
        });
        next.erase(oldest);
    }
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
    return inside_->write(std::move(next), inside_->sealed);
}

Result<> Vault::rekey(std::filesystem::path const& new_key_file) {
    if (!std::filesystem::exists(new_key_file)) MUST(make_key_file(new_key_file));
    TRY(key, read_key_file(new_key_file, inside_->file.parent_path().parent_path()));
    auto changed = inside_->sealed;
    changed.salt = random_bytes(16);
    changed.slot_nonce = random_bytes(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES);
    TRY(slot, slot_key(changed, key));
    changed.sealed_root = seal(inside_->root->reveal(), std::string(slot_domain) + changed.vault_id,
                               changed.slot_nonce, slot.reveal());
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
    auto key = subkey(context_tokens, 0);
    if (!key) return {};
    std::string both;
    append_text(both, purpose);
    append_text(both, bytes);
    auto digest = hex(keyed_digest(both, key->reveal()));
    wipe(both);
    return digest;
}

std::string Vault::find_secret_in(std::string_view bytes) const {
    if (inside_->entries.empty()) return {};
    inside_->refresh_finder();
    return inside_->finder.find(bytes);
}

bool Vault::mask(std::string& text) const {
    if (inside_->entries.empty()) return false;
    inside_->refresh_finder();
    return inside_->finder.mask(text);
}

bool is_signed(std::string_view bytes, std::string_view signature, std::string_view public_key) {
    auto sig = from_hex(signature), key = from_hex(public_key);
    return sig && key && sig->size() == crypto_sign_BYTES && key->size() == crypto_sign_PUBLICKEYBYTES &&
           crypto_sign_verify_detached(raw(*sig), raw(bytes), bytes.size(), raw(*key)) == 0;
}

}  // namespace parley
