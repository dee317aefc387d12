#include "channel/channel.hpp"

#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"

#include <boost/json/value.hpp>

#include <algorithm>

namespace parley {

namespace {

constexpr std::size_t detail_bytes = 512;
constexpr std::size_t parts_most = 256;

// The data of a button, as the host makes them.
bool is_code(std::string_view text) {
    return !text.empty() && text.size() <= 48 &&
           text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789_-") == std::string_view::npos;
}

// How long a failure asks to wait. Whatever a plugin says, it is a time that can be added to another.
std::chrono::milliseconds asked_pause(json::value const& failure) {
    constexpr auto most = std::chrono::milliseconds(limits::send_asked_most).count();
    return std::chrono::milliseconds(
        std::clamp<std::int64_t>(int_at(failure, "retry_after_ms"), 0, most));
}

// What a plugin said, checked before anybody believes it.
Result<Inbound> message_from(InstanceName const& instance, json::value const& value) {
    Inbound message;
    message.instance = instance;
    message.conversation = text_at(value, "conversation");
    auto type = text_at(value, "type");
    if (type == "press") message.kind = Inbound::Kind::press;
    if (type == "command") message.kind = Inbound::Kind::command;
    message.text = text_at(value, type == "press"     ? "data"
                                  : type == "command" ? "command"
                                                      : "text");
    message.external_id = text_at(value, "id");
    message.is_private = bool_at(value, "private");
    message.cursor = text_at(value, "cursor");
    if (auto const* sender = member(value, "sender")) {
        message.sender_name = clipped(text_at(*sender, "name"), 128);
        if (auto const* ids = member(*sender, "ids"); ids && ids->is_array())
            for (auto const& id : ids->get_array())
                if (id.is_string() && id.get_string().size() <= limits::sender_id_bytes &&
                    message.sender_ids.size() < 8)
                    message.sender_ids.emplace_back(id.get_string());
    }
    if (message.conversation.empty() || message.conversation.size() > limits::sender_id_bytes)
        return Error(Fault::bad_input, "a message without a conversation");
    if (message.sender_ids.empty()) return Error(Fault::bad_input, "a message without a sender");
    if (message.external_id.size() > limits::sender_id_bytes)
        return Error(Fault::bad_input, "a message with an id that is too long");
    if (message.cursor.size() > limits::cursor_bytes)
        return Error(Fault::bad_input, "a cursor that is too long");
    if (message.kind == Inbound::Kind::press && !is_code(message.text))
        return Error(Fault::bad_input, "a press without the data of a button");
    if (message.kind == Inbound::Kind::command && message.text != "status" &&
        message.text != "stop" && message.text != "new")
        return Error(Fault::bad_input, "a command that there is not");
    message.text = clipped(message.text, limits::message_text_bytes);
    if (message.kind == Inbound::Kind::message)
        message.attachments = attachments_in(value, "attachments");
    return message;
}

class PluginChannel final : public Channel, public std::enable_shared_from_this<PluginChannel> {
public:
    PluginChannel(Loop& loop, InstanceName name, std::shared_ptr<Worker> worker,
                  std::function<std::string()> last_cursor, Sink sink,
                  std::optional<std::string> inbound)
        : loop_(loop), name_(std::move(name)), worker_(std::move(worker)),
          last_cursor_(std::move(last_cursor)), sink_(std::move(sink)),
          inbound_(std::move(inbound)) {}

    void run() {
        if (stopped_) return;
        runs_ = true;
        JsonWriter request;
        request.begin('{').pair("instance", name_.text);
        if (auto cursor = last_cursor_(); !cursor.empty()) request.pair("cursor", cursor);
        if (inbound_) {
            request.key("inbound").begin('{');
            if (!inbound_->empty()) request.pair("url", *inbound_);
            request.end('}');
        }
        CallSink sink;
        std::weak_ptr<PluginChannel> weak = shared_from_this();
        sink.on_emit = [weak](std::string_view bytes) {
            if (auto self = weak.lock()) self->heard(bytes);
        };
        sink.on_done = [weak](Result<std::string> result) {
            if (auto self = weak.lock()) self->ended(std::move(result));
        };
        CallOptions options;
        options.emits_are_durable = true;
        change(Link::connecting, "");
        run_call_ = worker_->start(Verb::channel_run, request.end('}').take(), options, sink);
    }

