#include "vault/sealed_file.hpp"
#include "vault/vault.hpp"

#include "base/hash.hpp"
#include "base/text.hpp"
#include "temp_folder.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <sstream>

using namespace parley;

namespace {

struct Home {
    TempFolder folder;
    std::filesystem::path file = folder.path / "home/vault/secrets.vault", key = folder.path / "key/vault.key";
    Home() { std::filesystem::create_directories(file.parent_path()); }

    std::unique_ptr<Vault> make() {
        auto vault = Vault::create(file, key);
        REQUIRE(vault);
        return std::move(*vault);
    }
    std::string bytes() const {
        std::ostringstream out;
        out << std::ifstream(file, std::ios::binary).rdbuf();
        return out.str();
    }
    void write(std::string const& bytes) const { std::ofstream(file, std::ios::binary) << bytes; }
};

void set(Vault& vault, char const* scope, char const* key, std::string const& value) {
    auto secret = Secret::from(value);
    REQUIRE(secret);
    REQUIRE(vault.set(scope, key, std::move(*secret), 1));
}

constexpr char value[] = "correct horse battery staple";

}  // namespace

TEST_CASE("a secret comes back after the vault was closed, and its name stands nowhere in the file", "[vault]") {
    Home home;
    set(*home.make(), "openai", "default", value);
    auto again = Vault::open(home.file, home.key);
    REQUIRE(again);
    REQUIRE((*again)->get("openai", "default")->equals(value));
    REQUIRE_FALSE((*again)->get("openai", "other"));
    for (auto const* text : {"openai", "default", value}) REQUIRE(home.bytes().find(text) == std::string::npos);
}

TEST_CASE("another key does not open the vault, and the message says so", "[vault]") {
    Home home;
    home.make();
    auto other = home.folder.path / "other.key";
    std::ofstream(other) << std::string(64, 'a') << '\n';
    std::filesystem::permissions(other, std::filesystem::perms::owner_read);
    auto opened = Vault::open(home.file, other);
    REQUIRE_FALSE(opened);
    REQUIRE(opened.error().fault == Fault::denied);
    REQUIRE(opened.error().what.find("PARLEY_VAULT_KEY_FILE") != std::string::npos);
}

TEST_CASE("a key that others can read, that is a link, or that lies in the home is refused", "[vault]") {
    Home home;
    home.make();
    std::filesystem::permissions(home.key, std::filesystem::perms::group_read, std::filesystem::perm_options::add);
    REQUIRE(Vault::open(home.file, home.key).error().fault == Fault::denied);
    std::filesystem::permissions(home.key, std::filesystem::perms::group_read, std::filesystem::perm_options::remove);
    REQUIRE(Vault::open(home.file, home.key));
    auto link = home.folder.path / "link";
    std::filesystem::create_symlink(home.key, link);
    REQUIRE(Vault::open(home.file, link).error().fault == Fault::denied);
    auto inside = home.folder.path / "home/key";
    std::filesystem::copy(home.key, inside);
    REQUIRE(Vault::open(home.file, inside).error().fault == Fault::denied);
}

TEST_CASE("every flipped bit and every cut of the vault's file is found", "[vault]") {
    Home home;
    set(*home.make(), "a", "b", value);
    auto good = home.bytes();
    for (std::size_t at = 0; at < good.size(); ++at)
        for (int bit = 0; bit < 8; ++bit) {
            auto bad = good;
            bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
            home.write(bad);
            INFO("byte " << at << " bit " << bit);
            REQUIRE_FALSE(Vault::open(home.file, home.key));
        }
    for (std::size_t size = 0; size < good.size(); ++size) {
        home.write(good.substr(0, size));
        REQUIRE_FALSE(Vault::open(home.file, home.key));
    }
    home.write(good + 'x');
    REQUIRE_FALSE(Vault::open(home.file, home.key));
    home.write(good);
    REQUIRE(Vault::open(home.file, home.key));
}

TEST_CASE("an entry of another vault with the same key file does not open here", "[vault]") {
    Home one, two;
    auto vault = one.make();
    std::filesystem::create_directories(two.key.parent_path());
    std::filesystem::copy(one.key, two.key);
    auto other = two.make();
    REQUIRE(vault->id() != other->id());
    REQUIRE(vault->keyed_hash("t", "x") != other->keyed_hash("t", "x"));
}

TEST_CASE("a secret that is too short to be kept out of texts is refused", "[vault]") {
    Home home;
    auto vault = home.make();
    REQUIRE_FALSE(vault->set("a", "b", std::move(*Secret::from("short")), 1));
    REQUIRE(vault->list().empty());
}

TEST_CASE("each write raises the generation, so that an old file is noticed", "[vault]") {
    Home home;
    auto vault = home.make();
    auto first = vault->generation();
    set(*vault, "a", "b", value);
    REQUIRE(vault->generation() == first + 1);
    REQUIRE(vault->remove("a", "b"));
    REQUIRE(vault->generation() == first + 2);
    REQUIRE_FALSE(vault->has("a", "b"));
}

