#include "cli/cli.hpp"

#include "kit.hpp"
#include "vault/vault.hpp"

namespace fs = std::filesystem;
using namespace parley;
using namespace std::string_literals;
using Catch::Matchers::Contains;
using Words = std::vector<std::string>;

namespace {

json::value document(Said const& said) {
    REQUIRE(said.code == 0);
    auto value = parse_json(said.out);
    INFO((value ? std::string() : value.error().what));
    REQUIRE(value);
    REQUIRE(int_at(*value, "version") == 1);
    return std::move(*value);
}

std::string shown(Words const& words) {
    std::string line;
    for (auto const& word : words) line += word + ' ';
    return line;
}

}  // namespace

// ---- Usage --------------------------------------------------------------------------------------

TEST_CASE("wrong usage exits 2, says why on standard error, and does nothing", "[cli]") {
    Shell shell;
    for (auto const& words : {Words{},
                              Words{""},
                              Words{"nonsense"},
                              Words{"--nonsense"},
                              Words{"session"},
                              Words{"session", "nonsense"},
                              Words{"session", "show"},
                              Words{"session", "show", "a", "b"},
                              Words{"run", "--port", "1"},
                              Words{"run", "x"},
                              Words{"token", "rotate"},
                              Words{"token", "rotate", "root"},
                              Words{"token", "rotate", "Admin"},
                              Words{"ledger", "tail", "-n", "-1"},
                              Words{"ledger", "tail", "-n", "x"},
                              Words{"ledger", "tail", "-n", "1000001"},
                              Words{"session", "resolve", "s-1", "c-1"},
                              Words{"secret", "set"},
                              Words{"secret", "rekey"},
                              Words{"chat", "a", "b"},
                              Words{"chat", "-m"},
                              Words{"version", "--home"}}) {
        INFO(shown(words));
        auto said = shell.parley(words);
        REQUIRE(said.code == 2);
        REQUIRE(said.out.empty());
        REQUIRE_FALSE(said.err.empty());
    }
    REQUIRE(shell.hosts.empty());
}

TEST_CASE("there is no verb that reads a secret back, and no argument that takes one", "[cli]") {
    Shell shell;
    for (auto const& words :
         {Words{"secret", "get", "a/b"}, Words{"secret", "show", "a/b"},
          Words{"secret", "set", "a/b", "value"}, Words{"secret", "set", "a/b", "--value", "x"},
          Words{"run", "--token", "x"}, Words{"init", "--passphrase", "x"}}) {
        INFO(shown(words));
        REQUIRE(shell.parley(words).code == 2);
    }
}

TEST_CASE("every verb explains itself, and asking for that is no error", "[cli]") {
    Shell shell;
    for (auto const& words :
         {Words{}, Words{"init"}, Words{"run"}, Words{"chat"}, Words{"session"},
          Words{"session", "resolve"}, Words{"secret", "set"}, Words{"ledger", "verify"}}) {
        INFO(shown(words));
        auto asked = words;
        asked.push_back("--help");
        auto said = shell.parley(asked);
        REQUIRE(said.code == 0);
        REQUIRE_FALSE(said.out.empty());
        REQUIRE(said.err.empty());
    }
}

TEST_CASE("a verb that needs a host says that none runs, and how to start it", "[cli]") {
    Shell shell;
    for (auto const& words :
         {Words{"status"}, Words{"agent", "list"}, Words{"agent", "show", "../x"},
          Words{"channel", "test", "irc"}, Words{"session", "list"},
          Words{"session", "replay", "s-1"}, Words{"session", "context", "s-1"},
          Words{"session", "cancel", "s-1"}, Words{"outbox", "list"},
          Words{"outbox", "drop", "o-1"}, Words{"approval", "list"},
          Words{"approval", "approve", "a-1"}, Words{"approval", "deny", "a-1", "--digest", "d"},
          Words{"budget", "show"}, Words{"ledger", "tail"}, Words{"chat", "-m", "hello"},
          Words{"plugin", "enable", "x"}}) {
        INFO(shown(words));
        auto said = shell.at_home(words);
        REQUIRE(said.code == 1);
        REQUIRE(said.out.empty());
        REQUIRE_THAT(said.err, Contains("no host is running on " + shell.home.string()) &&
                                   Contains("parley run"));
    }
}

TEST_CASE("the version is told without a home", "[cli]") {
    Shell shell;
    REQUIRE(shell.parley({"version"}).out == "parley " PARLEY_VERSION "\n");
    REQUIRE(text_at(document(shell.parley({"version", "--json"})), "parley") == PARLEY_VERSION);
}

