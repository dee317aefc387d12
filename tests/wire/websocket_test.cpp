#include "wire/websocket.hpp"

#include "tls_kit.hpp"
#include "ws_kit.hpp"

#include <catch2/catch.hpp>

using namespace parley;
using namespace kit;

namespace {

struct Ear {
    int opens = 0, closes = 0, status = 0, code = 0;
    std::string peer, subprotocol, what, reason;
    std::vector<std::pair<std::string, bool>> messages;
    bool sent = false;
    Fault fault{};

    WebSocketSink sink() {
        return {
            [this](WebSocketOpened opened) {
                ++opens;
                peer = opened.peer;
                subprotocol = opened.subprotocol;
            },
            [this](std::string_view bytes, bool is_text) { messages.emplace_back(bytes, is_text); },
            [this](Result<WebSocketGoodbye> how, int answered, bool was_sent) {
                ++closes;
                status = answered;
                sent = was_sent;
                if (how)
                    code = how->code, reason = how->reason;
                else
                    fault = how.error().fault, what = how.error().what;
            }};
    }
    bool heard(std::string const& text) const {
        return !messages.empty() && messages.back().first == text;
    }
};

bool anywhere(std::string_view, std::uint16_t) {
    return true;
}

WebSocketTarget at(std::uint16_t port, std::string const& rest = "/", char const* scheme = "ws",
                   std::string const& host = "127.0.0.1") {
    WebSocketTarget target;
    target.url = *parse_ws_url(scheme + ("://" + host) + ":" + std::to_string(port) + rest);
    return target;
}

// One WebSocket that is open, and its far side.
struct Pair {
    Loop loop;
    Outlet outlet;
    Ear ear;
    std::unique_ptr<WebSocket> socket;
    std::optional<WsPeer> peer;

    explicit Pair(std::function<void(WebSocketTarget&)> const& change = {}) {
        auto target = at(outlet.port);
        if (change) change(target);
        socket = open_websocket(loop, target, anywhere, ear.sink());
        peer.emplace(loop, outlet);
        peer->agree();
        REQUIRE(wait([&] { return ear.opens == 1; }));
    }
    bool wait(std::function<bool()> const& done) { return until(loop, done); }
    // How it ended, after the peer said that.
    Fault end_by(std::string_view bytes) {
        peer->say(bytes);
        REQUIRE(wait([&] { return ear.closes == 1; }));
        REQUIRE_FALSE(ear.what.empty());
        return ear.fault;
    }
};

}  // namespace

TEST_CASE("a WebSocket URL is read as an HTTP one is", "[wire]") {
    auto url = parse_ws_url("WSS://Example.org/a?b=c#d");
    REQUIRE(url);
    CHECK(url->scheme == "wss");
    CHECK(url->host == "example.org");
    CHECK(url->port == 443);
    CHECK(url->path_and_query == "/a?b=c");
    CHECK(parse_ws_url("ws://h:81")->origin() == "ws://h:81");
    CHECK(parse_ws_url("ws://h")->port == 80);
    for (auto const* text : {"https://h/", "http://h/", "w://h/", "wsss://h/", "//h/", "", "ws:/h",
                             "wss://u:p@h/", "ws://127.1/", "wss://h\\@g/", "ws://h /", "ws://"})
        CHECK_FALSE(parse_ws_url(text));
}

