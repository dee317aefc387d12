// The Slack channel: a WebSocket of Socket Mode for each run, what people do there as items, what
// the agent says as messages of the Web API. An envelope is acknowledged to Slack when the host has
// made it durable, and not before; Slack sends what is not acknowledged again.
#include "api.hpp"
#include "envelope.hpp"
#include "outgoing.hpp"
#include "pace.hpp"
#include "parley/plugin.hpp"

#include <deque>
#include <map>
#include <memory>
#include <stdexcept>

namespace slack {
namespace {

using namespace std::chrono_literals;
using chat_text::Styled;
using parley::Call;
using parley::Emit;
using parley::Failure;
using parley::Host;
using parley::Json;
using parley::json_of;
using parley::JsonWriter;

constexpr auto hello_time = 30s;          // until Slack says hello over a new socket
constexpr auto between_links = 10s;       // two sockets in a row, should Slack refresh at once
constexpr auto pause_most = 30s;          // that a send waits for its turn; it has a minute in all
constexpr auto crowded_wait_ms = 60'000;  // another program holds all the sockets of the app
constexpr int holds_most = 2;             // that one message sits out
constexpr std::size_t held_most = 1000;   // items that the host does not take
constexpr std::size_t drafts_most = 256;

struct Settings {
    std::string api_url;
    Channels channels = Channels::mention;
};

Settings settings_from(Json const& config) {
    Settings out;
    out.api_url = config["api_url"].text("https://slack.com/api");
    while (out.api_url.ends_with('/')) out.api_url.pop_back();
    auto const channels = config["channels"].text("mention");
    if (channels == "all") out.channels = Channels::all;
    if (channels == "never") out.channels = Channels::never;
    if (out.api_url.empty()) throw std::runtime_error("config.api_url is no address");
    return out;
}

class Slack final : public parley::Channel {
public:
    Slack(Host& host, Json const& config)
        : host_(host), settings_(settings_from(config)), api_(host, settings_.api_url) {}

    void run(Call call, Json) override {
        if (run_.is_open()) return call.fail("invalid", "the channel runs already");
        run_ = std::move(call);
        held_.clear();
        unsafe_.clear();
        current_.reset();
        old_.reset();
        is_paused_ = false;
        run_.on_cancel([this] { finish({"cancelled", "the channel was stopped"}); });
        run_.on_ack([this](std::string_view cursor) { acknowledge(std::string(cursor)); });
        run_.on_resume([this] {
            is_paused_ = false;
            tell();
        });
        tell_state("connecting", settings_.api_url);
        step_ = api_.ask(run_, "auth.test", "{}", Api::Token::bot, [this](Answer const& answer) {
            if (!answer.ok) return lose(answer, "bot_token");
            me_ = {std::string(answer.told["user_id"].text()),
                   std::string(answer.told["user"].text())};
            if (!place_from(me_.user))
                return finish({"peer", "Slack does not say who the app is", true});
            connect();
        });
    }

    void send(Call call, Json request) override {
        auto const place = place_from(request["conversation"].text());
        if (!place) return call.fail({"invalid", "that is no channel", false, 0, false});
        auto const one = std::make_shared<Sending>();
        bool const is_markdown = request["markdown"].boolean();
        one->parts = parts_from(request["text"].text(), is_markdown);
        if (one->parts.empty())
            return call.fail({"invalid", "there is nothing to see in the text", false, 0, false});
        one->place = *place;
        one->buttons = request["buttons"];
        one->call = std::move(call);
        one->call.on_cancel([one] {
            bool const may_have_left = one->is_on_its_way || !one->ids.empty();
            one->call.fail({"cancelled", "the message was cancelled", true, 0, may_have_left});
        });
        // The reply takes the place of what was shown of it.
        if (is_markdown && one->buttons.size() == 0) take_draft(one);
        if (!one->draft || !one->draft->is_busy) next_part(one);
    }

    void edit(Call call, Json request) override {
        auto const place = place_from(request["conversation"].text());
        auto const id = request["id"].text();
        auto part = one_part_from(request["text"].text(), request["markdown"].boolean());
        if (!place || !is_ts(id) || !part) return call.fail("invalid", "that is no message");
        auto const one = std::make_shared<Sending>();
        one->place = *place;
        one->edits = id;
        one->is_edit = true;
        one->parts.push_back(std::move(*part));
        one->buttons = request["buttons"];
        one->call = std::move(call);
        next_part(one);
    }

