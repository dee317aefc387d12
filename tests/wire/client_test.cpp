#include "wire/client.hpp"

#include "kit.hpp"
#include "tls_kit.hpp"
#include "wire/server.hpp"

#include <catch2/catch.hpp>

using namespace parley;
using namespace kit;

namespace {

struct Outcome {
    FetchHead head;
    std::string body;
    int heads = 0, ends = 0;
    bool good = false, sent = false;
    Fault fault{};
    std::string what;

    FetchSink sink() {
        return {[this](FetchHead told) { head = std::move(told); ++heads; },
                [this](std::string_view bytes) { body.append(bytes); },
                [this](Result<> result, bool was_sent) {
                    ++ends;
                    good = bool(result);
                    sent = was_sent;
                    if (!good) fault = result.error().fault, what = result.error().what;
                }};
    }
};

bool anywhere(std::string_view, std::uint16_t) { return true; }

std::string at(std::uint16_t port, std::string const& path = "/") {
    return "http://127.0.0.1:" + std::to_string(port) + path;
}

Outcome fetch(Loop& loop, HttpClient& client, FetchRequest request, AddressCheck check = anywhere) {
    Outcome outcome;
    client.start(std::move(request), std::move(check), outcome.sink());
    REQUIRE(outcome.ends == 0);
    REQUIRE(until(loop, [&] { return outcome.ends == 1; }));
    return outcome;
}

FetchRequest get(std::string url) {
    FetchRequest request;
    request.method = "GET";
    request.url = std::move(url);
    return request;
}

struct Echo {
    explicit Echo(Loop& loop)
        : server(loop, [this](Request request, std::shared_ptr<Reply> reply) {
              seen.push_back(request);
              reply->send({201,
                           "text/plain",
                           {{"X-Method", request.method}},
                           request.target + request.body});
          }) {
        if (!server.listen_tcp("127.0.0.1", 0)) throw std::runtime_error("no port");
    }
    std::vector<Request> seen;
    HttpServer server;
};

}  // namespace

