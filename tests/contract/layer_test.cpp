// The author's layer, in C++ and in Rust: whatever a plugin's code does, each call ends once, and
// ends rightly.
#include "test_host.hpp"

#include <catch2/catch.hpp>

using namespace contract;
using namespace std::chrono_literals;

namespace {
constexpr char in_cpp[] = LAYER_PLUGIN;
constexpr char in_rust[] = RUST_LAYER_PLUGIN;

std::string ask(std::string_view skill) { return json_of("skill", skill); }
}  // namespace

TEST_CASE("an exception ends its call with the exception's text", "[layer]") {
    TestHost host(GENERATE(in_cpp, in_rust));
    auto const call = host.run(Verb::skill_invoke, ask("throw"));
    CHECK(call.status == PARLEY_E_INTERNAL);
    CHECK(call.answer()["code"].text() == "internal");
    CHECK(call.answer()["message"].text() == "boom");
    CHECK(host.run(Verb::skill_invoke, ask("throw oddly")).status == PARLEY_E_INTERNAL);
    CHECK(host.faults.empty());
}

TEST_CASE("an exception in a callback ends the call that it belongs to", "[layer]") {
    TestHost host(GENERATE(in_cpp, in_rust));
    auto const id = host.start(Verb::skill_invoke, ask("http throw"));
    host.http_head(host.http.at(0), 200);
    CHECK(host.call(id).answer()["message"].text() == "in a callback");
    CHECK_FALSE(host.http.at(0).open);
    CHECK(host.faults.empty());
}

TEST_CASE("a call that is dropped ends as a defect", "[layer]") {
    TestHost host(GENERATE(in_cpp, in_rust));
    auto const call = host.run(Verb::skill_invoke, ask("drop"));
    CHECK(call.status == PARLEY_E_INTERNAL);
    CHECK(call.answer()["message"].text() == "the plugin dropped the call unfinished");
}

TEST_CASE("a call ends once, whatever comes after", "[layer]") {
    TestHost host(GENERATE(in_cpp, in_rust));
    CHECK(host.run(Verb::skill_invoke, ask("twice")).succeeded());
    CHECK(host.faults.empty());
}

TEST_CASE("a result that the host does not take becomes a failure", "[layer]") {
    TestHost host(GENERATE(in_cpp, in_rust));
    CHECK(host.run(Verb::skill_invoke, ask("too large")).status == PARLEY_E_INTERNAL);
}

TEST_CASE("a failure carries its code, its message and when to try again", "[layer]") {
    TestHost host(GENERATE(in_cpp, in_rust));
    auto const call = host.run(Verb::skill_invoke, ask("fail"));
    CHECK(call.status == PARLEY_E_PEER);
    CHECK(call.answer()["code"].text() == "rate");
    CHECK(call.answer()["retryable"].boolean());
    CHECK(call.answer()["retry_after_ms"].integer() == 1500);
}

TEST_CASE("the exact bytes of the arguments reach the plugin", "[layer]") {
    TestHost host(in_cpp);
    std::string const arguments = R"({"b":1.50, "a":"\u0041é" , "n":12345678901234567890})";
    auto const call =
        host.run(Verb::skill_invoke, R"({"skill":"echo","arguments":)" + arguments + "}");
    CHECK(call.result == arguments);
}

TEST_CASE("a request that is no object is refused before a verb runs", "[layer]") {
    TestHost host(GENERATE(in_cpp, in_rust));
    CHECK(host.run(Verb::skill_invoke, "[1]").status == PARLEY_E_INVALID);
    CHECK(host.run(Verb::skill_invoke, R"({"a":1,"a":2})").status == PARLEY_E_INVALID);
}

TEST_CASE("a thread of the plugin may end a call", "[layer]") {
    TestHost host(GENERATE(in_cpp, in_rust));
    CHECK(host.run(Verb::skill_invoke, ask("thread")).answer()["from"].text() == "thread");
}

TEST_CASE("a stream that is taken goes on to its end", "[layer]") {
    TestHost host(GENERATE(in_cpp, in_rust));
    CHECK(host.run(Verb::skill_invoke, ask("emit")).emitted.size() == 3);
}

TEST_CASE("a call with an on_cancel of its own ends itself", "[layer]") {
    TestHost host(GENERATE(in_cpp, in_rust));
    auto const id = host.start(Verb::skill_invoke, ask("wait for cancel"));
    host.cancel(id);
    CHECK(host.call(id).succeeded());
    CHECK(host.call(id).answer()["cancelled"].boolean());
}

