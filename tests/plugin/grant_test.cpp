#include "../temp_folder.hpp"
#include "rig.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <thread>

namespace fs = std::filesystem;

namespace {

void write_text(fs::path const& path, std::string const& text) {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
}

// A home with a vault, two agents' workspaces and a control socket's folder; a key outside it.
struct House {
    TempFolder folder;
    fs::path home = fs::canonical(folder.path) / "home";
    fs::path mine = home / "agents/ops/workspace", other = home / "agents/other/workspace";
    fs::path key = fs::canonical(folder.path) / "config/vault.key";
    House() {
        write_text(home / "vault/secrets.vault", "sealed");
        write_text(home / "run/parley.sock", "");
        write_text(mine / "note.txt", "workspace note");
        write_text(other / "private.txt", "of the other agent");
        write_text(key, "the key itself");
        fs::permissions(home, fs::perms::owner_all);
    }
};

struct CommandRig : Rig {
    House house;
    CommandRig() : Rig("command") {
        spec.home = house.home;
        spec.key_file = house.key;
        spec.grants = {{"workspace", house.mine, GrantNeed::Access::write},
                       {"command", {}, GrantNeed::Access::run}};
    }
};

}  // namespace

TEST_CASE("a command finds its workspace and not the home, the key or the other agent", "[grant]") {
    CommandRig rig;
    auto const& house = rig.house;
    CHECK(rig.call("run cat " + (house.mine / "note.txt").string()).text() == "workspace note");
    CHECK(rig.call("run echo made > " + (house.mine / "made.txt").string()).text().empty());
    CHECK(fs::exists(house.mine / "made.txt"));
    using Catch::Matchers::Contains;
    for (auto const& hidden : {house.home / "vault/secrets.vault", house.home / "run/parley.sock",
                               house.other / "private.txt", house.key})
        CHECK_THAT(rig.call("run cat " + hidden.string()).text(), Contains("No such file"));
    CHECK(rig.call("run ls -A " + house.home.string()).text() == "agents\n");
    CHECK(rig.call("run ls -A " + (house.home / "agents").string()).text() == "ops\n");
    // Nothing can be put where the home would look for it later, either.
    CHECK_THAT(rig.call("run touch " + (house.home / "parley.yaml").string()).text(),
               Contains("Read-only"));
}

TEST_CASE("a command cannot undo its confinement", "[grant]") {
    CommandRig rig;
    auto home = rig.house.home.string();
    using Catch::Matchers::Contains;
    CHECK(rig.call("unmount " + home).text() == "errno Operation not permitted");
    auto kernel_refuses = rig.call("run umount -l " + home + "; cat " + home +
                                   "/vault/secrets.vault; "
                                   "unshare -Urm umount " +
                                   home +
                                   " 2>&1 | head -1; "
                                   "grep -E 'Cap(Prm|Eff|Bnd|Inh|Amb)' /proc/self/status")
                              .text();
    CHECK_THAT(kernel_refuses, !Contains("sealed"));
    CHECK_THAT(kernel_refuses, Contains("CapBnd:\t0000000000000000"));
    CHECK_THAT(kernel_refuses, Contains("CapEff:\t0000000000000000"));
    // The first process of its world is the worker, not this machine's.
    CHECK_THAT(rig.call("run cat /proc/1/comm").text(), Contains("parley-worker"));
    CHECK_THAT(rig.call("run ls /proc/" + std::to_string(getpid())).text(),
               Contains("No such file"));
    CHECK_THAT(rig.call("run cat /proc/1/root" + rig.house.key.string()).text(), Contains("cat:"));
    CHECK_THAT(rig.call("run cat /proc/1/environ /proc/1/fd/3 2>&1").text(), !Contains("key"));
}

TEST_CASE("a command that runs as root cannot reach the machine beneath", "[grant]") {
    CommandRig rig;
    using Catch::Matchers::Contains;
    auto out =
        rig.call(
               "run echo x > /proc/sys/kernel/core_pattern; echo x > /sys/kernel/uevent_helper; "
               "ls /dev; ls -A /run; echo x > /proc/sysrq-trigger")
            .text();
    CHECK_THAT(out, Contains("Read-only file system"));
    CHECK_THAT(out, Contains("null"));
    for (auto const* device : {"vda", "sda", "mem", "kmsg"}) CHECK_THAT(out, !Contains(device));
    CHECK_THAT(out, !Contains("dbus"));
}

TEST_CASE("a command's own temporary files, devices and programs work", "[grant]") {
    CommandRig rig;
    CHECK(rig.call("run echo t > /tmp/t && cat /tmp/t && echo x > /dev/null && head -c 4 "
                   "/dev/urandom | wc -c")
              .text() == "t\n4\n");
    CHECK_FALSE(fs::exists("/tmp/t"));
    CHECK(rig.call("run python3 -c 'print(6*7)' 2>/dev/null || echo 42").text() == "42\n");
    CHECK(rig.call("run sh -c 'exit 0' | cat; echo $$ | wc -l").text() == "1\n");
}

