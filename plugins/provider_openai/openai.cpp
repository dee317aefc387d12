// A provider for every server that speaks OpenAI's Chat Completions. It never retries, stores
// nothing, and never holds the key.
#include "chat.hpp"
#include "failure.hpp"
#include "parley/plugin.hpp"

#include <deque>
#include <stdexcept>

namespace openai {
namespace {

using parley::Call;
using parley::Emit;
using parley::Failure;
using parley::Host;
using parley::HttpHead;
using parley::HttpRequest;
using parley::Json;
using parley::JsonWriter;

constexpr std::size_t request_bytes_most = 16u << 20;
constexpr std::size_t whole_bytes_most = 8u << 20;    // of an answer that is not streamed
constexpr std::size_t error_bytes_most = 16 * 1024;   // kept of an error's body
constexpr std::size_t list_bytes_most = 4u << 20;
constexpr std::size_t models_most = 5000;

struct Settings {
    std::string base_url, max_tokens_field;
    std::chrono::seconds timeout;
    // The host said that no key is bound, as is usual for a server of one's own.
    bool has_no_key = false;
};

// One request on its way: sends it with the key, or without one where there is none, and gives the
// body to whoever derives from it. It lives in the callbacks of its call, and goes with its end.
class Exchange : public std::enable_shared_from_this<Exchange> {
public:
    Exchange(Host& host, Settings& settings, Call call)
        : host_(host), settings_(settings), call_(std::move(call)) {}
    virtual ~Exchange() = default;

    void begin() {
        call_.on_cancel([self = shared_from_this()] {
            self->call_.fail("cancelled", "the request was cancelled");
        });
        ask(!settings_.has_no_key);
    }

protected:
    virtual HttpRequest request() const = 0;
    virtual std::string_view body() const { return {}; }
    virtual void on_data(std::string_view bytes) = 0;
    virtual void on_event(parley::ServerEvent const&) {}
    virtual void on_whole() = 0;
    // The answer broke off, or never began.
    virtual void on_broken(Failure const& failure) { call_.fail(failure); }
    virtual void fail(Failure const& failure) { call_.fail(failure); }

    bool has_begun() const { return head_.status >= 200 && head_.status < 300; }

    Host& host_;
    Settings& settings_;
    Call call_;
    parley::Operation operation_;

private:
    void ask(bool with_key) {
        HttpRequest asked = request();
        asked.timeout = settings_.timeout;
        if (with_key) {
            asked.inject.push_back({.slot = "header:Authorization", .secret = "api_key",
                                    .prefix = "Bearer "});
        }
        parley::HttpCallbacks callbacks;
        auto self = shared_from_this();
        callbacks.on_head = [self](HttpHead const& head) { self->head_ = head; };
        callbacks.on_data = [self](std::string_view bytes) { self->data(bytes); };
        callbacks.on_event = [self](parley::ServerEvent const& event) { self->on_event(event); };
        callbacks.on_done = [self] { self->done(); };
        callbacks.on_failed = [self, with_key](Failure const& failure) {
            self->broken(failure, with_key);
        };
        operation_ = host_.http(call_, asked, body(), std::move(callbacks));
    }

    void data(std::string_view bytes) {
        if (has_begun()) return on_data(bytes);
        error_ += bytes.substr(0, error_bytes_most - error_.size());
    }

    void done() {
        if (has_begun()) return on_whole();
        Failure failure = failure_of(head_, error_);
        if (failure.code == "auth" && settings_.has_no_key) {
            failure.message += " (no secret api_key is bound)";
        }
        fail(failure);
    }

    void broken(Failure const& failure, bool with_key) {
        bool const nothing_left = failure.sent && !*failure.sent && head_.status == 0;
        if (with_key && nothing_left && failure.code == "denied") {
            // Either there is no key, or the rules say no to the place; the second attempt tells.
            settings_.has_no_key = true;
            return ask(false);
        }
        if (failure.code == "denied") settings_.has_no_key = false;
        if (head_.status == 0 || has_begun()) return on_broken(failure);
        fail(failure_of(head_, error_));
    }

    HttpHead head_;
    std::string error_;
};

class Generation final : public Exchange {
public:
    Generation(Host& host, Settings& settings, Call call, std::string body, Names names)
        : Exchange(host, settings, std::move(call)), body_(std::move(body)),
          answer_(std::move(names)) {}

    void listen() {
        call_.on_resume([self = shared_from_this(), this] {
            is_paused_ = false;
            tell_on();
        });
    }

private:
    HttpRequest request() const override {
        HttpRequest out;
        out.method = "POST";
        out.url = settings_.base_url + "/chat/completions";
        out.headers = {{"Content-Type", "application/json"},
                       {"Accept", "text/event-stream, application/json"}};
        out.events = true;
        return out;
    }
    std::string_view body() const override { return body_; }

    void on_event(parley::ServerEvent const& event) override {
        if (event.event == "error") return fail(failure_in_stream(event.data));
        take(event.data);
    }
    // The server does not stream, though it was asked to.
    void on_data(std::string_view bytes) override {
        if (whole_.size() + bytes.size() > whole_bytes_most) {
            return fail(peer_failure("the answer is larger than " +
                                     std::to_string(whole_bytes_most) + " bytes"));
        }
        whole_ += bytes;
    }
    void on_whole() override {
        if (!whole_.empty()) take(whole_);
        finish();
    }
    void on_broken(Failure const& failure) override {
        if (answer_.is_complete()) return finish();
        if (has_begun() && failure.code == "peer") return cut_off(failure.message);
        fail(failure);
    }