TEST_CASE("a WebSocket carries whole messages both ways", "[wire]") {
    Loop loop;
    Outlet outlet;
    Ear ear;
    auto target = at(outlet.port, "/talk?a=b");
    target.headers = {{"X-Mine", "one"}, {"X-Mine", "two"}};
    target.subprotocols = {"v2.talk", "v1.talk"};
    auto socket = open_websocket(loop, target, anywhere, ear.sink());
    socket->send("early", true);
    WsPeer peer(loop, outlet);
    CHECK(peer.request.starts_with("GET /talk?a=b HTTP/1.1\r\n"));
    CHECK(peer.header("Host") == "127.0.0.1:" + std::to_string(outlet.port));
    CHECK(peer.header("Sec-WebSocket-Protocol") == "v2.talk, v1.talk");
    CHECK(peer.header("Sec-WebSocket-Extensions").empty());
    CHECK(peer.request.find("X-Mine: one\r\n") != std::string::npos);
    CHECK(peer.request.find("X-Mine: two\r\n") != std::string::npos);
    CHECK(peer.header("User-Agent").starts_with("AgentParley/"));
    peer.agree("Sec-WebSocket-Protocol: v1.talk\r\n");
    REQUIRE(until(loop, [&] { return ear.opens == 1; }));
    CHECK(ear.subprotocol == "v1.talk");
    CHECK(ear.peer == "127.0.0.1:" + std::to_string(outlet.port));
    auto early = peer.next();
    CHECK(early.payload == "early");
    CHECK(early.opcode == text);
    CHECK(early.is_masked);
    socket->send(std::string("\0\xff", 2), false);
    socket->send(std::string(70'000, 'x'), true);
    auto bytes = peer.next();
    CHECK(bytes.opcode == binary);
    CHECK(bytes.payload == std::string("\0\xff", 2));
    std::string large;
    for (auto piece = peer.next(); large.size() < 70'000; piece = peer.next()) {
        large += piece.payload;
        if (piece.is_final) break;
    }
    CHECK(large == std::string(70'000, 'x'));
    CHECK(until(loop, [&] { return socket->queued_bytes() == 0; }));
    peer.say(frame(text,
                   "gr\xc3\xbc\xc3\x9f"
                   "e") +
             frame(binary, "\x01\xff"));
    REQUIRE(until(loop, [&] { return ear.messages.size() == 2; }));
    CHECK(ear.messages[0] == std::pair(std::string("gr\xc3\xbc\xc3\x9f"
                                                   "e"),
                                       true));
    CHECK(ear.messages[1] == std::pair(std::string("\x01\xff"), false));
}

TEST_CASE("a message in fragments arrives whole, and pings between them are answered", "[wire]") {
    Pair pair;
    pair.peer->say(frame(text, "one ", 0) + frame(ping, "p1") + frame(continuation, "", 0) +
                   frame(continuation, "two"));
    REQUIRE(pair.wait([&] { return pair.ear.heard("one two"); }));
    auto answer = pair.peer->next_said();
    CHECK(answer.opcode == pong);
    CHECK(answer.payload == "p1");
    CHECK(answer.is_masked);
    CHECK(pair.ear.messages.size() == 1);
}

TEST_CASE("the peer's goodbye is told with its code and reason, and answered", "[wire]") {
    auto const* said = GENERATE(
        "\x0f\xa1"
        "bye",
        "");
    Pair pair;
    pair.peer->say(frame(goodbye, said));
    REQUIRE(pair.wait([&] { return pair.ear.closes == 1; }));
    CHECK(pair.ear.code == (*said ? 4001 : 1005));
    CHECK(pair.ear.reason == (*said ? "bye" : ""));
    auto answer = pair.peer->next_said();
    CHECK(answer.opcode == goodbye);
    CHECK(pair.wait([&] { return pair.peer->plug.at_end(); }));
}

TEST_CASE("a connection that ends without a goodbye has failed", "[wire]") {
    Pair pair;
    pair.peer->plug.hang_up();
    REQUIRE(pair.wait([&] { return pair.ear.closes == 1; }));
    CHECK(pair.ear.fault == Fault::peer_failed);
    CHECK(pair.ear.sent);
}

TEST_CASE("pings leave by themselves, and a peer that answers none is left", "[wire]") {
    Pair pair([](auto& target) {
        target.ping_time = 20ms;
        target.idle_time = 60ms;
    });
    SECTION("silence ends it") {
        CHECK(pair.peer->next().opcode == ping);
        REQUIRE(pair.wait([&] { return pair.ear.closes == 1; }));
        CHECK(pair.ear.fault == Fault::timed_out);
    }
    SECTION("a pong is enough to stay") {
        for (int i = 0; i < 10; ++i) {
            CHECK(pair.peer->next().opcode == ping);
            pair.peer->say(frame(pong, ""));
        }
        CHECK(pair.ear.closes == 0);
    }
}

TEST_CASE("a message that is larger than it may be ends the connection", "[wire]") {
    Pair pair([](auto& target) { target.message_bytes_most = 1000; });
    SECTION("one of just that size is taken, in fragments too") {
        pair.peer->say(frame(binary, std::string(1000, 'x')));
        REQUIRE(pair.wait([&] { return pair.ear.messages.size() == 1; }));
        pair.peer->say(frame(binary, std::string(1000, 'y'), 0) + frame(continuation, ""));
        REQUIRE(pair.wait([&] { return pair.ear.messages.size() == 2; }));
        CHECK(pair.ear.closes == 0);
    }
    SECTION("by its length, before its bytes have come") {
        CHECK(pair.end_by(giant(1ull << 62)) == Fault::over_budget);
        CHECK(pair.peer->next_said().code() == 1009);
    }
    SECTION("by the sum of its fragments") {
        CHECK(pair.end_by(frame(binary, std::string(999, 'x'), 0) + frame(continuation, "xx", 0)) ==
              Fault::over_budget);
    }
    CHECK(pair.ear.messages.size() <= 2);
}

TEST_CASE("a peer that breaks the protocol is left, and nothing of it is handed on", "[wire]") {
    auto const bytes = GENERATE(
        frame(text, "masked", 0x80, true), frame(text, "\xff\xfe"), frame(text, "cut \xc3"),
        frame(text, "rsv", 0xc0), frame(3, "unknown"), frame(11, "unknown control"),
        frame(continuation, "of nothing"), frame(text, "a", 0) + frame(text, "b"),
        frame(ping, "split", 0), frame(ping, std::string(126, 'p')), frame(goodbye, "x"),
        frame(goodbye, code_of(1005)), frame(goodbye, code_of(1000, "\xff")),
        std::string("HTTP/1.1 200 OK\r\n\r\n"));
    Pair pair;
    CHECK(pair.end_by(bytes) == Fault::peer_failed);
    CHECK(pair.ear.messages.empty());
    CHECK(pair.wait([&] { return pair.peer->plug.at_end(); }));
}

TEST_CASE("frames that make no message are not read without an end", "[wire]") {
    auto const kind = GENERATE(0, 1, 2);
    Pair pair([](auto& target) { target.message_bytes_most = 1000; });
    std::string flood;
    for (int i = 0; i < 1000; ++i) {
        if (kind == 0) flood += frame(continuation, "", 0);
        if (kind == 1) flood += frame(ping, "");
        if (kind == 2) flood += frame(pong, std::string(100, 'x'));
    }
    pair.peer->say(frame(text, "x", 0));
    REQUIRE(pair.wait([&] {
        if (!pair.peer->plug.at_end()) pair.peer->plug.say(flood);
        pair.peer->plug.got.clear();
        return pair.ear.closes == 1;
    }));
    CHECK(pair.ear.fault == Fault::peer_failed);
    CHECK(pair.ear.messages.empty());
}

TEST_CASE("an answer that is no upgrade is told with its status, and not followed", "[wire]") {
    Loop loop;
    Outlet outlet, elsewhere;
    for (auto status : {200, 302, 401, 429, 503}) {
        Ear ear;
        auto socket = open_websocket(loop, at(outlet.port), anywhere, ear.sink());
        WsPeer peer(loop, outlet);
        peer.say("HTTP/1.1 " + std::to_string(status) + " Answer\r\nContent-Length: 2\r\n" +
                 "Location: http://127.0.0.1:" + std::to_string(elsewhere.port) + "/\r\n\r\nno");
        REQUIRE(until(loop, [&] { return ear.closes == 1; }));
        CHECK(ear.status == status);
        CHECK(ear.fault == Fault::peer_failed);
        CHECK(ear.sent);
        CHECK(ear.opens == 0);
    }
    CHECK(elsewhere.try_accept() == -1);
}

TEST_CASE("an upgrade to something that nobody asked for is none", "[wire]") {
    Loop loop;
    Outlet outlet;
    auto const* answer = GENERATE("Sec-WebSocket-Protocol: other\r\n",
                                  "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    Ear ear;
    auto target = at(outlet.port);
    target.subprotocols = {"mine"};
    auto socket = open_websocket(loop, target, anywhere, ear.sink());
    WsPeer peer(loop, outlet);
    peer.agree(answer);
    REQUIRE(until(loop, [&] { return ear.closes == 1; }));
    CHECK(ear.fault == Fault::peer_failed);
    CHECK(ear.opens == 0);
}

TEST_CASE("an upgrade without the proof is none", "[wire]") {
    Loop loop;
    Outlet outlet;
    Ear ear;
    auto socket = open_websocket(loop, at(outlet.port), anywhere, ear.sink());
    WsPeer peer(loop, outlet);
    peer.say(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n");
    REQUIRE(until(loop, [&] { return ear.closes == 1; }));
    CHECK(ear.opens == 0);
}

TEST_CASE("a WebSocket that cannot be opened says why, and whether anything left", "[wire]") {
    Loop loop;
    Outlet outlet, silent;
    auto port = outlet.port;
    outlet.close();
    Ear refused, denied, late;
    auto one = open_websocket(loop, at(port), anywhere, refused.sink());
    auto two = open_websocket(
        loop, at(silent.port, "/", "ws", "localhost"), [](auto, auto) { return false; },
        denied.sink());
    REQUIRE(until(loop, [&] { return refused.closes && denied.closes; }));
    CHECK(silent.try_accept() == -1);
    CHECK(refused.fault == Fault::peer_failed);
    CHECK_FALSE(refused.sent);
    CHECK(denied.fault == Fault::denied);
    CHECK_FALSE(denied.sent);
    auto target = at(silent.port);
    target.open_timeout = 50ms;
    auto three = open_websocket(loop, target, anywhere, late.sink());
    REQUIRE(until(loop, [&] { return late.closes == 1; }));
    CHECK(late.fault == Fault::timed_out);
    CHECK(late.sent);
}

TEST_CASE("a header of an answer without an end is not read without an end", "[wire]") {
    Loop loop;
    Outlet outlet;
    Ear ear;
    auto socket = open_websocket(loop, at(outlet.port), anywhere, ear.sink());
    WsPeer peer(loop, outlet);
    peer.plug.say("HTTP/1.1 101 Switching Protocols\r\n");
    REQUIRE(until(loop, [&] {
        peer.plug.say("X: " + std::string(1000, 'x') + "\r\n");
        return ear.closes == 1;
    }));
    CHECK(ear.fault == Fault::peer_failed);
}

TEST_CASE("what was sent leaves before the goodbye, which has its code and reason", "[wire]") {
    Pair pair;
    pair.socket->send("the last", true);
    pair.socket->close(4002, "enough");
    pair.socket->send("too late", true);
    CHECK(pair.peer->next_said().payload == "the last");
    auto said = pair.peer->next_said();
    CHECK(said.opcode == goodbye);
    CHECK(said.code() == 4002);
    CHECK(said.payload.substr(2) == "enough");
    pair.peer->say(frame(text, "unheard") + frame(goodbye, code_of(4002)));
    CHECK(pair.wait([&] { return pair.peer->plug.at_end(); }));
    CHECK(pair.ear.closes == 0);
    CHECK(pair.ear.messages.empty());
}

TEST_CASE("a peer that never answers a goodbye is left all the same", "[wire]") {
    Pair pair;
    pair.socket.reset();
    auto said = pair.peer->next_said();
    CHECK(said.code() == 1001);
    REQUIRE(pair.wait([&] {
        pair.peer->plug.say(frame(text, "and another thing"));
        return pair.peer->plug.at_end();
    }));
    CHECK(pair.ear.closes == 0);
    CHECK(pair.ear.messages.empty());
}

TEST_CASE("a paused WebSocket keeps back what it has and reads no further", "[wire]") {
    Pair pair;
    pair.socket->pause(true);
    pair.peer->say(frame(text, "kept") + frame(text, "next"));
    pair.loop.run_for(30ms);
    CHECK(pair.ear.messages.empty());
    pair.socket->pause(false);
    CHECK(pair.ear.messages.empty());
    REQUIRE(pair.wait([&] { return pair.ear.heard("next"); }));
    CHECK(pair.ear.messages.size() == 2);
}

TEST_CASE("a peer that takes no messages is left", "[wire]") {
    Pair pair;
    std::string const piece(1 << 20, 'x');
    REQUIRE(pair.wait([&] {
        pair.socket->send(piece, false);
        return pair.ear.closes == 1;
    }));
    CHECK(pair.ear.fault == Fault::unavailable);
}

TEST_CASE("wss trusts only a certificate with the right name", "[wire]") {
    TlsPeer peer;
    Loop loop;
    auto target = at(peer.port, "/", "wss", "localhost");
    Ear untrusted;
    auto one = open_websocket(loop, target, anywhere, untrusted.sink());
    REQUIRE(until(loop, [&] { return untrusted.closes == 1; }));
    CHECK(untrusted.fault == Fault::peer_failed);
    CHECK_FALSE(untrusted.sent);
    // This server has no WebSocket to offer, and says so over TLS.
    target.ca_file = TlsPeer::ca_file();
    Ear good;
    auto two = open_websocket(loop, target, anywhere, good.sink());
    REQUIRE(until(loop, [&] { return good.closes == 1; }));
    CHECK(good.status == 200);
    target.url.host = "127.0.0.1";
    Ear wrong_name;
    auto three = open_websocket(loop, target, anywhere, wrong_name.sink());
    REQUIRE(until(loop, [&] { return wrong_name.closes == 1; }));
    CHECK_FALSE(wrong_name.sent);
    CHECK(wrong_name.status == 0);
}