    // A message that grows, and becomes the reply. The first is left out, since a short reply needs
    // none; so is what comes while another is under way or too soon after it, since more will come.
    void draft(Call call, Json request) override {
        auto const place = place_from(request["conversation"].text());
        auto const part = one_part_from(request["text"].text(), false, true);
        if (!place || !part) return call.complete_ok();
        auto& draft = drafts_[place->text()];
        auto const number = request["draft"].integer();
        if (!draft || draft->number != number) {
            if (drafts_.size() > drafts_most) return drafts_.clear(), call.complete_ok();
            draft = std::make_shared<Draft>();
            draft->number = number;
            return call.complete_ok();
        }
        if (draft->is_busy || !pace_.reserve(lane(*place, draft->ts), 0ms))
            return call.complete_ok();
        draft->is_busy = true;
        auto const held = std::make_shared<Call>(std::move(call));
        held->on_cancel([this, held, shown = draft] {
            held->fail("cancelled", "the draft was cancelled");
            shown_draft(shown);
        });
        show_draft(held, draft, *place, *part);
    }

private:
    // What is shown of a reply while it is written.
    struct Draft {
        std::int64_t number = 0;
        std::string ts;              // of its message; empty before it is there
        bool is_busy = false;        // one request about it is under way
        std::function<void()> then;  // of the reply, which waits for it
    };
    // A message on its way out, part by part; or a new text for one that is there.
    struct Sending {
        Call call;
        Place place;
        std::deque<Styled> parts;
        Json buttons;       // below the last part
        std::string edits;  // the `ts` of a message that the next part replaces
        bool is_edit = false;
        std::shared_ptr<Draft> draft;  // which it replaces, and may still be on its way
        std::vector<std::string> ids;
        bool is_on_its_way = false;  // and nobody knows whether it arrived
        int holds = 0;
    };
    // One socket of Socket Mode.
    struct Link {
        parley::WebSocket socket;
        parley::Operation patience;  // until it says hello
    };
    using LinkPtr = std::shared_ptr<Link>;

    // ---- From Slack.

    void connect() {
        last_connect_ = std::chrono::steady_clock::now();
        step_ = api_.ask(run_, "apps.connections.open", "{}", Api::Token::app,
                         [this](Answer const& answer) {
                             if (!answer.ok) return lose(answer, "app_token");
                             open(std::string(answer.told["url"].text()));
                         });
    }

    void open(std::string const& url) {
        auto const link = std::make_shared<Link>();
        current_ = link;
        // The callbacks must not keep the socket that keeps them.
        std::weak_ptr<Link> const weak = link;
        parley::WebSocketCallbacks callbacks;
        callbacks.on_text = [this, weak](std::string_view text) {
            if (auto const from = weak.lock()) heard(from, text);
        };
        callbacks.on_closed = [this, weak](int code, std::string_view reason) {
            auto words = "Slack closed the connection: " + std::to_string(code);
            if (!reason.empty()) words += " " + std::string(reason);
            if (auto const from = weak.lock()) ended(from, {"peer", words, true});
        };
        callbacks.on_failed = [this, weak](Failure const& why) {
            auto told = why;
            told.sent.reset();
            // A host that no entry allows is for the operator to see.
            if (told.code != "denied") told.retryable = true;
            if (auto const from = weak.lock()) ended(from, told);
        };
        link->patience = host_.timer(run_, hello_time, [this, weak] {
            if (auto const from = weak.lock())
                ended(from, {"timeout", "Slack says no hello", true});
        });
        link->socket = host_.ws(run_, {.url = url}, std::move(callbacks));
    }

    void heard(LinkPtr const& link, std::string_view text) {
        auto const told = heard_in(Json::parse(text), me_, settings_.channels);
        if (told.kind == Heard::Kind::hello && link == current_) {
            link->patience.stop();
            tell_state("connected", "@" + me_.name);
        } else if (told.kind == Heard::Kind::disconnect) {
            if (link == current_) refresh(told.reason);
        } else if (told.kind == Heard::Kind::envelope) {
            take(link, told);
        }
    }