    void take(std::string_view data) {
        if (end_ || data.empty()) return;
        std::vector<std::string> items;
        auto const took = answer_.take(data, items);
        for (auto& item : items) waiting_.push_back(std::move(item));
        if (took == Answer::Took::error) return fail(failure_in_stream(data));
        if (took == Answer::Took::garbage) return fail(peer_failure(answer_.why()));
        // Whatever would follow the mark is no part of the answer.
        if (took == Answer::Took::done) return finish();
        tell_on();
    }

    void finish() {
        if (end_) return;
        if (!answer_.is_complete()) return cut_off("the server stopped in the middle");
        std::vector<std::string> items;
        if (!answer_.finish(items)) return fail(peer_failure(answer_.why()));
        for (auto& item : items) waiting_.push_back(std::move(item));
        end(std::nullopt);
    }
    static Failure peer_failure(std::string why) {
        return {"peer", std::move(why), false, 0, std::nullopt};
    }
    void cut_off(std::string const& why) {
        fail({"cut_off", "the answer broke off: " + why, true, 0, std::nullopt});
    }
    void fail(Failure const& failure) override {
        if (end_) return;
        std::vector<std::string> items;
        answer_.add_usage(items);
        for (auto& item : items) waiting_.push_back(std::move(item));
        end(failure);
    }
    void end(std::optional<Failure> failure) {
        end_ = std::move(failure);
        operation_.stop();
        tell_on();
    }

    // While the host takes no more, what it has to be told waits; the answer's size bounds it.
    void tell_on() {
        auto const self = shared_from_this();
        while (!is_paused_ && !waiting_.empty()) {
            std::string const item = std::move(waiting_.front());
            waiting_.pop_front();
            Emit const answer = call_.emit(item);
            if (answer == Emit::refused) {
                return call_.fail("internal", "the host refused an item of the answer");
            }
            is_paused_ = answer == Emit::pause;
        }
        if (!end_ || !waiting_.empty()) return;
        if (*end_) call_.fail(**end_);
        else call_.complete_ok();
    }

    std::string body_;
    Answer answer_;
    std::string whole_;
    std::deque<std::string> waiting_;
    bool is_paused_ = false;
    // Set when the answer has ended, well or with a failure; told when nothing waits.
    std::optional<std::optional<Failure>> end_;
};

class Listing final : public Exchange {
public:
    using Exchange::Exchange;

private:
    HttpRequest request() const override {
        HttpRequest out;
        out.url = settings_.base_url + "/models";
        out.headers = {{"Accept", "application/json"}};
        out.max_bytes = list_bytes_most;
        return out;
    }
    void on_data(std::string_view bytes) override {
        if (whole_.size() + bytes.size() <= list_bytes_most) whole_ += bytes;
    }
    void on_whole() override {
        Json const answer = Json::parse(whole_);
        Json const list = answer["data"];
        if (!list.is_array()) {
            return call_.fail("peer", "the list of models is not what the wire says");
        }
        JsonWriter out;
        out.begin('{').key("models").begin('[');
        std::size_t count = 0;
        for (Json const model : list) {
            if (model["id"].text().empty() || ++count > models_most) continue;
            out.begin('{').pair("id", model["id"].text());
            auto const context = model["context_length"].integer(model["max_model_len"].integer());
            if (context > 0) out.pair("context_tokens", context);
            out.end('}');
        }
        call_.complete_ok(out.end(']').end('}').take());
    }

    std::string whole_;
};

class OpenAi final : public parley::Provider {
public:
    OpenAi(Host& host, Json const& config) : host_(host) {
        settings_.base_url = config["base_url"].text("https://api.openai.com/v1");
        while (settings_.base_url.ends_with('/')) settings_.base_url.pop_back();
        settings_.max_tokens_field = config["max_tokens_field"].text("max_completion_tokens");
        settings_.timeout = std::chrono::seconds(config["timeout_s"].integer(600));
        bool const url = settings_.base_url.starts_with("https://") ||
                         settings_.base_url.starts_with("http://");
        bool const plain = settings_.base_url.find_first_of("?#") == std::string::npos;
        if (!url || !plain) throw std::runtime_error("config.base_url is not a plain URL");
    }

    void generate(Call call, Json request) override {
        if (request["model"].text().empty()) return call.fail("invalid", "no model is named");
        if (request["messages"].size() == 0) return call.fail("invalid", "there is no message");
        Names names = names_in(request);
        std::string body = body_for(request, names, settings_.max_tokens_field);
        if (body.size() > request_bytes_most) {
            return call.fail("limit", "the request is larger than " +
                                          std::to_string(request_bytes_most) + " bytes");
        }
        auto generation = std::make_shared<Generation>(host_, settings_, std::move(call),
                                                       std::move(body), std::move(names));
        generation->listen();
        generation->begin();
    }

    void list_models(Call call, Json) override {
        std::make_shared<Listing>(host_, settings_, std::move(call))->begin();
    }

private:
    Host& host_;
    Settings settings_;
};

}  // namespace
}  // namespace openai

PARLEY_PLUGIN(openai::OpenAi)
