#include "test_host.hpp"

#include <catch2/catch.hpp>

using namespace contract;

namespace {

std::string const file = PLUGIN_FOLDER "/channel_webhook.so";
constexpr auto config = R"({"reply_url":"https://desk.example/agent?x=1"})";
constexpr auto hello =
    R"({"id":"m-1","conversation":"c","sender":"ann","name":"Ann","text":"hi","private":true})";

struct Running : TestHost {
    Running() : TestHost(file, config) {
        run =
            start(Verb::channel_run, R"({"instance":"in","inbound":{"url":"https://p/hooks/in"}})");
        REQUIRE(listeners.size() == 1);
    }
    ~Running() { CHECK(faults.empty()); }
    ListenerRecord& door() { return listeners.front(); }
    // -1: it waits.
    std::int64_t status(std::uint64_t number) {
        auto const& answer = door().answers.at(number);
        return answer ? (*answer)["status"].integer() : -1;
    }
    parley_id run = 0;
};

parley_id send(TestHost& host) {
    return host.start(Verb::channel_send,
                      R"({"id":"o-1","conversation":"c","text":"**yes**","markdown":true})");
}

}  // namespace

TEST_CASE("the webhook channel says where it listens", "[webhook]") {
    Running host;
    auto const state = host.call(host.run).items("state").at(0);
    CHECK(state["state"].text() == "connected");
    CHECK(state["detail"].text() == "https://p/hooks/in");
}

TEST_CASE("a webhook is answered when its message is durable, and not before", "[webhook]") {
    Running host;
    auto const number = host.webhook(host.door(), hello);
    auto const message = host.call(host.run).items("message").at(0);
    CHECK(message["sender"].raw() == R"({"ids":["id:ann"],"name":"Ann"})");
    CHECK(message["conversation"].text() == "c");
    CHECK(message["text"].text() == "hi");
    CHECK(message["id"].text() == "m-1");
    CHECK(message["private"].boolean());
    CHECK(host.status(number) == -1);
    host.acknowledge(host.run, "another");
    CHECK(host.status(number) == -1);
    host.acknowledge(host.run, message["cursor"].text());
    CHECK(host.status(number) == 200);
}

TEST_CASE("the id of the request is that of a message without one", "[webhook]") {
    Running host;
    host.webhook(host.door(), R"({"conversation":"c","sender":"account:bo","text":"x"})",
                 R"([["webhook-id","msg_7"]])");
    auto const message = host.call(host.run).items("message").at(0);
    CHECK(message["id"].text() == "msg_7");
    CHECK(message["sender"]["ids"].raw() == R"(["account:bo"])");
    CHECK_FALSE(message["private"].boolean(true));
}

TEST_CASE("what is no message is refused with the reason, and tells the host nothing",
          "[webhook]") {
    Running host;
    for (std::string const body :
         {"", "[]", "{", R"({"conversation":"c","sender":"ann"})",
          R"({"conversation":"c","sender":"ann","text":""})",
          R"({"conversation":"","sender":"ann","text":"x"})",
          R"({"conversation":"c","sender":["ann"],"text":"x"})",
          R"({"conversation":"c","sender":"mask:a!b@c","text":"x"})",
          R"({"conversation":"c","sender":"ann","text":"x","id":7})",
          R"({"conversation":"c","sender":"ann","text":"x","private":"yes"})"}) {
        INFO(body);
        auto const number = host.webhook(host.door(), body);
        CHECK(host.status(number) == 400);
    }
    auto const long_name =
        json_of("conversation", std::string(513, 'c'), "sender", "a", "text", "x");
    CHECK(host.status(host.webhook(host.door(), long_name)) == 400);
    auto const long_text =
        json_of("conversation", "c", "sender", "a", "text", std::string(65537, 'x'));
    CHECK(host.status(host.webhook(host.door(), long_text)) == 400);
    CHECK(host.call(host.run).items("message").empty());
}

TEST_CASE("while the host is behind, a webhook is refused for now", "[webhook]") {
    Running host;
    host.set_emit_answer(host.run, PARLEY_PAUSE);
    auto const first = host.webhook(host.door(), hello), second = host.webhook(host.door(), hello);
    CHECK(host.status(first) == -1);
    CHECK(host.status(second) == 503);
    CHECK((*host.door().answers.at(second))["retry_after_s"].integer() > 0);
    host.resume(host.run);
    CHECK(host.status(host.webhook(host.door(), hello)) == -1);
}

TEST_CASE("a run that is cancelled leaves nobody without an answer", "[webhook]") {
    Running host;
    auto const number = host.webhook(host.door(), hello);
    host.cancel(host.run);
    CHECK(host.status(number) == 503);
    CHECK(host.call(host.run).answer()["code"].text() == "cancelled");
}

TEST_CASE("a host that lets nobody listen ends the run for good", "[webhook]") {
    Running host;
    host.webhooks_closed(host.door(), R"({"code":"denied","message":"webhooks are off"})");
    auto const failure = host.call(host.run).answer();
    CHECK(failure["message"].text() == "webhooks are off");
    CHECK_FALSE(failure["retryable"].boolean(true));
}

TEST_CASE("an answer leaves as a request that the host signs", "[webhook]") {
    Running host;
    auto const call = send(host);
    auto& out = host.http.at(0);
    CHECK(out.request["url"].text() == "https://desk.example/agent?x=1");
    CHECK(out.request["method"].text() == "POST");
    CHECK(
        out.body ==
        R"({"type":"message","id":"o-1","conversation":"c","text":"**yes**","markdown":true,"notice":false})");
    CHECK(
        out.request["inject"].raw() ==
        R"([{"slot":"header:webhook-signature","secret":"secret","prefix":"v1,",)"
        R"("encode":"hmac-sha256-base64","signed":"{webhook-id}.{webhook-timestamp}.{body}","key":"base64"}])");
    CHECK(out.request["headers"].raw().find(R"(["webhook-id","o-1"])") != std::string::npos);
    host.http_head(out, 204);
    host.http_done(out);
    CHECK(host.call(call).succeeded());
}

TEST_CASE("what the receiver answers decides whether a message is sent again", "[webhook]") {
    struct Case {
        int status;
        bool retryable;
        char const* code;
    };
    for (auto const& one :
         {Case{400, false, "denied"}, Case{410, false, "denied"}, Case{302, false, "denied"},
          Case{408, true, "denied"}, Case{429, true, "rate"}, Case{500, true, "peer"},
          Case{503, true, "peer"}}) {
        INFO(one.status);
        Running host;
        auto const call = send(host);
        host.http_head(host.http.at(0), one.status, R"([["Retry-After","7"]])");
        host.http_done(host.http.at(0));
        auto const failure = host.call(call).answer();
        CHECK(failure["code"].text() == one.code);
        CHECK(failure["retryable"].boolean() == one.retryable);
        CHECK(failure["retry_after_ms"].integer() == (one.retryable ? 7000 : 0));
        CHECK_FALSE(failure["sent"].boolean(true));
    }
}

TEST_CASE("no answer at all is tried again with the same id", "[webhook]") {
    Running host;
    auto const call = send(host);
    host.http_failed(host.http.at(0),
                     R"({"code":"timeout","message":"too late","retryable":true,"sent":true})");
    auto const failure = host.call(call).answer();
    CHECK(failure["retryable"].boolean());
    CHECK_FALSE(failure["sent"].boolean(true));
}
