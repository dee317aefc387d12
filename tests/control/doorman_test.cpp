#include "control/access.hpp"

#include "kit.hpp"

using namespace parley;

namespace {

struct Door : Keys {
    Doorman doorman{*tokens};
    Door() { doorman.answers_to("127.0.0.1", 7420, ""); }

    // 0: it may pass.
    int status_for_host(std::string const& host) const {
        Request request;
        request.headers = {{"Host", host}};
        return status_of(request);
    }
    int status_with(Headers headers) const {
        return status_of(tcp_request("GET", "/", std::move(headers)));
    }
    int status_of(Request const& request) const {
        auto denial = doorman.check_origin(request);
        return denial ? denial->status : 0;
    }
    Caller caller_with(std::string const& authorization) const {
        return doorman.caller(tcp_request("GET", "/", {{"Authorization", authorization}}));
    }
};

constexpr std::int64_t second_us = 1'000'000;

}  // namespace

// ---- Host ---------------------------------------------------------------------------------------

TEST_CASE("the host answers to its own names at its own port, in any case", "[control]") {
    Door door;
    for (auto const* host : {"127.0.0.1:7420", "localhost:7420", "LocalHost:7420", "[::1]:7420"})
        REQUIRE(door.status_for_host(host) == 0);
}

TEST_CASE("the host answers to no other name: a page that rebinds its own gets nothing",
          "[control]") {
    Door door;
    for (auto const* host :
         {"", "evil.example", "evil.example:7420", "127.0.0.1", "localhost", "127.0.0.1:80",
          "127.0.0.1:74200", "127.0.0.1:7420.evil.example", "127.0.0.1:7420@evil.example",
          "user@127.0.0.1:7420", " 127.0.0.1:7420", "127.0.0.1:7420 ", "localhost.:7420",
          "::1:7420", "0.0.0.0:7420", "127.0.0.2:7420", "127.1:7420", "http://127.0.0.1:7420",
          "127.0.0.1:07420"}) {
        INFO(host);
        REQUIRE(door.status_for_host(host) == 421);
    }
}

TEST_CASE("a request without a Host is not answered", "[control]") {
    Door door;
    Request request;
    REQUIRE(door.status_of(request) == 421);
}

TEST_CASE("a header that says who or where may stand once only", "[control]") {
    Door door;
    REQUIRE(door.status_with({{"host", "127.0.0.1:7420"}}) == 400);
    REQUIRE(door.status_with({{"HOST", "evil.example"}}) == 400);
    REQUIRE(door.status_with({{"Authorization", "Bearer a"}, {"authorization", "Bearer b"}}) ==
            400);
}

TEST_CASE(
    "a listener on every address answers to the loopback names, and to none that it was not given",
    "[control]") {
    Door door;
    door.doorman.answers_to("0.0.0.0", 7420, "");
    REQUIRE(door.status_for_host("localhost:7420") == 0);
    REQUIRE(door.status_for_host("0.0.0.0:7420") == 421);
    REQUIRE(door.status_for_host("192.0.2.7:7420") == 421);
}

TEST_CASE("a listener on one address answers to it", "[control]") {
    Door door;
    door.doorman.answers_to("2001:db8::7", 7420, "");
    REQUIRE(door.status_for_host("[2001:DB8::7]:7420") == 0);
    REQUIRE(door.status_for_host("2001:db8::7:7420") == 421);
}

TEST_CASE("port 80 may be left out, and no other", "[control]") {
    Door door;
    door.doorman.answers_to("127.0.0.1", 80, "");
    REQUIRE(door.status_for_host("localhost") == 0);
    REQUIRE(door.status_for_host("localhost:80") == 0);
    REQUIRE(door.status_for_host("localhost:7420") == 421);
}

