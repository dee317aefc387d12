#include "rig.hpp"
#include "wire/ws_kit.hpp"

namespace {

using Catch::Matchers::Contains;
using kit::frame;
using kit::WsPeer;

// A worker that may open WebSockets to a service on this machine.
struct WsRig : Rig {
    kit::Outlet outlet;
    Answer answer;
    WsRig() : Rig("zoo") {
        auto rules = resolve_egress(spec.file->manifest(), R"({"socket":")" + base() + R"("})", {});
        REQUIRE(rules);
        spec.egress = *rules;
        spec.secrets["token"] = {"test", "token"};
        spec.own_port = 1;
    }
    std::string base() const { return "ws://127.0.0.1:" + std::to_string(outlet.port); }
    std::string opening(std::string const& more = "") const {
        return R"({"url":")" + base() + R"(/v1")" + more + "}";
    }
    void begin_ws(std::string const& request, std::string const& rest = "\n") {
        begin("ws " + request + "\n" + rest, answer);
    }
    std::string end() {
        REQUIRE(until([&] { return answer.result.has_value(); }));
        return answer.text();
    }
    std::string ended(std::string const& request, std::string const& rest = "\n") {
        begin_ws(request, rest);
        return end();
    }
};

}  // namespace

TEST_CASE("a plugin talks over a WebSocket by the host's hand", "[ws]") {
    WsRig rig;
    rig.begin_ws(rig.opening(R"(,"headers":[["X-Mine","yes"]],"subprotocols":["talk"])"),
                 "\nearly");
    WsPeer peer(rig.loop, rig.outlet);
    CHECK(peer.request.starts_with("GET /v1 HTTP/1.1\r\n"));
    CHECK(peer.header("X-Mine") == "yes");
    peer.agree("Sec-WebSocket-Protocol: talk\r\n");
    CHECK(peer.next().payload == "early");
    peer.say(frame(kit::text, "hello") + frame(kit::binary, std::string(300, 'x')) +
             frame(kit::goodbye, kit::code_of(4100, "bye")));
    CHECK_THAT(rig.end(), Contains(R"(OPENED {"peer":"127.0.0.1:)") &&
                              Contains(R"("subprotocol":"talk"})") && Contains("TEXT hello") &&
                              Contains("BINARY 300 bytes") &&
                              Contains(R"(CLOSED {"code":4100,"reason":"bye"})"));
}

TEST_CASE("a plugin's goodbye leaves, and nothing comes after it", "[ws]") {
    WsRig rig;
    rig.begin_ws(rig.opening());
    WsPeer peer(rig.loop, rig.outlet);
    peer.agree();
    peer.say(frame(kit::text, "leave") + frame(kit::text, "unheard"));
    // 1006 is no code to say; what is over cannot be written to.
    CHECK_THAT(rig.end(), Contains("closed -2 0 -7") && !Contains("unheard"));
    auto said = peer.next_said();
    CHECK(said.code() == 4000);
    CHECK(said.payload.substr(2) == "thanks");
}

TEST_CASE("a WebSocket ends with the call that it was opened under", "[ws]") {
    WsRig rig;
    CallOptions options;
    options.timeout = std::chrono::milliseconds(300);
    rig.begin("ws " + rig.opening() + "\n\n", rig.answer, options);
    WsPeer peer(rig.loop, rig.outlet);
    peer.agree();
    REQUIRE(rig.until([&] { return rig.answer.result.has_value(); }));
    CHECK_FALSE(*rig.answer.result);
    CHECK(peer.next_said().code() == 1001);
}

TEST_CASE("a WebSocket that is not declared fails before anything is resolved or sent", "[ws]") {
    WsRig rig;
    auto port = std::to_string(rig.outlet.port);
    for (auto const& url :
         {std::string("wss://evil.example/"), "wss://127.0.0.1:" + port + "/",
          std::string("ws://socket.example.org/"), std::string("wss://api.example.org/"),
          std::string("ws://localhost:") + port + "/", "http://127.0.0.1:" + port + "/",
          "ws://127.0.0.1:" + port + "@evil.example/", std::string("ws://169.254.169.254/")}) {
        INFO(url);
        auto out = rig.call(R"(ws {"url":")" + url + "\"}\n\n").text();
        CHECK_THAT(out, Contains("FAILED") && Contains("\"sent\":false"));
    }
    for (auto const* more :
         {R"(,"headers":[["Host","evil"]])", R"(,"headers":[["Sec-WebSocket-Key","x"]])",
          R"(,"headers":[["Upgrade","x"]])", R"(,"headers":[["X","a\r\nB: c"]])",
          R"(,"subprotocols":["a b"])", R"(,"subprotocols":["1","2","3","4","5","6","7","8","9"])"})
        CHECK_THAT(rig.call("ws " + rig.opening(more) + "\n\n").text(), Contains("FAILED"));
    CHECK_THAT(rig.call("ws nonsense\n\n").text(), Contains("FAILED"));
    CHECK(rig.outlet.try_accept() == -1);
}

TEST_CASE("the host's own listener is no place for a WebSocket", "[ws]") {
    WsRig rig;
    rig.spec.own_port = rig.outlet.port;
    CHECK_THAT(rig.ended(rig.opening()), Contains("FAILED") && Contains("\"denied\""));
    CHECK(rig.outlet.try_accept() == -1);
}

