#include "skill/skill.hpp"

#include "base/hash.hpp"
#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/schema.hpp"
#include "base/text.hpp"
#include "plugin/lock.hpp"
#include "temp_folder.hpp"

#include <boost/json/value.hpp>
#include <catch2/catch.hpp>

#include <sys/stat.h>

#include <chrono>
#include <fstream>

namespace fs = std::filesystem;
using namespace parley;
using namespace std::chrono_literals;
using namespace std::string_literals;
using Catch::Matchers::Contains;

namespace {

// An installation and a home, with files of plugins in them.
struct Place {
    TempFolder folder;
    fs::path install = folder.path / "install", home = folder.path / "home";
    Config config;
    Catalogue plugins;
    SkillCatalogue skills;

    Place() {
        for (auto const& path : {install, home, home / "plugins"}) {
            fs::create_directories(path);
            fs::permissions(path, fs::perms::owner_all);
        }
        config.home = home;
    }
    void put(std::string const& name, std::string const& id, fs::path const& where) {
        auto target = where / (name + ".so");
        fs::copy_file(fs::path(BUILD_FOLDER) / "offers" / ("offer_" + name + ".so"), target);
        fs::permissions(target, fs::perms::owner_all);
        config.plugins[PluginId(id)].enabled = true;
    }
    // As `parley plugin lock` does, for every file that is there.
    void accept_all() {
        plugins.scan(install, config);
        PluginLock lock;
        for (auto const& entry : plugins.entries())
            if (entry.file)
                lock[entry.id] = {entry.file->hash(), rights_of(entry.file->manifest())};
        REQUIRE(write_lock(home, lock));
    }
    Result<> rebuild() {
        plugins.scan(install, config);
        return skills.rebuild(plugins);
    }
    // Of plugins' skills.
    std::vector<std::string> names() const {
        std::vector<std::string> list;
        for (auto const& [name, entry] : skills.all())
            if (!entry.is_of_host()) list.push_back(name);
        return list;
    }
};

using Names = std::vector<std::string>;

// A skill of which only the arguments' schema matters.
struct Offered {
    SkillSpec spec;
    SkillEntry entry;
    explicit Offered(std::string schema) {
        spec.name = "act";
        spec.parameters = std::move(schema);
        entry.name = "act";
        entry.spec = &spec;
    }
    Offered(Offered const&) = delete;
};

constexpr char path_schema[] =
    R"({"type":"object","required":["path"],"additionalProperties":false,
        "properties":{"path":{"type":"string"},"count":{"type":"integer","minimum":1}}})";

// A workspace, and a skill whose argument `path` names a file in it.
struct Workspace {
    TempFolder folder;
    fs::path path = folder.path / "workspace";
    SkillSpec spec;
    Workspace() {
        fs::create_directories(path);
        spec.target = "path";
    }
    void write(fs::path const& file, std::string const& text) const {
        std::ofstream(path / file, std::ios::binary) << text;
    }
    Result<Target> target(std::string_view file) const {
        JsonWriter out;
        return target_of(spec, out.begin('{').pair("path", file).end('}').take(), path);
    }
};

}  // namespace

// ---- The catalogue ------------------------------------------------------------------------------

TEST_CASE("our own skills have bare names, a third party's carry its id", "[skill]") {
    Place place;
    place.put("clock", "clock", place.install);
    place.put("third_clock", "org.example.clock", place.home / "plugins");
    place.accept_all();
    REQUIRE(place.rebuild());
    REQUIRE(place.names() == Names{"now", "org.example.clock:now", "shared"});
    REQUIRE(place.skills.find("now")->plugin == PluginId("clock"));
    REQUIRE(place.skills.find("now")->first_party);
    REQUIRE_FALSE(place.skills.find("org.example.clock:now")->first_party);
}

TEST_CASE("the host's own skill is there without a plugin, asks always, and takes nothing odd",
          "[skill]") {
    Place place;
    REQUIRE(place.rebuild());
    auto const* skill = place.skills.find("send_message");
    REQUIRE(skill);
    REQUIRE(skill->is_of_host());
    REQUIRE(skill->plugin == PluginId("parley"));
    REQUIRE(skill->spec->effect == EffectClass::irreversible);
    REQUIRE(skill->spec->approval == ApprovalNeed::policy);
    REQUIRE(check_arguments(*skill, R"({"to":"ada","text":"x"})"));
    for (auto const* wrong :
         {"", "{}", R"({"to":"ada"})", R"({"text":"x"})", R"({"to":"ada","text":""})",
          R"({"to":"","text":"x"})", R"({"to":["ada"],"text":"x"})",
          R"({"to":"ada","text":"x","instance":"irc"})", R"({"to":"ada","text":{}})"}) {
        INFO(wrong);
        REQUIRE(check_arguments(*skill, wrong).error().fault == Fault::bad_input);
    }
    auto most = std::string(limits::first_words_length, 'x');
    REQUIRE(check_arguments(*skill, R"({"to":"ada","text":")" + most + "\"}"));
    REQUIRE_FALSE(check_arguments(*skill, R"({"to":"ada","text":")" + most + "x\"}"));
}