TEST_CASE("a public URL adds one name and one origin, and nothing of its path", "[control]") {
    Door door;
    door.doorman.answers_to("127.0.0.1", 7420, "https://Agents.example/parley/");
    REQUIRE(door.status_for_host("agents.example") == 0);
    REQUIRE(door.status_for_host("agents.example:7420") == 421);
    REQUIRE(door.status_for_host("example") == 421);
    REQUIRE(door.status_with({{"Origin", "https://agents.example"}}) == 0);
    REQUIRE(door.status_with({{"Origin", "http://agents.example"}}) == 403);
    REQUIRE(door.status_with({{"Origin", "https://agents.example/parley"}}) == 403);
}

TEST_CASE("what the host answered to before it was told anew is forgotten", "[control]") {
    Door door;
    door.doorman.answers_to("127.0.0.1", 7420, "https://agents.example");
    door.doorman.answers_to("127.0.0.1", 7421, "");
    REQUIRE(door.status_for_host("127.0.0.1:7421") == 0);
    REQUIRE(door.status_for_host("127.0.0.1:7420") == 421);
    REQUIRE(door.status_for_host("agents.example") == 421);
}

// ---- Origin -------------------------------------------------------------------------------------

TEST_CASE("a page of the host's own origin may ask", "[control]") {
    Door door;
    for (auto const* origin :
         {"http://127.0.0.1:7420", "http://localhost:7420", "http://[::1]:7420"})
        REQUIRE(door.status_with({{"Origin", origin}}) == 0);
}

TEST_CASE("a page of any other origin may not, nor one that hides its own", "[control]") {
    Door door;
    for (auto const* origin :
         {"null", "", "https://127.0.0.1:7420", "http://127.0.0.1", "http://127.0.0.1:7421",
          "http://evil.example", "http://127.0.0.1:7420.evil.example", "http://127.0.0.1:7420/",
          "file://", "127.0.0.1:7420", "http://localhost:7420 http://evil.example"}) {
        INFO(origin);
        REQUIRE(door.status_with({{"Origin", origin}}) == 403);
    }
}

TEST_CASE("a browser that names another site is turned away, whatever else it says", "[control]") {
    Door door;
    for (auto const* site : {"cross-site", "same-site", "", "Same-Origin", "none, same-origin"}) {
        INFO(site);
        REQUIRE(door.status_with({{"Sec-Fetch-Site", site}}) == 403);
        REQUIRE(door.status_with({{"Origin", "http://localhost:7420"}, {"Sec-Fetch-Site", site}}) ==
                403);
    }
    for (auto const* site : {"same-origin", "none"})
        REQUIRE(door.status_with({{"Sec-Fetch-Site", site}}) == 0);
}

TEST_CASE("the control socket serves no browser", "[control]") {
    Door door;
    REQUIRE(door.status_of(socket_request(true)) == 0);
    REQUIRE(door.status_of(socket_request(true, {{"Origin", "http://localhost:7420"}})) == 403);
}

// ---- Who asks -----------------------------------------------------------------------------------

TEST_CASE("a token gives its own scope and no more", "[control]") {
    Door door;
    auto admin = door.caller_with("Bearer " + door.admin),
         read = door.caller_with("Bearer " + door.read);
    REQUIRE(admin.access == Access::admin);
    REQUIRE(admin.by_token);
    REQUIRE(admin.actor == R"({"type":"api","scope":"admin"})");
    REQUIRE(read.access == Access::read);
    REQUIRE(read.actor == R"({"type":"api","scope":"read"})");
}

TEST_CASE("nothing but the whole token in its one form is a token", "[control]") {
    Door door;
    auto const& token = door.admin;
    for (auto const& given :
         {std::string(), std::string("Bearer"), std::string("Bearer "), token, "bearer " + token,
          "Bearer  " + token, "Bearer\t" + token, "Bearer " + token + " ", "Bearer " + token + "x",
          "Bearer " + token.substr(0, 46), "Basic " + token,
          "Bearer " + token + ", Bearer " + token, "Bearer " + make_token(Scope::admin),
          "Bearer apr_" + token.substr(4), "Bearer " + token + std::string(1, '\0'),
          "Bearer " + sha256_hex(token)}) {
        INFO(given);
        auto caller = door.caller_with(given);
        REQUIRE(caller.access == Access::open);
        REQUIRE_FALSE(caller.by_token);
        REQUIRE(caller.actor.empty());
    }
}

