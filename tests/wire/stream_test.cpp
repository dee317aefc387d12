#include "wire/stream.hpp"

#include "base/limits.hpp"
#include "kit.hpp"
#include "tls_kit.hpp"

#include <catch2/catch.hpp>

using namespace parley;
using namespace kit;

namespace {

struct Ear {
    int opens = 0, closes = 0;
    std::string peer, data, what;
    bool tls = false, good = false;
    Fault fault{};

    StreamSink sink() {
        return {
            [this](std::string who, bool is_tls) { ++opens, peer = std::move(who), tls = is_tls; },
            [this](std::string_view bytes) { data.append(bytes); },
            [this](Result<> why) {
                ++closes;
                good = bool(why);
                if (!good) fault = why.error().fault, what = why.error().what;
            }};
    }
};

bool anywhere(std::string_view, std::uint16_t) { return true; }

StreamTarget at(std::uint16_t port, std::string host = "127.0.0.1", bool tls = false) {
    StreamTarget target;
    target.host = std::move(host);
    target.port = port;
    target.tls = tls;
    return target;
}

}  // namespace

TEST_CASE("a stream carries bytes both ways and ends when the peer closes", "[wire]") {
    Loop loop;
    Outlet outlet;
    Ear ear;
    auto stream = open_stream(loop, at(outlet.port), anywhere, ear.sink());
    stream->write("early ");
    auto plug = outlet.accept(loop);
    REQUIRE(until(loop, [&] { return ear.opens == 1; }));
    CHECK(ear.peer == "127.0.0.1:" + std::to_string(outlet.port));
    CHECK_FALSE(ear.tls);
    stream->write("late");
    REQUIRE(until(loop, [&] { return plug.heard("early late"); }));
    CHECK(until(loop, [&] { return stream->queued_bytes() == 0; }));
    plug.say("answer");
    REQUIRE(until(loop, [&] { return ear.data == "answer"; }));
    plug.hang_up();
    REQUIRE(until(loop, [&] { return ear.closes == 1; }));
    CHECK(ear.good);
}

TEST_CASE("a name is looked up, and each address is asked about", "[wire]") {
    Loop loop;
    Outlet outlet;
    Ear ear;
    std::vector<std::string> asked;
    auto stream = open_stream(
        loop, at(outlet.port, "localhost"),
        [&](std::string_view address, std::uint16_t) {
            asked.emplace_back(address);
            return address == "127.0.0.1";
        },
        ear.sink());
    auto plug = outlet.accept(loop);
    REQUIRE(until(loop, [&] { return ear.opens == 1; }));
    CHECK_FALSE(asked.empty());
}

TEST_CASE("a stream to a refused address is never connected", "[wire]") {
    Loop loop;
    Outlet outlet;
    for (auto const* host : {"127.0.0.1", "localhost"}) {
        Ear ear;
        auto stream = open_stream(
            loop, at(outlet.port, host), [](auto, auto) { return false; }, ear.sink());
        CHECK(ear.closes == 0);
        REQUIRE(until(loop, [&] { return ear.closes == 1; }));
        CHECK(ear.fault == Fault::denied);
        CHECK(ear.opens == 0);
    }
    CHECK(outlet.try_accept() == -1);
}

TEST_CASE("a stream that cannot be opened says why", "[wire]") {
    Loop loop;
    Outlet outlet;
    auto port = outlet.port;
    outlet.close();
    Ear refused, nameless, portless;
    auto one = open_stream(loop, at(port), anywhere, refused.sink());
    auto two = open_stream(loop, at(1, std::string("local\0host", 10)), anywhere, nameless.sink());
    auto three = open_stream(loop, at(0), anywhere, portless.sink());
    REQUIRE(until(loop, [&] { return refused.closes && nameless.closes && portless.closes; }));
    CHECK(refused.fault == Fault::peer_failed);
    CHECK(nameless.fault == Fault::bad_input);
    CHECK(portless.fault == Fault::bad_input);
}

TEST_CASE("a handshake that nobody answers times out", "[wire]") {
    Loop loop;
    Outlet outlet;
    Ear ear;
    auto target = at(outlet.port, "localhost", true);
    target.connect_timeout = 50ms;
    auto stream = open_stream(loop, target, anywhere, ear.sink());
    REQUIRE(until(loop, [&] { return ear.closes == 1; }));
    CHECK(ear.fault == Fault::timed_out);
    CHECK(ear.opens == 0);
}

