#include "rig.hpp"

#include "base/hash.hpp"
#include "base/text.hpp"
#include "wire/server.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

#include <thread>

namespace {

// A service on this machine that remembers what it was asked.
struct Service {
    std::vector<Request> seen;
    HttpServer server;
    explicit Service(Loop& loop)
        : server(loop, [this](Request request, std::shared_ptr<Reply> reply) {
              seen.push_back(request);
              Response response;
              response.body = "hello";
              if (request.target.starts_with("/moved")) {
                  response.status = 302;
                  response.headers = {{"Location", "/elsewhere"}};
              }
              if (request.target.starts_with("/events")) {
                  response.content_type = "text/event-stream";
                  response.body = "event: a\ndata: one\n\ndata: two\nid: 7\n\n";
              }
              if (request.target.starts_with("/leak"))
                  response.body = "it is value-of-test/token, there";
              reply->send(std::move(response));
          }) {
        REQUIRE(server.listen_tcp("127.0.0.1", 0));
    }
    std::string base() const { return "http://127.0.0.1:" + std::to_string(server.port()); }
};

struct NetRig : Rig {
    Service service{loop};
    NetRig() : Rig("zoo") {
        auto config = R"({"base_url":")" + service.base() + R"(/v1"})";
        auto rules = resolve_egress(spec.file->manifest(), config, {});
        REQUIRE(rules);
        spec.egress = *rules;
        spec.secrets["token"] = {"test", "token"};
        spec.own_port = 1;
    }
    ~NetRig() { service.server.stop(); }
    std::string http(std::string const& members, std::string const& body = "") {
        return call("http {" + members + "}\n" + body).text();
    }
    std::string url(std::string const& path) { return R"("url":")" + service.base() + path + "\""; }
};

using Catch::Matchers::Contains;

}  // namespace

TEST_CASE("a plugin fetches by the host's hand", "[http]") {
    NetRig rig;
    auto out = rig.http(
        R"("method":"POST",)" + rig.url("/v1/x") + R"(,"headers":[["X-Mine","yes"]])", "the body");
    CHECK_THAT(out, Contains("HEAD {\"status\":200") && Contains("DATA hello") && Contains("DONE"));
    REQUIRE(rig.service.seen.size() == 1);
    CHECK(rig.service.seen[0].body == "the body");
    CHECK(rig.service.seen[0].header("x-mine") == "yes");
    CHECK(rig.service.seen[0].method == "POST");
}

TEST_CASE("an event stream arrives event by event", "[http]") {
    NetRig rig;
    auto out = rig.http(rig.url("/events") + R"(,"framing":"sse")");
    CHECK_THAT(out, Contains(R"(EVENT {"event":"a","data":"one","id":""})") &&
                        Contains(R"(EVENT {"event":"message","data":"two","id":"7"})") &&
                        Contains("DONE"));
}

