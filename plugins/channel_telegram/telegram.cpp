// The Telegram channel: a long poll for each run, what people do there as items, what the agent
// says as messages. An update is confirmed to Telegram when the host has made it durable, and not
// before; Telegram keeps the rest, so nothing has to be remembered here.
#include "api.hpp"
#include "outgoing.hpp"
#include "pace.hpp"
#include "parley/plugin.hpp"
#include "update.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>

namespace telegram {
namespace {

using namespace std::chrono_literals;
using parley::Call;
using parley::Emit;
using parley::Failure;
using parley::Host;
using parley::Json;
using parley::json_of;
using parley::JsonWriter;

constexpr auto poll_time = 50s;    // the longest that Telegram holds one
constexpr auto answer_time = 30s;  // for an answer, beyond what it is held
constexpr auto file_time = 55s;    // for a file, in or out; a send has a minute in all
constexpr auto file_wait = 2s;     // before it is asked for once more
constexpr int file_tries = 3;
constexpr auto host_time = 120s;  // to take what is told: hooks may think about it
constexpr auto pause_most = 30s;  // that a send waits for its turn; it has a minute in all
constexpr auto conflict_wait_first = 10s, conflict_wait_most = 60s;
constexpr std::string_view kept_url = "webhook";  // a key of the store
constexpr auto watch_time = 300s;                 // between two questions how that goes
constexpr std::size_t hook_error_bytes = 200;
constexpr int hook_connections = 16;     // that Telegram may open at once
constexpr std::size_t hooked_most = 64;  // that wait for the file of one before them
constexpr int holds_most = 2;            // that one message sits out

constexpr std::string_view commands =
    R"({"commands":[{"command":"status","description":"How things stand"},)"
    R"({"command":"stop","description":"End what is under way"},)"
    R"({"command":"new","description":"Begin anew with the next message"}]})";

struct Settings {
    std::string base_url;
    Groups groups = Groups::mention;
    bool take_over = false;
    bool webhook = false;
};

Settings settings_from(Json const& config) {
    Settings out;
    out.base_url = config["base_url"].text("https://api.telegram.org");
    while (out.base_url.ends_with('/')) out.base_url.pop_back();
    auto const groups = config["groups"].text("mention");
    if (groups == "all") out.groups = Groups::all;
    if (groups == "never") out.groups = Groups::never;
    out.take_over = config["take_over"].boolean();
    out.webhook = config["webhook"].boolean();
    if (out.base_url.empty()) throw std::runtime_error("config.base_url is no address");
    return out;
}

class Telegram final : public parley::Channel {
public:
    Telegram(Host& host, Json const& config)
        : host_(host), settings_(settings_from(config)), api_(host, settings_.base_url) {}

    void run(Call call, Json request) override {
        if (run_.is_open()) return call.fail("invalid", "the channel runs already");
        run_ = std::move(call);
        updates_.clear();
        held_.clear();
        tries_ = 0;
        unsafe_.clear();
        hooked_.clear();
        hook_url_ = request["inbound"]["url"].text();
        hook_wrong_.reset();
        confirm_ = conflicts_ = 0;
        is_paused_ = is_full_ = has_taken_over_ = false;
        run_.on_cancel([this] { finish({"cancelled", "the channel was stopped"}); });
        run_.on_ack([this](std::string_view cursor) {
            hooked_.acknowledged(cursor);
            if (unsafe_.erase(std::string(cursor)) > 0) go_on();
        });
        run_.on_resume([this] {
            is_paused_ = false;
            go_on();
        });
        tell_state("connecting", settings_.base_url);
        step_ = api_.ask(run_, "getMe", "{}", answer_time, [this](Answer const& answer) {
            if (!answer.ok) return lose(answer);
            me_ = {answer.result["id"].integer(), std::string(answer.result["username"].text())};
            introduce();
        });
    }

    void send(Call call, Json request) override {
        auto const place = place_from(request["conversation"].text());
        if (!place) return call.fail({"invalid", "that is no chat", false, 0, false});
        auto const one = std::make_shared<Sending>();
        one->parts = parts_from(request["text"].text(), request["markdown"].boolean(),
                                request["attachments"]);
        if (one->parts.empty()) {
            return call.fail({"invalid", "there is nothing to see in the text", false, 0, false});
        }
        one->place = moved(*place);
        one->keyboard = keyboard_from(request["buttons"]);
        one->call = std::move(call);
        one->call.on_cancel([one] {
            bool const may_have_left = one->is_on_its_way || !one->ids.empty();
            one->call.fail({"cancelled", "the message was cancelled", true, 0, may_have_left});
        });
        next_part(one);
    }

