#include "plugin/services.hpp"

#include "base/guard.hpp"
#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"
#include "plugin/egress.hpp"
#include "plugin/headers.hpp"
#include "plugin/inject.hpp"
#include "plugin/link.hpp"
#include "wire/websocket.hpp"

#include <parley/frame.h>
#define PARLEY_HOST_SIDE
#include <parley/plugin.h>

#include <boost/json/value.hpp>

#include <algorithm>
#include <utility>
#include <vector>

namespace parley {

namespace {

Error bad(std::string what) {
    return Error(Fault::bad_input, std::move(what));
}

// What is to be opened, as the plugin asked for it, before any secret is in it.
struct Asked {
    WebSocketTarget target;
    std::vector<Placement> placements;
};

Result<> read_subprotocols(json::value const& request, std::vector<std::string>& out) {
    auto const* names = member(request, "subprotocols");
    if (!names || names->is_null()) return ok();
    if (!names->is_array() || names->get_array().size() > limits::ws_subprotocols)
        return bad("subprotocols is not a list, or too long");
    for (auto const& name : names->get_array()) {
        if (!name.is_string() || !is_token(std::string_view(name.get_string())))
            return bad("a subprotocol is not a token");
        out.emplace_back(name.get_string());
    }
    return ok();
}

Result<Asked> read_opening(std::string_view text, Manifest const& manifest) {
    if (text.size() > limits::egress_request_bytes) return bad("the request is too large");
    TRY(request, parse_json(text));
    Asked asked;
    TRY(url, parse_ws_url(text_at(request, "url")));
    asked.target.url = std::move(url);
    TRY(headers, read_headers(request));
    for (auto const& [name, value] : headers)
        if (name.size() >= 14 && same_name(std::string_view(name).substr(0, 14), "sec-websocket-"))
            return Error(Fault::denied, "the header " + name + " is the host's to set");
    asked.target.headers = std::move(headers);
    MUST(read_subprotocols(request, asked.target.subprotocols));
    auto longest = std::chrono::milliseconds(limits::egress_time).count();
    auto usual = asked.target.open_timeout.count();
    asked.target.open_timeout = std::chrono::milliseconds(
        std::clamp<std::int64_t>(int_at(request, "timeout_ms", usual), 1, longest));
    asked.target.message_bytes_most = static_cast<std::size_t>(std::clamp<std::int64_t>(
        int_at(request, "max_bytes", limits::ws_message_bytes), 1, limits::ws_message_bytes));
    TRY(placements, read_placements(member(request, "inject"), manifest));
    for (auto const& placement : placements)
        if (placement.kind == Placement::Kind::body || placement.kind == Placement::Kind::stream)
            return Error(Fault::denied, "a slot of a message, and no message");
    asked.placements = std::move(placements);
    return asked;
}

// A secret in a message stands in a place of its JSON, or instead of a text in it.
Result<> place_in_message(std::string& message, Placement const& placement,
                          std::string_view secret) {
    if (placement.kind == Placement::Kind::stream)
        return place_in_stream(message, placement, secret);
    if (placement.kind != Placement::Kind::body)
        return Error(Fault::denied, "a slot of the opening in a message");
    Outgoing out;
    out.body = std::move(message);
    auto placed = place_secret(out, placement, secret);
    message = std::move(out.body);
    return placed;
}

class WsOperation final : public Operation {
public:
    using Operation::Operation;

    void begin(std::string_view text) {
        auto asked = read_opening(text, desk_.spec().file->manifest());
        if (!asked) return fail(PARLEY_WS_FAILED, asked.error());
        asked_ = std::move(*asked);
        auto const& target = asked_.target;
        // Whatever the plugin may have got hold of, it does not leave by itself.
        bool found = holds_secret(target.url.origin() + target.url.path_and_query);
        for (auto const& [name, value] : target.headers)
            found = found || holds_secret(name) || holds_secret(value);
        for (auto const& name : target.subprotocols) found = found || holds_secret(name);
        for (auto const& placement : asked_.placements)
            found = found || holds_secret(placement.prefix) || holds_secret(placement.suffix);
        if (found && holds("secret-in-ws"))
            return fail(PARLEY_WS_FAILED, Error(Fault::secret, "a secret stands in the request"));
        auto rule = admit_ws(desk_.spec(), target.url);
        if (!rule) return fail(PARLEY_WS_FAILED, rule.error());
        rule_ = std::move(*rule);
        desk_.when_may_leave(call_, [weak = weak_from_this()] {
            if (auto self = weak.lock()) static_cast<WsOperation&>(*self).leave();
        });
    }

