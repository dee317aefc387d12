#include "exchange.hpp"

#include <algorithm>
#include <stdexcept>

namespace model_wire {

using parley::Call;
using parley::Emit;
using parley::Failure;
using parley::Host;
using parley::HttpHead;
using parley::HttpRequest;
using parley::Json;
using parley::json_of;
using parley::JsonWriter;

namespace {

constexpr std::size_t answer_bytes = 8u << 20;       // twice what the host takes
constexpr std::size_t state_bytes = 256 * 1024;      // of the contract
constexpr std::size_t line_bytes_most = 1u << 20;    // of one line of an answer in lines
constexpr std::size_t whole_bytes_most = 8u << 20;   // of an answer that is not streamed
constexpr std::size_t error_bytes_most = 16 * 1024;  // kept of an error's body
constexpr std::size_t list_bytes_most = 4u << 20;
constexpr std::size_t models_most = 5000;

}  // namespace

Failure too_large() {
    return {"limit", "the request is larger than " + std::to_string(request_bytes_most) + " bytes",
            false, 0, std::nullopt};
}

Settings settings_from(Json const& config, std::string_view usual_url) {
    Settings out;
    out.base_url = config["base_url"].text(usual_url);
    while (out.base_url.ends_with('/')) out.base_url.pop_back();
    out.timeout = std::chrono::seconds(config["timeout_s"].integer(600));
    bool const url = out.base_url.starts_with("https://") || out.base_url.starts_with("http://");
    bool const plain = out.base_url.find_first_of("?#") == std::string::npos;
    if (!url || !plain) throw std::runtime_error("config.base_url is not a plain URL");
    return out;
}

std::int64_t count_at(Json const& value, std::initializer_list<std::string_view> path) {
    Json at = value;
    for (auto const key : path) at = at[key];
    return std::max<std::int64_t>(at.integer(-1), -1);
}

std::string usage_item(Usage const& usage) {
    JsonWriter out;
    out.begin('{').pair("type", "usage").pair("input", usage.input).pair("output", usage.output);
    if (usage.cache_read >= 0) out.pair("cache_read", usage.cache_read);
    if (usage.cache_write >= 0) out.pair("cache_write", usage.cache_write);
    if (usage.reasoning >= 0) out.pair("reasoning", usage.reasoning);
    return out.end('}').take();
}

void add_state(std::string_view value, std::vector<std::string>& items) {
    if (value.size() <= state_bytes) items.push_back(json_of("type", "state", "value", value));
}

bool Reader::garbage(std::string why) {
    why_ = std::move(why);
    return false;
}

bool Reader::grow(std::size_t bytes) {
    bytes_ += bytes;
    return bytes_ <= answer_bytes ||
           garbage("the answer is larger than " + std::to_string(answer_bytes) + " bytes");
}

bool Reader::say(char const* type, std::string_view text, std::vector<std::string>& items) {
    if (text.empty()) return true;
    if (!grow(text.size())) return false;
    items.push_back(json_of("type", type, "text", text));
    return true;
}

void Exchange::begin() {
    call_.on_cancel([self = shared_from_this()] {
        self->call_.fail("cancelled", "the request was cancelled");
    });
    again();
}

void Exchange::ask(bool with_key) {
    HttpRequest asked = request();
    if (asked.timeout.count() == 0) asked.timeout = settings_.timeout;
    asked.headers.insert(asked.headers.end(), settings_.headers.begin(), settings_.headers.end());
    if (with_key) asked.inject.push_back(settings_.key);
    head_ = {};
    error_.clear();
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

void Exchange::data(std::string_view bytes) {
    if (has_begun()) return on_data(bytes);
    error_ += bytes.substr(0, error_bytes_most - error_.size());
}

void Exchange::done() {
    if (has_begun()) return on_whole();
    Failure failure = failure_of(head_, error_);
    if (failure.code == "auth" && settings_.has_no_key) {
        failure.message += " (no secret api_key is bound)";
    }
    fail(failure);
}

void Exchange::broken(Failure const& failure, bool with_key) {
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

namespace {

class Generation final : public Exchange {
public:
    Generation(Host& host, Settings& settings, Call call, std::string path, std::string body,
               std::unique_ptr<Reader> reader)
        : Exchange(host, settings, std::move(call)),
          path_(std::move(path)),
          body_(std::move(body)),
          reader_(std::move(reader)) {}

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
        out.url = settings_.base_url + path_;
        out.headers = {{"Content-Type", "application/json"},
                       {"Accept", "text/event-stream, application/json"}};
        out.events = !reader_->reads_lines();
        if (reader_->reads_lines()) out.headers.back().second = "application/x-ndjson";
        return out;
    }
    std::string_view body() const override { return body_; }

    void on_event(parley::ServerEvent const& event) override {
        if (event.event == "error") return fail(failure_in_stream(event.data));
        take(event.data);
    }
    // Lines, or a server that does not stream, though it was asked to.
    void on_data(std::string_view bytes) override {
        if (reader_->reads_lines()) return on_lines(bytes);
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
    void on_lines(std::string_view bytes) {
        auto const self = shared_from_this();
        while (!end_ && !bytes.empty()) {
            auto const size = bytes.find('\n');
            auto const part = bytes.substr(0, size);
            if (whole_.size() + part.size() > line_bytes_most) {
                return fail(peer_failure("a line of the answer is larger than " +
                                         std::to_string(line_bytes_most) + " bytes"));
            }
            whole_ += part;
            if (size == bytes.npos) return;
            bytes.remove_prefix(size + 1);
            std::string const line = std::exchange(whole_, {});
            if (line.find_first_not_of(" \r\t") != line.npos) take(line);
        }
    }
    void on_broken(Failure const& failure) override {
        if (reader_->is_complete()) return finish();
        if (has_begun() && failure.code == "peer") return cut_off(failure.message);
        fail(failure);
    }

    void take(std::string_view data) {
        if (end_ || data.empty()) return;
        std::vector<std::string> items;
        auto const took = reader_->take(data, items);
        for (auto& item : items) waiting_.push_back(std::move(item));
        if (took == Reader::Took::error) return fail(failure_in_stream(data));
        if (took == Reader::Took::garbage) return fail(peer_failure(reader_->why()));
        // Whatever would follow the mark is no part of the answer.
        if (took == Reader::Took::done) return finish();
        tell_on();
    }

    void finish() {
        if (end_) return;
        if (!reader_->is_complete()) return cut_off("the server stopped in the middle");
        if (std::string next = reader_->next_body(); !next.empty()) return go_on(std::move(next));
        std::vector<std::string> items;
        if (!reader_->finish(items)) return fail(peer_failure(reader_->why()));
        for (auto& item : items) waiting_.push_back(std::move(item));
        end(std::nullopt);
    }
    void go_on(std::string next) {
        operation_.stop();
        body_ = std::move(next);
        whole_.clear();
        tell_on();
        if (body_.size() <= request_bytes_most) return again();
        fail(too_large());
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
        reader_->add_usage(items);
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
        if (*end_)
            call_.fail(**end_);
        else
            call_.complete_ok();
    }

    std::string path_, body_;
    std::unique_ptr<Reader> reader_;
    std::string whole_;
    std::deque<std::string> waiting_;
    bool is_paused_ = false;
    // Set when the answer has ended, well or with a failure; told when nothing waits.
    std::optional<std::optional<Failure>> end_;
};

class Listing final : public Exchange {
public:
    Listing(Host& host, Settings& settings, Call call, std::string path)
        : Exchange(host, settings, std::move(call)), path_(std::move(path)) {}

private:
    HttpRequest request() const override {
        HttpRequest out;
        out.url = settings_.base_url + path_;
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
            for (auto const* key : {"context_length", "max_model_len", "max_input_tokens"}) {
                auto const context = model[key].integer();
                if (context <= 0) continue;
                out.pair("context_tokens", context);
                break;
            }
            auto const most = model["max_tokens"].integer();
            if (most > 0) out.pair("max_output_tokens", most);
            out.end('}');
        }
        call_.complete_ok(out.end(']').end('}').take());
    }

    std::string path_, whole_;
};

}  // namespace

void generate(Host& host, Settings& settings, Call call, std::string path, std::string body,
              std::unique_ptr<Reader> reader) {
    if (body.size() > request_bytes_most) return call.fail(too_large());
    auto generation = std::make_shared<Generation>(host, settings, std::move(call), std::move(path),
                                                   std::move(body), std::move(reader));
    generation->listen();
    generation->begin();
}

void list_models(Host& host, Settings& settings, Call call, std::string path) {
    std::make_shared<Listing>(host, settings, std::move(call), std::move(path))->begin();
}

}  // namespace model_wire