    void edit(Call call, Json request) override {
        auto const place = place_from(request["conversation"].text());
        auto const id = message_id_from(request["id"].text());
        auto part = one_part_from(request["text"].text(), request["markdown"].boolean());
        if (!place || !id || !part) return call.fail("invalid", "that is no message");
        auto const one = std::make_shared<Sending>();
        one->place = moved(*place);
        one->edits = *id;
        one->parts.push_back(std::move(*part));
        one->keyboard = keyboard_from(request["buttons"]);
        one->call = std::move(call);
        next_part(one);
    }

    void typing(Call call, Json request) override {
        auto const place = place_from(request["conversation"].text());
        if (!place) return call.fail("invalid", "that is no chat");
        JsonWriter params;
        write_place(params.begin('{'), moved(*place));
        show(std::move(call), "sendChatAction", params.pair("action", "typing").end('}').text());
    }

    // Telegram shows one in private chats only.
    void draft(Call call, Json request) override {
        auto const place = place_from(request["conversation"].text());
        auto const parts = parts_from(request["text"].text(), false);
        if (!place || !place->is_private() || parts.empty()) return call.complete_ok();
        JsonWriter params;
        write_place(params.begin('{'), *place);
        params.pair("draft_id", request["draft"].integer());
        params.pair("text", text_of(parts.back().text));
        show(std::move(call), "sendMessageDraft", params.end('}').text());
    }

private:
    // What happened there; by webhook, with the request that brought it.
    struct Update {
        Json json;
        std::optional<parley::WebhookRequest> request;
    };

    // A message on its way out, part by part; or a new text for one that is there.
    struct Sending {
        Call call;
        Place place;
        std::deque<Part> parts;
        std::string keyboard;    // below the last part
        std::int64_t edits = 0;  // that message
        std::vector<std::string> ids;
        bool is_on_its_way = false;  // and nobody knows whether it arrived
        int holds = 0;
    };

    // ---- From Telegram. One thing is under way at a time: step_.

    void introduce() {
        step_ =
            api_.ask(run_, "setMyCommands", commands, answer_time, [this](Answer const& answer) {
                if (!answer.ok) {
                    host_.log(PARLEY_LOG_WARN,
                              "the bot has no menu of commands: " + failure_of(answer).message);
                }
                settings_.webhook ? listen() : leave_webhook();
            });
    }

    void begin_polling() {
        tell_state("connected", "@" + me_.username);
        poll();
    }

    // ---- By webhook. The address that was given to Telegram is kept, so that it is taken back by
    // whoever polls next, and no other is.

    void listen() {
        if (hook_url_.empty()) {
            return finish({"invalid",
                           "webhook: true needs inbound: true in this channel, and "
                           "public_url in parley.yaml"});
        }
        parley::WebhookCallbacks callbacks;
        callbacks.on_request = [this](parley::WebhookRequest one) { hear(std::move(one)); };
        callbacks.on_closed = [this](Failure const& why) {
            finish({why.code, why.message, why.code != "denied"});
        };
        if (!host_.webhooks(run_, std::move(callbacks)).is_open()) return;
        host_.kv_put(run_, kept_url, hook_url_, [this](parley::KvAnswer const& kept) {
            if (kept.failure) return finish({"internal", kept.failure->message, true});
            set_webhook();
        });
    }

    void set_webhook() {
        JsonWriter params;
        params.begin('{').pair("url", hook_url_).pair("max_connections", hook_connections);
        params.key("allowed_updates").begin('[').value("message").value("callback_query").end(']');
        step_ = api_.ask(run_, "setWebhook", params.end('}').text(), answer_time,
                         [this](Answer const& answer) {
                             // What is wrong with the address or the token stays so until the
                             // operator mends it.
                             if (answer.code == 400)
                                 return finish({"invalid", failure_of(answer).message});
                             if (!answer.ok) return lose(answer);
                             judge_webhook({});
                         },
                         {{.slot = "body:/secret_token", .secret = "webhook_token"}});
    }