TEST_CASE("a WebSocket's secrets stand in the opening and in a message, where they are declared",
          "[ws]") {
    WsRig rig;
    rig.begin_ws(
        rig.opening(
            R"(,"inject":[{"slot":"header:Authorization","secret":"token","prefix":"Bearer "},)"
            R"({"slot":"query:key","secret":"token"}])"),
        R"([{"slot":"body:/auth/token","secret":"token"}])"
        "\n"
        R"({"auth":{"token":""},"text":"TOKEN"})");
    WsPeer peer(rig.loop, rig.outlet);
    CHECK(peer.request.starts_with("GET /v1?key=value-of-test%2Ftoken HTTP/1.1\r\n"));
    CHECK(peer.header("Authorization") == "Bearer value-of-test/token");
    peer.agree();
    CHECK(peer.next().payload == R"({"auth":{"token":"value-of-test/token"},"text":"TOKEN"})");
    CHECK(rig.used.size() == 3);
    peer.say(frame(kit::goodbye, ""));
    CHECK_THAT(rig.end(), Contains("CLOSED") && !Contains("value-of"));
}

TEST_CASE("a WebSocket's secret for another host, slot or field is refused", "[ws]") {
    WsRig rig;
    rig.spec.secrets["other"] = {"test", "other"};
    for (auto const* inject : {R"([{"slot":"header:X-Other","secret":"other"}])",
                               R"([{"slot":"header:Cookie","secret":"token"}])",
                               R"([{"slot":"body:/auth/token","secret":"token"}])",
                               R"([{"slot":"header:Authorization","secret":"nobody"}])"})
        CHECK_THAT(
            rig.call("ws " + rig.opening(std::string(R"(,"inject":)") + inject) + "\n\n").text(),
            Contains("\"denied\"") && Contains("\"sent\":false"));
    CHECK(rig.outlet.try_accept() == -1);
    for (auto const* inject : {R"([{"slot":"header:Authorization","secret":"token"}])",
                               R"([{"slot":"body:/other","secret":"token"}])",
                               R"([{"slot":"stream:x","secret":"other"}])"}) {
        Answer answer;
        rig.begin("ws " + rig.opening() + "\n" + inject + "\n{\"a\":\"x\"}", answer);
        WsPeer peer(rig.loop, rig.outlet);
        peer.agree();
        CHECK(rig.until([&] { return answer.result.has_value(); }));
        CHECK_THAT(answer.text(), Contains("FAILED") && Contains("\"denied\""));
    }
    CHECK(rig.used.empty());
}

TEST_CASE("a secret that stands in a WebSocket's request or message fails the call", "[ws]") {
    WsRig rig;
    rig.marked = "value-of-test";
    auto fault = [&rig](std::string const& request, std::string const& message) {
        auto answer = rig.call("ws " + request + "\n\n" + message);
        return *answer.result ? std::optional<Fault>() : answer.result->error().fault;
    };
    CHECK(fault(rig.opening(R"(,"headers":[["X","value-of-test"]])"), "") == Fault::secret);
    CHECK(fault(rig.opening(R"(,"subprotocols":["value-of-test"])"), "") == Fault::secret);
    CHECK(fault(R"({"url":")" + rig.base() + R"(/value-of-test"})", "") == Fault::secret);
    CHECK(fault(rig.opening(), "it is value-of-test") == Fault::secret);
    CHECK(rig.used.empty());
}

TEST_CASE("a message that repeats a secret is not handed on", "[ws]") {
    WsRig rig;
    rig.marked = "value-of-test/token";
    rig.begin_ws(rig.opening());
    WsPeer peer(rig.loop, rig.outlet);
    peer.agree();
    peer.say(frame(kit::text, "it is value-of-") + frame(kit::text, "test/token, there"));
    REQUIRE(rig.until([&] { return rig.answer.result.has_value(); }));
    REQUIRE_FALSE(*rig.answer.result);
    CHECK(rig.answer.result->error().fault == Fault::secret);
    CHECK_THAT(rig.answer.text(), !Contains("value-of"));
}

TEST_CASE("a refused upgrade says its status, and whether to try again", "[ws]") {
    WsRig rig;
    for (auto [status, again] : {std::pair(401, "false"), std::pair(302, "false"),
                                 std::pair(429, "true"), std::pair(503, "true")}) {
        Answer answer;
        rig.begin("ws " + rig.opening() + "\n\n", answer);
        WsPeer peer(rig.loop, rig.outlet);
        peer.say("HTTP/1.1 " + std::to_string(status) + " No\r\nContent-Length: 0\r\n\r\n");
        CHECK(rig.until([&] { return answer.result.has_value(); }));
        CHECK_THAT(answer.text(), Contains("\"status\":" + std::to_string(status)) &&
                                      Contains(std::string("\"retryable\":") + again));
    }
}

TEST_CASE("who writes more than a WebSocket takes is told to pause, and resumed", "[ws]") {
    WsRig rig;
    rig.begin_ws(rig.opening());
    WsPeer peer(rig.loop, rig.outlet);
    peer.agree();
    peer.say(frame(kit::text, "flood"));
    for (int i = 0; i < 4; ++i)
        for (auto piece = peer.next_said(); !piece.is_final && piece.opcode != -1;)
            piece = peer.next_said();
    peer.say(frame(kit::goodbye, ""));
    // The link's credit is 256 KiB: the fourth piece is the last.
    CHECK_THAT(rig.end(), Contains("told 2 after 3") && Contains("resumed"));
}

TEST_CASE("an effectful call opens no WebSocket until it may", "[ws]") {
    WsRig rig;
    std::function<void()> go;
    rig.begin("ws " + rig.opening() + "\n\n", rig.answer, {},
              [&](std::function<void()> given) { go = std::move(given); });
    REQUIRE(rig.until([&] { return bool(go); }));
    rig.until([] { return false; }, 0);
    CHECK(rig.outlet.try_accept() == -1);
    go();
    WsPeer peer(rig.loop, rig.outlet);
    peer.agree();
    peer.say(frame(kit::goodbye, ""));
    CHECK_THAT(rig.end(), Contains("CLOSED"));
}
