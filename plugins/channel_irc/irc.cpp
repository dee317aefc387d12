// The IRC channel: one connection for each run, what people say to the bot as messages, what the
// agent says as lines. It remembers nothing between runs.
#include "parley/plugin.hpp"
#include "session.hpp"
#include "split.hpp"

#include <algorithm>
#include <deque>
#include <optional>
#include <stdexcept>

namespace irc {
namespace {

using namespace std::chrono_literals;
using parley::Call;
using parley::Emit;
using parley::Failure;
using parley::Host;
using parley::Inject;
using parley::Json;
using parley::json_of;
using parley::JsonWriter;

constexpr int burst_lines = 5;              // what servers forgive
constexpr std::size_t held_most = 256;      // while the host takes no more
constexpr std::size_t sends_most = 256;
constexpr auto patience = 60s;

void require(bool fine, std::string const& what) {
    if (!fine) throw std::runtime_error(what);
}

bool is_one_line(std::string_view text) {
    return text.find_first_of(std::string_view("\r\n\0", 3)) == text.npos;
}

Settings settings_from(Json const& config) {
    Settings out;
    out.host = config["host"].text();
    out.tls = config["tls"].boolean(true);
    out.port = static_cast<std::uint16_t>(config["port"].integer(out.tls ? 6697 : 6667));
    out.nick = config["nick"].text();
    out.username = config["username"].text(out.nick);
    out.realname = config["realname"].text(out.nick);
    out.always = config["mention"].text("nick") == "always";
    out.sasl = config["sasl"].boolean();
    out.account = config["account"].text(out.nick);
    out.server_password = config["server_password"].boolean();
    out.send_interval_ms = config["send_interval_ms"].integer(out.send_interval_ms);
    require(!out.host.empty(), "config.host is missing");
    require(is_target(out.nick) && out.nick.find_first_of("#&!@") == std::string::npos,
            "config.nick is not a nick");
    require(is_target(out.username) && out.username.find_first_of("!@") == std::string::npos,
            "config.username is not one word");
    require(is_one_line(out.realname), "config.realname holds a line break");
    require(!out.sasl || out.tls, "config.sasl needs tls: true, or the password could be read");
    require(is_one_line(out.account), "config.account is not a name");
    for (Json const channel : config["channels"]) {
        std::string const name(channel.text());
        require(is_target(name) && name.size() <= 200,
                "config.channels holds something that is not a channel's name");
        out.channels.push_back(name);
    }
    return out;
}

std::string json_from(Message const& message) {
    JsonWriter out;
    out.begin('{').pair("type", "message").pair("conversation", message.conversation);
    out.key("sender").begin('{').key("ids").begin('[');
    for (auto const& id : message.ids) out.value(id);
    out.end(']').pair("name", message.name).end('}').pair("text", message.text);
    if (!message.id.empty()) out.pair("id", message.id);
    return out.pair("private", message.is_private).end('}').take();
}

class Irc final : public parley::Channel {
public:
    Irc(Host& host, Json const& config) : host_(host), settings_(settings_from(config)) {
        if (settings_.server_password && !settings_.tls) {
            host_.log(PARLEY_LOG_WARN, "without TLS the server password can be read on the way");
        }
    }

    void run(Call call, Json) override {
        if (run_.is_open()) return call.fail("invalid", "the channel runs already");
        run_ = std::move(call);
        session_.emplace(settings_);
        reader_ = {};
        held_.clear();
        ending_.reset();
        is_paused_ = false;
        tokens_ = burst_lines;
        run_.on_cancel([this] { leave(); });
        run_.on_resume([this] {
            is_paused_ = false;
            tell_on();
        });
        tell_state("connecting", settings_.host + ":" + std::to_string(settings_.port));
        minute_ = host_.timer(run_, patience, [this] { minute(); });
        connect();
    }

    void send(Call call, Json request) override {
        std::string const target(request["conversation"].text());
        auto refuse = [&](char const* code, std::string message, bool retryable) {
            call.fail({code, std::move(message), retryable, 0, false});
        };
        if (!is_target(target)) return refuse("invalid", "no channel and no nick", false);
        if (!session_ || !session_->is_ready()) {
            return refuse("peer", "not connected to the server", true);
        }
        std::size_t const room = room_for_text(session_->mask_bytes(), target);
        if (room == 0) return refuse("invalid", "the name of the conversation is too long", false);
        auto lines = lines_to_send(request["text"].text(), room);
        if (lines.empty()) return refuse("invalid", "there is nothing to see in the text", false);
        if (sending_.size() >= sends_most) {
            return refuse("limit", "too many messages wait to be sent", true);
        }
        call.on_cancel([this, id = call.id()] { drop_send(id); });
        sending_.push_back({std::move(call), target, {lines.begin(), lines.end()}});
        send_on();
    }

    // IRC has no sign for it that servers agree about.
    void typing(Call call, Json) override { call.complete_ok(); }

private:
    // A message on its way out, line by line.
    struct Sending {
        Call call;
        std::string target;
        std::deque<std::string> lines;
        int parts = 0;  // lines that are written
    };

    void connect() {
        parley::StreamCallbacks callbacks;
        callbacks.on_open = [this](std::string_view) {
            if (session_) act_on(session_->opened());
        };
        callbacks.on_data = [this](std::string_view bytes) { heard(bytes); };
        callbacks.on_closed = [this](std::optional<Failure> const& failure) {
            if (!failure) return finish({"peer", "the server closed the connection", true});
            finish({failure->code, failure->message, failure->retryable});
        };
        stream_ = host_.stream(run_, settings_.host, settings_.port, settings_.tls, callbacks);
    }

