#include "inbound/verify.hpp"

#include "base/limits.hpp"
#include "base/text.hpp"

#include <catch2/catch.hpp>

using namespace parley;

namespace {

constexpr std::int64_t now_us = 1'531'420'618 * std::int64_t{1'000'000};

Secret secret_of(std::string_view text) {
    auto made = Secret::from(text);
    REQUIRE(made);
    return std::move(*made);
}

Request request_of(std::vector<std::pair<std::string, std::string>> headers, std::string body) {
    Request request;
    request.method = "POST";
    request.headers = std::move(headers);
    request.body = std::move(body);
    return request;
}

InboundNeed hmac(char const* header, char const* prefix, std::string_view text = "{body}") {
    InboundNeed need;
    need.header = header;
    need.prefix = prefix;
    auto parsed = parse_signed_text(text);
    REQUIRE(parsed);
    need.signed_text = std::move(*parsed);
    return need;
}

bool passes(InboundNeed const& need, Request const& request, std::string_view secret,
            std::int64_t at_us = now_us) {
    auto key = secret_of(secret);
    return is_credible(need, request, key, at_us) && verified(need, request, key).has_value();
}

void drop(Request& request, std::string_view name) {
    std::erase_if(request.headers, [name](auto const& one) { return one.first == name; });
}

}  // namespace

