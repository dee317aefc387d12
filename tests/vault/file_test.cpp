#include "base/text.hpp"
#include "temp_folder.hpp"
#include "vault/finder.hpp"
#include "vault/key_file.hpp"
#include "vault/sealed_file.hpp"
#include "vault/vault.hpp"

#include <sodium.h>
#include <catch2/catch.hpp>

#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <sstream>

using namespace parley;
namespace fs = std::filesystem;

namespace {

struct Home {
    TempFolder folder;
    fs::path home = folder.path / "home", file = home / "vault/secrets.vault",
             key = folder.path / "key/vault.key";
    Home() { fs::create_directories(file.parent_path()); }

    std::unique_ptr<Vault> make() const {
        auto vault = Vault::create(file, key);
        INFO((vault ? "" : vault.error().what));
        REQUIRE(vault);
        return std::move(*vault);
    }
    std::unique_ptr<Vault> open() const {
        auto vault = Vault::open(file, key);
        INFO((vault ? "" : vault.error().what));
        REQUIRE(vault);
        return std::move(*vault);
    }
};

std::string text_of(fs::path const& file) {
    std::ostringstream out;
    out << std::ifstream(file, std::ios::binary).rdbuf();
    return out.str();
}

void write_text(fs::path const& file, std::string_view text) {
    std::ofstream(file, std::ios::binary | std::ios::trunc) << text;
}

Result<> set(Vault& vault, std::string const& key, std::string const& value,
             std::int64_t now_us = 1) {
    TRY(secret, Secret::from(value));
    return vault.set("scope", key, std::move(secret), now_us);
}

mode_t mode_of(fs::path const& path) {
    struct stat facts {};
    REQUIRE(stat(path.c_str(), &facts) == 0);
    return facts.st_mode & 0777;
}

constexpr char value[] = "correct horse battery staple";

}  // namespace

TEST_CASE("a key is made for its owner alone, in a folder for its owner alone", "[vault]") {
    Home home;
    home.make();
    REQUIRE(mode_of(home.key) == 0600);
    REQUIRE(mode_of(home.key.parent_path()) == 0700);
    REQUIRE(mode_of(home.file) == 0600);
    auto text = text_of(home.key);
    REQUIRE(text.size() == 65);
    REQUIRE(text.back() == '\n');
    REQUIRE_FALSE(fs::exists(home.key.string() + ".new"));
}

TEST_CASE("a key that is there is used and never written over", "[vault]") {
    Home home;
    fs::create_directories(home.key.parent_path());
    write_text(home.key, std::string(64, 'a') + "\n");
    SECTION("a good one is used") {
        fs::permissions(home.key, fs::perms::owner_read | fs::perms::owner_write);
        home.make();
        home.open();
    }
    SECTION("one that others can read is refused") {
        fs::permissions(home.key, fs::perms(0644));
        REQUIRE(Vault::create(home.file, home.key).error().fault == Fault::denied);
        REQUIRE_FALSE(fs::exists(home.file));
    }
    REQUIRE(text_of(home.key) == std::string(64, 'a') + "\n");
}

TEST_CASE("a link that leads nowhere is not made a key", "[vault]") {
    Home home;
    fs::create_directories(home.key.parent_path());
    fs::create_symlink(home.folder.path / "nowhere", home.key);
    REQUIRE(Vault::create(home.file, home.key).error().fault == Fault::denied);
    REQUIRE(fs::is_symlink(home.key));
    REQUIRE_FALSE(fs::exists(home.folder.path / "nowhere"));
}

TEST_CASE("a key inside the home is refused under any name of the home", "[vault]") {
    Home home;
    home.make();
    fs::create_directories(home.home / "deep/er");
    fs::copy(home.key, home.home / "deep/er/key");
    fs::create_directory_symlink(home.home, home.folder.path / "alias");
    for (auto const* path : {"home/deep/er/key", "home/../home/deep/er/key", "alias/deep/er/key"}) {
        INFO(path);
        REQUIRE(Vault::open(home.file, home.folder.path / path).error().fault == Fault::denied);
    }
    // A name that only begins like the home's is another place.
    fs::create_directories(home.folder.path / "home2");
    fs::copy(home.key, home.folder.path / "home2/key");
    REQUIRE(Vault::open(home.file, home.folder.path / "home2/key"));
}