    void heard(std::string_view bytes) {
        reader_.add(bytes);
        while (session_) {
            auto const line = reader_.next();
            if (!line) break;
            act_on(session_->heard(*line));
        }
        if (session_ && reader_.is_flooded()) {
            finish({"peer", "the server sent a line without an end", true});
        }
    }

    void minute() {
        if (!session_) return;
        act_on(session_->minute());
        if (session_) minute_ = host_.timer(run_, patience, [this] { minute(); });
    }

    void act_on(Steps const& steps) {
        for (auto const& step : steps) {
            if (!session_) return;
            std::visit([this](auto const& one) { act(one); }, step);
        }
    }
    void act(Write const& write) {
        std::vector<Inject> inject;
        std::string const slot = "stream:" + std::string(Session::secret_mark);
        if (write.secret == Write::Secret::server_password) {
            inject.push_back({.slot = slot, .secret = "server_password"});
        } else if (write.secret == Write::Secret::sasl_password) {
            // SASL PLAIN: no identity to act for, the account, the password, encoded as one.
            std::string const before = std::string(1, '\0') + settings_.account + '\0';
            inject.push_back({.slot = slot, .secret = "sasl_password", .prefix = before,
                              .encode = "base64"});
        }
        if (!write_line(write.line, inject)) finish({"peer", "the connection broke", true});
    }
    void act(Ready const&) {
        tell_state("connected", settings_.host + " as " + session_->nick());
        send_on();
    }
    void act(Message const& message) { tell(json_from(message)); }
    void act(Note const& note) { host_.log(PARLEY_LOG_WARN, note.text); }
    void act(End const& end) { finish(end); }

    bool write_line(std::string const& line, std::vector<Inject> const& inject = {}) {
        return stream_.write(line + "\r\n", inject) != Emit::refused;
    }

    // ---- To the host. While it takes no more, what it has to be told waits.

    void tell_state(std::string_view state, std::string_view detail) {
        tell(json_of("type", "state", "state", state, "detail", detail));
    }
    void tell(std::string item) {
        held_.push_back(std::move(item));
        tell_on();
        if (session_ && held_.size() > held_most) {
            finish({"limit", "more than " + std::to_string(held_most) +
                                 " messages came while the host took none", true});
        }
    }
    void tell_on() {
        while (!is_paused_ && !held_.empty()) {
            std::string const item = std::move(held_.front());
            held_.pop_front();
            is_paused_ = run_.emit(item) == Emit::pause;
        }
        // What was heard before the end is told before it.
        if (!ending_ || !held_.empty()) return;
        End const why = *std::exchange(ending_, std::nullopt);
        run_.fail(why.code, why.message, why.retryable);
    }

    // ---- To the server: a few lines at once, then one for each interval. Messages take turns.

    void send_on() {
        while (session_ && session_->is_ready() && tokens_ > 0 && !sending_.empty()) {
            Sending one = std::move(sending_.front());
            sending_.pop_front();
            if (!write_line("PRIVMSG " + one.target + " :" + one.lines.front())) {
                sending_.push_front(std::move(one));
                return finish({"peer", "the connection broke", true});
            }
            --tokens_;
            ++one.parts;
            one.lines.pop_front();
            if (one.lines.empty()) one.call.complete_ok(json_of("parts", one.parts));
            else sending_.push_back(std::move(one));
        }
        refill();
    }
    void refill() {
        if (!session_ || tokens_ >= burst_lines || refill_.is_open()) return;
        refill_ = host_.timer(run_, std::chrono::milliseconds(settings_.send_interval_ms), [this] {
            ++tokens_;
            send_on();
        });
    }
    void drop_send(parley_id id) {
        auto const found = std::find_if(sending_.begin(), sending_.end(),
                                        [&](Sending const& one) { return one.call.id() == id; });
        if (found == sending_.end()) return;
        Sending one = std::move(*found);
        sending_.erase(found);
        fail_send(one, "cancelled", "the message was cancelled");
    }
    static void fail_send(Sending& one, char const* code, std::string const& message) {
        bool const sent = one.parts > 0;
        one.call.fail({code, message, !sent, 0, sent});
    }

    // ---- The end.

    void leave() {
        if (session_ && stream_.is_open()) write_line("QUIT :leaving");
        held_.clear();
        finish({"cancelled", "the channel was stopped", false});
    }
    void finish(End const& why) {
        // An end that still waits to be told is told now.
        if (!session_ && !ending_) return;
        bool const first = session_.has_value();
        session_.reset();
        stream_.stop();
        minute_.stop();
        refill_.stop();
        for (auto waiting = std::exchange(sending_, {}); auto& one : waiting) {
            fail_send(one, "peer", why.message);
        }
        ending_ = why;
        if (first) held_.push_back(json_of("type", "state", "state", "disconnected", "detail",
                                           why.message));
        if (why.code == "cancelled") is_paused_ = false;
        tell_on();
    }

    Host& host_;
    Settings const settings_;
    Call run_;
    parley::Stream stream_;
    parley::Operation minute_, refill_;
    std::optional<Session> session_;  // while there is a connection
    LineReader reader_;
    std::deque<std::string> held_;    // for the host
    bool is_paused_ = false;          // the host said so
    std::optional<End> ending_;       // to be told when all else is
    std::deque<Sending> sending_;
    int tokens_ = 0;                  // lines that may be sent now
};

}  // namespace
}  // namespace irc

PARLEY_PLUGIN(irc::Irc)
