// A plugin with every good and bad habit that the author's layer has to bear. The skill's name says
// which one the test wants to see.
#include "parley/plugin.hpp"

#include <stdexcept>
#include <thread>

namespace {

using namespace std::chrono_literals;
using parley::Call;
using parley::Emit;
using parley::Failure;
using parley::Host;
using parley::Json;
using parley::json_of;

class Layer final : public parley::Skill, public parley::Channel {
public:
    Layer(Host& host, Json const& config) : host_(host) {
        if (config["refuse"].boolean()) throw std::runtime_error("the config says refuse");
    }
    ~Layer() override {
        if (thread_.joinable()) thread_.join();
    }

    void invoke(Call call, Json request) override {
        std::string const what(request["skill"].text());
        if (what == "throw") throw std::runtime_error("boom");
        if (what == "throw oddly") throw 42;
        if (what == "drop") return;
        if (what == "twice") {
            call.complete_ok();
            call.fail("peer", "too late");
            return;
        }
        if (what == "too large")
            return call.complete_ok(json_of("content", std::string(33u << 20, 'x')));
        if (what == "fail") {
            return call.fail(
                {.code = "rate", .message = "slow", .retryable = true, .retry_after_ms = 1500});
        }
        if (what == "echo") return call.complete_ok(request["arguments"].raw());
        if (what == "emit") return emit_all(std::move(call));
        auto shared = std::make_shared<Call>(std::move(call));
        if (what == "thread") {
            thread_ = std::thread([shared] { shared->complete_ok(json_of("from", "thread")); });
        } else if (what == "http") {
            fetch(shared);
        } else if (what == "http throw") {
            host_.http(*shared, {.url = "https://example.org"}, "",
                       {.on_head = [](parley::HttpHead const&) {
                           throw std::runtime_error("in a callback");
                       }});
            kept_ = shared;
        } else if (what == "timer") {
            host_.timer(*shared, 100ms, [shared] { shared->complete_ok(); });
        } else if (what == "timer and end") {
            host_.timer(*shared, 100ms, [] {});
            shared->complete_ok();
        } else if (what == "ws") {
            talk(shared);
        } else if (what == "webhooks") {
            hear(shared);
        } else if (what == "kv") {
            count(shared);
        } else if (what == "wait for cancel") {
            shared->on_cancel(
                [shared] { shared->complete_ok(json_of("cancelled", shared->is_cancelled())); });
        }
    }

    void run(Call call, Json) override {
        auto shared = std::make_shared<Call>(std::move(call));
        auto stream = std::make_shared<parley::Stream>();
        shared->on_ack([shared](std::string_view cursor) {
            shared->emit(json_of("type", "acked", "cursor", cursor));
        });
        *stream = host_.stream(*shared, "irc.example", 6697, true, {
            .on_open = [stream](std::string_view) {
                stream->write("PASS pw\r\n", {{.slot = "stream:pw", .secret = "password"}});
            },
            .on_data = [shared](std::string_view bytes) {
                shared->emit(json_of("type", "message", "text", bytes));
            },
            .on_closed = [shared](std::optional<Failure> const& why) {
                shared->fail(why ? why->code : "peer", why ? why->message : "closed", true);
            }});
    }
    void send(Call call, Json) override { call.complete_ok(json_of("parts", 1)); }
    void typing(Call call, Json) override { call.complete_ok(); }

private:
    void emit_all(Call call) {
        for (int i = 0; i < 3; ++i) {
            if (call.emit(json_of("type", "n", "n", i)) == Emit::taken) continue;
            auto shared = std::make_shared<Call>(std::move(call));
            shared->on_resume([shared] { shared->complete_ok(json_of("resumed", true)); });
            return;
        }
        call.complete_ok();
    }

    void fetch(std::shared_ptr<Call> const& call) {
        auto body = std::make_shared<std::string>();
        host_.http(
            *call,
            {.method = "POST",
             .url = "https://example.org/x",
             .headers = {{"A", "b"}},
             .events = true,
             .inject = {{.slot = "header:Authorization", .secret = "key", .prefix = "Bearer "}}},
            "body",
            {.on_head =
                 [body](parley::HttpHead const& head) {
                     *body +=
                         std::to_string(head.status) + std::string(head.header("content-type"));
                 },
             .on_data = [body](std::string_view bytes) { *body += bytes; },
             .on_event = [body](parley::ServerEvent const& event) { *body += event.data; },
             .on_done = [call, body] { call->complete_ok(json_of("body", *body)); },
             .on_failed = [call](Failure const& failure) { call->fail(failure); }});
    }

    // Greets, echoes what it hears, and leaves at "bye".
    void talk(std::shared_ptr<Call> const& call) {
        auto socket = std::make_shared<parley::WebSocket>();
        *socket = host_.ws(
            *call,
            {.url = "wss://socket.example/x",
             .headers = {{"A", "b"}},
             .subprotocols = {"talk.1"},
             .max_bytes = 1000,
             .inject = {{.slot = "query:key", .secret = "key"}}},
            {.on_open =
                 [socket](std::string_view subprotocol) {
                     socket->write_text(json_of("spoken", subprotocol, "token", ""),
                                        {{.slot = "body:/token", .secret = "key"}});
                 },
             .on_text =
                 [socket, call](std::string_view text) {
                     socket->write_text(text);
                     if (text != "bye") return;
                     socket->close(4001, "so long");
                     call->complete_ok(json_of("open", socket->is_open()));
                 },
             .on_binary = [socket](std::string_view bytes) { socket->write_binary(bytes); },
             .on_closed =
                 [call](int code, std::string_view reason) {
                     call->complete_ok(json_of("code", code, "reason", reason));
                 },
             .on_failed = [call](Failure const& why) { call->fail(why); }});
    }

    void hear(std::shared_ptr<Call> const& call) {
        host_.webhooks(*call, {.on_request =
                                   [](parley::WebhookRequest one) {
                                       if (one.body() == "drop") return;
                                       if (one.body() == "later") return one.refuse_for_now(9s);
                                       if (one.body() == "large")
                                           return one.answer(201, std::string(20'000, 'x'));
                                       one.answer(201, std::string(one.body()) +
                                                           std::string(one.header("x-event")));
                                   },
                               .on_gone =
                                   [call](std::uint64_t number) {
                                       call->emit(json_of("type", "gone", "n", number));
                                   },
                               .on_closed = [call](Failure const& why) { call->fail(why); }});
    }

    void count(std::shared_ptr<Call> const& call) {
        host_.kv_get(*call, "count", [this, call](parley::KvAnswer const& answer) {
            std::string const next = answer.value ? *answer.value + "I" : "I";
            host_.kv_put(*call, "count", next, [call, next](parley::KvAnswer const& put) {
                if (put.failure) return call->fail(*put.failure);
                call->complete_ok(json_of("count", next));
            });
        });
    }

    Host& host_;
    std::shared_ptr<Call> kept_;
    std::thread thread_;
};

}  // namespace

PARLEY_PLUGIN(Layer)