TEST_CASE("a signature over the body alone is that of GitHub's own example", "[verify]") {
    // docs.github.com, "Validating webhook deliveries".
    auto need = hmac("x-hub-signature-256", "sha256=");
    auto request =
        request_of({{"X-Hub-Signature-256",
                     "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}},
                   "Hello, World!");
    constexpr auto secret = "It's a Secret to Everybody";
    CHECK(passes(need, request, secret));

    SECTION("another body") {
        request.body += "!";
    }
    SECTION("another signature") {
        request.headers[0].second.back() = '8';
    }
    SECTION("no signature") {
        request.headers.clear();
    }
    SECTION("a signature without its prefix") {
        request.headers[0].second = request.headers[0].second.substr(7);
    }
    SECTION("half a signature") {
        request.headers[0].second.resize(7 + 32);
    }
    SECTION("an empty one") {
        request.headers[0].second = "sha256=";
    }
    SECTION("the header twice") {
        request.headers.push_back(request.headers[0]);
    }
    SECTION("another key") {
        CHECK_FALSE(passes(need, request, "It's a Secret to nobody"));
        return;
    }
    CHECK_FALSE(passes(need, request, secret));
}

TEST_CASE("a signature over timestamp and body is that of Slack's own example", "[verify]") {
    // api.slack.com, "Verifying requests from Slack".
    auto need = hmac("x-slack-signature", "v0=", "v0:{x-slack-request-timestamp}:{body}");
    need.timestamp = "x-slack-request-timestamp";
    need.window = std::chrono::seconds(300);
    auto request = request_of(
        {{"X-Slack-Request-Timestamp", "1531420618"},
         {"X-Slack-Signature",
          "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"}},
        "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id="
        "G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-"
        "collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700"
        "885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2"
        "c447fce8b6703c");
    constexpr auto secret = "8f742231b10e8888abcd99yyyzzz85a5";
    CHECK(passes(need, request, secret));
    CHECK(passes(need, request, secret, now_us + 300'000'000));
    CHECK(passes(need, request, secret, now_us - 300'000'000));
    CHECK(window_end_us(need, request) == now_us + 301'000'000);

    SECTION("too old") {
        CHECK_FALSE(passes(need, request, secret, now_us + 301'000'000));
        return;
    }
    SECTION("of the future") {
        CHECK_FALSE(passes(need, request, secret, now_us - 301'000'000));
        return;
    }
    SECTION("another time") {
        request.headers[0].second = "1531420619";
    }
    SECTION("a time that is none") {
        request.headers[0].second = "1531420618.0";
    }
    SECTION("no time") {
        drop(request, "X-Slack-Request-Timestamp");
    }
    SECTION("two times") {
        request.headers.push_back(request.headers[0]);
    }
    CHECK_FALSE(passes(need, request, secret));
}

TEST_CASE("a signature of Standard Webhooks may stand beside others", "[verify]") {
    // The example of the specification's libraries.
    auto need = hmac("webhook-signature", "v1,", "{webhook-id}.{webhook-timestamp}.{body}");
    need.encoding = DigestForm::base64;
    need.key = KeyForm::base64;
    need.timestamp = "webhook-timestamp";
    need.window = std::chrono::seconds(300);
    std::string const good = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    auto request = request_of({{"webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"},
                               {"webhook-timestamp", "1614265330"},
                               {"webhook-signature", good}},
                              R"({"test": 2432232314})");
    constexpr auto secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    constexpr auto at_us = 1'614'265'330 * std::int64_t{1'000'000};
    CHECK(passes(need, request, secret, at_us));
    CHECK(passes(need, request, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", at_us));

    SECTION("behind one of another version and of another key") {
        request.headers[2].second =
            "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/"
            "enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
            " v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= " +
            good;
        CHECK(passes(need, request, secret, at_us));
        return;
    }
    SECTION("but not behind any number of them") {
        std::string many;
        for (std::size_t i = 0; i < limits::inbound_signatures_of_one; ++i)
            many += "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= ";
        request.headers[2].second = many + good;
    }
    SECTION("a key that is no base64") {
        CHECK_FALSE(passes(need, request, "whsec_not base64 at all", at_us));
        return;
    }
    CHECK_FALSE(passes(need, request, secret, at_us));
}

TEST_CASE("a signed text cannot be read with its boundaries moved", "[verify]") {
    auto need = hmac("webhook-signature", "", "{webhook-id}.{webhook-timestamp}.{body}");
    constexpr auto secret = "some secret of theirs";
    auto signature = written(DigestForm::hex, *sign(KeyForm::text, secret, "a.100.", "200.rest"));
    auto with = [&](std::string id, std::string time, std::string body) {
        return request_of({{"webhook-id", std::move(id)},
                           {"webhook-timestamp", std::move(time)},
                           {"webhook-signature", signature}},
                          std::move(body));
    };
    CHECK(passes(need, with("a", "100", "200.rest"), secret));
    CHECK_FALSE(passes(need, with("a.100", "200", "rest"), secret));
}

TEST_CASE("a token is compared whole", "[verify]") {
    InboundNeed need;
    need.scheme = InboundNeed::Scheme::token;
    need.header = "x-telegram-bot-api-secret-token";
    constexpr auto secret = "a-token_of-the-operator";
    auto with = [](std::string token) {
        return request_of({{"X-Telegram-Bot-Api-Secret-Token", std::move(token)}}, "{}");
    };
    CHECK(passes(need, with(secret), secret));
    for (auto const* wrong : {"", "a-token_of-the-operato", "a-token_of-the-operator ",
                              "A-token_of-the-operator", "a-token_of-the-operators"})
        CHECK_FALSE(passes(need, with(wrong), secret));
    CHECK_FALSE(passes(need, request_of({}, "{}"), secret));
    auto twice = with(secret);
    twice.headers.push_back(twice.headers[0]);
    CHECK_FALSE(passes(need, twice, secret));
}

TEST_CASE("a text that is signed has one reading only", "[verify]") {
    for (auto const* good : {"{body}", "v0:{x-time}:{body}", "{a}.{b}.{body}"})
        CHECK(parse_signed_text(good));
    for (auto const* bad : {"", "body", "{body}x", "{a}{body}", "{a}{b}.{body}", "{a.{body}",
                            "{}.{body}", "{body}.{body}", "{A}.{body}", "{a b}.{body}"}) {
        INFO(bad);
        CHECK_FALSE(parse_signed_text(bad));
    }
}

TEST_CASE("a media type is read without its parameters", "[verify]") {
    auto type = [](std::string value) {
        return media_type(request_of({{"Content-Type", std::move(value)}}, ""));
    };
    CHECK(type("application/json") == "application/json");
    CHECK(type("Application/JSON ; charset=utf-8") == "application/json");
    CHECK(type("application/json-seq") == "application/json-seq");
    CHECK(media_type(request_of({}, "")).empty());
    CHECK(media_type(request_of({{"Content-Type", "a/b"}, {"Content-Type", "a/b"}}, "")).empty());
}
