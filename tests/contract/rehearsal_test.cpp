// The rehearsal provider: the same request always gives the same answer.
#include "test_host.hpp"

#include <catch2/catch.hpp>

using namespace contract;
using namespace std::chrono_literals;

namespace {

constexpr char rehearsal[] = PLUGIN_FOLDER "/provider_rehearsal.so";

std::string user(std::string_view text) { return json_of("role", "user", "text", text); }
std::string assistant(std::string_view text) { return json_of("role", "assistant", "text", text); }
std::string result(std::string_view name, std::string_view content) {
    return json_of("role", "skill", "call", "c-1", "name", name, "content", content, "error",
                   false);
}
std::string request(std::vector<std::string> const& messages) {
    std::string list;
    for (auto const& message : messages) list += (list.empty() ? "" : ",") + message;
    return R"({"model":"echo","max_output_tokens":100,"system":"be kind","skills":[{"name":"shell"}],"messages":[)" +
           list + "]}";
}
CallRecord play(std::vector<std::string> const& messages) {
    TestHost host(rehearsal);
    auto const id = host.start(Verb::provider_generate, request(messages));
    CHECK(host.faults.empty());
    return host.call(id);
}
std::string stop_of(CallRecord const& call) {
    auto const stops = call.items("stop");
    return stops.size() == 1 ? std::string(stops[0]["reason"].text()) : "";
}

}  // namespace

TEST_CASE("plain text is answered with itself, and at first with a hint", "[rehearsal]") {
    auto const first = play({user("Hello")});
    CHECK(first.succeeded());
    CHECK(first.text().starts_with("You said: Hello\n"));
    CHECK(first.text().find("/help") != std::string::npos);
    CHECK(stop_of(first) == "end");
    CHECK(play({user("Hello"), assistant("x"), user("Again")}).text() == "You said: Again");
}

TEST_CASE("usage is a quarter of the bytes unless the script sets it", "[rehearsal]") {
    auto const messages = std::vector{user("a"), assistant("b"), user("/say 12345")};
    auto const usage = play(messages).items("usage").at(0);
    CHECK(usage["input"].integer() == static_cast<std::int64_t>(request(messages).size() + 3) / 4);
    CHECK(usage["output"].integer() == 2);
    auto const set = play({user("/say x\n/usage 1000 50")}).items("usage").at(0);
    CHECK(set["input"].integer() == 1000);
    CHECK(set["output"].integer() == 50);
}

TEST_CASE("calls of one answer keep their order and their exact arguments", "[rehearsal]") {
    auto const call = play({user(
        "/say Let me look.\n/call shell {\"command\": \"ls\"}\n/call read_file {\"path\":\"a\"}")});
    auto const calls = call.items("call");
    REQUIRE(calls.size() == 2);
    CHECK(calls[0]["name"].text() == "shell");
    CHECK(calls[0]["arguments"].text() == "{\"command\": \"ls\"}");
    CHECK(calls[1]["name"].text() == "read_file");
    CHECK(call.text() == "Let me look.");
    CHECK(stop_of(call) == "calls");
}

TEST_CASE("each answer of a turn plays the next step, and the last tells the results",
          "[rehearsal]") {
    std::string const script = user("/call shell {\"command\":\"a\"}\n/then\n/say second");
    CHECK(play({script}).items("call").size() == 1);
    auto const second = play({script, assistant(""), result("shell", "out a")});
    CHECK(second.text() == "second");
    auto const last = play({script, assistant(""), result("shell", "out a"), assistant("second"),
                            result("read_file", "out b")});
    CHECK(last.text() == "shell: out a\nread_file: out b");
    CHECK(stop_of(last) == "end");
}

TEST_CASE("only the last user message is a script", "[rehearsal]") {
    auto const call =
        play({user("/call shell {}"), assistant(""), result("shell", "x"), user("thanks")});
    CHECK(call.text() == "You said: thanks");
}

TEST_CASE("arguments that are not JSON need raw-call", "[rehearsal]") {
    CHECK(play({user("/call shell {broken")}).items("call").empty());
    auto const raw = play({user("/raw-call shell {broken")}).items("call");
    REQUIRE(raw.size() == 1);
    CHECK(raw[0]["arguments"].text() == "{broken");
}