    void send(Outbound message, std::function<void(SendOutcome)> done) override {
        JsonWriter request;
        request.begin('{').pair("id", message.id.text);
        request.pair("conversation", message.conversation).pair("text", message.text);
        if (message.is_notice) request.key("notice").boolean(true);
        if (message.is_markdown) request.key("markdown").boolean(true);
        if (!message.buttons.empty()) {
            request.key("buttons").begin('[').begin('[');
            for (auto const& button : message.buttons)
                request.begin('{').pair("text", button.text).pair("data", button.data).end('}');
            request.end(']').end(']');
        }
        if (!message.attachments.empty())
            write_attachments(request.key("attachments"), message.attachments);
        ask(Verb::channel_send, request.end('}').take(), std::move(done));
    }

    void edit(std::string const& conversation, std::string const& id, std::string const& text,
              std::function<void(SendOutcome)> done) override {
        JsonWriter request;
        request.begin('{').pair("conversation", conversation).pair("id", id).pair("text", text);
        ask(Verb::channel_edit, request.end('}').take(), std::move(done));
    }

    void typing(std::string const& conversation) override {
        JsonWriter request;
        request.begin('{').pair("conversation", conversation);
        ask(Verb::channel_typing, request.end('}').take(), [](SendOutcome const&) {});
    }

    void draft(std::string const& conversation, std::int64_t number,
               std::string const& text) override {
        JsonWriter request;
        request.begin('{').pair("conversation", conversation).pair("draft", number);
        request.pair("text", text);
        ask(Verb::channel_draft, request.end('}').take(), [](SendOutcome const&) {});
    }

    Link link() const override { return link_; }
    std::string const& detail() const override { return detail_; }

    void retire(std::function<void()> over) override {
        stopped_ = true;
        retry_.reset();
        last_change_.reset();
        if (runs_) {
            over_ = std::move(over);
            worker_->cancel(run_call_);
        } else {
            loop_.post(std::move(over));
        }
        worker_->retire();
    }

    void stop() override {
        stopped_ = true;
        retry_.reset();
        last_change_.reset();
        worker_->stop();
    }

private:
    void ask(Verb verb, std::string request, std::function<void(SendOutcome)> done) {
        CallSink sink;
        sink.on_done = [done = std::move(done)](Result<std::string> result) {
            done(outcome_of(result));
        };
        CallOptions options;
        options.timeout = limits::send_time;
        worker_->start(verb, std::move(request), options, std::move(sink));
    }

    static SendOutcome outcome_of(Result<std::string> const& result) {
        SendOutcome outcome;
        if (result) {
            outcome.delivered = true;
            auto told = parse_json(*result);
            if (auto const* ids = told ? member(*told, "ids") : nullptr; ids && ids->is_array())
                for (auto const& id : ids->get_array())
                    if (id.is_string() && id.get_string().size() <= limits::sender_id_bytes &&
                        outcome.ids.size() < parts_most)
                        outcome.ids.emplace_back(id.get_string());
            return outcome;
        }
        // The worker's own error carries the plugin's JSON when there was one.
        auto const& what = result.error().what;
        outcome.detail = what;
        if (auto detail = parse_json(what)) {
            outcome.left = bool_at(*detail, "sent", true);
            outcome.retryable = bool_at(*detail, "retryable");
            outcome.detail = text_at(*detail, "message", what);
            outcome.retry_after = asked_pause(*detail);
        } else if (result.error().fault == Fault::unavailable) {
            outcome.left = false;
            outcome.retryable = true;
        }
        return outcome;
    }

    void heard(std::string_view bytes) {
        auto value = parse_json(bytes);
        auto type = value ? text_at(*value, "type") : std::string_view();
        if (type == "message" || type == "press" || type == "command") {
            auto message = message_from(name_, *value);
            auto cursor = message ? message->cursor : std::string();
            auto taken = [weak = weak_from_this(), cursor, size = bytes.size(), call = run_call_] {
                if (auto self = weak.lock()) self->worker_->acknowledge(call, cursor, size);
            };
            if (message) sink_.on_message(std::move(*message), taken);
            else taken();
            return;
        }
        worker_->acknowledge(run_call_, "", bytes.size());
        if (type != "state") return;
        auto state = text_at(*value, "state");
        std::string detail(text_at(*value, "detail"));
        if (state == "connected") {
            if (link_ != Link::connected) connected_at_ = std::chrono::steady_clock::now();
            change(Link::connected, detail);
        } else {
            change(state == "connecting" ? Link::connecting : Link::disconnected, detail);
        }
    }