TEST_CASE("a paused stream keeps back what it has and reads no further", "[wire]") {
    Loop loop;
    Outlet outlet;
    Ear ear;
    auto stream = open_stream(loop, at(outlet.port), anywhere, ear.sink());
    auto plug = outlet.accept(loop);
    REQUIRE(until(loop, [&] { return ear.opens == 1; }));
    stream->pause(true);
    plug.say("kept");
    loop.run_for(30ms);
    CHECK(ear.data.empty());
    stream->pause(false);
    CHECK(ear.data.empty());
    REQUIRE(until(loop, [&] { return ear.data == "kept"; }));
    plug.say(" more");
    REQUIRE(until(loop, [&] { return ear.data == "kept more"; }));
}

TEST_CASE("a stream that is let go says nothing more and closes", "[wire]") {
    Loop loop;
    Outlet outlet;
    Ear ear;
    std::unique_ptr<Stream> stream;
    auto sink = ear.sink();
    sink.on_data = [&](std::string_view bytes) {
        ear.data.append(bytes);
        stream.reset();
    };
    stream = open_stream(loop, at(outlet.port), anywhere, sink);
    auto plug = outlet.accept(loop);
    plug.say("x");
    REQUIRE(until(loop, [&] { return plug.at_end(); }));
    CHECK(ear.data == "x");
    CHECK(ear.closes == 0);

    auto early = open_stream(loop, at(outlet.port), anywhere, ear.sink());
    early.reset();
    loop.run_for(20ms);
    CHECK(ear.closes == 0);
}

TEST_CASE("a peer that takes nothing is left", "[wire]") {
    Loop loop;
    Outlet outlet;
    Ear ear;
    auto stream = open_stream(loop, at(outlet.port), anywhere, ear.sink());
    auto plug = outlet.accept(loop);
    REQUIRE(until(loop, [&] { return ear.opens == 1; }));
    std::string const piece(1 << 20, 'x');
    REQUIRE(until(loop, [&] {
        stream->write(piece);
        return ear.closes == 1;
    }));
    CHECK(ear.fault == Fault::unavailable);
    CHECK(stream->queued_bytes() <= limits::stream_queue_bytes);
}

TEST_CASE("TLS opens only for a trusted certificate with the right name", "[wire]") {
    TlsPeer peer;
    Loop loop;
    auto target = at(peer.port, "localhost", true);
    Ear untrusted;
    auto one = open_stream(loop, target, anywhere, untrusted.sink());
    REQUIRE(until(loop, [&] { return untrusted.closes == 1; }));
    CHECK(untrusted.fault == Fault::peer_failed);
    CHECK(untrusted.opens == 0);

    target.ca_file = TlsPeer::ca_file();
    Ear good;
    auto two = open_stream(loop, target, anywhere, good.sink());
    two->write("ping");
    REQUIRE(until(loop, [&] { return good.data == "ping"; }));
    CHECK(good.tls);
    two->write("bye\n");
    REQUIRE(until(loop, [&] { return good.closes == 1; }));
    CHECK(good.good);

    target.host = "127.0.0.1";
    Ear wrong_name;
    auto three = open_stream(loop, target, anywhere, wrong_name.sink());
    REQUIRE(until(loop, [&] { return wrong_name.closes == 1; }));
    CHECK(wrong_name.fault == Fault::peer_failed);
    CHECK(wrong_name.opens == 0);

    target.ca_file = "/nowhere/ca.pem";
    Ear no_file;
    auto four = open_stream(loop, target, anywhere, no_file.sink());
    REQUIRE(until(loop, [&] { return no_file.closes == 1; }));
    CHECK(no_file.opens == 0);
}

TEST_CASE("what was written before a stream is let go arrives, though the peer talks on", "[wire]") {
    Loop loop;
    Outlet outlet;
    Ear ear;
    auto stream = open_stream(loop, at(outlet.port), anywhere, ear.sink());
    auto plug = outlet.accept(loop);
    REQUIRE(until(loop, [&] { return ear.opens == 1; }));
    std::string last(3'000'000, 'x');
    last += "the end";
    stream->write(last);
    plug.say(std::string(100'000, 'y'));  // unread when it goes
    stream.reset();
    REQUIRE(until(loop, [&] {
        plug.say("y");
        return plug.heard("the end");
    }));
    CHECK(plug.got.size() == last.size());
    CHECK(ear.closes == 0);
}