    // What concerns nobody, and what was answered, Slack need not send again.
    void take(LinkPtr const& link, Heard const& told) {
        if (told.item.empty()) {
            JsonWriter out;
            out.begin('{').pair("envelope_id", told.envelope);
            if (!told.reply.empty())
                out.key("payload").begin('{').pair("text", told.reply).end('}');
            link->socket.write_text(out.end('}').text());
            return;
        }
        if (held_.size() >= held_most)
            return finish({"limit", "the host does not take what people wrote", true});
        unsafe_[told.envelope] = link;
        held_.push_back(told.item);
        tell();
    }

    void acknowledge(std::string const& envelope) {
        auto const found = unsafe_.find(envelope);
        if (found == unsafe_.end()) return;
        // Where the socket is gone, it comes again over the next one, and the host knows it.
        if (auto const link = found->second.lock())
            link->socket.write_text(json_of("envelope_id", envelope));
        unsafe_.erase(found);
    }

    // Slack ends each socket after some hours and says so before. What the old one has brought is
    // acknowledged over it while the next one is made.
    void refresh(std::string const& reason) {
        if (reason == "link_disabled")
            return finish({"denied", "Socket Mode is switched off for this app"});
        current_->patience.stop();
        if (old_) old_->socket.close();
        old_ = std::exchange(current_, nullptr);
        auto const since = std::chrono::steady_clock::now() - last_connect_;
        if (since >= between_links) return connect();
        step_ =
            host_.timer(run_, std::chrono::ceil<std::chrono::milliseconds>(between_links - since),
                        [this] { connect(); });
    }

    void ended(LinkPtr const& link, Failure const& why) {
        if (link == old_) return old_.reset();
        if (link == current_) finish(why);
    }

    void tell_state(std::string_view state, std::string_view detail) {
        held_.push_back(json_of("type", "state", "state", state, "detail", detail));
        tell();
    }
    void tell() {
        while (!is_paused_ && !held_.empty()) {
            is_paused_ = run_.emit(held_.front()) == Emit::pause;
            held_.pop_front();
        }
    }

    // Only a token that Slack does not take is a reason to stop.
    void lose(Answer const& answer, std::string_view secret) {
        Failure why = failure_of(answer);
        why.sent.reset();
        if (!answer.broken) why.retryable = why.code != "auth";
        if (answer.error == "too_many_websockets") why.retry_after_ms = crowded_wait_ms;
        if (why.code == "auth")
            why.message += "; look at the secret " + std::string(secret) + " and the app's scopes";
        finish(std::move(why));
    }
    // What was held and not told comes again: it is not acknowledged.
    void finish(Failure const& why) {
        step_.stop();
        run_.emit(json_of("type", "state", "state", "disconnected", "detail", why.message));
        run_.fail(why);
    }

    // ---- To Slack.

    // Slack counts what is new in a channel and what is changed there apart.
    static std::string lane(Place const& place, std::string const& edits) {
        return place.channel + (edits.empty() ? "" : "/edits");
    }

    void next_part(std::shared_ptr<Sending> const& one) {
        auto const wait = pace_.reserve(lane(one->place, one->edits), pause_most);
        if (!wait) {
            return fail(*one, {"rate", "too much was sent to this channel lately", true,
                               std::chrono::milliseconds(pause_most).count(), false});
        }
        if (*wait == 0ms) return post(one);
        host_.timer(
            one->call, *wait, [this, one] { post(one); },
            [one](Failure const& why) { fail(*one, why); });
    }

    static void write_message(JsonWriter& params, Place const& place, std::string const& edits) {
        params.begin('{').pair("channel", place.channel);
        if (!edits.empty())
            params.pair("ts", edits);
        else if (!place.thread.empty())
            params.pair("thread_ts", place.thread);
        // Slack would fetch what an agent was made to write.
        if (edits.empty()) params.pair("unfurl_links", false).pair("unfurl_media", false);
    }

