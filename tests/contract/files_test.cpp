// The file skills: what they do, and above all what nobody can make them do.
#include "scratch.hpp"
#include "test_host.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sodium/crypto_generichash.h>
#include <sys/stat.h>

#include <atomic>
#include <thread>

using namespace contract;
namespace fs = std::filesystem;

namespace {

constexpr char files[] = PLUGIN_FOLDER "/skill_files.so";

std::string hash_of(std::string const& content) {
    unsigned char raw[32];
    crypto_generichash_blake2b(raw, 32, reinterpret_cast<unsigned char const*>(content.data()),
                               content.size(), nullptr, 0);
    std::string out;
    for (unsigned char const byte : raw) {
        char digits[3];
        std::snprintf(digits, sizeof digits, "%02x", byte);
        out += digits;
    }
    return out;
}

// A workspace with a secret beside it.
struct Place {
    Scratch all;
    TestHost host{files};

    Place() {
        all.write("outside/secret", "the secret");
        fs::create_directories(all.path() / "space");
    }
    std::string root() const { return (all.path() / "space").string(); }
    void write(std::string const& name, std::string const& content) const {
        all.write("space/" + name, content);
    }
    std::string read(std::string const& name) const { return all.read("space/" + name); }

    CallRecord ask(std::string_view skill, std::string const& arguments,
                   std::string const& expect = "{}") {
        auto const call = host.run(
            Verb::skill_invoke, json_of("skill", skill, "arguments", parley::JsonRaw{arguments},
                                        "call", "c-1", "session", "s-1", "agent", "ops", "key", "k",
                                        "grants", parley::JsonRaw{json_of("workspace", root())},
                                        "expect", parley::JsonRaw{expect}, "timeout_ms", 1000));
        CHECK(host.faults.empty());
        return call;
    }
    // What the model sees; a failed call is a fault of the test.
    std::string works(std::string_view skill, std::string const& arguments,
                      std::string const& expect = "{}") {
        auto const call = ask(skill, arguments, expect);
        INFO(call.result);
        CHECK(call.succeeded());
        CHECK_FALSE(call.answer()["error"].boolean(true));
        return std::string(call.answer()["content"].text());
    }
    std::string fails(std::string_view skill, std::string const& arguments,
                      std::string const& expect = "{}") {
        auto const call = ask(skill, arguments, expect);
        INFO(call.result);
        CHECK(call.succeeded());
        CHECK(call.answer()["error"].boolean());
        return std::string(call.answer()["content"].text());
    }
};

std::string at(std::string_view path) { return json_of("path", path); }
bool holds(std::string const& text, std::string_view piece) {
    return text.find(piece) != text.npos;
}

}  // namespace

TEST_CASE("a file is read whole, or some lines of it", "[files]") {
    Place place;
    place.write("a.txt", "one\ntwo\nthree");
    CHECK(place.works("read_file", at("a.txt")) == "one\ntwo\nthree");
    CHECK(place.works("read_file", json_of("path", "a.txt", "start_line", 2, "line_count", 1)) ==
          "two\n[lines 2 to 2 of 3]");
    CHECK(place.works("read_file", json_of("path", "a.txt", "start_line", 3)) ==
          "three\n[lines 3 to 3 of 3]");
    CHECK(
        holds(place.fails("read_file", json_of("path", "a.txt", "start_line", 4)), "only 3 lines"));
    CHECK(place.works("read_file", at(place.root() + "/a.txt")) == "one\ntwo\nthree");
    CHECK(place.works("read_file", at("./a.txt")) == "one\ntwo\nthree");
}

