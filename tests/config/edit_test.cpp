#include "config/edit.hpp"

#include "temp_folder.hpp"

#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

namespace fs = std::filesystem;
using namespace parley;

namespace {

Yaml const channel = yaml_map({{"plugin", yaml_text("irc")},
                               {"agent", yaml_text("ops")},
                               {"config", yaml_map({{"nick", yaml_text("bot 1")}})}});

std::string added(std::string const& text, std::vector<std::string> const& path,
                  Yaml const& value) {
    auto result = with_value(text, "x.yaml", path, value);
    INFO((result ? "" : result.error().what));
    REQUIRE(result);
    return *result;
}

std::string refused(Result<std::string> const& result) {
    REQUIRE_FALSE(result);
    REQUIRE(result.error().fault == Fault::conflict);
    return result.error().what;
}

// What is left of `longer` when the one piece that makes it longer is taken out.
bool holds_whole(std::string const& longer, std::string const& text) {
    for (std::size_t at = 0; at <= text.size(); ++at)
        if (longer.compare(0, at, text, 0, at) == 0 &&
            longer.compare(longer.size() - (text.size() - at), std::string::npos, text, at) == 0)
            return true;
    return false;
}

}  // namespace

TEST_CASE("an entry is added behind the others, before what belongs to the next key", "[edit]") {
    std::string const before = R"(# Mine.
plugins:
  shell:   {enabled: true}   # careful

channels:
  # the old one
  tg:
    plugin: telegram   # bot
    note: |
      # not a comment

      text
  # and its end

# What follows.
approvals: {expire_after: 24h}
)";
    auto after = added(before, {"channels", "irc"}, channel);
    REQUIRE(holds_whole(after, before));
    auto piece = std::string(
        "  # and its end\n  irc:\n    plugin: irc\n    agent: ops\n"
        "    config: {nick: \"bot 1\"}\n\n# What follows.\n");
    REQUIRE(after.find(piece) != std::string::npos);
    after = added(after, {"plugins", "irc"}, yaml_map({{"enabled", yaml_word("true")}}));
    REQUIRE(after.find("# careful\n  irc: {enabled: true}\n\nchannels:") != std::string::npos);
}

TEST_CASE("mappings that are missing are made", "[edit]") {
    for (std::string const before :
         {"", "# nothing yet\n", "listen: a\n", "listen: a", "listen: a\n\n# the end\n",
          "listen: a\nchannels:\n", "channels:   # none\n  # an example\nlisten: a\n",
          "channels: {}\n", "channels: { }\n", "channels: {\n}\n", "{listen: a, channels: {}}",
          "{}\n", "# none\n{}", "listen: a\n...\n", "{\n  listen: a\n}\n"}) {
        INFO(before);
        auto after = added(before, {"channels", "irc"}, channel);
        REQUIRE(holds_whole(after, before));
        auto tree = parse_yaml(after, "x");
        REQUIRE(tree);
        REQUIRE(tree->find("channels")->find("irc")->find("agent")->text == "ops");
    }
}

TEST_CASE("a mapping in braces gets its entry inside of them", "[edit]") {
    REQUIRE(added("channels: {a: {plugin: x}}\n", {"channels", "b"},
                  yaml_map({{"plugin", yaml_text("z")}})) ==
            "channels: {b: {plugin: z}, a: {plugin: x}}\n");
    REQUIRE(added("channels: { a: 1 }  # \"}\" {\n", {"channels", "b"}, yaml_text("2")) ==
            "channels: { b: \"2\", a: 1 }  # \"}\" {\n");
    REQUIRE(added("c:\n  a: {x: 1}\n", {"c", "a", "z"}, yaml_list({"id:1"})) ==
            "c:\n  a: {z: [\"id:1\"], x: 1}\n");
}