TEST_CASE("after a rekey only the new key opens the vault", "[vault]") {
    Home home;
    auto vault = home.make();
    set(*vault, "a", "b", value);
    auto next = home.folder.path / "next/vault.key";
    REQUIRE(vault->rekey(next));
    REQUIRE_FALSE(Vault::open(home.file, home.key));
    REQUIRE((*Vault::open(home.file, next))->get("a", "b")->equals(value));
}

TEST_CASE("a vault that opens with a passphrase asks for it, and takes no other", "[vault]") {
    Home home;
    auto passphrase = [](char const* text) {
        return [text] { return Secret::from(text); };
    };
    {
        auto vault = Vault::create(home.file, {home.key, passphrase("twelve bytes or more")});
        REQUIRE(vault);
        set(**vault, "a", "b", value);
    }
    CHECK_FALSE(std::filesystem::exists(home.key));
    auto opened = Vault::open(home.file, {home.key, passphrase("twelve bytes or more")});
    REQUIRE(opened);
    CHECK((*opened)->get("a", "b")->equals(value));
    auto wrong = Vault::open(home.file, {home.key, passphrase("twelve bytes or less")});
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().fault == Fault::denied);
    auto nobody = Vault::open(home.file, home.key);
    REQUIRE_FALSE(nobody);
    CHECK(nobody.error().fault == Fault::unavailable);

    SECTION("after a rekey to a key file nobody is asked") {
        REQUIRE((*opened)->rekey(home.key));
        REQUIRE(Vault::open(home.file, home.key));
    }
}

TEST_CASE("a vault that names an unreasonable cost for its passphrase is refused unasked", "[vault]") {
    Home home;
    { REQUIRE(Vault::create(home.file, {home.key, [] { return Secret::from("twelve bytes or more"); }})); }
    auto bytes = *read_file(home.file, 1u << 20);
    // magic 4, format 1, id 16, generation 8, slots 1, kind 1, salt 16, then passes and KiB.
    bytes[47 + 7] = '\x7f';
    REQUIRE(replace_file(home.file, bytes));
    auto opened = Vault::open(home.file, {home.key, [] { return Secret::from("twelve bytes or more"); }});
    REQUIRE_FALSE(opened);
    CHECK(opened.error().fault == Fault::bad_input);
}

TEST_CASE("a secret is found and masked raw and in its usual encodings, live or retired", "[vault]") {
    Home home;
    auto vault = home.make();
    set(*vault, "a", "b", "p@ss word/with+odd \"chars\"");
    set(*vault, "a", "b", value);
    std::string plain(value);
    std::vector<std::string> forms{plain, "p@ss word/with+odd \"chars\"", hex(plain), base64(plain), base64("x" + plain),
                                   base64("xy" + plain), base64("xyz" + plain + "tail"),
                                   "correct%20horse%20battery%20staple", R"(p@ss word/with+odd \"chars\")"};
    for (auto const& form : forms) {
        std::string text = "before " + form + " after";
        INFO(text);
        REQUIRE(vault->find_secret_in(text) == "a/b");
        REQUIRE(vault->mask(text));
        REQUIRE(text.find("[secret:a/b]") != std::string::npos);
        REQUIRE(vault->find_secret_in(text).empty());
    }
    std::string clean = "correct horse, battery: staple";
    REQUIRE_FALSE(vault->mask(clean));
}

TEST_CASE("a token is known until it is rotated, and garbage never is", "[vault]") {
    Home home;
    auto vault = home.make();
    auto file = home.folder.path / "home/tokens";
    auto tokens = Tokens::load(file, *vault);
    REQUIRE(tokens);
    auto admin = make_token(Scope::admin), read = make_token(Scope::read), next = make_token(Scope::admin);
    REQUIRE_FALSE(tokens->check(admin));
    REQUIRE(tokens->rotate(Scope::admin, sha256_hex(admin)));
    REQUIRE(tokens->rotate(Scope::read, sha256_hex(read)));
    REQUIRE(tokens->check(admin) == Scope::admin);
    REQUIRE(tokens->check(read) == Scope::read);
    for (auto const& bad : {std::string(), admin + "x", admin.substr(0, 46), "apx_" + admin.substr(4), std::string(47, 'a')})
        REQUIRE_FALSE(tokens->check(bad));
    auto again = Tokens::load(file, *vault);
    REQUIRE(again->check(admin) == Scope::admin);
    REQUIRE(again->rotate(Scope::admin, sha256_hex(next)));
    REQUIRE_FALSE(again->check(admin));
    REQUIRE_FALSE(again->rotate(Scope::read, sha256_hex(next)));
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    REQUIRE(text.str().find(sha256_hex(next)) == std::string::npos);
}

TEST_CASE("a checkpoint's signature holds for its bytes alone", "[vault]") {
    Home home;
    auto vault = home.make();
    auto signature = vault->sign_for_ledger("bytes");
    auto signed_bytes = *from_hex(signature), key = *from_hex(vault->ledger_public_key());
    REQUIRE(is_signed("bytes", signed_bytes, key));
    REQUIRE_FALSE(is_signed("bytez", signed_bytes, key));
    REQUIRE_FALSE(is_signed("bytes", signed_bytes, std::string(32, '\0')));
}