TEST_CASE("a long file is shown in part, and says so", "[files]") {
    Place place;
    std::string content;
    for (int line = 0; line < 30'000; ++line)
        content += "line number " + std::to_string(line) + "\n";
    place.write("long", content);
    auto const shown = place.works("read_file", at("long"));
    CHECK(shown.size() < 140 * 1024);
    CHECK(holds(shown, " of 30000]"));
    place.write("wide", std::string(300'000, 'x'));
    CHECK(holds(place.works("read_file", at("wide")), "[the line goes on]"));
}

TEST_CASE("what is not text or is too large is refused with a reason", "[files]") {
    Place place;
    place.write("binary", std::string("a\0b", 3));
    CHECK(holds(place.fails("read_file", at("binary")), "not a text file"));
    place.write("latin", "caf\xe9");
    CHECK(place.works("read_file", at("latin")) == "caf\\xe9");
    place.write("huge", "x");
    fs::resize_file(place.root() + "/huge", 9u << 20);
    CHECK(holds(place.fails("read_file", at("huge")), "larger than 8 MiB"));
    CHECK(holds(place.fails("read_file", at("missing")), "does not exist"));
    CHECK(holds(place.fails("read_file", at(".")), "folder"));
}

TEST_CASE("no path leads outside the workspace", "[files]") {
    Place place;
    auto const outside = (place.all.path() / "outside/secret").string();
    fs::create_symlink(place.all.path() / "outside", place.root() + "/link");
    fs::create_symlink(outside, place.root() + "/direct");
    fs::create_symlink("../outside/secret", place.root() + "/relative");
    fs::create_symlink("/proc/self/root", place.root() + "/magic");
    fs::create_symlink("sub/x", place.root() + "/inner");
    fs::create_directory_symlink("sub", place.root() + "/inner-folder");
    place.write("sub/x", "x");
    place.write("x", "x");
    std::string const paths[] = {
        "../outside/secret", "sub/../../outside/secret", "sub/../x", "..", outside, "/etc/passwd",
        "/", "link/secret", "direct", "relative", "magic/etc/passwd", "inner",
        "inner-folder/x",
        "sub/x/../../../outside/secret", place.root() + "x/secret",
        place.root() + "/../outside/secret", "//etc/passwd", "/proc/self/environ"};
    for (auto const& path : paths) {
        CAPTURE(path);
        for (auto const* skill : {"read_file", "list_files", "search_files"}) {
            auto const call = place.ask(skill, json_of("path", path, "pattern", "s"));
            CHECK(call.answer()["error"].boolean());
            CHECK_FALSE(holds(call.result, "the secret"));
            CHECK_FALSE(holds(call.result, "root:"));
        }
        place.fails("write_file", json_of("path", path, "content", "overwritten"));
        place.fails("edit_file", json_of("path", path, "old", "secret", "new", "gone"));
    }
    CHECK(place.all.read("outside/secret") == "the secret");
    CHECK_FALSE(fs::exists(place.all.path() / "outside/x"));
}

TEST_CASE("a path with a NUL in it is refused", "[files]") {
    Place place;
    place.write("a", "x");
    CHECK(holds(place.fails("read_file", "{\"path\":\"a\\u0000b\"}"), "NUL"));
}

TEST_CASE("a link that takes a folder's place at any moment changes nothing", "[files]") {
    Place place;
    place.all.write("outside/note", "original");
    place.write("real/note", "inside");
    fs::create_directory_symlink("../outside", place.root() + "/trap");
    std::atomic<bool> stop{false};
    std::thread swapper([&] {
        auto const a = place.root() + "/real", b = place.root() + "/trap";
        // One system call swaps the folder and the link.
        while (!stop) ::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE);
    });
    int inside = 0;
    for (int round = 0; round < 1500; ++round) {
        auto const read = place.ask("read_file", at("real/note"));
        CHECK_FALSE(holds(read.result, "original"));
        inside += !read.answer()["error"].boolean();
        place.ask("write_file",
                  json_of("path", "real/note", "content", "inside " + std::to_string(round)));
        place.ask("write_file", json_of("path", "real/deep/new", "content", "x"));
        auto const found =
            place.ask("search_files", json_of("path", "real", "pattern", "original"));
        CHECK_FALSE(holds(found.result, "note:1"));
    }
    stop = true;
    swapper.join();
    CHECK(inside > 0);
    CHECK(place.all.read("outside/note") == "original");
    CHECK_FALSE(place.all.has("outside/deep"));
    auto const count = std::distance(fs::directory_iterator(place.all.path() / "outside"), {});
    CHECK(count == 2);
}

TEST_CASE("pipes, devices and folders are not files", "[files]") {
    Place place;
    REQUIRE(::mkfifo((place.root() + "/pipe").c_str(), 0644) == 0);
    CHECK(holds(place.fails("read_file", at("pipe")), "not a regular file"));
    CHECK(holds(place.fails("write_file", json_of("path", "pipe", "content", "x")),
                "not a regular file"));
    CHECK(holds(place.fails("edit_file", json_of("path", "pipe", "old", "a", "new", "b")),
                "not a regular file"));
    fs::create_directories(place.root() + "/folder");
    CHECK(holds(place.fails("write_file", json_of("path", "folder", "content", "x")), "folder"));
    place.fails("write_file", json_of("path", "", "content", "x"));
    CHECK(place.works("search_files", json_of("pattern", "x")) == "No line matches.\n");
}

TEST_CASE("writing makes a file and the folders on the way", "[files]") {
    Place place;
    CHECK(place.works("write_file", json_of("path", "a/b/c.txt", "content", "hello")) ==
          "Made a/b/c.txt, 5 bytes.");
    CHECK(place.read("a/b/c.txt") == "hello");
    CHECK(place.works("write_file", json_of("path", "a/b/c.txt", "content", "new")) ==
          "Replaced a/b/c.txt, 3 bytes.");
    CHECK(place.works("write_file", json_of("path", "a/b/c.txt", "content", "new")) ==
          "a/b/c.txt holds exactly this already.");
    CHECK(place.read("a/b/c.txt") == "new");
    CHECK(std::distance(fs::directory_iterator(place.root() + "/a/b"), {}) == 1);
    place.fails("write_file", json_of("path", "a/b/c.txt/d", "content", "x"));
}

TEST_CASE("a file keeps its mode when it is replaced", "[files]") {
    Place place;
    place.write("run.sh", "old");
    REQUIRE(::chmod((place.root() + "/run.sh").c_str(), 0777) == 0);
    place.works("write_file", json_of("path", "run.sh", "content", "new"));
    struct stat facts {};
    ::stat((place.root() + "/run.sh").c_str(), &facts);
    CHECK((facts.st_mode & 0777) == 0777);
}

TEST_CASE("what was approved is what is changed, or nothing is", "[files]") {
    Place place;
    place.write("a", "as approved");
    auto const expect = json_of("a", hash_of("as approved"));
    auto const edit = json_of("path", "a", "old", "as", "new", "AS");

    SECTION("the content is still the same") {
        place.works("write_file", json_of("path", "a", "content", "new"), expect);
        CHECK(place.read("a") == "new");
    }
    SECTION("the content has changed since") {
        place.write("a", "as changed");
        CHECK(holds(place.fails("write_file", json_of("path", "a", "content", "new"), expect),
                    "has changed"));
        CHECK(holds(place.fails("edit_file", edit, expect), "has changed"));
        CHECK(place.read("a") == "as changed");
    }
    SECTION("the file is gone") {
        fs::remove(place.root() + "/a");
        CHECK(holds(place.fails("write_file", json_of("path", "a", "content", "new"), expect),
                    "was removed"));
        CHECK_FALSE(place.all.has("space/a"));
    }
    SECTION("a file came where none was") {
        CHECK(holds(place.fails("write_file", json_of("path", "a", "content", "new"),
                                json_of("a", "absent")),
                    "was made"));
        CHECK(place.read("a") == "as approved");
    }
    SECTION("nothing was there, and nothing is") {
        place.works("write_file", json_of("path", "b", "content", "new"), json_of("b", "absent"));
        CHECK(place.read("b") == "new");
    }
    SECTION("an edit of the approved content") {
        place.works("edit_file", edit, expect);
        CHECK(place.read("a") == "AS approved");
    }
}

TEST_CASE("an edit replaces one piece of text that stands there once", "[files]") {
    Place place;
    place.write("a", "one two two three");
    CHECK(
        holds(place.fails("edit_file", json_of("path", "a", "old", "two", "new", "x")), "2 times"));
    CHECK(holds(place.fails("edit_file", json_of("path", "a", "old", "four", "new", "x")),
                "does not stand"));
    CHECK(holds(place.fails("edit_file", json_of("path", "a", "old", "one", "new", "one")),
                "the same"));
    CHECK(holds(place.fails("edit_file", json_of("path", "missing/b", "old", "a", "new", "x")),
                "does not exist"));
    CHECK_FALSE(place.all.has("space/missing"));
    place.works("edit_file", json_of("path", "a", "old", "one ", "new", ""));
    CHECK(place.read("a") == "two two three");
}

TEST_CASE("a folder is listed by name, with what each thing is", "[files]") {
    Place place;
    CHECK(place.works("list_files", "{}") == "[the folder is empty]");
    place.write("b.txt", "12345");
    place.write("a/x", "");
    place.write("bad\n\xff name", "");
    fs::create_symlink("/etc/passwd", place.root() + "/link");
    CHECK(place.works("list_files", "{}") ==
          "a/\nb.txt  5 bytes\nbad\\x0a\\xff name  0 bytes\nlink  (a link, not followed)\n");
    CHECK(place.works("list_files", at("a")) == "x  0 bytes\n");
    CHECK(holds(place.fails("list_files", at("b.txt")), "not a folder"));
    CHECK(holds(place.fails("list_files", at("none")), "does not exist"));
}

TEST_CASE("a search tells file, line and text, and follows no link", "[files]") {
    Place place;
    place.write("src/a.c", "int main\nreturn 0;\n");
    place.write("src/deep/b.c", "x\nint other;\n");
    place.write(".hidden/c", "int hidden\n");
    place.write("binary", std::string("int\0", 4));
    fs::create_directory_symlink(place.all.path() / "outside", place.root() + "/link");
    CHECK(place.works("search_files", json_of("pattern", "^int")) ==
          "src/a.c:1: int main\nsrc/deep/b.c:2: int other;\n");
    CHECK(place.works("search_files", json_of("pattern", "r[et]+urn", "path", "src/a.c")) ==
          "src/a.c:2: return 0;\n");
    CHECK(place.works("search_files", json_of("pattern", "secret")) == "No line matches.\n");
    std::string many;
    for (int i = 0; i < 300; ++i) many += "match\n";
    place.write("many", many);
    CHECK(holds(place.works("search_files", json_of("pattern", "match")),
                "[left out: matches after the first 200]"));
}

TEST_CASE("a pattern that could cost too much is refused", "[files]") {
    Place place;
    for (auto const* pattern : {"(a{1,255}){1,255}", "(a)\\1", "(", "[", "x{2}"}) {
        CAPTURE(pattern);
        CHECK(holds(place.fails("search_files", json_of("pattern", pattern)), "`pattern`"));
    }
    CHECK(holds(place.fails("search_files", json_of("pattern", std::string(600, 'a'))), "longer"));
    CHECK(place.works("search_files", json_of("pattern", "[{]|\\{")) == "No line matches.\n");
}

TEST_CASE("without a grant nothing is opened", "[files]") {
    TestHost host(files);
    auto const call =
        host.run(Verb::skill_invoke,
                 R"({"skill":"read_file","arguments":{"path":"/etc/passwd"},"grants":{}})");
    CHECK(call.status == PARLEY_E_DENIED);
    auto const other =
        host.run(Verb::skill_invoke,
                 R"({"skill":"format_disk","arguments":{},"grants":{"workspace":"/tmp"}})");
    CHECK(other.status == PARLEY_E_UNSUPPORTED);
}

// ---- A file on its way out.

TEST_CASE("the file that was approved becomes a blob, whatever is in it", "[files]") {
    for (bool const pauses : {false, true}) {
        Place place;
        place.host.pauses_blobs = pauses;
        std::string const content = std::string("\0\xff", 2) + std::string(300'000, 'x');
        place.write("out/a report.pdf", content);
        auto const call = place.ask("send_file", R"({"path":"out/a report.pdf"})",
                                    R"({"out/a report.pdf":")" + hash_of(content) + "\"}");
        REQUIRE(call.succeeded());
        auto const file = *call.answer()["attachments"].begin();
        CHECK(file["name"].text() == "a report.pdf");
        CHECK(file["type"].text() == "application/pdf");
        CHECK(file["bytes"].integer() == static_cast<std::int64_t>(content.size()));
        REQUIRE(place.host.blobs.count(file["blob"].text()) == 1);
        CHECK(place.host.blobs.begin()->second == content);
    }
}

TEST_CASE("what was not approved is not sent", "[files]") {
    Place place;
    place.write("a", "one");
    for (auto const& expect : {R"({"a":")" + hash_of("two") + "\"}", std::string("{}"),
                               std::string(R"({"a":"absent"})")}) {
        CHECK(place.fails("send_file", R"({"path":"a"})", expect).find("nothing was sent") !=
              std::string::npos);
    }
    fs::create_symlink(place.all.path() / "outside/secret", place.all.path() / "space/link");
    auto const secret = R"({"link":")" + hash_of("the secret") + "\"}";
    CHECK(place.fails("send_file", R"({"path":"link"})", secret).find("link") != std::string::npos);
    CHECK(place.host.blobs.empty());
}
