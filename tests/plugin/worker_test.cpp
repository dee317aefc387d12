#include "../temp_folder.hpp"
#include "rig.hpp"

#include <unistd.h>

#include <fstream>
#include <random>

namespace {

std::string frame_hex(unsigned type, unsigned flags, std::uint64_t id, std::string const& body_hex,
                      std::optional<unsigned> length = {}) {
    std::string out;
    auto number = [&out](std::uint64_t value, int bytes) {
        constexpr char digits[] = "0123456789abcdef";
        for (int i = 0; i < bytes; ++i, value >>= 8)
            out += {digits[value >> 4 & 15], digits[value & 15]};
    };
    number(length.value_or(static_cast<unsigned>(body_hex.size() / 2)), 4);
    number(type, 2);
    number(flags, 2);
    number(id, 8);
    return out + body_hex;
}

}  // namespace

TEST_CASE("a call goes to the plugin and its answer comes back", "[worker]") {
    Rig rig("zoo");
    CHECK(rig.call("echo hello").text() == "hello");
    CHECK(rig.call("echo again").text() == "again");
    CHECK(rig.call("late from another thread").text() == "from another thread");
    CHECK(rig.get().state() == Worker::State::ready);
    CHECK(rig.get().pid() > 0);
}

TEST_CASE("many calls that wait for the start are served in order", "[worker]") {
    Rig rig("zoo");
    std::vector<Answer> answers(100);
    std::vector<int> order;
    for (int i = 0; i < 100; ++i) {
        CallSink sink;
        sink.on_done = [&order, i](Result<std::string> result) {
            CHECK(result);
            order.push_back(i);
        };
        rig.get().start(Verb::skill_invoke, "echo " + std::to_string(i), {}, std::move(sink));
    }
    CHECK(rig.until([&] { return order.size() == 100; }));
    CHECK(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE("messages larger than a frame arrive whole in both directions", "[worker]") {
    Rig rig("zoo");
    std::string large(3'000'000, 'q');
    CHECK(rig.call("echo " + large).text() == large);
}

TEST_CASE("a plugin's failure keeps its own words", "[worker]") {
    Rig rig("zoo");
    auto answer = rig.call(R"(fail {"code":"rate","message":"slow down","retryable":true})");
    REQUIRE_FALSE(*answer.result);
    CHECK(answer.result->error().fault == Fault::peer_failed);
    CHECK(answer.result->error().what ==
          R"({"code":"rate","message":"slow down","retryable":true})");
    CHECK(rig.call("negative").result->error().fault == Fault::bad_input);
    CHECK(rig.call("forget").result->error().fault == Fault::peer_failed);
    CHECK(rig.call("unheard-of").result->error().fault == Fault::bad_input);
}

TEST_CASE("a verb that the plugin lacks is refused, not called", "[worker]") {
    Rig rig("zoo");
    Answer answer;
    CallSink sink;
    sink.on_done = [&](Result<std::string> result) { answer.result = std::move(result); };
    rig.get().start(Verb::channel_run, "{}", {}, sink);
    CHECK(rig.until([&] { return answer.result.has_value(); }));
    CHECK(answer.result->error().fault == Fault::bad_input);
}

TEST_CASE("a stream keeps its order, and a fast plugin is told to pause", "[worker]") {
    Rig rig("zoo");
    auto answer = rig.call("stream 2000 1000");
    REQUIRE(answer.items.size() == 2000);
    for (std::size_t i = 0; i < 2000; ++i)
        CHECK(answer.items[i].starts_with(std::to_string(i) + "."));
    CHECK(answer.text().starts_with("done p"));
}

TEST_CASE("a plugin that ignores the pause is not taken from beyond its credit", "[worker]") {
    Rig rig("zoo");
    // Credit comes back while the plugin does not look, so it is the worker that says no.
    CHECK(rig.call("flood").text() == "4 -8");
    CHECK(rig.call("echo alive").text() == "alive");
}

TEST_CASE("credit of a durable stream returns only by acknowledge", "[worker]") {
    Rig rig("zoo");
    Answer answer;
    CallOptions options;
    options.emits_are_durable = true;
    auto call = rig.begin("stream 100 8000", answer, options);
    rig.until([&] { return answer.items.size() > 40; }, 1);
    auto first = answer.items.size();
    CHECK(first < 40);
    CHECK_FALSE(answer.result);
    for (std::size_t i = 0; i < answer.items.size(); ++i) {
        rig.get().acknowledge(call, "", answer.items[i].size());
        if (i + 1 == answer.items.size())
            rig.until([&] { return answer.items.size() > i + 1 || answer.result; }, 2);
    }
    CHECK(rig.until([&] { return answer.result.has_value(); }));
    CHECK(answer.items.size() == 100);
}

TEST_CASE("a durable cursor reaches the plugin", "[worker]") {
    Rig rig("zoo");
    Answer answer;
    CallOptions options;
    options.emits_are_durable = true;
    auto call = rig.begin("cursor a message", answer, options);
    REQUIRE(rig.until([&] { return answer.items.size() == 1; }));
    rig.get().acknowledge(call, "c-17", answer.items[0].size());
    CHECK(rig.until([&] { return answer.result.has_value(); }));
    CHECK(answer.text() == "acknowledged c-17");
}

TEST_CASE("a cancel reaches the plugin, and the call ends as cancelled", "[worker]") {
    Rig rig("zoo");
    CHECK(rig.call("echo up").text() == "up");
    Answer answer;
    auto call = rig.begin("wait", answer);
    rig.get().cancel(call);
    CHECK(rig.until([&] { return answer.result.has_value(); }));
    CHECK(answer.result->error().fault == Fault::cancelled);
    auto pid = rig.get().pid();
    CHECK(rig.call("echo same process").text() == "same process");
    CHECK(rig.get().pid() == pid);
}

TEST_CASE("a call that is cancelled while the worker starts never reaches the plugin", "[worker]") {
    Rig rig("zoo");
    Answer answer;
    auto call = rig.begin("crash", answer);
    rig.get().cancel(call);
    CHECK(rig.until([&] { return answer.result.has_value(); }));
    CHECK(answer.result->error().fault == Fault::cancelled);
    CHECK(rig.call("echo fine").text() == "fine");
}

TEST_CASE("a call that outlives its timeout is cancelled, and killed when that does not help",
          "[worker]") {
    Rig rig("zoo");
    CallOptions options;
    options.timeout = std::chrono::milliseconds(50);
    SECTION("the plugin obeys") {
        CHECK(rig.call("wait", options).result->error().fault == Fault::timed_out);
        CHECK(rig.get().state() == Worker::State::ready);
    }
    SECTION("the plugin ignores the cancel") {
        CHECK(rig.call("ignore", options).result->error().fault == Fault::timed_out);
        CHECK(rig.call("echo a new process").text() == "a new process");
    }
    SECTION("the plugin's only thread hangs, and others of its calls fail with it") {
        Answer other;
        CHECK(rig.call("echo up").text() == "up");
        rig.begin("ignore", other);
        CHECK(rig.call("hang", options).result->error().fault == Fault::timed_out);
        REQUIRE(rig.until([&] { return other.result.has_value(); }));
        CHECK(other.result->error().fault == Fault::peer_gone);
        CHECK(rig.call("echo back").text() == "back");
    }
}

TEST_CASE("a worker that dies fails its open calls and is started again", "[worker]") {
    Rig rig("zoo");
    std::vector<Worker::State> states;
    rig.get().on_state([&](Worker::State state, std::string const&) { states.push_back(state); });
    Answer other;
    CHECK(rig.call("echo up").text() == "up");
    rig.begin("ignore", other);
    auto answer = rig.call("crash");
    REQUIRE_FALSE(*answer.result);
    CHECK(answer.result->error().fault == Fault::peer_gone);
    CHECK(answer.result->error().what.find("signal 11") != std::string::npos);
    REQUIRE(other.result);
    CHECK_FALSE(*other.result);
    CHECK(rig.call("echo back").text() == "back");
    CHECK(states ==
          std::vector{Worker::State::ready, Worker::State::restarting, Worker::State::ready});
}

TEST_CASE("an answer that was sent before the worker died still counts", "[worker]") {
    Rig rig("zoo");
    Answer first, second;
    rig.begin("echo last words", first);
    rig.begin("exit 3", second);
    CHECK(rig.until([&] { return first.result && second.result; }));
    CHECK(first.text() == "last words");
    CHECK(second.result->error().what == "the worker ended with status 3");
}

TEST_CASE("a worker that keeps dying is quarantined, and calls are refused at once", "[worker]") {
    Rig rig("zoo");
    for (int i = 0; i < limits::worker_deaths_to_quarantine; ++i)
        CHECK_FALSE(*rig.call("crash").result);
    CHECK(rig.until([&] { return rig.get().state() == Worker::State::quarantined; }));
    auto answer = rig.call("echo hello");
    CHECK(answer.result->error().fault == Fault::unavailable);
    CHECK(answer.result->error().what.find("signal 11") != std::string::npos);
    CHECK(rig.get().pid() == 0);
}

TEST_CASE("a plugin that cannot live harms nobody else", "[worker]") {
    SECTION("its constructor dies") {
        Rig rig("stillborn");
        auto answer = rig.call("echo hello");
        CHECK(answer.result->error().fault == Fault::unavailable);
    }
    SECTION("it lacks a role that it declares") {
        Rig rig("lacking");
        auto answer = rig.call("echo hello");
        CHECK(answer.result->error().fault == Fault::unavailable);
        CHECK(answer.result->error().what.find("parley.provider/1") != std::string::npos);
    }
    SECTION("there is no worker program") {
        Rig rig("zoo");
        rig.deps.worker_program = "/nonexistent/parley-worker";
        CHECK(rig.call("echo hello").result->error().fault == Fault::unavailable);
    }
}

TEST_CASE("stop cancels what is open and ends the process", "[worker]") {
    Rig rig("zoo");
    Answer answer;
    CHECK(rig.call("echo up").text() == "up");
    rig.begin("ignore", answer);
    rig.get().stop();
    CHECK(rig.until([&] { return answer.result.has_value(); }));
    CHECK(answer.result->error().fault == Fault::cancelled);
    CHECK(rig.until([&] { return rig.get().pid() == 0; }));
    CHECK(rig.call("echo no more").result->error().fault == Fault::unavailable);
}

TEST_CASE("a lie on the link ends the worker and fails its calls, and the host goes on",
          "[worker]") {
    Rig rig("zoo");
    CHECK(rig.call("echo up").text() == "up");
    auto lie = [&](std::string const& hex) { return rig.call("raw " + hex).result->error().what; };
    using Catch::Matchers::Contains;
    SECTION("a completion of a call that is not open") {
        CHECK_THAT(lie(frame_hex(36, 0, 4242, "00000000")), Contains("not open"));
    }
    SECTION("a double completion") {
        auto one = frame_hex(36, 0, 4, "00000000");
        Answer answer;
        rig.begin("raw " + one + one, answer);
        REQUIRE(rig.until([&] { return rig.get().state() == Worker::State::restarting; }));
        CHECK(answer.text() == "");
    }
    SECTION("an item for a call that is not open") {
        CHECK_THAT(lie(frame_hex(35, 0, 4242, "41")), Contains("not open"));
    }
    SECTION("items beyond the credit") {
        CallOptions options;
        options.emits_are_durable = true;
        std::string hex;
        for (int i = 0; i < 6; ++i) hex += frame_hex(35, 0, 4, std::string(2 * 65536, '4'));
        CHECK_THAT(rig.call("raw " + hex, options).result->error().what, Contains("credit"));
    }
    SECTION("a frame that is too long") {
        CHECK_THAT(lie(frame_hex(35, 0, 4, "41", 65537)), Contains("too long"));
    }
    SECTION("a message that never ends") {
        CHECK_THAT(rig.call("rawflood").result->error().what, Contains("too long"));
    }
    SECTION("an unknown type") {
        CHECK_THAT(lie(frame_hex(99, 0, 0, "")), Contains("unknown type"));
    }
    SECTION("unknown flags") {
        CHECK_THAT(lie(frame_hex(35, 8, 4, "")), Contains("flags"));
    }
    SECTION("an operation id that is even") {
        CHECK_THAT(lie(frame_hex(41, 0, 8,
                                 "0400000000000000"
                                 "01000000")),
                   Contains("operation id"));
    }
    SECTION("a service for a call that is not open") {
        CHECK_THAT(lie(frame_hex(41, 0, 9,
                                 "4200000000000000"
                                 "01000000")),
                   Contains("not open"));
    }
    SECTION("a short frame") {
        CHECK_THAT(lie(frame_hex(36, 0, 4, "0000")), Contains("short"));
    }
    SECTION("a message to what is no WebSocket") {
        auto timer = frame_hex(41, 0, 9,
                               "0400000000000000"
                               "ffff0000");
        CHECK_THAT(lie(timer + frame_hex(50, 0, 9,
                                         "02000000"
                                         "00000000"
                                         "41")),
                   Contains("another service"));
    }
    SECTION("a goodbye with a code that is none") {
        CHECK_THAT(lie(frame_hex(51, 0, 9, "ee030000")), Contains("none"));
    }
    SECTION("a goodbye with a reason that no frame can hold") {
        CHECK_THAT(lie(frame_hex(51, 0, 9, "e8030000" + std::string(2 * 124, '4'))),
                   Contains("none"));
    }
    SECTION("two messages mixed") {
        CHECK_THAT(lie(frame_hex(35, 1, 4, "41") + frame_hex(37, 0, 0, "0000000041")),
                   Contains("mixed"));
    }
    CHECK(rig.call("echo still here").text() == "still here");
}

TEST_CASE("random bytes on the link never hurt the host", "[worker]") {
    auto seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937 random(seed);
    for (int round = 0; round < 40; ++round) {
        Rig rig("zoo");
        std::string hex;
        for (int i = 0; i < 20; ++i) {
            // Half of it looks like a frame, so that the deeper checks are met too.
            if (random() % 2) {
                std::string body;
                for (auto size = random() % 40; size > 0; --size)
                    body += {'0', "0123456789abcdef"[random() % 16]};
                hex += frame_hex(static_cast<unsigned>(33 + random() % 22),
                                 static_cast<unsigned>(random() % 2), random() % 8, body);
            } else {
                for (auto size = random() % 30; size > 0; --size)
                    hex += {"0123456789abcdef"[random() % 16], '1'};
            }
        }
        Answer answer;
        auto call = rig.begin("raw " + hex, answer);
        rig.until([&] { return answer.result.has_value(); }, 1);
        rig.get().cancel(call);
        CHECK(rig.until([&] { return answer.result.has_value(); }));
    }
}

TEST_CASE("calls to a worker that does not read are refused, not hoarded", "[worker]") {
    Rig rig("zoo");
    CHECK(rig.call("echo up").text() == "up");
    Answer stuck;
    rig.begin("hang", stuck);
    std::vector<Answer> answers(16);
    std::string large(1u << 20, 'x');
    for (auto& answer : answers) rig.begin("echo " + large, answer);
    CHECK(rig.until([&] { return answers.back().result.has_value(); }));
    CHECK(answers.back().result->error().fault == Fault::unavailable);
    CHECK_FALSE(answers.front().result);
    rig.get().stop();
    CHECK(rig.until([&] { return stuck.result && answers.front().result; }));
}

TEST_CASE("an answer that is not UTF-8 fails its call only", "[worker]") {
    Rig rig("zoo");
    CHECK(rig.call("invalid").result->error().fault == Fault::peer_failed);
    CHECK(rig.call("echo on").text() == "on");
}

TEST_CASE("a second complete of the plugin is refused inside the worker", "[worker]") {
    Rig rig("zoo");
    CHECK(rig.call("twice").text() == "first");
    CHECK(rig.until([&] { return !rig.lines.empty(); }));
    CHECK(rig.lines.at(0) == "second complete -7");
}

TEST_CASE("log lines and printed lines reach the operator, and control bytes are made visible",
          "[worker]") {
    Rig rig("zoo");
    CHECK(rig.call("log a\x1b[31mred").text() == "logged");
    CHECK(rig.until([&] { return rig.lines.size() >= 2; }));
    for (auto const& line : rig.lines) CHECK(line.find('\x1b') == std::string::npos);
}

TEST_CASE("a worker has no sockets, processes, files or surroundings", "[worker]") {
    Rig rig("zoo");
    auto isolation = GENERATE(Isolation::strict, Isolation::reduced);
    bool is_strict = isolation == Isolation::strict;
    rig.spec.isolation = isolation;
    CHECK(rig.call("socket").text() == "errno Operation not permitted");
    CHECK(rig.call("fork").text() == "errno Operation not permitted");
    // In a process namespace of its own there is nobody else of that number, or it is itself.
    auto host = std::to_string(getpid());
    CHECK(rig.call("kill " + host).text() == "errno Operation not permitted");
    CHECK(rig.call("surroundings").text() == "no environment, descriptors 0 1 2 3 4 ");
    auto profile = rig.get().profile();
    for (auto const* layer : {"no-new-privs", "seccomp-allowlist", "landlock", "no-capabilities"})
        CHECK(profile.find(layer) != std::string::npos);
    CHECK((profile.find("namespaces") != std::string::npos) == is_strict);
    auto secret = std::filesystem::temp_directory_path() / ("parley-" + host);
    std::ofstream(secret) << "mine";
    auto no = is_strict ? "errno No such file or directory" : "errno Permission denied";
    CHECK(rig.call("read " + secret.string()).text() == no);
    CHECK(rig.call("write " + secret.string()).text() == no);
    std::filesystem::remove(secret);
}

TEST_CASE("a forbidden system call ends the worker, and the error names it", "[worker]") {
    Rig rig("zoo");
    auto answer = rig.call("unmount /tmp");
    REQUIRE(answer.result);
    CHECK(answer.result->error().what.find("forbidden system call: umount2") != std::string::npos);
}

TEST_CASE("isolation is never less than manifest and grants ask for", "[worker]") {
    Rig rig("command");
    TempFolder folder;
    rig.spec.isolation = Isolation::reduced;
    rig.spec.home = folder.path;
    rig.spec.grants = {{"command", {}, GrantNeed::Access::run}};
    auto answer = rig.call("run true");
    REQUIRE(answer.result);
    REQUIRE_FALSE(*answer.result);
    CHECK(answer.result->error().what.find("never run without namespaces") != std::string::npos);
}

TEST_CASE("with reduced isolation the granted folders are still all there is", "[worker]") {
    Rig rig("files");
    TempFolder folder;
    std::filesystem::create_directory(folder.path / "mine");
    std::ofstream(folder.path / "mine/note") << "mine";
    std::ofstream(folder.path / "other") << "other";
    rig.spec.isolation = Isolation::reduced;
    rig.spec.grants = {{"workspace", folder.path / "mine", GrantNeed::Access::read}};
    CHECK(rig.call("read " + (folder.path / "mine/note").string()).text() == "read mine");
    CHECK(rig.call("write " + (folder.path / "mine/new").string()).text() ==
          "errno Permission denied");
    CHECK(rig.call("read " + (folder.path / "other").string()).text() == "errno Permission denied");
}

TEST_CASE("a service that the manifest does not name is not there", "[worker]") {
    Rig rig("zoo");
    CHECK(rig.call("service parley.host.timer/1").text() == "there");
    CHECK(rig.call("service parley.host.teleport/1").text() == "not there");
    Rig other("files");
    other.spec.grants = {};
    CHECK(other.call("service parley.host.http/1").text() == "not there");
    // Nor for a plugin that goes round its worker and writes the frame itself.
    auto timer = other.call("raw " + frame_hex(41, 0, 9, "040000000000000001000000"));
    CHECK_THAT(timer.text(), Catch::Matchers::Contains("the manifest does not name"));
}

TEST_CASE("a timer fires, and the small store keeps what it is given", "[worker]") {
    Rig rig("zoo");
    CHECK(rig.call("timer 5").text() == "fired");
    CHECK(rig.call("kv get k").text() == "missing");
    CHECK(rig.call("kv put k some value").text() == "done ");
    CHECK(rig.call("kv get k").text() == "done some value");
    CHECK(rig.store.at("zoo/k") == "some value");
    CHECK(rig.call("kv del k").text() == "done ");
    CHECK(rig.call("kv get k").text() == "missing");
    rig.marked = "hush";
    CHECK(rig.call("kv put k a hush here").result->error().fault == Fault::secret);
}

TEST_CASE("the bytes of a secret are for the field that is declared and granted so", "[worker]") {
    Rig rig("zoo");
    rig.spec.secrets = {{"token", {"test", "token"}}, {"open", {"test", "open"}}};
    SECTION("what the operator grants is given, and noted") {
        rig.spec.reveal = {"open"};
        CHECK(rig.call("reveal open").text() == "v18");
        CHECK(rig.used == std::vector<std::string>{"test/open@(revealed)"});
        CHECK(rig.call("echo still here").text() == "still here");
    }
    SECTION("what the operator does not grant stays shut") {
        CHECK(rig.call("reveal open").text().find("not in the operator's reveal list") !=
              std::string::npos);
    }
    SECTION("a field that is only to be placed is never given") {
        rig.spec.reveal = {"token"};
        CHECK(rig.call("reveal token").text().find("not declared as one to reveal") !=
              std::string::npos);
    }
    SECTION("a scope and key of the vault are no name of a field") {
        rig.spec.reveal = {"test/open"};
        CHECK(rig.call("reveal test/open").text().find("not declared") != std::string::npos);
    }
    if (rig.spec.reveal != std::set<std::string>{"open"}) CHECK(rig.used.empty());
}

TEST_CASE("a worker that retires ends its open calls first, and then itself", "[worker]") {
    Rig rig("zoo");
    Answer open;
    auto call = rig.begin("wait", open);
    CHECK(rig.call("echo first").text() == "first");
    rig.get().retire();
    auto refused = rig.call("echo more");
    CHECK(refused.result->error().fault == Fault::unavailable);
    CHECK_FALSE(open.result);
    CHECK(rig.get().state() == Worker::State::ready);
    rig.get().cancel(call);
    CHECK(rig.until([&] { return rig.get().state() == Worker::State::stopped; }));
    CHECK(open.result->error().fault == Fault::cancelled);
}

TEST_CASE("a worker that retires before it is ready serves what waits", "[worker]") {
    Rig rig("zoo");
    Answer early;
    rig.begin("echo early", early);
    rig.get().retire();
    CHECK(rig.until([&] { return rig.get().state() == Worker::State::stopped; }));
    CHECK(early.text() == "early");
}

TEST_CASE("an idle worker that retires is over at once", "[worker]") {
    Rig rig("zoo");
    rig.get().retire();
    CHECK(rig.get().state() == Worker::State::stopped);
}