TEST_CASE("egress that is not declared fails before anything is resolved or sent", "[http]") {
    NetRig rig;
    for (auto const* url :
         {"https://evil.example/", "http://127.0.0.1:1/", "https://127.0.0.1/", "http://localhost/",
          "http://169.254.169.254/latest/meta-data/", "https://user:pw@api.example.org/"}) {
        INFO(url);
        auto out = rig.http(std::string(R"("url":")") + url + "\"");
        CHECK_THAT(out, Contains("FAILED") && Contains("\"sent\":false"));
    }
    CHECK_THAT(rig.http(R"("method":"POST","url":"https://api.example.org/")"),
               Contains("\"denied\""));
    CHECK(rig.service.seen.empty());
}

TEST_CASE("the host's own listener is refused even when the operator wrote it", "[http]") {
    NetRig rig;
    rig.spec.own_port = rig.service.server.port();
    CHECK_THAT(rig.http(rig.url("/")), Contains("FAILED"));
    CHECK(rig.service.seen.empty());
}

TEST_CASE("a secret goes into its declared slot for its declared host", "[http]") {
    NetRig rig;
    rig.http(rig.url("/v1") +
             R"(,"inject":[{"slot":"header:Authorization","secret":"token","prefix":"Bearer "}])");
    REQUIRE(rig.service.seen.size() == 1);
    CHECK(rig.service.seen[0].header("authorization") == "Bearer value-of-test/token");
    CHECK(rig.used == std::vector<std::string>{"test/token@127.0.0.1"});
    // Text that looks like a slot is only text.
    rig.http(rig.url("/v1/TOKEN?q=TOKEN"), "TOKEN {{secret:token}}");
    REQUIRE(rig.service.seen.size() == 2);
    CHECK(rig.service.seen[1].target == "/v1/TOKEN?q=TOKEN");
    CHECK(rig.service.seen[1].body == "TOKEN {{secret:token}}");
    CHECK(rig.used.size() == 1);
}

TEST_CASE("a secret for another host, slot or field is refused and nothing leaves", "[http]") {
    NetRig rig;
    rig.spec.secrets["other"] = {"test", "other"};
    for (auto const* inject : {R"([{"slot":"header:X-Other","secret":"other"}])",
                               R"([{"slot":"header:Cookie","secret":"token"}])",
                               R"([{"slot":"header:Authorization","secret":"nobody"}])"})
        CHECK_THAT(rig.http(rig.url("/") + R"(,"inject":)" + inject),
                   Contains("\"denied\"") && Contains("\"sent\":false"));
    CHECK(rig.service.seen.empty());
    CHECK(rig.used.empty());
}

TEST_CASE("a signature is made over what leaves, by the host alone", "[http]") {
    NetRig rig;
    rig.spec.secrets["signer"] = {"test", "signer"};
    auto out = rig.http(
        R"("method":"POST",)" + rig.url("/v1/x") +
            R"(,"headers":[["X-Id","o-1"],["x-signature","mine"]],"inject":[{"slot":"header:X-Signature",)"
            R"("secret":"signer","prefix":"v1,","encode":"hmac-sha256-base64","signed":"{x-id}.{body}"},)"
            R"({"slot":"body:/auth/token","secret":"token"}])",
        R"({"auth":{}})");
    CHECK_THAT(out, Contains("DONE"));
    REQUIRE(rig.service.seen.size() == 1);
    auto const& seen = rig.service.seen[0];
    // Over the body as it left, with the other secret in its place.
    CHECK(seen.body == R"({"auth":{"token":"value-of-test/token"}})");
    auto digest = hmac_sha256("value-of-test/signer", {"o-1.", seen.body});
    auto bytes = std::string(reinterpret_cast<char const*>(digest.data()), digest.size());
    CHECK(seen.header("x-signature") == "v1," + base64(bytes));
    CHECK(seen.header_count("x-signature") == 1);
}

TEST_CASE("a secret of tier compute is never placed, and only it makes a signature", "[http]") {
    NetRig rig;
    rig.spec.secrets["signer"] = {"test", "signer"};
    for (auto const* inject :
         {R"([{"slot":"header:X-Signature","secret":"signer"}])",
          R"([{"slot":"header:X-Signature","secret":"signer","encode":"base64"}])",
          R"([{"slot":"header:Authorization","secret":"token","encode":"hmac-sha256-hex"}])"})
        CHECK_THAT(rig.http(rig.url("/") + R"(,"inject":)" + inject), Contains("\"denied\""));
    for (
        auto const* inject :
        {R"([{"slot":"query:key","secret":"token","encode":"hmac-sha256-hex"}])",
         R"([{"slot":"header:X-Signature","secret":"signer","encode":"hmac-sha256-hex","signed":"{x-id}"}])",
         R"([{"slot":"header:X-Signature","secret":"signer","encode":"hmac-sha256-hex","signed":"{x-id}.{body}"}])",
         R"([{"slot":"header:X-Signature","secret":"signer","encode":"hmac-sha256-hex","key":"base64"}])"})
        CHECK_THAT(rig.http(rig.url("/") + R"(,"inject":)" + inject), Contains("\"invalid\""));
    CHECK(rig.service.seen.empty());
}

TEST_CASE("a secret that stands in the request itself fails the call", "[http]") {
    NetRig rig;
    rig.marked = "value-of-test";
    for (auto const& request :
         {rig.url("/?q=value-of-test"), rig.url("/") + R"(,"headers":[["X","value-of-test"]])"}) {
        auto answer = rig.call("http {" + request + "}\n");
        REQUIRE_FALSE(*answer.result);
        CHECK(answer.result->error().fault == Fault::secret);
    }
    CHECK(rig.call("http {" + rig.url("/") + "}\nvalue-of-test").result->error().fault ==
          Fault::secret);
    CHECK(rig.service.seen.empty());
}

TEST_CASE("an answer that repeats a secret is not handed on", "[http]") {
    NetRig rig;
    rig.marked = "value-of-test/token";
    auto answer = rig.call("http {" + rig.url("/leak") + "}\n");
    CHECK(answer.result->error().fault == Fault::secret);
    CHECK(answer.result->error().what.find("value-of") == std::string::npos);
}

TEST_CASE("a redirect of a host from the config is handed on, not followed", "[http]") {
    NetRig rig;
    CHECK_THAT(rig.http(rig.url("/moved")), Contains("\"status\":302"));
    CHECK(rig.service.seen.size() == 1);
}

TEST_CASE("headers that are the host's cannot be set, and none can hold a line break", "[http]") {
    NetRig rig;
    for (auto const* header :
         {R"(["Host","evil"])", R"(["content-length","1"])", R"(["Transfer-Encoding","chunked"])",
          R"(["X","a\r\nHost: evil"])", R"(["X Y","a"])"})
        CHECK_THAT(rig.http(rig.url("/") + R"(,"headers":[)" + header + "]"), Contains("FAILED"));
    CHECK_THAT(rig.http(R"("url":7)"), Contains("FAILED"));
    CHECK_THAT(rig.call("http nonsense\n").text(), Contains("FAILED"));
    CHECK(rig.service.seen.empty());
}

TEST_CASE("an effectful call's first byte waits until it may leave", "[http]") {
    NetRig rig;
    std::function<void()> go;
    int asked = 0;
    Answer answer;
    rig.begin("http {" + rig.url("/") + "}\n", answer, {}, [&](std::function<void()> given) {
        ++asked;
        go = std::move(given);
    });
    REQUIRE(rig.until([&] { return asked == 1; }));
    rig.until([] { return false; }, 0);
    CHECK(rig.service.seen.empty());
    go();
    CHECK(rig.until([&] { return answer.result.has_value(); }));
    CHECK(rig.service.seen.size() == 1);
    CHECK(asked == 1);
}

TEST_CASE("a stream goes only where the config points, and its secret is placed in it",
          "[stream]") {
    namespace asio = boost::asio;
    Rig rig("zoo");
    asio::io_context context;
    asio::ip::tcp::acceptor acceptor(context, {asio::ip::make_address("127.0.0.1"), 0});
    std::string heard;
    std::thread peer([&] {
        asio::ip::tcp::socket socket(context);
        acceptor.accept(socket);
        asio::read_until(socket, asio::dynamic_buffer(heard), "\n");
        asio::write(socket, asio::buffer("welcome\n", 8));
    });
    auto port = std::to_string(acceptor.local_endpoint().port());
    auto rules = resolve_egress(rig.spec.file->manifest(),
                                R"({"server":"127.0.0.1","port":)" + port + "}", {});
    REQUIRE(rules);
    rig.spec.egress = *rules;
    rig.spec.secrets["token"] = {"test", "token"};
    auto target = [](std::string const& host, std::string const& at) {
        return R"({"host":")" + host + R"(","port":)" + at + R"(,"tls":false})";
    };
    CHECK_THAT(rig.call("tcp " + target("127.0.0.1", "1") + "\n\nhi\n").text(), Contains("denied"));
    CHECK_THAT(rig.call("tcp " + target("evil.example", port) + "\n\nhi\n").text(),
               Contains("denied"));
    auto answer =
        rig.call("tcp " + target("127.0.0.1", port) +
                 "\n[{\"slot\":\"stream:TOKEN\",\"secret\":\"token\"}]\nPASS TOKEN TOKEN\n");
    peer.join();
    CHECK(answer.text() == "welcome\n");
    CHECK(heard == "PASS value-of-test/token TOKEN\n");
}