TEST_CASE("an HTTP exchange reaches the plugin piece by piece", "[layer]") {
    TestHost host(GENERATE(in_cpp, in_rust));
    auto const id = host.start(Verb::skill_invoke, ask("http"));
    REQUIRE(host.http.size() == 1);
    auto& exchange = host.http[0];
    CHECK(exchange.request["method"].text() == "POST");
    CHECK(exchange.request["framing"].text() == "sse");
    CHECK(exchange.request["inject"].raw() ==
          R"([{"slot":"header:Authorization","secret":"key","prefix":"Bearer "}])");
    CHECK(exchange.body == "body");
    host.http_head(exchange, 200, R"([["Content-Type","text/plain"]])");
    host.http_event(exchange, " one");
    host.http_data(exchange, " two");
    host.http_done(exchange);
    CHECK(host.call(id).answer()["body"].text() == "200text/plain one two");
}

TEST_CASE("an HTTP failure keeps what the host said", "[layer]") {
    TestHost host(GENERATE(in_cpp, in_rust));
    auto const id = host.start(Verb::skill_invoke, ask("http"));
    host.http_failed(host.http[0],
                     R"({"code":"timeout","message":"slow","retryable":true,"sent":false})");
    CHECK(host.call(id).status == PARLEY_E_DEADLINE);
    CHECK(host.call(id).answer()["retryable"].boolean());
    CHECK_FALSE(host.call(id).answer()["sent"].boolean(true));
}

TEST_CASE("a service that the host lacks fails the operation, not the worker", "[layer]") {
    TestHost host(GENERATE(in_cpp, in_rust), "{}", PARLEY_HOST_HTTP);
    auto const call = host.run(Verb::skill_invoke, ask("http"));
    CHECK(call.status == PARLEY_E_UNSUPPORTED);
}

TEST_CASE("a cancelled call loses its operations and ends as cancelled", "[layer]") {
    TestHost host(GENERATE(in_cpp, in_rust));
    auto const id = host.start(Verb::skill_invoke, ask("http"));
    host.cancel(id);
    CHECK(host.call(id).status == PARLEY_E_CANCELLED);
    CHECK_FALSE(host.http[0].open);
}

TEST_CASE("operations end with their call", "[layer]") {
    TestHost host(GENERATE(in_cpp, in_rust));
    auto const call = host.run(Verb::skill_invoke, ask("timer and end"));
    CHECK(call.succeeded());
    CHECK_FALSE(host.timers.at(0).open);
}

TEST_CASE("a timer fires once its time has come", "[layer]") {
    TestHost host(GENERATE(in_cpp, in_rust));
    auto const id = host.start(Verb::skill_invoke, ask("timer"));
    host.advance(99ms);
    CHECK_FALSE(host.call(id).ended());
    host.advance(1ms);
    CHECK(host.call(id).succeeded());
}

TEST_CASE("a call whose timer is one too many fails for now, and nothing left", "[layer]") {
    TestHost host(GENERATE(in_cpp, in_rust));
    host.takes_timers = false;
    auto const& call = host.run(Verb::skill_invoke, ask("timer"));
    CHECK(call.answer()["code"].text() == "limit");
    CHECK(call.answer()["retryable"].boolean());
    CHECK_FALSE(call.answer()["sent"].boolean(true));
}

TEST_CASE("the store answers, present or missing", "[layer]") {
    TestHost host(GENERATE(in_cpp, in_rust));
    CHECK(host.run(Verb::skill_invoke, ask("kv")).answer()["count"].text() == "I");
    CHECK(host.run(Verb::skill_invoke, ask("kv")).answer()["count"].text() == "II");
}

TEST_CASE("a webhook is answered once, whatever the plugin does with it", "[layer]") {
    TestHost host(GENERATE(in_cpp, in_rust));
    auto const id = host.start(Verb::skill_invoke, ask("webhooks"));
    auto& door = host.listeners.at(0);
    auto told = [&](std::string_view body) {
        auto const number = host.webhook(door, body, R"([["x-event","!"]])");
        return door.answers.at(number).value_or(Json());
    };
    CHECK(told("hi")["status"].integer() == 201);
    CHECK(told("hi")["body"].text() == "hi!");
    CHECK(told("drop")["status"].integer() == 503);
    CHECK(told("later")["retry_after_s"].integer() == 9);
    CHECK(told("large")["status"].integer() == 500);
    host.webhook_gone(door, 3);
    CHECK(host.call(id).items("gone").at(0)["n"].integer() == 3);
    host.webhooks_closed(door, R"({"code":"denied","message":"off"})");
    CHECK(host.call(id).status == PARLEY_E_DENIED);
    CHECK(host.faults.empty());
}

