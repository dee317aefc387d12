// The Telegram channel by webhook: Telegram's server as a script.
#include "test_host.hpp"

#include <catch2/catch.hpp>

using namespace contract;

namespace {

constexpr char plugin[] = PLUGIN_FOLDER "/channel_telegram.so";
constexpr char url[] = "https://agent.example/hooks/chat";
constexpr auto update = R"({"update_id":40,"message":{"message_id":9,"date":1,"text":"At noon?",)"
                        R"("chat":{"id":5,"type":"private"},"from":{"id":5,"first_name":"Ann"}}})";

struct Bot : TestHost {
    explicit Bot(bool webhook, std::string_view without = "", bool take_over = false)
        : TestHost(plugin,
                   json_of("base_url", "https://api.example", "webhook", webhook, "take_over",
                           take_over),
                   without) {}
    std::size_t count(std::string_view method) const {
        std::size_t out = 0;
        for (auto const& one : http) out += one.request["url"].text().ends_with(method) ? 1 : 0;
        return out;
    }
    ~Bot() { CHECK(faults.empty()); }

    std::string last() const {
        auto const address = http.back().request["url"].text();
        return std::string(address.substr(address.rfind('/') + 1));
    }
    void give(std::string_view method, std::string_view result = "true", int status = 200) {
        REQUIRE(last() == method);
        http_head(http.back(), status);
        http_data(http.back(), status == 200 ? R"({"ok":true,"result":)" + std::string(result) + "}"
                                             : std::string(result));
        http_done(http.back());
    }
    void begin(std::string_view request) {
        run = start(Verb::channel_run, request);
        give("getMe", R"({"id":7,"is_bot":true,"first_name":"B","username":"bot"})");
        give("setMyCommands");
    }
    void connect() {
        begin(R"({"instance":"chat","inbound":{"url":")" + std::string(url) + R"("}})");
        give("setWebhook");
    }
    std::string state() const {
        auto const states = call(run).items("state");
        return std::string(states.back()["state"].text()) + ": " +
               std::string(states.back()["detail"].text());
    }
    std::int64_t status(std::uint64_t number) const {
        auto const& answer = listeners.front().answers.at(number);
        return answer ? (*answer)["status"].integer() : -1;
    }
    parley_id run = 0;
};

}  // namespace