    // Nobody says when the address is changed or cannot be reached, and silence looks like peace:
    // so Telegram is asked.
    void watch_webhook() {
        step_ = host_.timer(run_, watch_time, [this] {
            step_ =
                api_.ask(run_, "getWebhookInfo", "{}", answer_time, [this](Answer const& answer) {
                    if (answer.code == 401 || answer.code == 404) return lose(answer);
                    if (!answer.ok) return watch_webhook();
                    if (answer.result["url"].text() == hook_url_)
                        return judge_webhook(answer.result);
                    if (settings_.take_over) return set_webhook();
                    tell_hook(
                        "another address, or none, takes the bot's updates; set "
                        "take_over: true in this channel's config");
                    watch_webhook();
                });
        });
    }
    void judge_webhook(Json const& info) {
        auto const why = info["last_error_message"].text();
        bool const is_stuck = info["pending_update_count"].integer() > 0 && !why.empty();
        auto const shown = parley::visible_utf8(why.substr(0, hook_error_bytes));
        tell_hook(is_stuck ? "Telegram cannot deliver: " + shown : std::string());
        watch_webhook();
    }
    void tell_hook(std::string const& wrong) {
        if (std::exchange(hook_wrong_, wrong) == std::optional(wrong)) return;
        wrong.empty() ? tell_state("connected", "@" + me_.username + " by webhook")
                      : tell_state("disconnected", wrong);
    }

    // Answered when the host has it: what is not, Telegram sends again.
    void hear(parley::WebhookRequest request) {
        Json const update = Json::parse(request.body());
        if (!update["update_id"].is_number()) return request.answer(400, "that is no update");
        if (is_paused_ || updates_.size() >= hooked_most) return request.refuse_for_now();
        updates_.push_back({update, std::move(request)});
        if (updates_.size() == 1) read_on();  // else the file of one before is on its way
    }

    // Back to polling: a webhook of this channel's own is removed; that of another is not ours.
    void leave_webhook() {
        if (!host_.offers(PARLEY_HOST_KV)) return begin_polling();
        host_.kv_get(run_, kept_url, [this](parley::KvAnswer const& kept) {
            if (!kept.value) return begin_polling();
            step_ = api_.ask(run_, "getWebhookInfo", "{}", answer_time,
                             [this, url = *kept.value](Answer const& answer) {
                                 if (!answer.ok) return lose(answer);
                                 if (answer.result["url"].text() != url) return forget_webhook();
                                 remove_webhook();
                             });
        });
    }
    void remove_webhook() {
        step_ = api_.ask(run_, "deleteWebhook", "{}", answer_time, [this](Answer const& answer) {
            if (!answer.ok) return lose(answer);
            forget_webhook();
        });
    }
    void forget_webhook() {
        host_.kv_remove(run_, kept_url, [this](parley::KvAnswer const&) { begin_polling(); });
    }

    // ---- By long polls.

    // The offset confirms everything below it. With nothing to confirm it is left out: Telegram
    // then gives what is not confirmed yet, whatever numbers it has.
    void poll() {
        JsonWriter params;
        params.begin('{').pair("timeout", std::chrono::seconds(poll_time).count());
        if (confirm_ != 0) params.pair("offset", confirm_);
        params.key("allowed_updates").begin('[').value("message").value("callback_query").end(']');
        step_ = api_.ask(run_, "getUpdates", params.end('}').text(), poll_time + answer_time,
                         [this](Answer const& answer) { polled(answer); });
    }

    void polled(Answer const& answer) {
        if (answer.code == 409) return conflict(answer.says("webhook"));
        if (!answer.ok) return lose(answer);
        if (std::exchange(conflicts_, 0) > 0) tell_state("connected", "@" + me_.username);
        has_taken_over_ = false;
        confirm_ = 0;
        for (Json const update : answer.result) updates_.push_back({update, {}});
        is_full_ = true;
        read_on();
    }

    // One after the other: what waits for a file holds up what was written after it.
    void read_on() {
        while (!updates_.empty()) {
            auto const heard = heard_in(updates_.front().json, me_, settings_.groups);
            if (heard.file && host_.offers(PARLEY_HOST_BLOB)) {
                tell();
                return fetch(*heard.file);
            }
            take(heard);
        }
        go_on();
        if (!is_full_) return;
        step_ = host_.timer(run_, host_time, [this] {
            finish({"limit", "the host has not taken what people wrote for two minutes", true});
        });
    }

    void take(Heard const& heard) {
        auto request = std::move(updates_.front().request);
        updates_.pop_front();
        if (!heard.query.empty()) acknowledge_press(heard.query);
        if (!request) confirm_ = heard.next;
        if (heard.item.empty()) return request ? request->answer(200) : void();
        auto cursor = std::to_string(heard.next);
        request ? hooked_.hold(cursor, std::move(*request)) : void(unsafe_.insert(cursor));
        held_.push_back(heard.item);
    }

