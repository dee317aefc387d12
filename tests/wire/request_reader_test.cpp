#include "wire/request_reader.hpp"

#include <catch2/catch.hpp>

#include <cstring>

using namespace parley;
using State = RequestReader::State;

namespace {

State feed(RequestReader& reader, std::string_view bytes, std::size_t at_once = 1 << 20) {
    auto state = reader.state();
    while (!bytes.empty() && state != State::refused && state != State::ready) {
        auto room = reader.room();
        auto count = std::min({room.size_bytes, bytes.size(), at_once});
        std::memcpy(room.data, bytes.data(), count);
        bytes.remove_prefix(count);
        state = reader.took(count);
    }
    return state;
}

int refused_with(std::string_view bytes) {
    RequestReader reader;
    return feed(reader, bytes) == State::refused ? reader.refusal().status : 0;
}

constexpr auto post =
    "POST /a?b=c HTTP/1.1\r\nHost: x\r\nX-Two: 1\r\nx-two: 2\r\nContent-Length: 5\r\n\r\nhello";
constexpr auto chunks =
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    "3\r\nhel\r\n2;ext=1\r\nlo\r\n0\r\nTrailer: t\r\n\r\n";

}  // namespace

TEST_CASE("a request is the same wherever the network splits it", "[wire]") {
    for (std::string_view text : {post, chunks})
        for (std::size_t at = 1; at <= text.size(); ++at) {
            RequestReader reader;
            auto state = feed(reader, text.substr(0, at));
            if (at < text.size()) {
                REQUIRE((state == State::header || state == State::body));
                state = feed(reader, text.substr(at));
            }
            REQUIRE(state == State::ready);
            REQUIRE(reader.take().body == "hello");
        }
    RequestReader reader;
    REQUIRE(feed(reader, post, 1) == State::ready);
    auto request = reader.take();
    REQUIRE(request.method == "POST");
    REQUIRE(request.target == "/a?b=c");
    REQUIRE(request.header("X-TWO") == "1");
    REQUIRE(request.header_count("x-Two") == 2);
    REQUIRE_FALSE(request.header("none"));
}

TEST_CASE("two requests in one piece come out in order", "[wire]") {
    RequestReader reader;
    auto both = std::string("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
    auto room = reader.room();
    std::memcpy(room.data, both.data(), both.size());
    REQUIRE(reader.took(both.size()) == State::ready);
    REQUIRE(reader.take().target == "/1");
    REQUIRE(reader.has_unread());
    REQUIRE(reader.go_on() == State::ready);
    REQUIRE(reader.take().target == "/2");
    REQUIRE_FALSE(reader.has_unread());
}

TEST_CASE("what two readers could understand differently is refused", "[wire]") {
    std::string const start = "POST / HTTP/1.1\r\nHost: x\r\n";
    CHECK(refused_with(start + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n") == 400);
    CHECK(refused_with(start + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n") == 400);
    CHECK(refused_with(start + "Content-Length: 5\r\nContent-Length: 5\r\n\r\n") == 400);
    CHECK(refused_with(start + "Content-Length: 5, 5\r\n\r\n") == 400);
    CHECK(refused_with(start + "Content-Length: +5\r\n\r\n") == 400);
    CHECK(refused_with(start + "Content-Length: -1\r\n\r\n") == 400);
    CHECK(refused_with(start + "Content-Length: 99999999999999999999999\r\n\r\n") == 400);
    CHECK(refused_with(start + "Transfer-Encoding: gzip\r\n\r\n") == 501);
    CHECK(refused_with(start + "Transfer-Encoding: gzip, chunked\r\n\r\n") == 501);
    CHECK(refused_with(start +
                       "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n") == 400);
    CHECK(refused_with("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") == 400);
    CHECK(refused_with(start + "Folded: a\r\n b\r\n\r\n") == 400);
    CHECK(refused_with("GET / HTTP/1.1\nHost: x\n\n") == 400);
    CHECK(refused_with("GET / HTTP/1.1\r\nHost: x\n\r\n\r\n") == 400);
    CHECK(refused_with("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n") == 400);
    CHECK(refused_with(std::string_view("GET / HTTP/1.1\r\nA: b\0c\r\n\r\n", 26)) == 400);
    CHECK(refused_with("GET / HTTP/1.1\r\nHost : x\r\n\r\n") == 400);
    CHECK(refused_with("GET / HTTP/1.1\r\n: x\r\n\r\n") == 400);
    CHECK(refused_with("GET / HTTP/1.1\r\nno colon\r\n\r\n") == 400);
    CHECK(refused_with("GET /a b HTTP/1.1\r\n\r\n") == 505);
    CHECK(refused_with("GET  / HTTP/1.1\r\n\r\n") == 400);
    CHECK(refused_with("GET / H0\r\n\r\n") == 400);  // the parser would wait for more
    CHECK(refused_with("GET / HTTP/2.0\r\n\r\n") == 505);
    CHECK(refused_with("\x16\x03\x01\x02\x00\x01") == 400);
    CHECK(refused_with(start + "Expect: miracles\r\n\r\n") == 417);
    CHECK(refused_with(start + "Transfer-Encoding: chunked\r\n\r\nzz\r\n") == 400);
    CHECK(refused_with(start + "Transfer-Encoding: chunked\r\n\r\n3\nhel\r\n") == 400);
}

TEST_CASE("a folded line is refused however it is split", "[wire]") {
    std::string const text = "GET / HTTP/1.1\r\nFolded: a\r\n b\r\n\r\n";
    for (std::size_t at = 1; at < text.size(); ++at) {
        RequestReader reader;
        feed(reader, text.substr(0, at));
        REQUIRE(feed(reader, text.substr(at)) == State::refused);
    }
}

TEST_CASE("sizes are bounded", "[wire]") {
    std::string const start = "POST / HTTP/1.1\r\n";
    CHECK(refused_with(start + "A: " + std::string(limits::http_header_bytes, 'a')) == 431);
    CHECK(refused_with(start + "A: " + std::string(limits::http_header_bytes, 'a') + "\r\n\r\n") ==
          431);
    CHECK(refused_with("GET /" + std::string(limits::http_target_bytes, 'a') +
                       " HTTP/1.1\r\n\r\n") == 414);
    CHECK(refused_with(start + "Content-Length: " + std::to_string(limits::http_body_bytes + 1) +
                       "\r\n\r\n") == 413);
    auto piece = "10000\r\n" + std::string(65536, 'x') + "\r\n";
    std::string many = start + "Transfer-Encoding: chunked\r\n\r\n";
    for (int i = 0; i < 17; ++i) many += piece;
    CHECK(refused_with(many) == 413);
    CHECK(refused_with(start + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(40000, 'x')) ==
          400);

    RequestReader reader;
    auto most = start + "Content-Length: " + std::to_string(limits::http_body_bytes) + "\r\n\r\n";
    REQUIRE(feed(reader, most + std::string(limits::http_body_bytes, 'x')) == State::ready);
}

TEST_CASE("keeping alive follows the version and the Connection header", "[wire]") {
    auto keeps = [](std::string_view text) {
        RequestReader reader;
        REQUIRE(feed(reader, text) == State::ready);
        return reader.keep_alive();
    };
    CHECK(keeps("GET / HTTP/1.1\r\n\r\n"));
    CHECK_FALSE(keeps("GET / HTTP/1.1\r\nConnection: close\r\n\r\n"));
    CHECK_FALSE(keeps("GET / HTTP/1.0\r\n\r\n"));
    CHECK(keeps("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
}
