#include "wire/server.hpp"

#include "kit.hpp"

#include <catch2/catch.hpp>

#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

using namespace parley;
using namespace kit;

namespace {

// A server whose handler echoes, and keeps what the test wants to hold.
struct House {
    explicit House(ServerLimits limits = {})
        : server(loop, [this](Request request, std::shared_ptr<Reply> reply) {
              seen.push_back(request);
              if (answer) return answer(std::move(request), std::move(reply));
              reply->send({200,
                           "text/plain",
                           {},
                           request.method + " " + request.target + " " + request.body});
          }, limits) {
        if (auto listening = server.listen_tcp("127.0.0.1", 0); !listening)
            throw std::runtime_error(listening.error().what);
    }
    std::string ask(std::string_view bytes, std::string_view ending) {
        auto plug = Plug::tcp(server.port());
        plug.say(bytes);
        until(loop, [&] { return plug.heard(ending) || plug.ended; }, 5s);
        return plug.got;
    }
    Loop loop;
    std::vector<Request> seen;
    std::function<void(Request, std::shared_ptr<Reply>)> answer;
    HttpServer server;
};

bool is_in(std::string const& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("an answer carries its length and the safe defaults", "[wire]") {
    House house;
    auto answer = house.ask("GET /x HTTP/1.1\r\nHost: h\r\n\r\n", "GET /x ");
    CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(is_in(answer, "Content-Length: 7\r\n"));
    CHECK(is_in(answer, "Cache-Control: no-store\r\n"));
    CHECK(is_in(answer, "X-Content-Type-Options: nosniff\r\n"));
    CHECK(is_in(answer, "Referrer-Policy: no-referrer\r\n"));
    REQUIRE(house.seen.at(0).peer.address == "127.0.0.1");
    CHECK_FALSE(house.seen[0].peer.trusted_user);
    CHECK_FALSE(house.seen[0].peer.local_socket);
}

TEST_CASE("a handler's header replaces a default and cannot end the header early", "[wire]") {
    House house;
    house.answer = [](Request, std::shared_ptr<Reply> reply) {
        reply->send({200,
                     "text/css",
                     {{"cache-control", "max-age=60"}, {"X-Bad", "a\r\nEvil: 1"}, {"X-Good", "1"}},
                     "z"});
    };
    auto answer = house.ask("GET / HTTP/1.1\r\n\r\n", "\r\n\r\nz");
    CHECK(is_in(answer, "cache-control: max-age=60\r\n"));
    CHECK_FALSE(is_in(answer, "no-store"));
    CHECK_FALSE(is_in(answer, "Evil"));
    CHECK(is_in(answer, "X-Good: 1\r\n"));
}

TEST_CASE("a connection serves one request after another", "[wire]") {
    House house;
    auto plug = Plug::tcp(house.server.port());
    for (int i = 0; i < 3; ++i) {
        plug.got.clear();
        plug.say("POST /" + std::to_string(i) + " HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi");
        REQUIRE(
            until(house.loop, [&] { return plug.heard("POST /" + std::to_string(i) + " hi"); }));
    }
    CHECK_FALSE(plug.at_end());
}

TEST_CASE("pipelined requests are answered in order, even when the first takes its time",
          "[wire]") {
    House house;
    std::vector<std::pair<std::string, std::shared_ptr<Reply>>> held;
    house.answer = [&](Request request, std::shared_ptr<Reply> reply) {
        held.emplace_back(request.target, std::move(reply));
    };
    auto plug = Plug::tcp(house.server.port());
    plug.say("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");
    REQUIRE(until(house.loop, [&] { return !held.empty(); }));
    house.loop.run_for(20ms);
    REQUIRE(held.size() == 1);
    held[0].second->send({200, "text/plain", {}, "first"});
    REQUIRE(until(house.loop, [&] { return held.size() == 2; }));
    held[1].second->send({200, "text/plain", {}, "second"});
    REQUIRE(until(house.loop, [&] { return plug.heard("second"); }));
    CHECK(plug.got.find("first") < plug.got.find("second"));
}

TEST_CASE("what the check of a header refuses is answered before any body comes", "[wire]") {
    House house;
    std::vector<Request> heads;
    house.server.check_heads_with([&](Request const& head) {
        heads.push_back(head);
        BodyTerms terms;
        if (head.target == "/closed")
            terms.refusal = HttpRefusal{429, "", {{"Retry-After", "7"}}};
        return terms;
    });
    SECTION("with a length") {
        auto answer = house.ask("POST /closed HTTP/1.1\r\nContent-Length: 1000\r\n\r\n", "}");
        CHECK(answer.starts_with("HTTP/1.1 429 "));
        CHECK(is_in(answer, "Retry-After: 7\r\n"));
        CHECK(is_in(answer, "Connection: close\r\n"));
    }
    SECTION("instead of 100 Continue") {
        auto answer = house.ask(
            "POST /closed HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n", "}");
        CHECK(answer.starts_with("HTTP/1.1 429 "));
    }
    SECTION("and what comes with it is not read") {
        auto answer = house.ask("POST /closed HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi", "}");
        CHECK(answer.starts_with("HTTP/1.1 429 "));
    }
    REQUIRE(heads.size() == 1);
    CHECK(heads[0].method == "POST");
    CHECK(heads[0].peer.address == "127.0.0.1");
    CHECK(heads[0].body.empty());
    CHECK(house.seen.empty());
    // Others pass.
    CHECK(is_in(house.ask("POST /open HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi", "hi"), "200 OK"));
}

TEST_CASE("the check of a header says how much body may come, and how slowly", "[wire]") {
    House house;
    house.server.check_heads_with([](Request const&) {
        BodyTerms terms;
        terms.bytes_most = 4;
        terms.time = 50ms;
        return terms;
    });
    CHECK(is_in(house.ask("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n1234", "1234"), "200 OK"));
    CHECK(is_in(house.ask("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", "}"), " 413 "));
    CHECK(is_in(house.ask("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                          "3\r\n123\r\n2\r\n45\r\n0\r\n\r\n",
                          "}"),
                " 413 "));
    CHECK(is_in(house.ask("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n123", "}"), " 408 "));
    CHECK(house.seen.size() == 1);
}

TEST_CASE("a check of a header that throws refuses the request", "[wire]") {
    House house;
    house.server.check_heads_with(
        [](Request const&) -> BodyTerms { throw std::runtime_error("no"); });
    CHECK(is_in(house.ask("GET / HTTP/1.1\r\n\r\n", "}"), " 500 "));
    CHECK(house.seen.empty());
}

TEST_CASE("a request that is sent byte by byte is understood", "[wire]") {
    House house;
    auto plug = Plug::tcp(house.server.port());
    for (char c : std::string_view("POST /slow HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")) {
        plug.say({&c, 1});
        house.loop.run_for(1ms);
    }
    REQUIRE(until(house.loop, [&] { return plug.heard("POST /slow abc"); }));
}

TEST_CASE("a refusal is a problem document, and the connection ends", "[wire]") {
    House house;
    auto plug = Plug::tcp(house.server.port());
    plug.say("GET / HTTP/1.1\nHost: x\n\n");
    REQUIRE(until(house.loop, [&] { return plug.at_end(); }));
    CHECK(plug.got.starts_with("HTTP/1.1 400 Bad Request\r\n"));
    CHECK(is_in(plug.got, "Content-Type: application/problem+json\r\n"));
    CHECK(is_in(plug.got, R"({"type":"about:blank","title":"Bad Request","status":400,"detail":)"));
    CHECK(is_in(plug.got, "Connection: close\r\n"));
    CHECK(house.seen.empty());
}

TEST_CASE("a body over the limit is refused with 413 that the sender can still read", "[wire]") {
    House house;
    auto plug = Plug::tcp(house.server.port());
    plug.say("POST / HTTP/1.1\r\nContent-Length: 5000000\r\n\r\n");
    std::string const piece(65536, 'x');
    REQUIRE(until(house.loop, [&] {
        plug.say(piece);
        return plug.heard("too large") || plug.heard("is longer than");
    }));
    CHECK(plug.got.starts_with("HTTP/1.1 413 "));
}

TEST_CASE("a header over the limit is refused with 431", "[wire]") {
    House house;
    auto answer = house.ask("GET / HTTP/1.1\r\nA: " + std::string(20'000, 'a'), "431,");
    CHECK(answer.starts_with("HTTP/1.1 431 "));
}

TEST_CASE("a sender that waits for 100 Continue gets it", "[wire]") {
    House house;
    auto plug = Plug::tcp(house.server.port());
    plug.say("POST /c HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    REQUIRE(until(house.loop, [&] { return plug.heard("HTTP/1.1 100 Continue\r\n\r\n"); }));
    plug.say("ok");
    REQUIRE(until(house.loop, [&] { return plug.heard("POST /c ok"); }));
}

TEST_CASE("HEAD is answered without a body but with its length", "[wire]") {
    House house;
    auto answer = house.ask("HEAD /h HTTP/1.1\r\nConnection: close\r\n\r\n", "\r\n\r\n");
    CHECK(is_in(answer, "Content-Length: 8\r\n"));
    CHECK(answer.ends_with("\r\n\r\n"));
}

TEST_CASE("a reply that is dropped or a handler that throws answers 500", "[wire]") {
    House house;
    house.answer = [](Request request, std::shared_ptr<Reply>) {
        if (request.target == "/throw") throw std::runtime_error("defect");
    };
    CHECK(house.ask("GET / HTTP/1.1\r\n\r\n", "500,").starts_with("HTTP/1.1 500 "));
    CHECK(house.ask("GET /throw HTTP/1.1\r\n\r\n", "500,").starts_with("HTTP/1.1 500 "));
}

TEST_CASE("a header that dawdles is ended with 408, an idle connection without a word", "[wire]") {
    ServerLimits limits;
    limits.header_time = 40ms;
    limits.body_time = 40ms;
    limits.idle_time = 40ms;
    House house(limits);
    auto silent = Plug::tcp(house.server.port());
    auto slow = Plug::tcp(house.server.port());
    slow.say("GET / HT");
    auto body = Plug::tcp(house.server.port());
    body.say("POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc");
    auto kept = Plug::tcp(house.server.port());
    kept.say("GET /k HTTP/1.1\r\n\r\n");
    REQUIRE(until(house.loop, [&] {
        return silent.at_end() && slow.at_end() && body.at_end() && kept.at_end();
    }));
    CHECK(silent.got.empty());
    CHECK(slow.got.starts_with("HTTP/1.1 408 "));
    CHECK(body.got.starts_with("HTTP/1.1 408 "));
    CHECK(kept.got.ends_with("GET /k "));
}

TEST_CASE("connections over the cap are sent away with 503", "[wire]") {
    ServerLimits limits;
    limits.connections = 2;
    House house(limits);
    auto one = Plug::tcp(house.server.port());
    auto two = Plug::tcp(house.server.port());
    auto three = Plug::tcp(house.server.port());
    REQUIRE(until(house.loop, [&] { return three.at_end(); }));
    CHECK(three.got.starts_with("HTTP/1.1 503 "));
    one.hang_up();
    house.loop.run_for(20ms);
    auto four = Plug::tcp(house.server.port());
    four.say("GET /4 HTTP/1.1\r\n\r\n");
    CHECK(until(house.loop, [&] { return four.heard("GET /4"); }));
}

TEST_CASE("an event stream is written as it comes, with a heartbeat", "[wire]") {
    ServerLimits limits;
    limits.heartbeat = 40ms;
    House house(limits);
    std::shared_ptr<EventWriter> writer;
    house.answer = [&](Request, std::shared_ptr<Reply> reply) { writer = reply->send_events(); };
    auto plug = Plug::tcp(house.server.port());
    plug.say("GET /events HTTP/1.1\r\n\r\n");
    REQUIRE(until(house.loop, [&] { return plug.heard("\r\n\r\n"); }));
    CHECK(is_in(plug.got, "Content-Type: text/event-stream\r\n"));
    CHECK(is_in(plug.got, "X-Accel-Buffering: no\r\n"));
    CHECK(writer->write("id: 1\ndata: x\n\n"));
    REQUIRE(until(house.loop, [&] { return plug.heard("id: 1\ndata: x\n\n"); }));
    REQUIRE(until(house.loop, [&] { return plug.heard(": \n\n"); }));
    writer->close();
    REQUIRE(until(house.loop, [&] { return plug.at_end(); }));
    CHECK_FALSE(writer->write("more"));
}

TEST_CASE("the writer hears when the reader goes", "[wire]") {
    House house;
    std::shared_ptr<EventWriter> writer;
    auto gone = 0;
    house.answer = [&](Request, std::shared_ptr<Reply> reply) {
        writer = reply->send_events();
        writer->on_gone([&] { ++gone; });
    };
    auto plug = Plug::tcp(house.server.port());
    plug.say("GET /events HTTP/1.1\r\n\r\n");
    REQUIRE(until(house.loop, [&] { return plug.heard("\r\n\r\n"); }));
    plug.hang_up();
    REQUIRE(until(house.loop, [&] { return gone == 1; }));
    CHECK_FALSE(writer->write("data: x\n\n"));
}

TEST_CASE("a reader that is too slow is cut off, and not told from inside write", "[wire]") {
    House house;
    std::shared_ptr<EventWriter> writer;
    auto gone = 0;
    house.answer = [&](Request, std::shared_ptr<Reply> reply) {
        writer = reply->send_events();
        writer->on_gone([&] { ++gone; });
    };
    auto plug = Plug::tcp(house.server.port(), 4096);
    plug.say("GET /events HTTP/1.1\r\n\r\n");
    REQUIRE(until(house.loop, [&] { return writer != nullptr; }));
    std::string const frame(60'000, 'x');
    auto frames = 0;
    while (writer->write(frame) && frames < 1000) ++frames;
    CHECK(frames < 500);
    CHECK(gone == 0);
    REQUIRE(until(house.loop, [&] { return gone == 1; }));
}

TEST_CASE("a streamed body is chunked and says when it is whole", "[wire]") {
    House house;
    std::shared_ptr<EventWriter> writer;
    auto drained = 0;
    house.answer = [&](Request, std::shared_ptr<Reply> reply) {
        writer = reply->send_stream("application/x-ndjson");
        writer->on_drained([&] { ++drained; });
    };
    auto plug = Plug::tcp(house.server.port(), 4096);
    plug.say("GET /export HTTP/1.1\r\n\r\n");
    REQUIRE(until(house.loop, [&] { return writer != nullptr; }));
    while (writer->waiting_bytes() == 0) REQUIRE(writer->write(std::string(50'000, 'y')));
    REQUIRE(until(house.loop, [&] { return plug.hear(), drained == 1; }));
    writer->write("{}\n");
    writer->close();
    REQUIRE(until(house.loop, [&] { return plug.at_end(); }));
    CHECK(is_in(plug.got, "Transfer-Encoding: chunked\r\n"));
    CHECK(plug.got.ends_with("3\r\n{}\n\r\n0\r\n\r\n"));
}

TEST_CASE("stop closes connections and the listener and tells nobody", "[wire]") {
    House house;
    std::shared_ptr<EventWriter> writer;
    auto gone = 0;
    house.answer = [&](Request, std::shared_ptr<Reply> reply) {
        writer = reply->send_events();
        writer->on_gone([&] { ++gone; });
    };
    auto plug = Plug::tcp(house.server.port());
    plug.say("GET /events HTTP/1.1\r\n\r\n");
    REQUIRE(until(house.loop, [&] { return writer != nullptr; }));
    house.server.stop();
    house.loop.run_for(20ms);
    CHECK(plug.at_end());
    CHECK_FALSE(writer->write("x"));
    CHECK(gone == 0);
    CHECK_THROWS(Plug::tcp(house.server.port()));
}

TEST_CASE("an address that is taken is unavailable", "[wire]") {
    House house;
    HttpServer second(house.loop, [](Request, std::shared_ptr<Reply>) {});
    auto result = second.listen_tcp("127.0.0.1", house.server.port());
    REQUIRE_FALSE(result);
    CHECK(result.error().fault == Fault::unavailable);
    CHECK(second.listen_tcp("not an address", 0).error().fault == Fault::bad_input);
}

TEST_CASE("the control socket is 0600 and knows its own user", "[wire]") {
    House house;
    auto path = folder() / "control.sock";
    REQUIRE(house.server.listen_unix(path));
    struct stat found {};
    REQUIRE(::lstat(path.c_str(), &found) == 0);
    CHECK((found.st_mode & 07777) == 0600);

    auto plug = Plug::unix_socket(path);
    plug.say("GET /me HTTP/1.1\r\n\r\n");
    REQUIRE(until(house.loop, [&] { return plug.heard("GET /me"); }));
    auto confined = ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 0;
    CHECK(house.seen.at(0).peer.local_socket);
    CHECK(house.seen[0].peer.trusted_user == !confined);
    house.server.stop();
    CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a peer with NoNewPrivs is not trusted", "[wire]") {
    House house;
    auto path = folder() / "confined.sock";
    REQUIRE(house.server.listen_unix(path));
    auto child = ::fork();
    if (child == 0) {
        ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        auto plug = Plug::unix_socket(path);
        plug.say("GET /me HTTP/1.1\r\n\r\n");
        ::usleep(5'000'000);
        ::_exit(0);
    }
    REQUIRE(until(house.loop, [&] { return house.seen.size() == 1; }));
    CHECK_FALSE(house.seen[0].peer.trusted_user);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
}

TEST_CASE("a stale socket is replaced, a living one and a file are not", "[wire]") {
    auto path = folder() / "stale.sock";
    {
        auto socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.string().copy(address.sun_path, sizeof address.sun_path - 1);
        REQUIRE(::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        ::close(socket);
    }
    House house;
    REQUIRE(house.server.listen_unix(path));
    House second;
    CHECK(second.server.listen_unix(path).error().fault == Fault::unavailable);
    second.server.stop();
    CHECK(std::filesystem::exists(path));

    auto file = folder() / "file";
    ::close(::open(file.c_str(), O_CREAT | O_WRONLY, 0600));
    House third;
    CHECK_FALSE(third.server.listen_unix(file));
    CHECK(std::filesystem::exists(file));
    CHECK_FALSE(third.server.listen_unix(folder() / std::string(120, 'x')));
}