TEST_CASE("a token that was replaced opens nothing any more", "[control]") {
    Door door;
    REQUIRE(door.tokens->rotate(Scope::admin, sha256_hex(make_token(Scope::admin))));
    REQUIRE(door.caller_with("Bearer " + door.admin).access == Access::open);
    REQUIRE(door.caller_with("Bearer " + door.read).access == Access::read);
}

TEST_CASE("the same user on the control socket needs no token; a confined process does",
          "[control]") {
    Door door;
    auto trusted = door.doorman.caller(socket_request(true));
    REQUIRE(trusted.access == Access::admin);
    REQUIRE(trusted.actor == R"({"type":"cli"})");
    REQUIRE_FALSE(trusted.by_token);
    REQUIRE(door.doorman.caller(socket_request(false)).access == Access::open);
    auto with_token = socket_request(false, {{"Authorization", "Bearer " + door.read}});
    REQUIRE(door.doorman.caller(with_token).access == Access::read);
}

TEST_CASE("who shows a token is judged by it, even where none is needed", "[control]") {
    Door door;
    auto with = [&](std::string const& token) {
        return door.doorman.caller(socket_request(true, {{"Authorization", "Bearer " + token}}))
            .access;
    };
    REQUIRE(with(door.read) == Access::read);
    REQUIRE(with("wrong") == Access::open);
}

TEST_CASE("only being trusted is not enough away from the control socket", "[control]") {
    Door door;
    auto request = tcp_request("GET", "/");
    request.peer.trusted_user = true;
    REQUIRE(door.doorman.caller(request).access == Access::open);
}

TEST_CASE("a route is open to those with its access or more", "[control]") {
    auto request = tcp_request("GET", "/");
    auto status = [&](Access needed, Access held) {
        Caller caller;
        caller.access = held;
        auto denial = Doorman::needs(needed, caller, request);
        return denial ? denial->status : 0;
    };
    for (auto held : {Access::open, Access::read, Access::admin})
        REQUIRE(status(Access::open, held) == 0);
    REQUIRE(status(Access::read, Access::open) == 401);
    REQUIRE(status(Access::read, Access::read) == 0);
    REQUIRE(status(Access::read, Access::admin) == 0);
    REQUIRE(status(Access::admin, Access::open) == 401);
    REQUIRE(status(Access::admin, Access::read) == 403);
    REQUIRE(status(Access::admin, Access::admin) == 0);
}

// ---- Guessing -----------------------------------------------------------------------------------

TEST_CASE("twenty wrong tokens within a minute make an address wait for the rest of it",
          "[control]") {
    Door door;
    auto request = tcp_request("GET", "/");
    for (int i = 0; i < 20; ++i) {
        REQUIRE_FALSE(door.doorman.is_guessing(request, i * second_us));
        door.doorman.count_failure(request, i * second_us);
    }
    REQUIRE(door.doorman.is_guessing(request, 20 * second_us));
    REQUIRE(door.doorman.is_guessing(request, 60 * second_us));
    REQUIRE_FALSE(door.doorman.is_guessing(request, 61 * second_us));
}

TEST_CASE("an address that has waited begins anew", "[control]") {
    Door door;
    auto request = tcp_request("GET", "/");
    for (int i = 0; i < 30; ++i) door.doorman.count_failure(request, 0);
    REQUIRE_FALSE(door.doorman.is_guessing(request, 61 * second_us));
    door.doorman.count_failure(request, 61 * second_us);
    REQUIRE_FALSE(door.doorman.is_guessing(request, 62 * second_us));
}

TEST_CASE("one address's guesses are not another's", "[control]") {
    Door door;
    auto request = tcp_request("GET", "/"), other = request;
    other.peer.address = "192.0.2.7";
    for (int i = 0; i < 20; ++i) door.doorman.count_failure(other, 0);
    REQUIRE(door.doorman.is_guessing(other, second_us));
    REQUIRE_FALSE(door.doorman.is_guessing(request, second_us));
}