TEST_CASE("with webhook: true Telegram is given the address and a token of the operator's",
          "[telegram]") {
    Bot bot(true);
    bot.begin(R"({"instance":"chat","inbound":{"url":"https://agent.example/hooks/chat"}})");
    REQUIRE(bot.listeners.size() == 1);
    REQUIRE(bot.last() == "setWebhook");
    CHECK(bot.http.back().body ==
          R"({"url":"https://agent.example/hooks/chat","max_connections":16,)"
          R"("allowed_updates":["message","callback_query"]})");
    CHECK(bot.http.back().request["inject"].raw().find(
              R"({"slot":"body:/secret_token","secret":"webhook_token"})") != std::string::npos);
    CHECK(bot.store.at("webhook") == url);
    bot.give("setWebhook");
    CHECK(bot.state() == "connected: @bot by webhook");
    CHECK(bot.last() == "setWebhook");
}

TEST_CASE("an update is answered when its message is durable", "[telegram]") {
    Bot bot(true);
    bot.connect();
    auto const number = bot.webhook(bot.listeners.front(), update);
    auto const message = bot.call(bot.run).items("message").at(0);
    CHECK(message["text"].text() == "At noon?");
    CHECK(bot.status(number) == -1);
    // The same once more, as Telegram does it when nobody answered.
    auto const again = bot.webhook(bot.listeners.front(), update);
    bot.acknowledge(bot.run, message["cursor"].text());
    CHECK(bot.status(number) == 200);
    CHECK(bot.status(again) == 200);
}

TEST_CASE("an update that says nothing is taken, and what is none is refused", "[telegram]") {
    Bot bot(true);
    bot.connect();
    CHECK(bot.status(bot.webhook(bot.listeners.front(), R"({"update_id":41})")) == 200);
    CHECK(bot.status(bot.webhook(bot.listeners.front(), "[]")) == 400);
    CHECK(bot.call(bot.run).items("message").empty());
    bot.set_emit_answer(bot.run, PARLEY_PAUSE);
    CHECK(bot.status(bot.webhook(bot.listeners.front(), update)) == -1);
    CHECK(bot.status(bot.webhook(bot.listeners.front(), update)) == 503);
}

TEST_CASE("a pressed button is answered to Telegram at once", "[telegram]") {
    Bot bot(true);
    bot.connect();
    bot.webhook(bot.listeners.front(),
                R"({"update_id":42,"callback_query":{"id":"q","data":"yes","chat_instance":"1",)"
                R"("from":{"id":5,"first_name":"Ann"},"message":{"message_id":9,"date":1,)"
                R"("chat":{"id":5,"type":"private"}}}})");
    CHECK(bot.last() == "answerCallbackQuery");
    CHECK(bot.call(bot.run).items("press").size() == 1);
}

TEST_CASE("without an address, or where Telegram refuses it, the run ends for good", "[telegram]") {
    Bot bot(true);
    SECTION("no address") {
        bot.begin(R"({"instance":"chat"})");
    }
    SECTION("a host without webhooks") {
        Bot old(true, PARLEY_HOST_INBOUND);
        old.begin(R"({"instance":"chat","inbound":{"url":"https://agent.example/hooks/chat"}})");
        CHECK(old.call(old.run).answer()["code"].text() == "unsupported");
        bot.begin(R"({"instance":"chat","inbound":{}})");
    }
    SECTION("an address that Telegram does not take") {
        bot.begin(R"({"instance":"chat","inbound":{"url":"https://agent.example/hooks/chat"}})");
        bot.give("setWebhook",
                 R"({"ok":false,"error_code":400,"description":"Bad Request: bad webhook"})", 400);
    }
    CHECK(bot.call(bot.run).status == PARLEY_E_INVALID);
    CHECK_FALSE(bot.call(bot.run).answer()["retryable"].boolean(true));
}

TEST_CASE("Telegram is asked from time to time whether the address is still there", "[telegram]") {
    Bot bot(true);
    bot.connect();
    auto ask = [&](std::string_view info) {
        bot.advance(std::chrono::minutes(5));
        bot.give("getWebhookInfo", info);
    };
    auto const states = [&] { return bot.call(bot.run).items("state").size(); };
    auto const before = states();
    ask(R"({"url":"https://agent.example/hooks/chat","pending_update_count":0})");
    ask(R"({"url":"https://agent.example/hooks/chat","pending_update_count":0,"last_error_message":"old"})");
    CHECK(states() == before);
    ask(R"({"url":"https://agent.example/hooks/chat","pending_update_count":3,"last_error_message":"Connection refused"})");
    CHECK(bot.state() == "disconnected: Telegram cannot deliver: Connection refused");
    ask(R"({"url":"https://agent.example/hooks/chat","pending_update_count":0,"last_error_message":"Connection refused"})");
    CHECK(bot.state() == "connected: @bot by webhook");
    ask(R"({"url":""})");
    CHECK(bot.state().find("take_over") != std::string::npos);
    CHECK(bot.count("setWebhook") == 1);
    // A failure of the question says nothing.
    bot.advance(std::chrono::minutes(5));
    bot.give("getWebhookInfo", R"({"ok":false,"error_code":502,"description":"Bad Gateway"})", 502);
    CHECK_FALSE(bot.call(bot.run).ended());
    bot.advance(std::chrono::minutes(5));
    bot.give("getWebhookInfo", R"({"ok":false,"error_code":401,"description":"Unauthorized"})",
             401);
    CHECK(bot.call(bot.run).ended());
}

TEST_CASE("with take_over an address that another has set is set back", "[telegram]") {
    Bot bot(true, "", true);
    bot.connect();
    bot.advance(std::chrono::minutes(5));
    bot.give("getWebhookInfo", R"({"url":"https://other.example/"})");
    bot.give("setWebhook");
    CHECK(bot.count("setWebhook") == 2);
    CHECK(bot.state() == "connected: @bot by webhook");
}

TEST_CASE("an error of Telegram's server is tried again", "[telegram]") {
    Bot bot(true);
    bot.begin(R"({"instance":"chat","inbound":{"url":"https://agent.example/hooks/chat"}})");
    bot.give("setWebhook", R"({"ok":false,"error_code":502,"description":"Bad Gateway"})", 502);
    CHECK(bot.call(bot.run).answer()["retryable"].boolean());
}

TEST_CASE("back at polling a webhook of this channel's own is removed, and no other",
          "[telegram]") {
    Bot bot(false);
    bot.store["webhook"] = url;
    bot.begin(R"({"instance":"chat"})");
    SECTION("its own") {
        bot.give("getWebhookInfo", R"({"url":"https://agent.example/hooks/chat"})");
        bot.give("deleteWebhook");
    }
    SECTION("another's") {
        bot.give("getWebhookInfo", R"({"url":"https://other.example/"})");
    }
    CHECK(bot.last() == "getUpdates");
    CHECK(bot.store.empty());
    CHECK(bot.state() == "connected: @bot");
}