    void ended(Result<std::string> result) {
        runs_ = false;
        if (auto over = std::exchange(over_, {})) over();
        if (stopped_) return;
        std::string detail = result ? "the plugin ended its run" : result.error().what;
        bool permanent = false;
        // As long as the service asks for, where the plugin passes that on, within reason.
        std::chrono::milliseconds asked{0};
        if (!result)
            if (auto told = parse_json(result.error().what)) {
                permanent = !bool_at(*told, "retryable", true);
                detail = text_at(*told, "message", detail);
                asked = std::chrono::milliseconds(int_at(*told, "retry_after_ms"));
            }
        // A service that lets us in and throws us out at once is left alone longer each time.
        auto stood = std::chrono::steady_clock::now() - connected_at_;
        if (link_ == Link::connected && stood >= wait_ * limits::link_steady_waits)
            wait_ = limits::worker_restart_first;
        change(permanent ? Link::failed : Link::disconnected, detail);
        if (permanent) return;
        auto wait =
            std::max(wait_, std::min<std::chrono::milliseconds>(asked, limits::link_wait_most));
        retry_ = loop_.after(wait, [weak = weak_from_this()] {
            if (auto self = weak.lock()) self->run();
        });
        wait_ = std::min<std::chrono::milliseconds>(wait_ * 2, limits::worker_restart_last);
    }

    // Every change that is told becomes a record, so what a plugin may say in one is bounded here,
    // and so is how often: of those beyond it the last is told when the time is over.
    void change(Link link, std::string_view said) {
        auto detail = std::string(clipped(said, detail_bytes));
        if (link == link_ && detail == detail_) return;
        link_ = link;
        detail_ = std::move(detail);
        auto now = std::chrono::steady_clock::now();
        if (now - changes_since_ > limits::link_changes_time) changes_since_ = now, changes_ = 0;
        if (++changes_ <= limits::link_changes) return sink_.on_link(link_, detail_);
        if (last_change_) return;
        last_change_ = loop_.after(limits::link_changes_time, [weak = weak_from_this()] {
            auto self = weak.lock();
            if (!self || self->stopped_) return;
            self->last_change_.reset();
            self->sink_.on_link(self->link_, self->detail_);
        });
    }

    Loop& loop_;
    InstanceName name_;
    std::shared_ptr<Worker> worker_;
    std::function<std::string()> last_cursor_;
    Sink sink_;
    std::optional<std::string> const inbound_;
    std::uint64_t run_call_ = 0;
    Link link_ = Link::disconnected;
    std::string detail_ = "not started";
    int changes_ = 0;  // told since then
    std::chrono::steady_clock::time_point changes_since_{};
    Loop::Handle retry_, last_change_;
    std::chrono::milliseconds wait_ = limits::worker_restart_first;
    std::chrono::steady_clock::time_point connected_at_{};
    bool stopped_ = false;
    bool runs_ = false;           // a run is open, or waits for the worker
    std::function<void()> over_;  // told when it has ended
};

}  // namespace

Fate fate_of(SendOutcome const& outcome, bool is_up, std::int64_t tries,
             std::chrono::microseconds age) {
    if (outcome.delivered) return {Fate::Kind::delivered, {}};
    if (outcome.left) return {Fate::Kind::unknown, {}};
    if (!outcome.retryable || (is_up && age >= limits::send_keep_time))
        return {Fate::Kind::failed, {}};
    auto own = std::min<std::chrono::milliseconds>(
        std::chrono::milliseconds(250) * (1 << std::clamp<std::int64_t>(tries, 0, 10)),
        limits::send_again_most);
    return {Fate::Kind::again, std::max(own, outcome.retry_after)};
}

char const* name_of(Channel::Link link) {
    switch (link) {
        case Channel::Link::connecting: return "connecting";
        case Channel::Link::connected: return "connected";
        case Channel::Link::disconnected: return "disconnected";
        case Channel::Link::failed: return "failed";
    }
    return "failed";
}

std::shared_ptr<Channel> Channel::open(Loop& loop, InstanceName name,
                                       std::shared_ptr<Worker> worker,
                                       std::function<std::string()> last_cursor, Sink sink,
                                       std::optional<std::string> inbound) {
    auto channel = std::make_shared<PluginChannel>(loop, std::move(name), std::move(worker),
                                                   std::move(last_cursor), std::move(sink),
                                                   std::move(inbound));
    loop.post([weak = std::weak_ptr(channel)] {
        if (auto self = weak.lock()) self->run();
    });
    return channel;
}

}  // namespace parley