TEST_CASE("what a command left in the background is dead when its call has ended", "[grant]") {
    CommandRig rig;
    auto ticks = (rig.house.mine / "ticks").string();
    auto answer = rig.call("run (setsid sh -c 'while :; do echo . >> " + ticks +
                           "; sleep 0.01; done' >/dev/null 2>&1 &) ; sleep 0.1; echo started");
    CHECK(answer.text() == "started\n");
    auto size = fs::file_size(ticks);
    CHECK(size > 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    CHECK(fs::file_size(ticks) == size);
    CHECK(rig.get().pid() == 0);
}

TEST_CASE("a command that runs too long is killed with its tree", "[grant]") {
    CommandRig rig;
    auto ticks = (rig.house.mine / "ticks").string();
    CallOptions options;
    options.timeout = std::chrono::milliseconds(200);
    auto answer = rig.call("run while :; do echo . >> " + ticks + "; sleep 0.01; done", options);
    CHECK(answer.result->error().fault == Fault::timed_out);
    auto size = fs::file_size(ticks);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    CHECK(fs::file_size(ticks) == size);
}

TEST_CASE("a fork bomb ends with its call", "[grant]") {
    CommandRig rig;
    CallOptions options;
    options.timeout = std::chrono::milliseconds(500);
    rig.call("run for i in $(seq 40); do (sleep 60 &) ; done; echo $(ls -d /proc/[0-9]* | wc -l)",
             options);
    CHECK(rig.call("run ls -d /proc/[0-9]* | wc -l").text().size() == 2);  // a handful
}

TEST_CASE("each call with a grant has a process of its own", "[grant]") {
    CommandRig rig;
    CHECK(rig.call("run echo left > /tmp/left; echo $PPID").text() == "1\n");
    CHECK(rig.call("run cat /tmp/left").text().find("No such file") != std::string::npos);
    std::vector<Answer> answers(limits::call_workers + 8);
    for (auto& answer : answers) rig.begin("run echo all", answer);
    CHECK(rig.until([&] {
        return std::all_of(answers.begin(), answers.end(),
                           [](auto& a) { return a.result.has_value(); });
    }));
    for (auto& answer : answers) CHECK(answer.text() == "all\n");
}

TEST_CASE("a worker with a folder sees that folder and nothing else of the host", "[grant]") {
    Rig rig("files");
    House house;
    auto note = (house.mine / "note.txt").string();
    using Catch::Matchers::Contains;
    SECTION("it may write where it was granted writing") {
        rig.spec.grants = {{"workspace", house.mine, GrantNeed::Access::write}};
        CHECK(rig.call("read " + note).text() == "read workspace note");
        CHECK(rig.call("write " + (house.mine / "new.txt").string()).text() == "allowed");
        CHECK(fs::exists(house.mine / "new.txt"));
    }
    SECTION("it may only read where it was granted reading") {
        rig.spec.grants = {{"workspace", house.mine, GrantNeed::Access::read}};
        CHECK(rig.call("read " + note).text() == "read workspace note");
        CHECK(rig.call("write " + (house.mine / "new.txt").string()).text() ==
              "errno Read-only file system");
    }
    for (std::string hidden : {"/etc/passwd", "/proc/self/status", "/sys/kernel", "/etc/hostname"})
        CHECK_THAT(rig.call("read " + hidden).text(), Contains("No such file"));
    CHECK_THAT(rig.call("read " + house.key.string()).text(), Contains("No such file"));
    CHECK_THAT(rig.call("read " + (house.other / "private.txt").string()).text(),
               Contains("No such file"));
    CHECK_THAT(rig.call("write /anything").text(), Contains("Read-only"));
    CHECK_THAT(rig.call("write /plugin.so").text(), Contains("errno"));
    CHECK(rig.call("socket").text() == "errno Operation not permitted");
    CHECK(rig.call("fork").text() == "errno Operation not permitted");
}

TEST_CASE("the profile of a call with grants says what holds", "[grant]") {
    CommandRig rig;
    rig.call("run true");
    auto profile = rig.get().profile();
    for (auto const* layer : {"namespaces:user,mount,pid,ipc", "hidden-home", "no-capabilities",
                              "refused:unmount", "refused:key", "refused:host-proc"})
        CHECK(profile.find(layer) != std::string::npos);
}

TEST_CASE("a grant that cannot be made is refused with the reason", "[grant]") {
    Rig rig("files");
    rig.spec.grants = {{"workspace", "/nonexistent/folder", GrantNeed::Access::write}};
    auto answer = rig.call("read /x");
    CHECK(answer.result->error().fault == Fault::unavailable);
    CHECK(answer.result->error().what.find("/nonexistent/folder") != std::string::npos);
}

TEST_CASE("a command is refused when home or key cannot be hidden", "[grant]") {
    CommandRig rig;
    SECTION("the key lies at the root") {
        rig.spec.key_file = "/vault.key";
    }
    SECTION("there is no home") {
        rig.spec.home = "";
    }
    CHECK_FALSE(*rig.call("run echo never").result);
}

TEST_CASE("a crash of a call worker fails that call only", "[grant]") {
    CommandRig rig;
    CHECK(rig.call("crash").result->error().fault == Fault::peer_gone);
    CHECK(rig.call("run echo next").text() == "next\n");
}

TEST_CASE("cancelling and stopping end a call worker", "[grant]") {
    CommandRig rig;
    Answer answer;
    auto id = rig.begin("ignore", answer);
    SECTION("before it has started") {
        rig.get().cancel(id);
    }
    SECTION("while it works") {
        rig.until([&] { return !rig.get().profile().empty(); });
        rig.get().cancel(id);
    }
    SECTION("by stop") {
        rig.until([&] { return !rig.get().profile().empty(); });
        rig.get().stop();
    }
    CHECK(rig.until([&] { return answer.result.has_value(); }));
    CHECK(answer.result->error().fault == Fault::cancelled);
}