TEST_CASE("an agent is told by which names it may speak first, and no others", "[skill]") {
    auto tool = parse_json(send_message_json({"ada", "team"}));
    REQUIRE(tool);
    REQUIRE(text_at(*tool, "name") == "send_message");
    auto const& parameters = tool->at("parameters");
    REQUIRE(check_schema(parameters, *parse_json(R"({"to":"team","text":"x"})")));
    REQUIRE_FALSE(check_schema(parameters, *parse_json(R"({"to":"eve","text":"x"})")));
}

TEST_CASE("a third party's skill is never found by a bare name", "[skill]") {
    Place place;
    place.put("third_clock", "org.example.clock", place.home / "plugins");
    place.accept_all();
    REQUIRE(place.rebuild());
    REQUIRE(place.names() == Names{"org.example.clock:now"});
    for (auto const* name : {"now", ":now", "clock:now", "org.example.clock", "org.example.clock:",
                             "org.example.clock:now ", "ORG.EXAMPLE.CLOCK:now", ""})
        REQUIRE_FALSE(place.skills.find(name));
}

TEST_CASE("a plugin in the home cannot offer under one of our ids", "[skill]") {
    Place place;
    place.put("clock", "clock", place.home / "plugins");
    place.accept_all();
    REQUIRE(place.rebuild());
    REQUIRE(place.names().empty());
}

TEST_CASE("a plugin that is not enabled, or not accepted, offers nothing", "[skill]") {
    Place place;
    place.put("clock", "clock", place.install);
    place.put("third_clock", "org.example.clock", place.home / "plugins");
    place.config.plugins[PluginId("clock")].enabled = false;
    REQUIRE(place.rebuild());
    REQUIRE(place.names().empty());
}

TEST_CASE("two plugins that offer one name are an error that names both", "[skill]") {
    Place place;
    place.put("clock", "clock", place.install);
    place.put("twin", "twin", place.install);
    auto rebuilt = place.rebuild();
    REQUIRE_FALSE(rebuilt);
    REQUIRE(rebuilt.error().fault == Fault::conflict);
    REQUIRE_THAT(rebuilt.error().what, Contains("clock") && Contains("twin") && Contains("shared"));
}

TEST_CASE("a catalogue that cannot be made anew stays as it was", "[skill]") {
    Place place;
    place.put("clock", "clock", place.install);
    REQUIRE(place.rebuild());
    auto before = place.names();
    place.put("twin", "twin", place.install);
    REQUIRE_FALSE(place.rebuild());
    REQUIRE(place.names() == before);
}

TEST_CASE("switching one of two off ends their quarrel", "[skill]") {
    Place place;
    place.put("clock", "clock", place.install);
    place.put("twin", "twin", place.install);
    place.config.plugins[PluginId("clock")].enabled = false;
    REQUIRE(place.rebuild());
    REQUIRE(place.skills.find("shared")->plugin == PluginId("twin"));
}

TEST_CASE("two third parties may use one name: their ids keep them apart", "[skill]") {
    Place place;
    place.put("third_clock", "org.example.clock", place.home / "plugins");
    place.put("third_twin", "org.example.twin", place.home / "plugins");
    place.accept_all();
    REQUIRE(place.rebuild());
    REQUIRE(place.names() == Names{"org.example.clock:now", "org.example.twin:now"});
}

TEST_CASE("a catalogue outlives the scan that it was made from", "[skill]") {
    Place place;
    place.put("clock", "clock", place.install);
    REQUIRE(place.rebuild());
    fs::remove(place.install / "clock.so");
    place.plugins.scan(place.install, place.config);
    REQUIRE(place.skills.find("now")->spec->name == "now");
}

