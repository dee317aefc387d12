#include "wire/local_client.hpp"

#include "kit.hpp"
#include "tls_kit.hpp"
#include "wire/server.hpp"

#include <catch2/catch.hpp>

using namespace parley;
using namespace kit;

namespace {

// A host on a thread of its own, since the client blocks.
class Host {
public:
    Host()
        : server_(loop_, [this](Request request, std::shared_ptr<Reply> reply) {
              serve(std::move(request), std::move(reply));
          }) {
        socket = folder() / ("host" + std::to_string(++count()) + ".sock");
        if (!server_.listen_unix(socket) || !server_.listen_tcp("127.0.0.1", 0))
            throw std::runtime_error("no listener");
        port = server_.port();
        thread_ = std::thread([this] { loop_.run(); });
    }
    ~Host() {
        loop_.post([this] {
            server_.stop();
            loop_.stop();
        });
        thread_.join();
    }
    std::filesystem::path socket;
    std::uint16_t port = 0;

private:
    static int& count() {
        static int hosts = 0;
        return hosts;
    }
    void serve(Request request, std::shared_ptr<Reply> reply) {
        if (request.target == "/events") {
            auto writer = reply->send_events();
            for (int i = 0; i < 3; ++i) writer->write("data: " + std::to_string(i) + "\n\n");
            writers_.push_back(writer);
        } else if (request.target == "/export") {
            auto writer = reply->send_stream("application/x-ndjson");
            writer->write("{}\n");
            writer->write("[]\n");
            writer->close();
        } else {
            auto type = std::string(request.header("content-type").value_or("none"));
            auto token = std::string(request.header("authorization").value_or("none"));
            reply->send({request.target == "/missing" ? 404 : 200,
                         "text/plain",
                         {},
                         request.method + " " + request.target + " " + type + " " + token + " " +
                             request.body});
        }
    }
    Loop loop_;
    std::vector<std::shared_ptr<EventWriter>> writers_;
    HttpServer server_;
    std::thread thread_;
};

}  // namespace

TEST_CASE("a verb asks over the control socket", "[wire]") {
    Host host;
    LocalTarget target{host.socket, "", ""};
    auto got = local_request(target, "GET", "/api/v1/status");
    REQUIRE(got);
    CHECK(got->status == 200);
    CHECK(got->body == "GET /api/v1/status none none ");
    auto posted = local_request(target, "POST", "/x?y=z", R"({"a":1})");
    REQUIRE(posted);
    CHECK(posted->body == R"(POST /x?y=z application/json none {"a":1})");
    auto missing = local_request(target, "DELETE", "/missing");
    REQUIRE(missing);
    CHECK(missing->status == 404);
}

TEST_CASE("a verb asks over HTTP with its token", "[wire]") {
    Host host;
    LocalTarget target{"", "http://127.0.0.1:" + std::to_string(host.port) + "/base/", "tok"};
    auto got = local_request(target, "GET", "/x");
    REQUIRE(got);
    CHECK(got->body == "GET /base/x none Bearer tok ");
}

TEST_CASE("a verb asks over HTTPS, and trusts no stranger", "[wire]") {
    TlsPeer peer;
    LocalTarget target{"", "https://localhost:" + std::to_string(peer.port), "tok"};
    auto refused = local_request(target, "GET", "/x");
    REQUIRE_FALSE(refused);
    ::setenv("PARLEY_CA_FILE", peer.ca_file().c_str(), 1);
    auto got = local_request(target, "GET", "/x");
    ::unsetenv("PARLEY_CA_FILE");
    REQUIRE(got);
    CHECK(got->status == 200);
    CHECK(got->body == "GET /x HTTP/1.1");
}

TEST_CASE("a streamed answer comes piece by piece until the caller has enough", "[wire]") {
    Host host;
    for (auto const& url : {std::string(), "http://127.0.0.1:" + std::to_string(host.port)}) {
        LocalTarget target{host.socket, url, ""};
        std::string events;
        auto status = local_stream(target, "/events", [&](std::string_view bytes) {
            events.append(bytes);
            return events.find("data: 2\n\n") == std::string::npos;
        });
        REQUIRE(status);
        CHECK(*status == 200);
        CHECK(events == "data: 0\n\ndata: 1\n\ndata: 2\n\n");
        std::string lines;
        REQUIRE(local_stream(target, "/export", [&](std::string_view bytes) {
            lines.append(bytes);
            return true;
        }));
        CHECK(lines == "{}\n[]\n");
    }
}

TEST_CASE("nobody listening is unavailable, and hostile input is bad input", "[wire]") {
    LocalTarget nowhere{folder() / "nobody.sock", "", ""};
    CHECK(local_request(nowhere, "GET", "/").error().fault == Fault::unavailable);
    Outlet outlet;
    auto port = outlet.port;
    outlet.close();
    auto url = "127.0.0.1:" + std::to_string(port);
    CHECK(local_request({"", "http://" + url, ""}, "GET", "/").error().fault == Fault::unavailable);
    CHECK(local_request({"", "https://" + url, ""}, "GET", "/").error().fault ==
          Fault::unavailable);
    CHECK(local_request(nowhere, "GET", "no-slash").error().fault == Fault::bad_input);
    CHECK(local_request(nowhere, "GET", "/a b\r\nX: y").error().fault == Fault::bad_input);
    CHECK(local_request({"", "ftp://x", ""}, "GET", "/").error().fault == Fault::bad_input);
    CHECK(local_request({"", "http://x", "to\r\nken"}, "GET", "/").error().fault ==
          Fault::bad_input);
    CHECK(local_request({std::string(200, 'x'), "", ""}, "GET", "/").error().fault ==
          Fault::bad_input);
}

TEST_CASE("a host that breaks off is a failure, not a short answer", "[wire]") {
    Outlet outlet;
    std::thread host([&] {
        Loop loop;
        auto plug = outlet.accept(loop);
        until(loop, [&] { return plug.heard("\r\n\r\n"); });
        plug.say("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\npart");
    });
    auto answer =
        local_request({"", "http://127.0.0.1:" + std::to_string(outlet.port), ""}, "GET", "/");
    host.join();
    REQUIRE_FALSE(answer);
    CHECK(answer.error().fault == Fault::peer_failed);
}