    void fetch(File const& file) {
        if (file.bytes > file_bytes_most) return fetched({"", 0, "it is larger than 20 MiB"});
        step_ = api_.ask(run_, "getFile", json_of("file_id", file.id), answer_time,
                         [this](Answer const& answer) {
                             if (!answer.ok) return not_fetched(answer);
                             fetch_from(answer.result["file_path"].text());
                         });
    }
    void fetch_from(std::string_view path) {
        step_ = api_.fetch(run_, path, file_time,
                           [this](Answer const& answer, parley::Blob const& blob) {
                               if (!answer.ok) return not_fetched(answer);
                               fetched({blob.id, static_cast<std::int64_t>(blob.bytes), ""});
                           });
    }
    void not_fetched(Answer const& answer) {
        auto const why = failure_of(answer);
        if (!why.retryable || ++tries_ == file_tries) return fetched({"", 0, why.message});
        auto const wait = std::clamp<std::chrono::milliseconds>(
            std::chrono::milliseconds(why.retry_after_ms), file_wait, pause_most);
        step_ = host_.timer(run_, wait, [this] { read_on(); });
    }
    void fetched(Fetched const& what) {
        tries_ = 0;
        take(heard_in(updates_.front().json, me_, settings_.groups, what));
        read_on();
    }

    // Tells what is held; asks for more when all of it is safe.
    void go_on() {
        tell();
        if (!is_full_ || !updates_.empty() || !held_.empty() || !unsafe_.empty()) return;
        is_full_ = false;
        step_.stop();
        poll();
    }

    // It never gives up: the other may be what is left of this bot's own last poll.
    void conflict(bool is_webhook) {
        if (is_webhook && settings_.take_over && !std::exchange(has_taken_over_, true)) {
            host_.log(PARLEY_LOG_WARN, "a webhook was set for the bot; it is removed (take_over)");
            step_ =
                api_.ask(run_, "deleteWebhook", "{}", answer_time, [this](Answer const& answer) {
                    if (!answer.ok) return lose(answer);
                    poll();
                });
            return;
        }
        tell_state("disconnected",
                   is_webhook
                       ? "a webhook takes the bot's updates: remove it, or set take_over: "
                         "true in this channel's config"
                       : "another program reads the bot's updates, and one alone can: end it, "
                         "or make a bot for each");
        auto const wait = std::min<std::chrono::seconds>(
            conflict_wait_first * (1 << std::min<std::int64_t>(conflicts_++, 3)),
            conflict_wait_most);
        step_ = host_.timer(run_, wait, [this] { poll(); });
    }