TEST_CASE("a model is told a skill's name, what it does, and its schema as the author wrote it",
          "[skill]") {
    Place place;
    place.put("clock", "clock", place.install);
    REQUIRE(place.rebuild());
    auto text = tool_json(*place.skills.find("now"));
    auto tool = parse_json(text);
    REQUIRE(tool);
    REQUIRE(text_at(*tool, "name") == "now");
    REQUIRE(text_at(*tool, "description") == "The \"time\".");
    REQUIRE_THAT(
        text, Contains(R"({ "type":"object",  "properties":{"zone":{"type":"string"},"a":{}} })"));
}

// ---- Arguments ----------------------------------------------------------------------------------

TEST_CASE("arguments that fit the schema pass, however they are written", "[skill]") {
    Offered skill(path_schema);
    for (auto const* arguments :
         {R"({"path":"a"})", " { \"count\" : 3,\n \"path\" : \"\\u0061\" }\n"})
        REQUIRE(check_arguments(skill.entry, arguments));
}

TEST_CASE("no arguments at all are an empty object", "[skill]") {
    Offered free(R"({"type":"object"})"), needy(path_schema);
    REQUIRE(check_arguments(free.entry, ""));
    REQUIRE_FALSE(check_arguments(needy.entry, ""));
}

TEST_CASE("arguments that do not fit are refused as the model's mistake, with words that help",
          "[skill]") {
    Offered skill(path_schema);
    for (auto const& [arguments, hint] :
         {std::pair(R"({"path":7})", "path"), std::pair(R"({"count":3})", "path"),
          std::pair(R"({"path":"a","count":0})", "count"),
          std::pair(R"({"path":"a","pth":1})", "pth"),
          std::pair(R"({"path":"a","count":1.5})", "count"), std::pair(R"([])", "object")}) {
        auto checked = check_arguments(skill.entry, arguments);
        INFO(arguments);
        REQUIRE_FALSE(checked);
        REQUIRE(checked.error().fault == Fault::bad_input);
        REQUIRE_THAT(checked.error().what, Contains(hint));
    }
}

TEST_CASE("arguments that two readers could understand differently are refused", "[skill]") {
    Offered skill(R"({"type":"object"})");
    for (auto const& arguments :
         {R"({"path":"a","path":"b"})"s, R"({"a":{"b":1,"b":2}})"s, R"({"path":"a"} {})"s,
          R"({"path":"a"},)"s, R"({"path":"a"},"grants":{"workspace":"/"})"s, "{'path':'a'}"s,
          "{\"path\":\"\xff\"}"s, "{\"path\":\"a\nb\"}"s, R"({"path":NaN})"s, "// {}\n{}"s,
          "\xef\xbb\xbf{}"s, "{}\0"s, std::string(100, '[') + std::string(100, ']'), " "s}) {
        INFO(visible(arguments));
        auto checked = check_arguments(skill.entry, arguments);
        REQUIRE_FALSE(checked);
        REQUIRE(checked.error().fault == Fault::bad_input);
    }
}

TEST_CASE("arguments are an object, even where a schema would take anything", "[skill]") {
    Offered skill("{}");
    REQUIRE(check_arguments(skill.entry, "{}"));
    for (auto const* arguments : {"7", "null", "[]", "\"path\"", "true"})
        REQUIRE_FALSE(check_arguments(skill.entry, arguments));
}

// ---- The request --------------------------------------------------------------------------------

TEST_CASE("a request holds the very bytes that were approved", "[skill]") {
    Offered skill(R"({"type":"object"})");
    Invocation call;
    call.skill = std::make_shared<SkillEntry const>(skill.entry);
    call.arguments = "{ \"a\" : 1.0,\"b\":\"\\u0061\" }";
    call.call = CallId("c-1");
    call.session = SessionId("s-1");
    call.agent = AgentName("ops");
    call.key = "s-1/c-1";
    auto text = invoke_request(call, 1500ms);
    REQUIRE_THAT(text, Contains(call.arguments));
    auto request = parse_json(text);
    REQUIRE(request);
    REQUIRE(text_at(*request, "skill") == "act");
    REQUIRE(text_at(*request, "call") == "c-1");
    REQUIRE(text_at(*request, "session") == "s-1");
    REQUIRE(text_at(*request, "agent") == "ops");
    REQUIRE(text_at(*request, "key") == "s-1/c-1");
    REQUIRE(int_at(*request, "timeout_ms") == 1500);
    REQUIRE_FALSE(member(*request, "expect"));
}