TEST_CASE("run is the host's own end: its home is absolute, and its exit code is passed on",
          "[cli]") {
    Shell shell;
    REQUIRE(shell.at_home({"run"}).code == 5);
    setenv("PARLEY_HOME", "some/where", 1);
    REQUIRE(shell.parley({"run"}).code == 5);
    REQUIRE(shell.at_home({"run"}).code == 5);
    unsetenv("PARLEY_HOME");
    REQUIRE(shell.hosts == std::vector{shell.home, fs::current_path() / "some/where", shell.home});
}

// ---- A home -------------------------------------------------------------------------------------

TEST_CASE("init makes a home that is sound at once, and prints its tokens once", "[cli]") {
    Shell shell;
    auto made = document(shell.at_home({"init", "--json"}));
    REQUIRE(text_at(made, "home") == shell.home.string());
    REQUIRE(text_at(made, "listen") == "127.0.0.1:7420");
    for (auto const* token : {"admin_token", "read_token"}) {
        REQUIRE(text_at(made, token).size() == 47);
        REQUIRE(text_of_file(shell.home / "tokens").find(text_at(made, token)) ==
                std::string::npos);
    }
    REQUIRE(shell.at_home({"ledger", "verify"}).code == 0);
    REQUIRE(document(shell.at_home({"token", "list", "--json"})).at("items").as_array().size() ==
            2);
}

TEST_CASE("init leaves a home that is there as it is", "[cli]") {
    Shell shell;
    REQUIRE(shell.at_home({"init"}).code == 0);
    auto tokens = text_of_file(shell.home / "tokens");
    auto again = shell.at_home({"init"});
    REQUIRE(again.code == 1);
    REQUIRE(again.out.empty());
    REQUIRE(text_of_file(shell.home / "tokens") == tokens);
}

TEST_CASE("a secret comes from standard input, to the byte but its last line break", "[cli]") {
    Shell shell;
    REQUIRE(shell.at_home({"init"}).code == 0);
    REQUIRE(shell.at_home({"secret", "set", "openai/default"}, "correct horse\nbattery staple\n")
                .code == 0);
    auto vault =
        Vault::open(shell.home / "vault/secrets.vault", shell.folder.path / "key/vault.key");
    REQUIRE(vault);
    REQUIRE((*vault)->get("openai", "default")->equals("correct horse\nbattery staple"));
}

TEST_CASE("a secret's value stands in no output and no record", "[cli]") {
    Shell shell;
    auto value = "correct horse battery staple"s;
    REQUIRE(shell.at_home({"init"}).code == 0);
    auto said = shell.at_home({"secret", "set", "openai/default"}, value);
    REQUIRE(said.code == 0);
    for (auto const& words :
         {Words{"secret", "list"}, Words{"secret", "list", "--json"}, Words{"ledger", "export"}})
        said.out += shell.at_home(words).out;
    REQUIRE_THAT(said.out, Contains("openai/default"));
    REQUIRE((said.out + said.err).find(value) == std::string::npos);
}

