// A channel in C++20 to a service that talks in lines over TCP:
//
//     we say    from 16               send what came after message 16
//     it says   17 ann hello there    message 17 is of ann, and says "hello there"
//     we say    ack 17                17 is safe with us: forget it
//     we say    to ann welcome        tell ann "welcome"
//
// The network is the host's: it connects, and hands bytes over.
#include <parley/plugin.hpp>

#include <algorithm>
#include <deque>
#include <optional>
#include <string>

namespace {

using parley::Call;
using parley::Emit;
using parley::Failure;
using parley::Json;
using parley::json_of;
using parley::JsonRaw;

constexpr std::size_t line_bytes = 64 * 1024;  // a line without an end is no message
constexpr std::size_t held_most = 256;         // for a host that takes no more just now

class Lines final : public parley::Channel {
public:
    Lines(parley::Host& host, Json const& config)
        : host_(host),
          service_(config["host"].text()),
          port_(static_cast<std::uint16_t>(config["port"].integer())) {}

    // Stays open for the life of the instance. When it fails with `retryable`, the host runs it
    // again, later each time, with the cursor of the last message that it made durable.
    void run(Call call, Json request) override {
        run_ = std::move(call);
        begin_ = "from " + std::string(request["cursor"].text("0")) + '\n';
        rest_.clear();
        held_.clear();
        is_connected_ = is_paused_ = false;
        run_.on_resume([this] {
            is_paused_ = false;
            tell_on();
        });
        // Only now may the service forget a message: the host cannot lose it any more.
        run_.on_ack([this](std::string_view cursor) {
            stream_.write("ack " + std::string(cursor) + '\n');
        });
        run_.on_cancel([this] { end({.code = "cancelled", .message = "stopped"}); });
        stream_ = host_.stream(
            run_, service_, port_, false,
            {.on_open =
                 [this](std::string_view peer) {
                     is_connected_ = true;
                     stream_.write(begin_);
                     tell(json_of("type", "state", "state", "connected", "detail", peer));
                 },
             .on_data = [this](std::string_view bytes) { heard(bytes); },
             .on_closed =
                 [this](std::optional<Failure> const& why) {
                     end({.code = "peer",
                          .message = why ? why->message : "the service closed the connection",
                          .retryable = true});
                 }});
    }

    // One message out. `sent` is false only where provably nothing left: the host then sends it
    // again.
    void send(Call call, Json request) override {
        std::string const to(request["conversation"].text());
        std::string_view text = request["text"].text();
        std::string lines;
        while (!text.empty()) {
            auto const line = text.substr(0, text.find('\n'));
            text.remove_prefix(std::min(line.size() + 1, text.size()));
            lines += "to " + to + ' ' + std::string(line) + '\n';
        }
        if (!is_connected_ || stream_.write(lines) == Emit::refused) {
            return call.fail(
                {.code = "peer", .message = "not connected", .retryable = true, .sent = false});
        }
        call.complete_ok(json_of("parts", 1));
    }

private:
    void heard(std::string_view bytes) {
        rest_ += bytes;
        std::size_t end_of_line;
        while ((end_of_line = rest_.find('\n')) != std::string::npos) {
            hear(rest_.substr(0, end_of_line));
            rest_.erase(0, end_of_line + 1);
        }
        if (rest_.size() > line_bytes) {
            end({.code = "peer", .message = "a line without an end", .retryable = true});
        }
    }

    // "17 ann hello there". The service says who speaks, and the host decides whether that person
    // may. The number is the message's id, so that a repeat is dropped, and its cursor.
    void hear(std::string_view line) {
        auto const number = word(line), name = word(line);
        if (number.empty() || number.size() > 18 || name.empty() || name.size() > 64) return;
        if (number.find_first_not_of("0123456789") != number.npos) return;
        std::string const who = parley::visible_utf8(name);
        parley::JsonWriter sender;
        sender.begin('{').key("ids").begin('[').value("account:" + who).end(']');
        sender.pair("name", who).end('}');
        tell(json_of("type", "message", "conversation", who, "sender", JsonRaw{sender.text()},
                     "text", parley::visible_utf8(line), "private", true, "id", number, "cursor",
                     number));
    }

    // Takes the first word off, and the space behind it.
    static std::string_view word(std::string_view& line) {
        auto const first = line.substr(0, line.find(' '));
        line.remove_prefix(std::min(first.size() + 1, line.size()));
        return first;
    }

    // What the host does not take now waits, up to a bound.
    void tell(std::string item) {
        held_.push_back(std::move(item));
        tell_on();
        if (held_.size() > held_most) {
            end({.code = "limit", .message = "too many messages", .retryable = true});
        }
    }
    void tell_on() {
        while (!is_paused_ && !held_.empty()) {
            is_paused_ = run_.emit(held_.front()) == Emit::pause;
            held_.pop_front();
        }
    }

    void end(Failure const& why) {
        is_connected_ = false;
        run_.fail(why);  // and with it goes its stream
    }

    parley::Host& host_;
    std::string const service_;
    std::uint16_t const port_;
    Call run_;
    parley::Stream stream_;
    std::string begin_;  // what the service is told first
    std::string rest_;   // of a line that has not ended yet
    std::deque<std::string> held_;
    bool is_connected_ = false, is_paused_ = false;
};

}  // namespace

PARLEY_PLUGIN(Lines)
