// `parley plugin new`: what it writes, and what it leaves alone.
#include "kit.hpp"

namespace fs = std::filesystem;
using Catch::Matchers::Contains;
using Words = std::vector<std::string>;

namespace {

struct Author : Shell {
    Author() { programs.templates = fs::path(SOURCE_FOLDER) / "sdk/templates"; }
    fs::path at(char const* name) const { return folder.path / name; }
    Said make(Words words) {
        words.insert(words.begin(), {"plugin", "new"});
        return parley(std::move(words));
    }
};

std::string id_in(fs::path const& made) {
    auto manifest = parley::parse_json(text_of_file(made / "plugin.json"));
    REQUIRE(manifest);
    return std::string(parley::text_at(*manifest, "id"));
}

}  // namespace

TEST_CASE("plugin new writes a plugin, and says what to type next", "[cli]") {
    Author author;
    auto said = author.make({"c", author.at("dice").string()});
    INFO(said.err);
    REQUIRE(said.code == 0);
    CHECK_THAT(
        said.out,
        Contains("cmake -S " + author.at("dice").string()) && Contains("cmake --build") &&
            Contains("parley plugin check " + author.at("dice/build/skill_dice.so").string()));
    CHECK(id_in(author.at("dice")) == "org.example.dice");
    for (auto const& entry : fs::directory_iterator(author.at("dice"))) {
        INFO(entry.path());
        auto text = text_of_file(entry.path());
        CHECK_FALSE(text.empty());
        CHECK_THAT(text, !Contains("org.example.name") && !Contains("plugin_name"));
    }
}

TEST_CASE("plugin new makes an id of the folder's name, or takes the one given", "[cli]") {
    Author author;
    for (auto const& [name, id] :
         {std::pair("My Café!", "org.example.my-caf"), std::pair("a--b", "org.example.a-b"),
          std::pair("___", "org.example.plugin"), std::pair("x/", "org.example.x")}) {
        INFO(name);
        CHECK(author.make({"rust", author.at(name).string()}).code == 0);
        CHECK(id_in(author.at(name)) == id);
    }
    CHECK(author.make({"cpp", author.at("y").string(), "--id", "io.me.y-1"}).code == 0);
    CHECK(id_in(author.at("y")) == "io.me.y-1");
    CHECK_THAT(text_of_file(author.at("y/CMakeLists.txt")), Contains("skill_y_1"));
}

TEST_CASE("plugin new quotes for the shell what needs it", "[cli]") {
    Author author;
    auto said = author.make({"c", author.at("it's here").string()});
    CHECK_THAT(said.out, Contains("it'\\''s here'"));
}

TEST_CASE("plugin new prints one JSON document on request", "[cli]") {
    Author author;
    auto said = author.make({"rust", author.at("r").string(), "--role", "channel", "--json"});
    auto made = parley::parse_json(said.out);
    REQUIRE(made);
    CHECK(parley::int_at(*made, "version") == 1);
    CHECK(parley::text_at(*made, "library") == "channel_r.so");
    CHECK(made->at("next").as_array().size() == 3);
    CHECK(made->at("files").as_array().size() == 5);
}

TEST_CASE("plugin new never writes over anything", "[cli]") {
    Author author;
    fs::create_directory(author.at("full"));
    std::ofstream(author.at("full/mine")) << "mine";
    std::ofstream(author.at("file")) << "mine";
    for (auto const* name : {"full", "file"}) {
        auto said = author.make({"c", author.at(name).string()});
        CHECK(said.code == 1);
        CHECK_THAT(said.err, Contains("not empty"));
    }
    CHECK(std::distance(fs::directory_iterator(author.at("full")), {}) == 1);
    fs::create_directory(author.at("empty"));
    CHECK(author.make({"c", author.at("empty").string()}).code == 0);
}

TEST_CASE("plugin new refuses what it has no template or no name for", "[cli]") {
    Author author;
    auto where = author.at("x").string();
    CHECK(author.make({"go", where}).code == 2);
    CHECK(author.make({"c", where, "--role", "hook"}).code == 2);
    CHECK(author.make({"c"}).code == 2);
    for (auto const* id :
         {"weather", "Org.example.x", "org.example.", ".org.x", "org/x.y", "o.\xC3\xA9",
          "org.exampleexampleexampleexampleexampleexampleexampleexampleexamplex"}) {
        INFO(id);
        CHECK(author.make({"c", where, "--id", id}).code == 2);
    }
    auto said = author.make({"c", where, "--role", "channel"});
    CHECK(said.code == 2);
    CHECK_THAT(said.err, Contains("there is one for: skill"));
    author.programs.templates = author.at("nowhere");
    said = author.make({"c", where});
    CHECK(said.code == 1);
    CHECK_THAT(said.err, Contains("--component sdk"));
    CHECK_FALSE(fs::exists(where));
}