TEST_CASE("a stream comes in chunks with pauses", "[rehearsal]") {
    TestHost host(rehearsal);
    auto const id = host.start(Verb::provider_generate, request({user("/stream 3 100 äöü")}));
    CHECK(host.call(id).text() == "ä");
    host.advance(100ms);
    CHECK(host.call(id).text() == "äö");
    host.advance(100ms);
    CHECK(host.call(id).text() == "äöü");
    CHECK(host.call(id).succeeded());
}

TEST_CASE("a pause of the host is kept", "[rehearsal]") {
    TestHost host(rehearsal);
    auto const waiting =
        host.start(Verb::provider_generate, request({user("/wait 1\n/bytes 100000")}));
    host.set_emit_answer(waiting, PARLEY_PAUSE);
    host.advance(1ms);
    CHECK(host.call(waiting).emitted.size() == 1);
    host.resume(waiting);
    CHECK(host.call(waiting).succeeded());
    CHECK(host.call(waiting).text().size() == 100000);
}

TEST_CASE("failures carry their code and whether to try again", "[rehearsal]") {
    auto const plain = play({user("/fail auth")});
    CHECK(plain.answer()["code"].text() == "auth");
    CHECK_FALSE(plain.answer()["retryable"].boolean(true));
    auto const retry = play({user("/say begun\n/fail overloaded retryable")});
    CHECK(retry.answer()["retryable"].boolean());
    CHECK(retry.text() == "begun");
}

TEST_CASE("a failure with a number of times lets the next try through", "[rehearsal]") {
    TestHost host(rehearsal);
    auto const script = request({user("/fail rate retryable 2\n/say at last")});
    CHECK(host.run(Verb::provider_generate, script).status == PARLEY_E_PEER);
    CHECK(host.run(Verb::provider_generate, script).status == PARLEY_E_PEER);
    CHECK(host.run(Verb::provider_generate, script).text() == "at last");
}

TEST_CASE("an answer can be cut off, stopped short, refused or reasoned", "[rehearsal]") {
    auto const cut = play({user("/say half\n/cut")});
    CHECK(cut.succeeded());
    CHECK(cut.items("stop").empty());
    CHECK(stop_of(play({user("/say x\n/stop length")})) == "length");
    CHECK(stop_of(play({user("/stop refusal")})) == "refusal");
    CHECK(play({user("/reason hmm\n/say x")}).text("reasoning") == "hmm");
}

TEST_CASE("a long answer has the wanted length and chunks of bounded size", "[rehearsal]") {
    auto const call = play({user("/bytes 50001")});
    CHECK(call.text().size() == 50001);
    for (auto const& item : call.emitted) CHECK(item.size() <= 65536);
}

TEST_CASE("bytes that are not UTF-8 are sent as they are, for the host to refuse", "[rehearsal]") {
    TestHost host(rehearsal);
    auto const id = host.start(Verb::provider_generate, request({user("/bad-utf8")}));
    CHECK(host.faults.size() == 1);
    CHECK(host.call(id).status == PARLEY_E_INTERNAL);
}

TEST_CASE("a hanging answer ends when it is cancelled", "[rehearsal]") {
    TestHost host(rehearsal);
    auto const id = host.start(Verb::provider_generate, request({user("/hang")}));
    host.advance(1h);
    CHECK_FALSE(host.call(id).ended());
    host.cancel(id);
    CHECK(host.call(id).status == PARLEY_E_CANCELLED);
}

TEST_CASE("a request to summarise is answered with a count", "[rehearsal]") {
    CHECK(play({user("a"), assistant("b"), user("Summarise the conversation so far.")}).text() ==
          "Summary of 2 messages.");
}

TEST_CASE("a command that nobody knows is answered with the list", "[rehearsal]") {
    CHECK(play({user("/dance")}).text().starts_with("/dance: I do not know that."));
    CHECK(play({user("/wait soon")}).text().starts_with("/wait: wants"));
    CHECK(play({user("/context")}).text() ==
          "model echo, system 7 bytes, skills shell, messages user");
}

TEST_CASE("with script off every message is plain text", "[rehearsal]") {
    TestHost host(rehearsal, R"({"script":false})");
    CHECK(host.run(Verb::provider_generate, request({user("/crash")}))
              .text()
              .starts_with("You said: /crash"));
}

TEST_CASE("a command takes the lines that follow it", "[rehearsal]") {
    CHECK(play({user("/say one\ntwo\n/say  three")}).text() == "one\ntwo three");
}