TEST_CASE("a third party's skill is called by the name in its own manifest", "[skill]") {
    Offered skill(R"({"type":"object"})");
    skill.entry.name = "org.example.clock:act";
    Invocation call;
    call.skill = std::make_shared<SkillEntry const>(skill.entry);
    REQUIRE(text_at(*parse_json(invoke_request(call, 1s)), "skill") == "act");
}

TEST_CASE("a request without arguments says an empty object", "[skill]") {
    Offered skill(R"({"type":"object"})");
    Invocation call;
    call.skill = std::make_shared<SkillEntry const>(skill.entry);
    auto request = parse_json(invoke_request(call, 1s));
    REQUIRE(request);
    REQUIRE(to_text(*member(*request, "arguments")) == "{}");
}

TEST_CASE("folders are told by their grants' names; the right to run is no folder", "[skill]") {
    Offered skill(R"({"type":"object"})");
    Invocation call;
    call.skill = std::make_shared<SkillEntry const>(skill.entry);
    call.grants = {{"workspace", "/home/ops/work \"space\"", GrantNeed::Access::write},
                   {"reports", "/srv/reports", GrantNeed::Access::read},
                   {"command", "", GrantNeed::Access::run}};
    call.expect = R"({"a.txt":"absent"})";
    auto request = parse_json(invoke_request(call, 1s));
    REQUIRE(request);
    auto const& grants = *member(*request, "grants");
    REQUIRE(text_at(grants, "workspace") == "/home/ops/work \"space\"");
    REQUIRE(text_at(grants, "reports") == "/srv/reports");
    REQUIRE_FALSE(member(grants, "command"));
    REQUIRE(text_at(*member(*request, "expect"), "a.txt") == "absent");
}

// ---- Results ------------------------------------------------------------------------------------

TEST_CASE("a result is its content, and whether the skill calls it an error", "[skill]") {
    auto good = result_from("{\"content\":\"a\\u0000\\n\u202e\",\"later\":[1]}"s);
    REQUIRE(good);
    REQUIRE(good->content == "a\0\n\u202e"s);
    REQUIRE_FALSE(good->error);
    REQUIRE(result_from(R"({"content":"no such file","error":true})"s)->error);
    REQUIRE_FALSE(result_from(R"({"content":"","error":"true"})"s)->error);
}

TEST_CASE("a result of another shape is the plugin's failure", "[skill]") {
    for (auto const& answer :
         {""s, "{}"s, "null"s, "[]"s, "hello"s, R"({"content":7})"s, R"({"content":null})"s,
          R"({"content":["a"]})"s, R"({"Content":"a"})"s, R"({"content":"a","content":"b"})"s,
          R"({"content":"a"}x)"s, "{\"content\":\"\xff\"}"s, R"({"content":"\ud800"})"s,
          std::string(100, '[') + std::string(100, ']')}) {
        INFO(visible(answer));
        auto result = result_from(answer);
        REQUIRE_FALSE(result);
        REQUIRE(result.error().fault == Fault::peer_failed);
    }
}

TEST_CASE("a result that is too long is cut inside no character, and says so", "[skill]") {
    std::string most(limits::skill_result_bytes - 1, 'x');
    auto fits = result_from("{\"content\":\"" + most + "y\"}");
    REQUIRE(fits->content.size() == limits::skill_result_bytes);
    auto cut = result_from("{\"content\":\"" + most + "\u00e9\"}");
    REQUIRE(is_utf8(cut->content));
    REQUIRE(cut->content.size() < limits::skill_result_bytes + 64);
    REQUIRE_THAT(cut->content.substr(cut->content.size() - 40),
                 Contains(std::to_string(limits::skill_result_bytes + 1) + " bytes in all"));
}

TEST_CASE("a failure keeps what the caller can do about it, in the plugin's words", "[skill]") {
    auto told = result_from(Error(Fault::denied, R"({"code":"denied","message":"not yours"})"));
    REQUIRE(told.error().fault == Fault::denied);
    REQUIRE(told.error().what == "not yours");
    auto dead = result_from(Error(Fault::peer_gone, "killed by signal 9"));
    REQUIRE(dead.error().fault == Fault::peer_gone);
    REQUIRE(dead.error().what == "killed by signal 9");
    REQUIRE(result_from(Error(Fault::peer_failed, R"({"message":7})")).error().what ==
            R"({"message":7})");
}

// ---- Targets ------------------------------------------------------------------------------------