    void post(std::shared_ptr<Sending> const& one) {
        JsonWriter params;
        write_message(params, one->place, one->edits);
        bool const is_last = one->parts.size() == 1;
        write_content(params, one->parts.front(), is_last ? one->buttons : Json());
        one->is_on_its_way = true;
        auto const method = one->edits.empty() ? "chat.postMessage" : "chat.update";
        api_.ask(one->call, method, params.end('}').text(), Api::Token::bot,
                 [this, one](Answer const& answer) {
                     one->is_on_its_way = false;
                     answered(one, answer);
                 });
    }

    void answered(std::shared_ptr<Sending> const& one, Answer const& answer) {
        if (answer.ok) return arrived(one, answer);
        // Somebody deleted what was shown of the reply.
        if (!one->is_edit && !one->edits.empty() && answer.error == "message_not_found") {
            one->edits.clear();
            return next_part(one);
        }
        auto const why = failure_of(answer);
        if (why.code == "rate") {
            pace_.hold(lane(one->place, one->edits),
                       std::chrono::ceil<std::chrono::seconds>(
                           std::chrono::milliseconds(why.retry_after_ms)));
            // Half a message is no good, so it is sat out; a whole one the host sends again.
            if (!one->ids.empty() && ++one->holds <= holds_most) return next_part(one);
        }
        fail(*one, why);
    }

    void arrived(std::shared_ptr<Sending> const& one, Answer const& answer) {
        auto const ts = answer.told["ts"].text();
        one->ids.emplace_back(is_ts(ts) ? ts : "");
        one->edits.clear();
        one->parts.pop_front();
        if (!one->parts.empty()) return next_part(one);
        if (one->is_edit) return one->call.complete_ok();
        JsonWriter result;
        result.begin('{').pair("parts", one->ids.size()).key("ids").begin('[');
        for (auto const& id : one->ids) result.value(id);
        one->call.complete_ok(result.end(']').end('}').text());
    }

    static void fail(Sending& one, Failure why) {
        if (!one.ids.empty()) why.sent = true;
        one.call.fail(why);
    }

    // ---- Drafts.

    void show_draft(std::shared_ptr<Call> const& call, std::shared_ptr<Draft> const& draft,
                    Place const& place, Styled const& part) {
        JsonWriter params;
        write_message(params, place, draft->ts);
        write_content(params, part, Json());
        auto const method = draft->ts.empty() ? "chat.postMessage" : "chat.update";
        api_.ask(*call, method, params.end('}').text(), Api::Token::bot,
                 [this, call, draft, lane = lane(place, draft->ts)](Answer const& answer) {
                     auto const ts = answer.told["ts"].text();
                     if (answer.ok && is_ts(ts)) draft->ts = ts;
                     if (answer.retry_after_s > 0)
                         pace_.hold(lane, std::chrono::seconds(answer.retry_after_s));
                     answer.ok ? call->complete_ok() : call->fail(failure_of(answer));
                     shown_draft(draft);
                 });
    }

    static void shown_draft(std::shared_ptr<Draft> const& draft) {
        draft->is_busy = false;
        if (auto const then = std::exchange(draft->then, nullptr)) then();
    }

    void take_draft(std::shared_ptr<Sending> const& one) {
        auto const found = drafts_.find(one->place.text());
        if (found == drafts_.end()) return;
        one->draft = found->second;
        drafts_.erase(found);
        one->edits = one->draft->ts;
        if (!one->draft->is_busy) return;
        // It is called for certain: the draft's request has an end.
        one->draft->then = [this, one] {
            if (!one->call.is_open()) return;
            one->edits = one->draft->ts;
            next_part(one);
        };
    }

    Host& host_;
    Settings const settings_;
    Api api_;
    Call run_;
    parley::Operation step_;
    Me me_;
    LinkPtr current_, old_;
    std::chrono::steady_clock::time_point last_connect_{};
    std::deque<std::string> held_;                       // for the host
    bool is_paused_ = false;                             // the host said so
    std::map<std::string, std::weak_ptr<Link>> unsafe_;  // envelopes that are not durable yet
    Pace pace_;
    std::map<std::string, std::shared_ptr<Draft>> drafts_;  // of each conversation, the latest
};

}  // namespace
}  // namespace slack

PARLEY_PLUGIN(slack::Slack)