TEST_CASE("a text is added to a list as the list is written", "[edit]") {
    struct Row {
        char const *before, *after;
    };
    for (auto const& row : {
             Row{"s: []\n", "s: [\"id:2\"]\n"},
             Row{"s: [\"id:1\"]  # me\n", "s: [\"id:1\", \"id:2\"]  # me\n"},
             Row{"s: [ 'i''d]:1' ]\n", "s: [ 'i''d]:1', \"id:2\" ]\n"},
             Row{"s: [\"a\\\"],\", b c]\n", "s: [\"a\\\"],\", b c, \"id:2\"]\n"},
             Row{"s: [a,\n    b,  # the last\n   ]\n",
                 "s: [a,\n    b, \"id:2\",  # the last\n   ]\n"},
             Row{"s:\n  - a   # x\n  - b   # y\n\n# z\nt: 1\n",
                 "s:\n  - a   # x\n  - b   # y\n  - \"id:2\"\n\n# z\nt: 1\n"},
             Row{"s:\n- a", "s:\n- a\n- \"id:2\"\n"},
         }) {
        INFO(row.before);
        auto after = with_item(row.before, "x.yaml", {"s"}, "id:2");
        REQUIRE(after);
        REQUIRE(*after == row.after);
    }
}

TEST_CASE("what cannot be added safely is refused, and what is there already too", "[edit]") {
    for (std::string const text :
         {"b: &a {x: 1}\nchannels: *a\n", "channels: null\n", "channels: ~\n", "listen: a\r\n",
          "\xef\xbb\xbflisten: a\n", "channels: !!map {a: 1}\n"}) {
        INFO(text);
        REQUIRE_THAT(refused(with_value(text, "x.yaml", {"channels", "irc"}, channel)),
                     Catch::Matchers::Contains("safely"));
    }
    for (std::string const text : {"channels: {irc: {}}\n", "channels:\n  irc:\n    plugin: x\n",
                                   "channels: [a]\n", "channels: text\n"}) {
        INFO(text);
        REQUIRE_THAT(refused(with_value(text, "x.yaml", {"channels", "irc"}, yaml_text("x"))),
                     Catch::Matchers::Contains("stands there already") ||
                         Catch::Matchers::Contains("safely"));
    }
    REQUIRE_THAT(refused(with_item("a: &l [x]\ns: *l\n", "x.yaml", {"s"}, "y")),
                 Catch::Matchers::Contains("safely"));
    refused(with_item("s: text\n", "x.yaml", {"s"}, "y"));
    refused(with_item("t: []\n", "x.yaml", {"s"}, "y"));
    REQUIRE_FALSE(with_value("a: [\n", "x.yaml", {"b"}, yaml_text("x")));
}

TEST_CASE("words that YAML would read as something else are quoted", "[edit]") {
    for (std::string const text : {"true", "null", "no", "1", "1.5", "-", "", "a: b", "a #b", "é",
                                   "# a", "\"", "'", "[", "line\nbreak", "0x1f", "~", "1e3"}) {
        INFO(text);
        auto tree = parse_yaml(added("", {"k"}, yaml_text(text)), "x");
        REQUIRE(tree);
        REQUIRE(tree->find("k")->kind == Yaml::Kind::scalar);
        REQUIRE(tree->find("k")->text == text);
    }
}

TEST_CASE("a file is replaced with its mode, through a link, and only if it is what was read",
          "[edit]") {
    TempFolder folder;
    auto file = folder.path / "real.yaml", link = folder.path / "link.yaml";
    std::ofstream(file) << "one\n";
    fs::permissions(file, static_cast<fs::perms>(0640));
    fs::create_symlink("real.yaml", link);
    REQUIRE(replace_file(link, "one\n", "two\n"));
    REQUIRE(fs::is_symlink(link));
    struct stat facts {};
    REQUIRE(stat(file.c_str(), &facts) == 0);
    REQUIRE((facts.st_mode & 07777) == 0640);
    auto read = [&] {
        std::ifstream in(file);
        return std::string{std::istreambuf_iterator<char>(in), {}};
    };
    REQUIRE(read() == "two\n");
    REQUIRE(replace_file(file, "one\n", "three\n").error().fault == Fault::conflict);
    fs::create_hard_link(file, folder.path / "other.yaml");
    REQUIRE(replace_file(file, "two\n", "three\n").error().fault == Fault::conflict);
    REQUIRE(read() == "two\n");
    REQUIRE_FALSE(replace_file(folder.path / "absent", "", "x"));
    REQUIRE(std::distance(fs::directory_iterator(folder.path), {}) == 3);
}