TEST_CASE("a skill without a target needs no file", "[skill]") {
    Workspace place;
    place.spec.target.clear();
    auto target = target_of(place.spec, "not even JSON", "/nowhere");
    REQUIRE(target);
    REQUIRE(target->expect.empty());
}

TEST_CASE("a target is shown with the digest of what the file holds now", "[skill]") {
    Workspace place;
    fs::create_directories(place.path / "notes");
    place.write("notes/a.txt", "one\0two"s);
    auto digest = hex(blake2b("one\0two"s));
    auto target = place.target("notes/a.txt");
    REQUIRE(target);
    REQUIRE(target->shown == "notes/a.txt " + digest);
    REQUIRE(text_at(*parse_json(target->expect), "notes/a.txt") == digest);
    place.write("notes/a.txt", "changed");
    REQUIRE(place.target("notes/a.txt")->expect != target->expect);
}

TEST_CASE("a file that is not there yet is shown as absent", "[skill]") {
    Workspace place;
    for (auto const* file : {"new.txt", "no/such/folder/new.txt", " ", "*"}) {
        auto target = place.target(file);
        REQUIRE(target);
        REQUIRE(target->shown == file + " absent"s);
        REQUIRE(text_at(*parse_json(target->expect), file) == "absent");
    }
}

TEST_CASE("a file that is to be sent must be there", "[skill]") {
    Workspace place;
    place.spec.sends_files = true;
    REQUIRE(place.target("new.txt").error().fault == Fault::not_found);
    place.write("new.txt", "");
    REQUIRE(place.target("new.txt"));
}

TEST_CASE("a path that leaves the workspace is refused, there or not", "[skill]") {
    Workspace place;
    std::ofstream(place.folder.path / "outside.txt") << "secret";
    fs::create_directories(place.path / "inside");
    for (auto const* file : {"../outside.txt", "inside/../../outside.txt", "/etc/passwd", "..",
                             "../absent", "/proc/self/environ"}) {
        INFO(file);
        auto target = place.target(file);
        REQUIRE_FALSE(target);
        REQUIRE(target.error().fault == Fault::bad_input);
    }
}

TEST_CASE("no link is followed, not even to a file inside", "[skill]") {
    Workspace place;
    place.write("a.txt", "a");
    std::ofstream(place.folder.path / "outside.txt") << "secret";
    fs::create_symlink("a.txt", place.path / "inner");
    fs::create_symlink("../outside.txt", place.path / "outer");
    fs::create_symlink("nowhere", place.path / "dangling");
    fs::create_directory_symlink("..", place.path / "up");
    for (auto const* file : {"inner", "outer", "dangling", "up/outside.txt"}) {
        INFO(file);
        auto target = place.target(file);
        REQUIRE_FALSE(target);
        REQUIRE(target.error().fault == Fault::bad_input);
    }
}

TEST_CASE("only a regular file can be a target, and asking never waits", "[skill]") {
    Workspace place;
    fs::create_directories(place.path / "folder");
    REQUIRE(mkfifo((place.path / "pipe").c_str(), 0600) == 0);
    for (auto const* file : {"folder", "pipe", ".", "folder/.."}) {
        INFO(file);
        REQUIRE_FALSE(place.target(file));
    }
}

TEST_CASE("a file too large to look at is no target", "[skill]") {
    Workspace place;
    place.write("large", "");
    fs::resize_file(place.path / "large", limits::egress_body_bytes + 1);
    REQUIRE_FALSE(place.target("large"));
}

TEST_CASE("a path with a zero byte names no file: what is shown would not be what is opened",
          "[skill]") {
    Workspace place;
    place.write("a.txt", "a");
    for (auto const& file : {"a.txt\0.bak"s, "absent\0"s, "\0"s}) {
        auto target = place.target(file);
        REQUIRE_FALSE(target);
        REQUIRE(target.error().fault == Fault::bad_input);
    }
}

TEST_CASE("a target's name cannot break out of what is expected", "[skill]") {
    Workspace place;
    auto file = "a\":\"absent\",\"b"s;
    auto target = place.target(file);
    REQUIRE(target);
    auto expect = parse_json(target->expect);
    REQUIRE(expect);
    REQUIRE(expect->get_object().size() == 1);
    REQUIRE(text_at(*expect, file) == "absent");
}

TEST_CASE("a missing workspace is said to be missing", "[skill]") {
    Workspace place;
    fs::remove_all(place.path);
    auto target = place.target("a.txt");
    REQUIRE_FALSE(target);
    REQUIRE(target.error().fault == Fault::not_found);
}