TEST_CASE("GET and POST reach the server as they were asked for", "[wire]") {
    Loop loop;
    Echo echo(loop);
    HttpClient client(loop);
    auto request = get(at(echo.server.port(), "/a/../b?c=%20d"));
    request.headers = {{"X-Own", "1"}, {"X-Empty", ""}};
    auto got = fetch(loop, client, request);
    CHECK(got.good);
    CHECK(got.sent);
    CHECK(got.head.status == 201);
    CHECK(got.body == "/a/../b?c=%20d");
    auto const& seen = echo.seen.at(0);
    CHECK(seen.header("x-own") == "1");
    CHECK(seen.header("x-empty") == "");
    CHECK_FALSE(seen.header("content-type"));
    CHECK(seen.header("host") == "127.0.0.1:" + std::to_string(echo.server.port()));

    FetchRequest post;
    post.method = "POST";
    post.url = at(echo.server.port(), "/p");
    post.headers = {{"Content-Type", "application/json"}};
    post.body = std::string(200'000, 'j');
    auto posted = fetch(loop, client, post);
    CHECK(posted.body == "/p" + post.body);
    CHECK(echo.seen.at(1).header("content-type") == "application/json");
    CHECK(echo.seen.at(1).header_count("content-type") == 1);
    for (auto const* method : {"HEAD", "PUT", "DELETE", "PATCH"}) {
        auto other = get(at(echo.server.port()));
        other.method = method;
        auto outcome = fetch(loop, client, other);
        CHECK(outcome.good);
        CHECK(echo.seen.back().method == method);
    }
}

TEST_CASE("a refused address is never connected to", "[wire]") {
    Loop loop;
    Outlet outlet;
    HttpClient client(loop);
    std::vector<std::string> asked;
    auto outcome = fetch(loop, client, get(at(outlet.port)),
                         [&](std::string_view address, std::uint16_t port) {
                             asked.push_back(std::string(address) + ":" + std::to_string(port));
                             return false;
                         });
    CHECK_FALSE(outcome.good);
    CHECK(outcome.fault == Fault::denied);
    CHECK_FALSE(outcome.sent);
    CHECK(asked == std::vector<std::string>{"127.0.0.1:" + std::to_string(outlet.port)});
    CHECK(outlet.try_accept() == -1);

    auto by_name =
        fetch(loop, client, get("http://localhost:" + std::to_string(outlet.port) + "/"),
              [](std::string_view address, std::uint16_t) { return is_public_address(address); });
    CHECK(by_name.fault == Fault::denied);
    CHECK(outlet.try_accept() == -1);
    auto unasked = fetch(loop, client, get(at(outlet.port)), AddressCheck());
    CHECK(unasked.fault == Fault::denied);
}

TEST_CASE("a kept connection is used again, but only by those who may connect to it", "[wire]") {
    Loop loop;
    Outlet outlet;
    HttpClient client(loop);
    Outcome first;
    client.start(get(at(outlet.port)), anywhere, first.sink());
    auto plug = outlet.accept(loop);
    REQUIRE(until(loop, [&] { return plug.heard("\r\n\r\n"); }));
    plug.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    REQUIRE(until(loop, [&] { return first.ends == 1; }));

    auto refused = fetch(loop, client, get(at(outlet.port)), [](auto, auto) { return false; });
    CHECK(refused.fault == Fault::denied);
    CHECK_FALSE(refused.sent);
    plug.got.clear();
    CHECK(plug.hear().empty());
}

TEST_CASE("a kept connection serves the next request", "[wire]") {
    Loop loop;
    Outlet outlet;
    HttpClient client(loop);
    Outcome first, second;
    client.start(get(at(outlet.port)), anywhere, first.sink());
    auto plug = outlet.accept(loop);
    REQUIRE(until(loop, [&] { return plug.heard("\r\n\r\n"); }));
    plug.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    REQUIRE(until(loop, [&] { return first.ends == 1; }));
    client.start(get(at(outlet.port, "/again")), anywhere, second.sink());
    REQUIRE(until(loop, [&] { return plug.heard("GET /again"); }));
    plug.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    REQUIRE(until(loop, [&] { return second.ends == 1; }));
    CHECK(second.good);
}

TEST_CASE("a POST is not sent twice when the kept connection dies under it", "[wire]") {
    Loop loop;
    Outlet outlet;
    HttpClient client(loop);
    Outcome first, second;
    client.start(get(at(outlet.port)), anywhere, first.sink());
    {
        auto plug = outlet.accept(loop);
        REQUIRE(until(loop, [&] { return plug.heard("\r\n\r\n"); }));
        plug.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        REQUIRE(until(loop, [&] { return first.ends == 1; }));
        FetchRequest post;
        post.method = "POST";
        post.url = at(outlet.port, "/pay");
        client.start(post, anywhere, second.sink());
        REQUIRE(until(loop, [&] { return plug.heard("POST /pay"); }));
    }
    REQUIRE(until(loop, [&] { return second.ends == 1; }));
    CHECK(second.fault == Fault::peer_failed);
    CHECK(second.sent);
    auto again = outlet.try_accept();
    if (again >= 0) {
        Plug plug(again);
        loop.run_for(20ms);
        CHECK(plug.hear().empty());
    }
}

TEST_CASE("a connection that is refused sent nothing", "[wire]") {
    Loop loop;
    Outlet outlet;
    auto port = outlet.port;
    outlet.close();
    HttpClient client(loop);
    auto outcome = fetch(loop, client, get(at(port)));
    CHECK(outcome.fault == Fault::peer_failed);
    CHECK_FALSE(outcome.sent);
}

TEST_CASE("an answer that is cut off failed after sending", "[wire]") {
    Loop loop;
    Outlet outlet;
    HttpClient client(loop);
    Outcome outcome;
    client.start(get(at(outlet.port)), anywhere, outcome.sink());
    {
        auto plug = outlet.accept(loop);
        REQUIRE(until(loop, [&] { return plug.heard("\r\n\r\n"); }));
        plug.say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
        REQUIRE(until(loop, [&] { return outcome.body == "part"; }));
    }
    REQUIRE(until(loop, [&] { return outcome.ends == 1; }));
    CHECK(outcome.fault == Fault::peer_failed);
    CHECK(outcome.sent);
}

TEST_CASE("an answer over its limit is cut off", "[wire]") {
    Loop loop;
    Echo echo(loop);
    HttpClient client(loop);
    FetchRequest post;
    post.method = "POST";
    post.url = at(echo.server.port());
    post.body = std::string(100'000, 'x');
    post.response_bytes_most = 50'000;
    auto outcome = fetch(loop, client, post);
    CHECK(outcome.fault == Fault::peer_failed);
    CHECK(outcome.body.size() <= 50'000);
    CHECK(outcome.what.find("longer than 50000") != std::string::npos);
}

TEST_CASE("a header without end is cut off", "[wire]") {
    Loop loop;
    Outlet outlet;
    HttpClient client(loop);
    Outcome outcome;
    client.start(get(at(outlet.port)), anywhere, outcome.sink());
    auto plug = outlet.accept(loop);
    REQUIRE(until(loop, [&] { return plug.heard("\r\n\r\n"); }));
    plug.say("HTTP/1.1 200 OK\r\n");
    REQUIRE(until(loop, [&] {
        plug.say("X-Filler: " + std::string(2000, 'f') + "\r\n");
        return outcome.ends == 1;
    }));
    CHECK(outcome.fault == Fault::peer_failed);
}

TEST_CASE("a server that stays silent times out", "[wire]") {
    Loop loop;
    Outlet outlet;
    HttpClient client(loop);
    auto request = get(at(outlet.port));
    request.timeout = 60ms;
    auto outcome = fetch(loop, client, request);
    CHECK(outcome.fault == Fault::timed_out);
    CHECK(outcome.sent);
}

TEST_CASE("a redirect is an answer, not followed", "[wire]") {
    Loop loop;
    Outlet outlet;
    HttpClient client(loop);
    Outcome outcome;
    client.start(get(at(outlet.port)), anywhere, outcome.sink());
    auto plug = outlet.accept(loop);
    REQUIRE(until(loop, [&] { return plug.heard("\r\n\r\n"); }));
    plug.say("HTTP/1.1 302 Found\r\nLocation: " + at(outlet.port, "/next") +
             "\r\nContent-Length: 0\r\n\r\n");
    REQUIRE(until(loop, [&] { return outcome.ends == 1; }));
    CHECK(outcome.head.status == 302);
    CHECK(outlet.try_accept() == -1);
}

TEST_CASE("interim answers are passed over", "[wire]") {
    Loop loop;
    Outlet outlet;
    HttpClient client(loop);
    Outcome outcome;
    client.start(get(at(outlet.port)), anywhere, outcome.sink());
    auto plug = outlet.accept(loop);
    REQUIRE(until(loop, [&] { return plug.heard("\r\n\r\n"); }));
    plug.say(
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nA:  b \r\nContent-Length: "
        "0\r\n\r\n");
    REQUIRE(until(loop, [&] { return outcome.ends == 1; }));
    CHECK(outcome.heads == 1);
    CHECK(outcome.head.status == 200);
    CHECK(outcome.head.headers.at(0) == std::pair<std::string, std::string>("A", "b"));
}

TEST_CASE("a paused answer is not read on, and loses nothing", "[wire]") {
    Loop loop;
    Outlet outlet;
    HttpClient client(loop);
    Outcome outcome;
    auto sink = outcome.sink();
    auto pauses = 0;
    HttpClient::Handle handle;
    sink.on_data = [&](std::string_view bytes) {
        outcome.body.append(bytes);
        if (++pauses == 1) client.pause(handle, true);
    };
    handle = client.start(get(at(outlet.port)), anywhere, sink);
    auto plug = outlet.accept(loop);
    REQUIRE(until(loop, [&] { return plug.heard("\r\n\r\n"); }));
    plug.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
    REQUIRE(until(loop, [&] { return outcome.body == "one"; }));
    std::string const chunk = "10000\r\n" + std::string(65536, 'z') + "\r\n";
    std::string waiting;
    for (int i = 0; i < 200; ++i) waiting += chunk;
    waiting += "0\r\n\r\n";
    std::size_t said = 0;
    auto last = std::chrono::steady_clock::now();
    // The sender is stopped by the kernel's buffers, since nobody reads.
    until(loop, [&] {
        auto more = plug.say(std::string_view(waiting).substr(said));
        said += more;
        if (more) last = std::chrono::steady_clock::now();
        return said == waiting.size() || std::chrono::steady_clock::now() - last > 100ms;
    });
    CHECK(said < waiting.size());
    CHECK(outcome.body == "one");
    client.pause(handle, false);
    CHECK(outcome.body == "one");
    REQUIRE(until(loop, [&] {
        said += plug.say(std::string_view(waiting).substr(said));
        return outcome.ends == 1;
    }));
    CHECK(outcome.good);
    CHECK(outcome.body.size() == 3 + 200 * 65536);
}

TEST_CASE("a stopped fetch says nothing more, also when stopped from its own sink", "[wire]") {
    Loop loop;
    Outlet outlet;
    HttpClient client(loop);
    Outcome outcome;
    auto sink = outcome.sink();
    HttpClient::Handle handle;
    sink.on_head = [&](FetchHead) {
        ++outcome.heads;
        client.stop(handle);
    };
    handle = client.start(get(at(outlet.port)), anywhere, sink);
    auto plug = outlet.accept(loop);
    REQUIRE(until(loop, [&] { return plug.heard("\r\n\r\n"); }));
    plug.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    REQUIRE(until(loop, [&] { return plug.at_end(); }));
    CHECK(outcome.heads == 1);
    CHECK(outcome.body.empty());
    CHECK(outcome.ends == 0);
}

TEST_CASE("a client may go while fetches are in flight", "[wire]") {
    Loop loop;
    Outlet outlet;
    Outcome outcome;
    auto client = std::make_unique<HttpClient>(loop);
    client->start(get(at(outlet.port)), anywhere, outcome.sink());
    auto plug = outlet.accept(loop);
    REQUIRE(until(loop, [&] { return plug.heard("\r\n\r\n"); }));
    client->start(get(at(outlet.port)), anywhere, outcome.sink());
    client.reset();
    REQUIRE(until(loop, [&] { return plug.at_end(); }));
    CHECK(outcome.ends == 0);
}

TEST_CASE("a request that is not well-formed is refused before anything is sent", "[wire]") {
    Loop loop;
    Outlet outlet;
    HttpClient client(loop);
    auto refused = [&](std::function<void(FetchRequest&)> const& spoil) {
        auto request = get(at(outlet.port));
        spoil(request);
        auto outcome = fetch(loop, client, request);
        return !outcome.good && outcome.fault == Fault::bad_input && !outcome.sent;
    };
    CHECK(refused([](auto& r) { r.url = "http://user@127.0.0.1/"; }));
    CHECK(refused([](auto& r) { r.url = "file:///etc/passwd"; }));
    CHECK(refused([](auto& r) { r.method = "GET /x HTTP/1.1\r\nA: b"; }));
    CHECK(refused([](auto& r) { r.method = "CONNECT"; }));
    CHECK(refused([](auto& r) { r.method = ""; }));
    CHECK(refused([](auto& r) { r.headers = {{"A", "b\r\nC: d"}}; }));
    CHECK(refused([](auto& r) { r.headers = {{"A\r\nB", "c"}}; }));
    CHECK(refused([](auto& r) { r.headers = {{"A:", "c"}}; }));
    CHECK(refused([](auto& r) { r.headers = {{"Host", "other"}}; }));
    CHECK(refused([](auto& r) { r.headers = {{"content-length", "0"}}; }));
    CHECK(refused([](auto& r) { r.headers = {{"Transfer-Encoding", "chunked"}}; }));
    CHECK(outlet.try_accept() == -1);
}

TEST_CASE("the environment's proxy is not used", "[wire]") {
    Loop loop;
    Echo echo(loop);
    Outlet proxy;
    ::setenv("http_proxy", at(proxy.port).c_str(), 1);
    HttpClient client(loop);
    auto outcome = fetch(loop, client, get(at(echo.server.port(), "/direct")));
    ::unsetenv("http_proxy");
    CHECK(outcome.body == "/direct");
    CHECK(proxy.try_accept() == -1);
}

TEST_CASE("a proxy that is given is used", "[wire]") {
    Loop loop;
    Outlet proxy;
    HttpClient client(loop);
    Outcome outcome;
    auto request = get("http://elsewhere.example/x");
    request.proxy = at(proxy.port);
    client.start(request, anywhere, outcome.sink());
    auto plug = proxy.accept(loop);
    REQUIRE(until(loop, [&] { return plug.heard("GET http://elsewhere.example/x"); }));
    plug.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    REQUIRE(until(loop, [&] { return outcome.ends == 1; }));
    CHECK(outcome.good);
}

TEST_CASE("HTTPS asks for a certificate that is trusted and has the right name", "[wire]") {
    TlsPeer peer;
    Loop loop;
    auto url = "https://localhost:" + std::to_string(peer.port) + "/secret";
    {
        HttpClient client(loop);
        auto outcome = fetch(loop, client, get(url));
        CHECK(outcome.fault == Fault::peer_failed);
        CHECK_FALSE(outcome.sent);
    }
    ::setenv("PARLEY_CA_FILE", peer.ca_file().c_str(), 1);
    HttpClient client(loop);
    auto good = fetch(loop, client, get(url));
    CHECK(good.good);
    CHECK(good.body == "GET /secret HTTP/1.1");
    auto wrong_name =
        fetch(loop, client, get("https://127.0.0.1:" + std::to_string(peer.port) + "/"));
    ::unsetenv("PARLEY_CA_FILE");
    CHECK(wrong_name.fault == Fault::peer_failed);
    CHECK_FALSE(wrong_name.sent);
}
