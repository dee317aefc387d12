// A channel that does what a webhook says: {"do": …}. Its answers show what it was told.
#include <parley/plugin.hpp>

#include <cstdlib>
#include <map>
#include <string>

class Hearer final : public parley::Channel {
public:
    Hearer(parley::Host& host, parley::Json const&) : host_(host) {}

    void run(parley::Call call, parley::Json request) override {
        run_ = std::move(call);
        run_.on_ack([this](std::string_view cursor) { waiting_.acknowledged(cursor, 202); });
        run_.on_cancel([this] {
            waiting_.clear();
            kept_.clear();
            run_.fail("cancelled", "as asked");
        });
        parley::WebhookCallbacks callbacks;
        callbacks.on_request = [this](parley::WebhookRequest one) { hear(std::move(one)); };
        callbacks.on_gone = [this](std::uint64_t number) {
            host_.log(PARLEY_LOG_WARN, "gone: " + std::to_string(number));
            kept_.erase(number);
        };
        callbacks.on_closed = [this](parley::Failure const& why) {
            run_.fail(why.code, why.message, false);
        };
        if (!host_.webhooks(run_, std::move(callbacks)).is_open()) return;
        run_.emit(parley::json_of("type", "state", "state", "connected", "detail",
                                  request["inbound"]["url"].text("no url")));
    }

    void send(parley::Call call, parley::Json) override { call.complete_ok(); }

private:
    void hear(parley::WebhookRequest one) {
        auto const told = parley::Json::parse(one.body());
        auto const what = told["do"].text();
        if (what == "die") std::abort();
        if (what == "keep") return void(kept_.emplace(one.number(), std::move(one)));
        if (what == "drop") return;
        if (what == "status")
            return one.answer(static_cast<int>(told["status"].integer()), told["body"].text(),
                              told["type"].text("text/plain"));
        if (what == "say") {
            auto const cursor = "c" + std::to_string(one.number());
            run_.emit(parley::json_of(
                "type", "message", "conversation", told["sender"], "sender",
                parley::JsonRaw{R"({"ids":[)" + std::string(told["sender"].raw()) + "]}"}, "text",
                told["text"], "private", true, "id", told["id"], "cursor", cursor));
            return waiting_.hold(cursor, std::move(one));
        }
        auto const echo =
            parley::json_of("body", one.body(), "event", one.header("x-event"), "other",
                            one.header("x-other"), "authorization", one.header("authorization"));
        one.answer(200, echo, "application/json");
    }

    parley::Host& host_;
    parley::Call run_;
    parley::UntilDurable waiting_;
    std::map<std::uint64_t, parley::WebhookRequest> kept_;
};

PARLEY_PLUGIN(Hearer)