TEST_CASE("a missing key, a missing vault and a key that is none are told apart", "[vault]") {
    Home home;
    home.make();
    auto missing = Vault::open(home.file, home.folder.path / "none");
    REQUIRE(missing.error().fault == Fault::not_found);
    REQUIRE(missing.error().what.find("none") != std::string::npos);
    auto no_vault = Vault::open(home.home / "vault/other", home.key);
    REQUIRE(no_vault.error().fault == Fault::not_found);
    REQUIRE(no_vault.error().what.find("parley init") != std::string::npos);
    for (auto const& text : {std::string(), std::string(63, 'a'), std::string(65, 'a'),
                             std::string(64, 'g'), std::string(4096, 'a')}) {
        write_text(home.key, text);
        REQUIRE(Vault::open(home.file, home.key).error().fault == Fault::bad_input);
    }
}

TEST_CASE("a vault is never made over another", "[vault]") {
    Home home;
    auto id = home.make()->id();
    REQUIRE(Vault::create(home.file, home.key).error().fault == Fault::conflict);
    REQUIRE(home.open()->id() == id);
}

TEST_CASE("an entry moved to another vault of the same key is refused", "[vault]") {
    Home one, two;
    REQUIRE(set(*one.make(), "k", value));
    fs::create_directories(two.key.parent_path());
    fs::copy(one.key, two.key);
    REQUIRE(set(*two.make(), "k", "another value altogether"));
    std::string mac;
    auto from = SealedFile::parse(text_of(one.file), mac),
         to = SealedFile::parse(text_of(two.file), mac);
    REQUIRE(from);
    REQUIRE(to);
    SECTION("the entry") {
        to->entries = from->entries;
    }
    SECTION("the slot") {
        to->slots = from->slots;
    }
    SECTION("the identity") {
        to->vault_id = from->vault_id;
    }
    write_text(two.file, to->bytes() + mac);
    REQUIRE_FALSE(Vault::open(two.file, two.key));
}

TEST_CASE("a list names, and tells no value", "[vault]") {
    Home home;
    auto vault = home.make();
    REQUIRE(set(*vault, "b", value, 7));
    REQUIRE(set(*vault, "a", "another value altogether", 8));
    REQUIRE(set(*vault, "b", "the value that came later", 9));
    auto list = vault->list();
    REQUIRE(list.size() == 2);
    REQUIRE(list[0].key == "a");
    REQUIRE(list[1].key == "b");
    REQUIRE(list[1].version == 2);
    REQUIRE(list[1].set_us == 9);
}

TEST_CASE("the length of an entry tells the length of a secret only roughly", "[vault]") {
    auto size_with = [](std::size_t bytes) {
        Home home;
        REQUIRE(set(*home.make(), "k", std::string(bytes, 'x')));
        return fs::file_size(home.file);
    };
    REQUIRE(size_with(12) == size_with(16));
    REQUIRE(size_with(200) == size_with(12) + 192);
}