    // A message: its kind, what to inject, itself.
    bool hear(std::uint16_t, std::string_view body) override {
        std::uint32_t kind = 0, length = 0;
        if (!take_number(body, kind) || !take_number(body, length) || length > body.size())
            return false;
        send(kind, body.substr(0, length), body.substr(length));
        return true;
    }

    void send(std::uint32_t kind, std::string_view inject, std::string_view bytes) {
        auto keep_alive = shared_from_this();
        credit_owed_ += static_cast<std::uint32_t>(std::max<std::size_t>(bytes.size(), 1));
        if (credit_owed_ > 2 * PARLEY_CREDIT)
            return give_up(Error(Fault::over_budget, "more was written than may wait"));
        if (kind != PARLEY_WS_TEXT && kind != PARLEY_WS_BINARY)
            return give_up(bad("a message is neither text nor binary"));
        bool is_text = kind == PARLEY_WS_TEXT;
        if (is_text && !is_utf8(bytes)) return give_up(bad("a text message is not UTF-8"));
        if ((holds_secret(bytes) || holds_secret(inject)) && holds("secret-in-ws"))
            return give_up(Error(Fault::secret, "a secret stands in the message to send"));
        Message message{std::string(inject), std::string(bytes), is_text};
        if (!is_open_) return waiting_.push_back(std::move(message));  // bounded by the credit
        if (pass_on(std::move(message))) give_credit();
    }

    void say_goodbye(std::uint32_t code, std::string_view reason) override {
        bool is_clean = is_utf8(reason) && !holds_secret(reason);
        if (socket_) socket_->close(static_cast<std::uint16_t>(code), is_clean ? reason : "");
    }

    void drained() override {
        if (socket_ && paused_) socket_->pause(paused_ = false);
    }

private:
    // As the plugin wrote it, before any secret is in it.
    struct Message {
        std::string inject, bytes;
        bool is_text;
    };

    // False when that was the end.
    bool pass_on(Message message) {
        if (!message.inject.empty())
            if (auto placed = place_all(message.inject, message.bytes); !placed)
                return give_up(placed.error()), false;
        if (message.is_text && !is_utf8(message.bytes))
            return give_up(bad("the secret is no text")), false;
        socket_->send(std::move(message.bytes), message.is_text);
        return true;
    }

    void leave() {
        auto keep_alive = shared_from_this();
        auto target = asked_.target;
        if (auto placed = place_opening(target); !placed) {
            desk_.stayed(call_);
            return fail(PARLEY_WS_FAILED, placed.error());
        }
        std::weak_ptr<Operation> weak = weak_from_this();
        auto with_self = [weak](auto member, auto&&... arguments) {
            if (auto self = weak.lock())
                (static_cast<WsOperation&>(*self).*
                 member)(std::forward<decltype(arguments)>(arguments)...);
        };
        WebSocketSink sink;
        sink.on_open = [with_self](WebSocketOpened opened) {
            with_self(&WsOperation::on_open, std::move(opened));
        };
        sink.on_message = [with_self](std::string_view bytes, bool is_text) {
            with_self(&WsOperation::on_message, bytes, is_text);
        };
        sink.on_closed = [with_self](Result<WebSocketGoodbye> how, int status, bool sent) {
            with_self(&WsOperation::on_closed, std::move(how), status, sent);
        };
        auto check = [weak, rule = rule_, host = target.url.host](std::string_view address,
                                                                  std::uint16_t port) {
            auto self = weak.lock();
            return self && may_connect(static_cast<WsOperation&>(*self).desk_.spec(), rule, host,
                                       address, port);
        };
        socket_ = open_websocket(*desk_.deps().loop, std::move(target), std::move(check),
                                 std::move(sink));
    }

    Result<> place_opening(WebSocketTarget& target) {
        Outgoing out;
        out.path_and_query = target.url.path_and_query;
        out.headers = target.headers;
        MUST(place_each(asked_.placements, rule_, target.url.host,
                        [&out](Placement const& placement, std::string_view secret) {
                            return place_secret(out, placement, secret);
                        }));
        target.url.path_and_query = std::move(out.path_and_query);
        target.headers = std::move(out.headers);
        return ok();
    }

    Result<> place_all(std::string_view inject, std::string& message) {
        TRY(value, parse_json(inject));
        TRY(placements, read_placements(&value, desk_.spec().file->manifest()));
        return place_each(placements, rule_, asked_.target.url.host,
                          [&message](Placement const& placement, std::string_view secret) {
                              return place_in_message(message, placement, secret);
                          });
    }