TEST_CASE("a listener ends with its call", "[layer]") {
    TestHost host(GENERATE(in_cpp, in_rust));
    auto const id = host.start(Verb::skill_invoke, ask("webhooks"));
    host.cancel(id);
    CHECK_FALSE(host.listeners.at(0).open);
    CHECK(host.call(id).ended());
}

TEST_CASE("a stream writes, reads, injects and reports its end", "[layer]") {
    TestHost host(GENERATE(in_cpp, in_rust));
    auto const id = host.start(Verb::channel_run, "{}");
    auto& link = host.streams.at(0);
    host.stream_opened(link);
    CHECK(link.written == "PASS pw\r\n");
    CHECK(link.injects.at(0).raw() == R"([{"slot":"stream:pw","secret":"password"}])");
    host.stream_data(link, "hello");
    CHECK(host.call(id).item(0)["text"].text() == "hello");
    host.acknowledge(id, "c1");
    CHECK(host.call(id).item(1)["cursor"].text() == "c1");
    host.stream_closed(link, R"({"code":"peer","message":"reset"})");
    CHECK(host.call(id).status == PARLEY_E_PEER);
    CHECK(host.call(id).answer()["message"].text() == "reset");
}

TEST_CASE("a WebSocket is opened, written to, heard and left with a goodbye", "[layer]") {
    TestHost host(GENERATE(in_cpp, in_rust));
    auto const id = host.start(Verb::skill_invoke, ask("ws"));
    auto& link = host.sockets.at(0);
    CHECK(link.request["url"].text() == "wss://socket.example/x");
    CHECK(link.request["headers"].raw() == R"([["A","b"]])");
    CHECK(link.request["subprotocols"].raw() == R"(["talk.1"])");
    CHECK(link.request["max_bytes"].integer() == 1000);
    CHECK(link.request["inject"].raw() == R"([{"slot":"query:key","secret":"key"}])");
    host.ws_opened(link, "talk.1");
    CHECK(link.texts.at(0) == R"({"spoken":"talk.1","token":""})");
    CHECK(link.injects.at(0).raw() == R"([{"slot":"body:/token","secret":"key"}])");
    host.ws_binary(link, std::string_view("\0\xff", 2));
    CHECK(link.binaries.at(0) == std::string_view("\0\xff", 2));
    host.ws_text(link, "bye");
    CHECK(link.texts.at(1) == "bye");
    CHECK(link.texts.size() == 2);
    CHECK(link.code == 4001);
    CHECK(link.reason == "so long");
    CHECK(host.call(id).answer()["open"].raw() == "false");
}

TEST_CASE("how a WebSocket ended reaches its author", "[layer]") {
    TestHost host(GENERATE(in_cpp, in_rust));
    auto const left = host.start(Verb::skill_invoke, ask("ws"));
    host.ws_opened(host.sockets.at(0));
    host.ws_closed(host.sockets.at(0), 1001, "restart");
    CHECK(host.call(left).answer()["code"].integer() == 1001);
    CHECK(host.call(left).answer()["reason"].text() == "restart");
    auto const refused = host.start(Verb::skill_invoke, ask("ws"));
    host.ws_failed(host.sockets.at(1), R"({"code":"peer","message":"answered 401","sent":true})");
    CHECK(host.call(refused).status == PARLEY_E_PEER);
    CHECK(host.call(refused).answer()["message"].text() == "answered 401");
    auto const cancelled = host.start(Verb::skill_invoke, ask("ws"));
    host.cancel(cancelled);
    CHECK(host.sockets.at(2).code == 1000);
}

TEST_CASE("only verbs that the author wrote are offered", "[layer]") {
    TestHost host(GENERATE(in_cpp, in_rust));
    CHECK(host.offers(Verb::channel_run));
    CHECK(host.offers(Verb::channel_typing));
    CHECK_FALSE(host.offers(Verb::channel_edit));
    CHECK(host.offers(Verb::skill_invoke));
    CHECK_FALSE(host.offers(Verb::skill_reconcile));
    CHECK_FALSE(host.offers(Verb::provider_generate));
    CHECK(host.interface("parley.skill/12") == nullptr);
    CHECK(host.interface("parley.ski") == nullptr);
}

TEST_CASE("a constructor that throws makes no plugin and says why", "[layer]") {
    auto const* const layer = GENERATE(in_cpp, in_rust);
    CHECK_THROWS_WITH(TestHost(layer, R"({"refuse":true})"), "the config says refuse");
    CHECK_THROWS(TestHost(layer, "[]"));
}
