#include "base/json.hpp"
#include "base/text.hpp"
#include "vault/sealed_file.hpp"
#include "vault/vault.hpp"

#include <sodium.h>
#include <boost/json/value.hpp>

namespace parley {

namespace {

constexpr std::size_t token_digits = 43;
constexpr std::string_view digits =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr Scope scopes[] = {Scope::read, Scope::admin};

char const* name_of(Scope scope) {
    return scope == Scope::admin ? "admin" : "read";
}
std::string_view prefix_of(Scope scope) {
    return scope == Scope::admin ? "apa_" : "apr_";
}
std::size_t index_of(Scope scope) {
    return scope == Scope::admin ? 1 : 0;
}

bool is_token(std::string_view text) {
    if (text.size() != 4 + token_digits) return false;
    if (!text.starts_with(prefix_of(Scope::admin)) && !text.starts_with(prefix_of(Scope::read)))
        return false;
    return text.substr(4).find_first_not_of(digits) == std::string_view::npos;
}

bool same(std::string_view a, std::string_view b) {
    return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

std::string make_token(Scope scope) {
    std::string token(prefix_of(scope));
    for (std::size_t i = 0; i < token_digits; ++i)
        token += digits[randombytes_uniform(digits.size())];
    return token;
}

std::string sha256_hex(std::string_view bytes) {
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(digest, reinterpret_cast<unsigned char const*>(bytes.data()), bytes.size());
    return hex(std::string_view(reinterpret_cast<char const*>(digest), sizeof digest));
}

Result<Tokens> Tokens::load(std::filesystem::path const& file, Vault const& vault) {
    Tokens tokens(file, vault);
    auto text = read_file(file, 64 * 1024);
    if (!text && text.error().fault == Fault::not_found) return tokens;
    if (!text) return text.error();
    auto value = parse_json(*text);
    if (!value)
        return Error(Fault::bad_input, file.string() + " is damaged: " + value.error().what +
                                           "; make new tokens with: parley token rotate admin");
    for (auto scope : scopes)
        if (auto const* entry = member(*value, name_of(scope))) {
            tokens.hash_[index_of(scope)] = text_at(*entry, "hash");
            tokens.epoch_[index_of(scope)] = static_cast<std::uint64_t>(int_at(*entry, "epoch"));
        }
    return tokens;
}

std::optional<Scope> Tokens::check(std::string_view token) const {
    if (!is_token(token)) return {};
    auto hash = vault_->keyed_hash("token", sha256_hex(token));
    std::optional<Scope> found;
    // A token says which scope it was made for: who can write the file cannot give it another.
    for (auto scope : scopes)
        if (same(hash, hash_[index_of(scope)]) && token.starts_with(prefix_of(scope)))
            found = scope;
    return found;
}

Result<> Tokens::rotate(Scope scope, std::string_view sha256) {
    bool is_lower_hex = sha256.size() == 64 &&
                        sha256.find_first_not_of("0123456789abcdef") == std::string_view::npos;
    if (!is_lower_hex)
        return Error(Fault::bad_input, "a token's hash is 64 lower-case hex digits of SHA-256");
    std::string hashes[2] = {hash_[0], hash_[1]};
    std::uint64_t epochs[2] = {epoch_[0], epoch_[1]};
    hashes[index_of(scope)] = vault_->keyed_hash("token", sha256);
    ++epochs[index_of(scope)];
    // One token for both scopes would make the weaker one strong.
    if (hashes[0] == hashes[1]) return Error(Fault::conflict, "the other scope has this token");
    JsonWriter out;
    out.begin('{').pair("version", 1);
    for (auto each : scopes)
        if (!hashes[index_of(each)].empty())
            out.key(name_of(each))
                .begin('{')
                .pair("hash", hashes[index_of(each)])
                .pair("epoch", static_cast<std::int64_t>(epochs[index_of(each)]))
                .end('}');
    MUST(replace_file(file_, out.end('}').take() + '\n'));
    hash_[index_of(scope)] = hashes[index_of(scope)];
    epoch_[index_of(scope)] = epochs[index_of(scope)];
    return ok();
}

std::uint64_t Tokens::epoch(Scope scope) const {
    return epoch_[index_of(scope)];
}
bool Tokens::has(Scope scope) const {
    return !hash_[index_of(scope)].empty();
}

}  // namespace parley