    void on_open(WebSocketOpened opened) {
        auto keep_alive = shared_from_this();
        is_open_ = true;
        JsonWriter out;
        out.begin('{').pair("peer", opened.peer).pair("subprotocol", opened.subprotocol).end('}');
        desk_.tell(id_, PARLEY_WS_OPENED, out.text(), false);
        for (auto& message : std::exchange(waiting_, {}))
            if (!pass_on(std::move(message))) return;
        give_credit();
    }

    void on_message(std::string_view bytes, bool is_text) {
        auto keep_alive = shared_from_this();
        if (stream_holds_secret(bytes))
            return give_up(Error(Fault::secret, "what the peer sent holds a secret"));
        desk_.tell(id_, is_text ? PARLEY_WS_TEXT : PARLEY_WS_BINARY, bytes, false);
        if (socket_ && !paused_ && desk_.is_crowded()) socket_->pause(paused_ = true);
    }

    void on_closed(Result<WebSocketGoodbye> how, int status, bool sent) {
        auto keep_alive = shared_from_this();
        if (how) {
            bool is_clean = !holds_secret(how->reason);
            JsonWriter out;
            out.begin('{').pair("code", static_cast<int>(how->code));
            out.pair("reason", is_clean ? std::string_view(how->reason) : "").end('}');
            return desk_.tell(id_, PARLEY_WS_CLOSED, out.text(), true);
        }
        if (!sent) desk_.stayed(call_);
        auto fault = how.error().fault;
        bool is_passing =
            fault == Fault::timed_out || fault == Fault::peer_failed || fault == Fault::unavailable;
        bool is_refused = status >= 300 && status < 500 && status != 429;
        fail(PARLEY_WS_FAILED, how.error(), is_passing && !is_refused, sent, status);
    }

    void give_up(Error const& error) {
        bool was_open = is_open_;
        socket_.reset();
        fail(PARLEY_WS_FAILED, error, false, was_open);
    }

    // Returned as data leaves. The socket does not tell when, so a slow peer is asked after.
    void give_credit() {
        if (!socket_ || credit_owed_ == 0) return;
        if (socket_->queued_bytes() < PARLEY_CREDIT / 2) {
            desk_.give_credit(id_, std::exchange(credit_owed_, 0));
        } else if (!asking_) {
            asking_ = desk_.deps().loop->after(std::chrono::milliseconds(10), [this] {
                asking_.reset();
                give_credit();
            });
        }
    }

    Asked asked_;
    EgressRule rule_;
    std::unique_ptr<WebSocket> socket_;
    std::vector<Message> waiting_;  // until it is open
    std::uint32_t credit_owed_ = 0;
    Loop::Handle asking_;
    bool is_open_ = false, paused_ = false;
};

Result<> may_all_go(std::vector<Placement> const& placements, Manifest const& manifest,
                    EgressRule const& rule, std::string const& host) {
    for (auto const& placement : placements)
        if (!may_receive(*manifest.secret(placement.field), rule, host))
            return Error(Fault::denied,
                         "the secret " + placement.field + " is not meant for " + host);
    return ok();
}

}  // namespace

std::shared_ptr<Operation> start_ws(Desk& desk, std::uint64_t call, std::uint64_t id,
                                    std::string_view request) {
    auto operation = std::make_shared<WsOperation>(desk, call, id, PARLEY_S_WS);
    // Later, so that the desk knows the operation when it answers.
    desk.deps().loop->post([weak = std::weak_ptr(operation), request = std::string(request)] {
        if (auto self = weak.lock()) self->begin(request);
    });
    return operation;
}

Result<> judge_ws(WorkerSpec const& spec, std::string_view request) {
    auto const& manifest = spec.file->manifest();
    TRY(asked, read_opening(request, manifest));
    TRY(rule, admit_ws(spec, asked.target.url));
    return may_all_go(asked.placements, manifest, rule, asked.target.url.host);
}

Result<> judge_ws_write(WorkerSpec const& spec, std::string_view request, std::string_view inject) {
    if (inject.empty()) return ok();
    auto const& manifest = spec.file->manifest();
    TRY(asked, read_opening(request, manifest));
    TRY(rule, admit_ws(spec, asked.target.url));
    TRY(value, parse_json(inject));
    TRY(placements, read_placements(&value, manifest));
    return may_all_go(placements, manifest, rule, asked.target.url.host);
}

}  // namespace parley
