// The shell skill: what a command sees, what is kept of it, and that nothing of it stays behind.
#include "scratch.hpp"
#include "test_host.hpp"

#include <catch2/catch.hpp>

#include <signal.h>

#include <thread>

using namespace contract;
using namespace std::chrono_literals;

namespace {

constexpr char shell[] = PLUGIN_FOLDER "/skill_shell.so";

struct Room {
    Scratch space;
    TestHost host{shell};

    std::string request(std::string_view command, int timeout_s) const {
        auto const arguments = json_of("command", command, "timeout_s", timeout_s);
        auto const grants = json_of("workspace", space.path().string(), "command", "/bin/sh");
        return json_of("skill", "shell", "arguments", parley::JsonRaw{arguments}, "call", "c-1",
                       "grants", parley::JsonRaw{grants});
    }
    Json run(std::string_view command, int timeout_s = 20) {
        auto const call = host.run(Verb::skill_invoke, request(command, timeout_s));
        INFO(call.result);
        CHECK(call.succeeded());
        CHECK(host.faults.empty());
        return call.answer();
    }
    std::string text(std::string_view command, int timeout_s = 20) {
        return std::string(run(command, timeout_s)["content"].text());
    }
};

// Does a process still live? One that has ended but was not collected by its parent does not.
bool lives(int process) {
    std::ifstream file("/proc/" + std::to_string(process) + "/stat");
    std::string number, name, state;
    return (file >> number >> name >> state) && state != "Z" && state != "X";
}

bool soon(std::function<bool()> const& holds) {
    for (int tries = 0; tries < 500; ++tries) {
        if (holds()) return true;
        std::this_thread::sleep_for(10ms);
    }
    return false;
}

}  // namespace

TEST_CASE("a command's output and exit status come back", "[shell]") {
    Room room;
    auto const fine = room.run("echo hello; echo problem >&2");
    CHECK(fine["content"].text() == "hello\nproblem\n[exit status 0]");
    CHECK_FALSE(fine["error"].boolean(true));
    auto const bad = room.run("printf no-newline; exit 3");
    CHECK(bad["content"].text() == "no-newline\n[exit status 3]");
    CHECK(bad["error"].boolean());
    CHECK(room.text("true") == "[exit status 0]");
    CHECK(room.text("kill -TERM $$") == "[ended by signal 15]");
}

TEST_CASE("a command sees the workspace, a small environment and nothing to read", "[shell]") {
    ::setenv("PARLEY_TEST_CANARY", "canary", 1);
    Room room;
    auto const folder = std::filesystem::canonical(room.space.path()).string();
    CHECK(room.text("pwd -P; cat") == folder + "\n[exit status 0]");
    auto const names = room.text(
        "env | cut -d= -f1 | grep -v -e PWD -e SHLVL -e '^_$' -e OLDPWD | sort | tr '\\n' ' '");
    CHECK(names == "HOME LANG PATH TERM \n[exit status 0]");
    CHECK(room.text("echo $HOME $TERM $LANG") ==
          room.space.path().string() + " dumb C.UTF-8\n[exit status 0]");
    CHECK(room.text("ls /proc/self/fd | wc -l") == "4\n[exit status 0]");
    room.run("echo made > here");
    CHECK(room.space.read("here") == "made\n");
}

TEST_CASE("of a long output the beginning and the end are kept", "[shell]") {
    Room room;
    auto const text =
        room.text("echo begin; head -c 5000000 /dev/zero | tr '\\0' x; echo; echo end");
    CHECK(text.size() < 66 * 1024);
    CHECK(text.starts_with("begin\n"));
    CHECK(text.ends_with("xx\nend\n[exit status 0]"));
    CHECK(text.find("bytes left out …]") != std::string::npos);
    auto const all = room.text("head -c 65536 /dev/zero | tr '\\0' x");
    CHECK(all.size() == 65536 + std::string("\n[exit status 0]").size());
}

TEST_CASE("a cut never splits a character", "[shell]") {
    Room room;
    auto const text = room.text("printf x; for i in $(seq 40000); do printf äö; done");
    CHECK(parley::is_utf8(text));
    CHECK(text.find("\\x") == std::string::npos);
}

TEST_CASE("output that is not UTF-8 is made visible", "[shell]") {
    Room room;
    CHECK(room.text("printf 'a\\377b\\000c\\303\\244'") ==
          std::string("a\\xffb") + '\0' + "cä\n[exit status 0]");
}

TEST_CASE("at the time limit the command and all it started are killed", "[shell]") {
    Room room;
    auto const answer = room.run("echo before; sleep 1000 & echo $! > child; sleep 1000", 1);
    CHECK(answer["error"].boolean());
    CHECK(answer["content"].text().starts_with("before\n[killed after 1 s"));
    int const child = std::stoi(room.space.read("child"));
    CHECK(soon([&] { return !lives(child); }));
}

TEST_CASE("the host's own time limit is kept too", "[shell]") {
    Room room;
    auto const call = room.host.run(Verb::skill_invoke, room.request("sleep 1000", 100), 1500);
    CHECK(call.answer()["content"].text().starts_with("[killed after 1 s"));
}

TEST_CASE("what a command leaves running is killed when it ends", "[shell]") {
    Room room;
    CHECK(room.text("sleep 1000 & echo $! > child; echo done") == "done\n[exit status 0]");
    int const child = std::stoi(room.space.read("child"));
    CHECK(soon([&] { return !lives(child); }));
}

TEST_CASE("a process that left the group does not hold up the answer", "[shell]") {
    Room room;
    CHECK(room.text("setsid sleep 5 & sleep 0.2; echo done").starts_with("done\n"));
}

TEST_CASE("a cancelled call kills the group", "[shell]") {
    Room room;
    auto const id = room.host.start(Verb::skill_invoke,
        room.request("sleep 1000 & echo $! > child.new; mv child.new child; wait", 100));
    REQUIRE(soon([&] { return room.space.has("child"); }));
    room.host.cancel(id);
    REQUIRE(room.host.wait_for_end(id));
    CHECK(room.host.call(id).status == PARLEY_E_CANCELLED);
    int const child = std::stoi(room.space.read("child"));
    CHECK(soon([&] { return !lives(child); }));
}

TEST_CASE("a command that would not be run as it was approved is refused", "[shell]") {
    Room room;
    auto const nul = room.host.run(
        Verb::skill_invoke,
        R"({"skill":"shell","arguments":{"command":"echo a\u0000; rm b"},"grants":{"workspace":"/tmp"}})");
    CHECK(nul.status == PARLEY_E_INVALID);
    CHECK(room.host
              .run(Verb::skill_invoke,
                   R"({"skill":"shell","arguments":{"command":5},"grants":{"workspace":"/tmp"}})")
              .status == PARLEY_E_INVALID);
    CHECK(room.host
              .run(Verb::skill_invoke,
                   R"({"skill":"shell","arguments":{"command":"ls"},"grants":{}})")
              .status == PARLEY_E_DENIED);
}

TEST_CASE("a workspace that is not there is an error of the call", "[shell]") {
    Room room;
    auto const call = room.host.run(
        Verb::skill_invoke,
        R"({"skill":"shell","arguments":{"command":"ls"},"grants":{"workspace":"/no/such/folder"}})");
    CHECK(call.status == PARLEY_E_INTERNAL);
    CHECK(call.answer()["message"].text().find("could not be started") != std::string_view::npos);
}