TEST_CASE("a write that fails leaves the old file and the old secrets", "[vault]") {
    Home home;
    auto vault = home.make();
    REQUIRE(set(*vault, "k", value));
    auto before = text_of(home.file);
    auto generation = vault->generation();
    signal(SIGXFSZ, SIG_IGN);
    rlimit old{};
    getrlimit(RLIMIT_FSIZE, &old);
    rlimit small{100, old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    auto written = set(*vault, "k", "the value that came later");
    auto removed = vault->remove("scope", "k");
    setrlimit(RLIMIT_FSIZE, &old);
    REQUIRE_FALSE(written);
    REQUIRE_FALSE(removed);
    REQUIRE(text_of(home.file) == before);
    REQUIRE_FALSE(fs::exists(home.file.string() + ".new"));
    REQUIRE(vault->generation() == generation);
    REQUIRE(vault->get("scope", "k")->equals(value));
    REQUIRE(vault->find_secret_in("the value that came later").empty());
    REQUIRE(set(*vault, "k", "the value that came later"));
}

TEST_CASE("an older file of the vault shows an older generation", "[vault]") {
    Home home;
    auto vault = home.make();
    REQUIRE(set(*vault, "k", value));
    auto old = text_of(home.file);
    REQUIRE(set(*vault, "k", "the value that came later"));
    auto newest = vault->generation();
    write_text(home.file, old);
    REQUIRE(home.open()->generation() == newest - 1);
}

TEST_CASE("the value that was replaced last stays known, however old it was", "[vault]") {
    Home home;
    auto vault = home.make();
    REQUIRE(set(*vault, "old", value, 1));
    for (int i = 0; i < 12; ++i)
        REQUIRE(set(*vault, "k", "value number " + std::to_string(100 + i), 10 + i));
    REQUIRE(set(*vault, "old", "the value that came later", 50));
    // In this life, every value that ever was.
    REQUIRE(vault->find_secret_in(value) == "scope/old");
    for (int i = 0; i < 12; ++i)
        REQUIRE(vault->find_secret_in("value number " + std::to_string(100 + i)) == "scope/k");
    // In the next, those that were retired last.
    auto again = home.open();
    REQUIRE(again->find_secret_in(value) == "scope/old");
    REQUIRE(again->find_secret_in("value number 111") == "scope/k");
    REQUIRE(again->find_secret_in("value number 110") == "scope/k");
    REQUIRE(again->find_secret_in("value number 100").empty());
}

TEST_CASE("a secret that was removed is gone, and still found in texts", "[vault]") {
    Home home;
    auto vault = home.make();
    REQUIRE(set(*vault, "k", value));
    REQUIRE(vault->remove("scope", "k"));
    REQUIRE(vault->get("scope", "k").error().fault == Fault::not_found);
    REQUIRE(vault->remove("scope", "k").error().fault == Fault::not_found);
    REQUIRE(vault->list().empty());
    REQUIRE(home.open()->find_secret_in(value) == "scope/k");
}

TEST_CASE("bounds of a secret's size hold", "[vault]") {
    Home home;
    auto vault = home.make();
    REQUIRE(set(*vault, "k", std::string(11, 'x')).error().fault == Fault::bad_input);
    REQUIRE(set(*vault, "k", std::string(12, 'x')));
    REQUIRE(set(*vault, "k", std::string(16 * 1024, 'y')));
    REQUIRE(set(*vault, "k", std::string(16 * 1024 + 1, 'z')).error().fault == Fault::bad_input);
    REQUIRE(home.open()->get("scope", "k")->equals(std::string(16 * 1024, 'y')));
}

TEST_CASE("keys for different purposes differ, and stay over a restart", "[vault]") {
    Home home;
    auto vault = home.make();
    auto a = vault->subkey("purposea", 0), b = vault->subkey("purposeb", 0),
         c = vault->subkey("purposea", 1);
    REQUIRE_FALSE(a->equals(b->reveal()));
    REQUIRE_FALSE(a->equals(c->reveal()));
    REQUIRE(vault->keyed_hash("ab", "c") != vault->keyed_hash("a", "bc"));
    auto again = home.open();
    REQUIRE(again->subkey("purposea", 0)->equals(a->reveal()));
    REQUIRE(again->keyed_hash("ab", "c") == vault->keyed_hash("ab", "c"));
    REQUIRE(again->ledger_public_key() == vault->ledger_public_key());
}

TEST_CASE("a mask leaves nothing of secrets that overlap or begin alike", "[vault]") {
    Home home;
    auto vault = home.make();
    REQUIRE(set(*vault, "short", "abcdefghijkl"));
    REQUIRE(set(*vault, "long", "abcdefghijklmnopqrst"));
    REQUIRE(set(*vault, "crossing", "opqrstuvwxyz0123"));
    std::string text = "<abcdefghijklmnopqrstuvwxyz0123>";
    REQUIRE(vault->mask(text));
    REQUIRE(text == "<[secret:scope/long]>");
    text = "<abcdefghijklmnop>";
    REQUIRE(vault->mask(text));
    REQUIRE(text == "<[secret:scope/short]mnop>");
    text = "abcdefghijklabcdefghijkl";
    REQUIRE(vault->mask(text));
    REQUIRE(text == "[secret:scope/short][secret:scope/short]");
}

TEST_CASE("a secret is found at every place and in every alignment of base64", "[vault]") {
    Home home;
    auto vault = home.make();
    std::string secret("sk-\xc3\xbf\xc3\xbe?>~/+key~value?>");
    REQUIRE(set(*vault, "k", secret));
    auto url = [](std::string text) {
        for (char& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
        return text;
    };
    for (std::size_t before = 0; before < 7; ++before)
        for (std::size_t after = 0; after < 7; ++after) {
            auto whole = std::string(before, '\xff') + secret + std::string(after, '\xfe');
            INFO(before << ' ' << after);
            REQUIRE(vault->find_secret_in(whole) == "scope/k");
            REQUIRE(vault->find_secret_in(base64(whole)) == "scope/k");
            REQUIRE(vault->find_secret_in(url(base64(whole))) == "scope/k");
            REQUIRE(vault->find_secret_in(hex(whole)) == "scope/k");
        }
    // Some writers of JSON escape a slash.
    REQUIRE(vault->find_secret_in("sk-\xc3\xbf\xc3\xbe?>~\\/+key~value?>") == "scope/k");
    REQUIRE(vault->find_secret_in(secret.substr(1)).empty());
}

TEST_CASE("a vault that holds nothing finds nothing", "[vault]") {
    Home home;
    auto vault = home.make();
    std::string text = "any text";
    REQUIRE(vault->find_secret_in(text).empty());
    REQUIRE_FALSE(vault->mask(text));
    REQUIRE(text == "any text");
}

TEST_CASE("who can write the tokens' file cannot give a token another scope", "[vault]") {
    Home home;
    auto vault = home.make();
    auto file = home.home / "tokens";
    auto tokens = Tokens::load(file, *vault);
    auto admin = make_token(Scope::admin), read = make_token(Scope::read);
    REQUIRE(tokens->rotate(Scope::admin, sha256_hex(admin)));
    REQUIRE(tokens->rotate(Scope::read, sha256_hex(read)));
    auto swapped = text_of(file);
    swapped.replace(swapped.find("\"admin\""), 7, "\"other\"");
    swapped.replace(swapped.find("\"read\""), 6, "\"admin\"");
    swapped.replace(swapped.find("\"other\""), 7, "\"read\"");
    write_text(file, swapped);
    auto loaded = Tokens::load(file, *vault);
    REQUIRE(loaded);
    CHECK(loaded->has(Scope::admin));
    CHECK_FALSE(loaded->check(read));
    CHECK_FALSE(loaded->check(admin));
}

TEST_CASE("each flipped byte of the tokens' file admits nobody new", "[vault]") {
    Home home;
    auto vault = home.make();
    auto file = home.home / "tokens";
    auto tokens = Tokens::load(file, *vault);
    auto admin = make_token(Scope::admin), read = make_token(Scope::read);
    REQUIRE(tokens->rotate(Scope::admin, sha256_hex(admin)));
    REQUIRE(tokens->rotate(Scope::read, sha256_hex(read)));
    REQUIRE(tokens->epoch(Scope::admin) == 1);
    REQUIRE(tokens->rotate(Scope::admin, std::string(64, 'G')).error().fault == Fault::bad_input);
    REQUIRE(mode_of(file) == 0600);
    auto good = text_of(file);
    for (std::size_t at = 0; at < good.size(); ++at)
        for (int bit = 0; bit < 8; ++bit) {
            auto bad = good;
            bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
            write_text(file, bad);
            auto loaded = Tokens::load(file, *vault);
            if (!loaded) continue;
            INFO(bad);
            REQUIRE(loaded->check(read) != Scope::admin);
            REQUIRE(loaded->check(admin) != Scope::read);
            REQUIRE_FALSE(loaded->check(make_token(Scope::admin)));
        }
}
