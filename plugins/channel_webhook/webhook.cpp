// The webhook channel: a signed request is a message, an answer is a signed request. The host
// verifies what comes and signs what leaves; no key is ever here. A sender hears 200 when its
// message is durable, and not before, so that what it does not hear of it may send again.
#include "incoming.hpp"
#include "parley/plugin.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <stdexcept>

namespace webhook {
namespace {

using namespace std::chrono_literals;
using parley::Call;
using parley::Emit;
using parley::Failure;
using parley::Host;
using parley::Json;
using parley::json_of;
using parley::JsonWriter;
using parley::WebhookRequest;

constexpr auto answer_time = 20s;
constexpr std::uint64_t answer_bytes_most = 64 * 1024;  // read, and not looked at
constexpr std::int64_t day_s = 86400;

// Headers as Standard Webhooks has them.
constexpr auto id_header = "webhook-id", time_header = "webhook-timestamp",
               signature_header = "webhook-signature";

std::string seconds_now() {
    auto const now = std::chrono::system_clock::now().time_since_epoch();
    return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(now).count());
}

// Seconds alone; a date says the same less plainly.
std::int64_t retry_after_ms(std::string_view text) {
    if (text.empty() || text.size() > 6 || text.find_first_not_of("0123456789") != text.npos)
        return 0;
    return std::min<std::int64_t>(std::stoll(std::string(text)), day_s) * 1000;
}

class Webhook final : public parley::Channel {
public:
    Webhook(Host& host, Json const& config) : host_(host), reply_url_(config["reply_url"].text()) {
        if (reply_url_.empty()) throw std::runtime_error("config.reply_url is no address");
    }

    void run(Call call, Json request) override {
        if (run_.is_open()) return call.fail("invalid", "the channel runs already");
        run_ = std::move(call);
        waiting_.clear();
        is_paused_ = false;
        run_.on_cancel([this] { finish({"cancelled", "the channel was stopped"}); });
        run_.on_ack([this](std::string_view cursor) { waiting_.acknowledged(cursor); });
        run_.on_resume([this] { is_paused_ = false; });
        parley::WebhookCallbacks callbacks;
        callbacks.on_request = [this](WebhookRequest one) { hear(std::move(one)); };
        callbacks.on_closed = [this](Failure const& why) {
            finish({why.code, why.message, why.code != "denied"});
        };
        auto const listening = host_.webhooks(run_, std::move(callbacks));
        if (!listening.is_open()) return;
        auto const url = request["inbound"]["url"].text("an address without a public_url");
        run_.emit(json_of("type", "state", "state", "connected", "detail", url));
    }

    void send(Call call, Json request) override {
        JsonWriter body;
        body.begin('{').pair("type", "message").pair("id", request["id"].text());
        body.pair("conversation", request["conversation"].text());
        body.pair("text", request["text"].text());
        body.pair("markdown", request["markdown"].boolean());
        body.pair("notice", request["notice"].boolean());
        parley::HttpRequest out;
        out.method = "POST";
        out.url = reply_url_;
        out.timeout = answer_time;
        out.max_bytes = answer_bytes_most;
        out.headers = {{"Content-Type", "application/json"},
                       {id_header, std::string(request["id"].text())},
                       {time_header, seconds_now()}};
        out.inject.push_back({.slot = std::string("header:") + signature_header,
                              .secret = "secret",
                              .prefix = "v1,",
                              .encode = "hmac-sha256-base64",
                              .signed_text = "{webhook-id}.{webhook-timestamp}.{body}",
                              .key = "base64"});
        auto const one = std::make_shared<Sending>();
        one->call = std::move(call);
        parley::HttpCallbacks callbacks;
        callbacks.on_head = [one](parley::HttpHead const& head) {
            one->status = head.status;
            one->retry_after_ms = retry_after_ms(head.header("retry-after"));
        };
        callbacks.on_done = [one] { one->answered(); };
        callbacks.on_failed = [one](Failure const& why) { one->failed(why); };
        host_.http(one->call, out, body.end('}').text(), std::move(callbacks));
    }

private:
    // A message on its way out. Its id is the key by which the other side knows it again, so one
    // that may have arrived is sent again all the same: `sent` says so.
    struct Sending {
        Call call;
        int status = 0;
        std::int64_t retry_after_ms = 0;

        void answered() {
            if (status >= 200 && status < 300) return call.complete_ok(json_of("parts", 1));
            Failure why;
            why.message = "the receiver answers " + std::to_string(status);
            why.sent = false;
            why.code = status >= 500 ? "peer" : "denied";
            if (status == 410) why.message += ": it wants no more";
            if (status == 429) why.code = "rate";
            why.retryable = status >= 500 || status == 408 || status == 425 || status == 429;
            if (why.retryable) why.retry_after_ms = retry_after_ms;
            call.fail(why);
        }
        void failed(Failure why) {
            if (why.code == "limit" && why.sent == false) why.retryable = true;
            why.sent = false;
            call.fail(why);
        }
    };

    void hear(WebhookRequest request) {
        auto const incoming = incoming_from(Json::parse(request.body()), request.header(id_header));
        if (!incoming.wrong.empty()) return request.answer(400, incoming.wrong);
        // While the host is behind, the other side keeps it.
        if (is_paused_) return request.refuse_for_now();
        auto const cursor = std::to_string(++last_);
        auto const emitted = run_.emit(with_cursor(incoming.item, cursor));
        if (emitted == Emit::refused) return request.refuse_for_now();
        is_paused_ = emitted == Emit::pause;
        waiting_.hold(cursor, std::move(request));
    }

    void finish(Failure const& why) {
        waiting_.clear();
        run_.emit(json_of("type", "state", "state", "disconnected", "detail", why.message));
        run_.fail(why);
    }

    Host& host_;
    std::string const reply_url_;
    Call run_;
    parley::UntilDurable waiting_;
    std::uint64_t last_ = 0;  // cursors, which mean something in this life alone
    bool is_paused_ = false;
};

}  // namespace
}  // namespace webhook

PARLEY_PLUGIN(webhook::Webhook)