TEST_CASE("a secret that cannot be one is refused, and nothing is kept", "[cli]") {
    Shell shell;
    REQUIRE(shell.at_home({"init"}).code == 0);
    for (auto const& [name, value] :
         {std::pair("openai", "correct horse battery"), std::pair("a/b/c", "correct horse battery"),
          std::pair("../x", "correct horse battery"), std::pair("A/b", "correct horse battery"),
          std::pair("a/b", ""), std::pair("a/b", "short"),
          std::pair("a/b", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")}) {
        INFO(name);
        REQUIRE(shell.at_home({"secret", "set", name}, value).code == 1);
    }
    REQUIRE(document(shell.at_home({"secret", "list", "--json"})).at("items").as_array().empty());
}

TEST_CASE("a rotated token is printed alone, once, and is another each time", "[cli]") {
    Shell shell;
    REQUIRE(shell.at_home({"init"}).code == 0);
    auto first = shell.at_home({"token", "rotate", "read"}).out,
         second = shell.at_home({"token", "rotate", "read"}).out;
    REQUIRE(first.size() == 48);
    REQUIRE(first.starts_with("apr_"));
    REQUIRE(first != second);
}

TEST_CASE("offline verbs that change something leave a record of it", "[cli]") {
    Shell shell;
    REQUIRE(shell.at_home({"init"}).code == 0);
    shell.at_home({"secret", "set", "a/b"}, "correct horse battery staple");
    shell.at_home({"secret", "remove", "a/b"});
    shell.at_home({"token", "rotate", "admin"});
    auto records = shell.at_home({"ledger", "export"}).out;
    for (auto const* kind : {"\"secret.set\"", "\"secret.removed\"", "\"token.rotated\""})
        REQUIRE_THAT(records, Contains(kind));
}

// ---- The ledger ---------------------------------------------------------------------------------

TEST_CASE(
    "verify exits 0 for a sound export, 1 for one that was changed, 3 for one that is too short",
    "[cli]") {
    Shell shell;
    REQUIRE(shell.at_home({"init"}).code == 0);
    shell.at_home({"token", "rotate", "admin"});
    auto one = shell.at_home({"ledger", "export"}).out;
    shell.at_home({"token", "rotate", "read"});
    auto two = shell.at_home({"ledger", "export"}).out;
    auto verify = [&](std::string const& text) {
        std::ofstream(shell.folder.path / "export") << text;
        return shell.parley({"ledger", "verify", (shell.folder.path / "export").string()}).code;
    };
    REQUIRE(verify(two) == 0);
    auto changed = two;
    auto at = changed.find("\"scope\":\"read\"");
    REQUIRE(at != std::string::npos);
    changed.replace(at, 14, "\"scope\":\"none\"");
    REQUIRE(verify(changed) == 1);
    REQUIRE(verify("not a ledger\n") == 1);

    // The last checkpoint of the longer one, against the shorter.
    std::string checkpoint;
    for (std::size_t begin = 0, end; (end = two.find('\n', begin)) != std::string::npos;
         begin = end + 1)
        if (auto line = two.substr(begin, end - begin);
            line.find("\"signature\"") != std::string::npos)
            checkpoint = line;
    REQUIRE_FALSE(checkpoint.empty());
    std::ofstream(shell.folder.path / "checkpoint") << checkpoint << '\n';
    std::ofstream(shell.folder.path / "export") << one;
    REQUIRE(shell
                .parley({"ledger", "verify", (shell.folder.path / "export").string(), "--against",
                         (shell.folder.path / "checkpoint").string()})
                .code == 3);
}

TEST_CASE("verify refuses what it cannot compare with", "[cli]") {
    Shell shell;
    REQUIRE(shell.at_home({"init"}).code == 0);
    std::ofstream(shell.folder.path / "odd") << "no checkpoint, no key\n";
    auto odd = (shell.folder.path / "odd").string();
    REQUIRE_THAT(shell.at_home({"ledger", "verify", "--against", odd}).err,
                 Contains("no checkpoint"));
    REQUIRE_THAT(shell.at_home({"ledger", "verify", odd, "--key", odd}).err,
                 Contains("no public key"));
    REQUIRE_THAT(shell.at_home({"ledger", "verify", "--against", "/no/such/file"}).err,
                 Contains("no checkpoint"));
}

TEST_CASE("a record is shown by its number, and by nothing that only begins like one", "[cli]") {
    Shell shell;
    REQUIRE(shell.at_home({"init"}).code == 0);
    shell.at_home({"token", "rotate", "admin"});
    REQUIRE(text_at(document(shell.at_home({"ledger", "show", "1", "--json"})), "kind") ==
            "token.rotated");
    for (auto const* seq : {"0", "2", "1x", "one", " 1", "1.0", "99999999999999999999"}) {
        INFO(seq);
        REQUIRE(shell.at_home({"ledger", "show", seq}).code == 1);
    }
}

// ---- Plugins ------------------------------------------------------------------------------------

TEST_CASE("a file that is no plugin is said to be none", "[cli]") {
    Shell shell;
    auto text = (shell.folder.path / "x.so").string();
    std::ofstream(text) << "no library";
    auto told = shell.parley({"plugin", "check", text});
    REQUIRE(told.code == 1);
    REQUIRE_THAT(told.out, Contains("not an ELF file"));
    for (auto const& file :
         {(shell.folder.path / "absent.so").string(), shell.folder.path.string(), "/dev/null"s}) {
        auto said = shell.parley({"plugin", "check", file});
        REQUIRE(said.code == 1);
        REQUIRE_THAT(said.err, Contains(file));
    }
}

TEST_CASE("every document about plugins is one in which no key stands twice", "[cli]") {
    Shell shell;
    REQUIRE(shell.at_home({"init"}).code == 0);
    auto file = shell.programs.plugins / "provider_rehearsal.so";
    fs::copy_file(fs::path(BUILD_FOLDER) / "plugins/provider_rehearsal.so", file);
    fs::permissions(file, fs::perms::owner_all);
    auto list = document(shell.at_home({"plugin", "list", "--json"}));
    REQUIRE(text_at(list.at("items").at(0), "id") == "rehearsal");
    auto version = text_at(list.at("items").at(0), "version");
    REQUIRE_FALSE(version.empty());
    REQUIRE(text_at(document(shell.at_home({"plugin", "show", "rehearsal", "--json"})),
                    "plugin_version") == version);
    REQUIRE(text_at(document(shell.at_home(
                        {"plugin", "check", file.string(), "--json", "--include", "elf-sane"})),
                    "plugin_version") == version);
}