    // The button stops turning at once, whatever becomes of the press.
    void acknowledge_press(std::string const& query) {
        api_.ask(run_, "answerCallbackQuery", json_of("callback_query_id", query), answer_time,
                 [this](Answer const& answer) {
                     // After a restart the same press comes again, and was answered before.
                     if (answer.ok || answer.says("query is too old")) return;
                     host_.log(PARLEY_LOG_WARN,
                               "a button was not answered: " + failure_of(answer).message);
                 });
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

    // Only a token that Telegram does not know is a reason to stop.
    void lose(Answer const& answer) {
        Failure why = failure_of(answer);
        if (!answer.broken) why.retryable = why.code != "auth";
        if (why.code == "auth") {
            why.message += "; the token is not valid: ask @BotFather for one, and set the secret";
        }
        finish(std::move(why));
    }
    // What was held and not told comes again: it is not confirmed.
    void finish(Failure const& why) {
        step_.stop();
        hooked_.clear();
        updates_.clear();
        run_.emit(json_of("type", "state", "state", "disconnected", "detail", why.message));
        run_.fail(why);
    }

    // ---- To Telegram.

    void next_part(std::shared_ptr<Sending> const& one) {
        auto const wait = pace_.reserve(one->place.chat, pause_most);
        if (!wait) {
            return fail(*one, {"rate", "too much was sent to this chat lately", true,
                               std::chrono::milliseconds(pause_most).count(), false});
        }
        if (*wait == 0ms) return post(one);
        host_.timer(
            one->call, *wait, [this, one] { post(one); },
            [one](Failure const& why) { fail(*one, why); });
    }

    void post(std::shared_ptr<Sending> const& one) {
        if (one->parts.front().file) return post_file(one);
        JsonWriter params;
        params.begin('{');
        if (one->edits != 0) {
            params.pair("chat_id", one->place.chat).pair("message_id", one->edits);
        } else {
            write_place(params, one->place);
        }
        write_part(params, one->parts.front());
        bool const has_keyboard = one->parts.size() == 1 && !one->keyboard.empty();
        if (has_keyboard) params.pair("reply_markup", parley::JsonRaw{one->keyboard});
        one->is_on_its_way = true;
        auto const method = one->edits != 0 ? "editMessageText" : "sendMessage";
        api_.ask(one->call, method, params.end('}').text(), answer_time,
                 [this, one](Answer const& answer) {
                     one->is_on_its_way = false;
                     answered(one, answer);
                 });
    }

    void post_file(std::shared_ptr<Sending> const& one) {
        one->is_on_its_way = true;
        auto const& keyboard = one->parts.size() == 1 ? one->keyboard : std::string();
        api_.upload(one->call, "sendDocument", form_of(one->place, one->parts.front(), keyboard),
                    file_time, [this, one](Answer const& answer) {
                        one->is_on_its_way = false;
                        answered(one, answer);
                    });
    }

    void answered(std::shared_ptr<Sending> const& one, Answer const& answer) {
        bool const is_same = one->edits != 0 && answer.says("message is not modified");
        if (answer.ok || is_same) return arrived(one, answer);
        auto& part = one->parts.front();
        if (!part.is_plain && (answer.says("can't parse entities") || answer.says("too long"))) {
            part.is_plain = true;
            return post(one);
        }
        // A group has become a supergroup, under another number.
        if (answer.migrated_to != 0 && answer.migrated_to != one->place.chat) {
            moved_[one->place.chat] = answer.migrated_to;
            one->place.chat = answer.migrated_to;
            return post(one);
        }
        if (answer.code == 429) {
            pace_.hold(one->place.chat, std::chrono::seconds(answer.retry_after_s));
            // Half a message is no good, so it is sat out; a whole one the host sends again.
            if (!one->ids.empty() && ++one->holds <= holds_most) return next_part(one);
        }
        fail(*one, failure_of(answer));
    }

    void arrived(std::shared_ptr<Sending> const& one, Answer const& answer) {
        one->ids.push_back(std::to_string(answer.result["message_id"].integer()));
        one->parts.pop_front();
        if (!one->parts.empty()) return next_part(one);
        if (one->edits != 0) return one->call.complete_ok();
        JsonWriter result;
        result.begin('{').pair("parts", one->ids.size()).key("ids").begin('[');
        for (auto const& id : one->ids) result.value(id);
        one->call.complete_ok(result.end(']').end('}').text());
    }

    static void fail(Sending& one, Failure why) {
        if (!one.ids.empty()) why.sent = true;
        one.call.fail(why);
    }

    // What shows for a moment, and is missed by nobody.
    void show(Call call, std::string_view method, std::string const& params) {
        auto const held = std::make_shared<Call>(std::move(call));
        api_.ask(*held, method, params, answer_time, [held](Answer const& answer) {
            if (answer.ok) return held->complete_ok();
            held->fail(failure_of(answer));
        });
    }

    Place moved(Place place) const {
        auto const found = moved_.find(place.chat);
        if (found != moved_.end()) place.chat = found->second;
        return place;
    }

    Host& host_;
    Settings const settings_;
    Api api_;
    Call run_;
    parley::Operation step_;
    Me me_;
    std::deque<Update> updates_;             // not read yet
    int tries_ = 0;                          // to get the file of the first of them
    std::deque<std::string> held_;           // for the host
    bool is_paused_ = false;                 // the host said so
    bool is_full_ = false;                   // what the last poll gave is not safe yet
    std::set<std::string> unsafe_;           // cursors that the host has not acknowledged yet
    std::int64_t confirm_ = 0;               // the offset, once all those are
    bool has_taken_over_ = false;            // since the last poll that went well
    std::int64_t conflicts_ = 0;             // in a row
    std::string hook_url_;                   // where updates arrive; empty: nowhere
    std::optional<std::string> hook_wrong_;  // as it was told; empty: nothing is
    parley::UntilDurable hooked_;            // updates that came there, until the host has them
    Pace pace_;
    std::map<std::int64_t, std::int64_t> moved_;
};

}  // namespace
}  // namespace telegram

PARLEY_PLUGIN(telegram::Telegram)
