#include "wire/websocket.hpp"

#include "base/text.hpp"
#include "wire/dial.hpp"

#include <boost/asio/post.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/stream.hpp>

#include <algorithm>
#include <deque>

namespace parley {

// What Beast asks of a connection beside reading and writing. Both sides have said goodbye, or one
// has broken the rules: there is nothing to wait for, and who is told closes.
template <class Handler>
void async_teardown(boost::beast::role_type, Dial& dial, Handler&& handler) {
    boost::asio::post(dial.get_executor(),
                      boost::beast::bind_front_handler(std::forward<Handler>(handler),
                                                       boost::system::error_code()));
}
void beast_close_socket(Dial& dial) {
    dial.cut();
}

namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace ws = boost::beast::websocket;
using boost::system::error_code;

// What else is read for each message than the message: frames as small as they may be.
constexpr std::size_t framing_share = 2;
constexpr std::uint16_t no_code = 1005;    // RFC 6455, 7.4.1: said of a goodbye without a code
constexpr std::size_t reason_bytes = 123;  // the same, 5.5

StreamTarget stream_target(WebSocketTarget const& target) {
    StreamTarget out;
    out.host = target.url.host;
    out.port = target.url.port;
    out.tls = target.url.scheme == "wss";
    out.ca_file = target.ca_file;
    return out;
}

// As a Host header has it: the port only where it is not the usual one.
std::string authority(Url const& url) {
    auto out = url.host.find(':') == url.host.npos ? url.host : '[' + url.host + ']';
    bool is_usual = url.port == (url.scheme == "wss" ? 443 : 80);
    return is_usual ? out : out + ':' + std::to_string(url.port);
}

std::string joined(std::vector<std::string> const& names) {
    std::string out;
    for (auto const& name : names) out += (out.empty() ? "" : ", ") + name;
    return out;
}

// Lives until the last pending operation is over; the WebSocket is only its handle.
class Line final : public std::enable_shared_from_this<Line> {
public:
    Line(Loop& loop, WebSocketTarget target, AddressCheck may_connect, WebSocketSink sink)
        : loop_(loop),
          target_(std::move(target)),
          sink_(std::move(sink)),
          dial_(std::make_shared<Dial>(loop, stream_target(target_), std::move(may_connect))),
          socket_(*dial_),
          buffer_(target_.message_bytes_most + 1) {}  // a frame that ends it may follow

    void begin() {
        dial_->begin([me = shared_from_this()](Result<> reached) {
            reached ? me->upgrade() : me->end(std::move(reached).error());
        });
        timer_ = loop_.after(target_.open_timeout, [weak = weak_from_this()] {
            if (auto me = weak.lock())
                me->end(Error(Fault::timed_out, "no WebSocket was opened in time"));
        });
    }

    void send(std::string bytes, bool is_text) {
        if (is_over_ || is_leaving_) return;
        queued_bytes_ += bytes.size();
        waiting_.push_back({std::move(bytes), is_text});
        if (queued_bytes_ > limits::stream_queue_bytes)
            return loop_.post([me = shared_from_this()] {
                me->end(Error(Fault::unavailable, "more waits to be sent than may"));
            });
        if (is_open_ && !is_writing_) write_next();
    }
    std::size_t queued_bytes() const { return queued_bytes_; }

    void pause(bool paused) {
        is_paused_ = paused;
        if (paused || is_over_ || !is_open_) return;
        if (is_held_)
            loop_.post([me = shared_from_this()] { me->deliver_held(); });
        else if (!is_reading_)
            read_next();
    }

    void close(std::uint16_t code, std::string_view reason) {
        if (is_over_ || is_leaving_) return;
        if (!is_open_ || leaving() >= limits::streams_leaving) {
            is_over_ = true;
            return shut();
        }
        is_leaving_ = true;
        ++leaving();
        auto words = clipped(reason, reason_bytes);
        goodbye_ =
            ws::close_reason(static_cast<ws::close_code>(code), {words.data(), words.size()});
        // A peer that goes on talking, or never answers, is left after a while.
        timer_ = loop_.after(limits::stream_linger_time,
                             [me = shared_from_this()] { me->end(Error(Fault::timed_out, "")); });
        if (!is_writing_) write_next();
    }

private:
    struct Message {
        std::string bytes;
        bool is_text;
    };

    // How many lines nobody holds any more; all are of the one event thread.
    static int& leaving() {
        thread_local int count = 0;
        return count;
    }

    void upgrade() {
        is_sent_ = true;
        ws::stream_base::timeout none{ws::stream_base::none(), ws::stream_base::none(), false};
        socket_.set_option(none);
        socket_.set_option(ws::stream_base::decorator([this](ws::request_type& request) {
            request.set(http::field::user_agent, "AgentParley/" PARLEY_VERSION);
            // A header that the plugin names is the plugin's, and may stand there more than once.
            for (auto const& [name, value] : target_.headers) request.erase(name);
            for (auto const& [name, value] : target_.headers) request.insert(name, value);
            if (!target_.subprotocols.empty())
                request.set(http::field::sec_websocket_protocol, joined(target_.subprotocols));
        }));
        socket_.read_message_max(target_.message_bytes_most);
        dial_->allow(limits::egress_header_bytes);
        socket_.async_handshake(answer_, authority(target_.url), target_.url.path_and_query,
                                [me = shared_from_this()](error_code error) {
                                    if (!me->is_over_) me->upgraded(error);
                                });
    }

    void upgraded(error_code const& error) {
        if (error == ws::error::upgrade_declined) {
            status_ = static_cast<int>(answer_.result_int());
            return end(Error(Fault::peer_failed,
                             "the server answered " + std::to_string(status_) + " to the upgrade"));
        }
        if (error) return end(failed("the upgrade", error));
        if (answer_.find(http::field::sec_websocket_extensions) != answer_.end())
            return end(
                Error(Fault::peer_failed, "the server uses an extension that nobody offered"));
        std::string chosen(answer_[http::field::sec_websocket_protocol]);
        auto const& offered = target_.subprotocols;
        if (!chosen.empty() && std::find(offered.begin(), offered.end(), chosen) == offered.end())
            return end(
                Error(Fault::peer_failed, "the server chose a subprotocol that nobody offered"));
        target_.headers.clear();  // a secret may stand in one of them
        answer_ = {};
        is_open_ = true;
        timer_.reset();
        renew_allowance();
        tick();
        if (sink_.on_open) sink_.on_open({dial_->peer(), std::move(chosen)});
        if (is_over_) return;
        if (!is_writing_) write_next();
        if (!is_paused_ && !is_reading_) read_next();
    }

    // Frames that make no message cost time too: so many bytes may be read until the next message,
    // or for as long as a ping takes its turn.
    void renew_allowance() {
        dial_->allow(framing_share * target_.message_bytes_most + limits::ws_framing_bytes);
    }

    void tick() {
        ticker_ = loop_.after(target_.ping_time, [weak = weak_from_this()] {
            auto me = weak.lock();
            if (!me || me->is_over_ || me->is_leaving_) return;
            bool is_heard = me->bytes_heard_ != me->dial_->bytes_read();
            me->bytes_heard_ = me->dial_->bytes_read();
            me->renew_allowance();
            // Who does not read cannot hear.
            if (is_heard || !me->is_reading_)
                me->quiet_ = std::chrono::milliseconds(0);
            else
                me->quiet_ += me->target_.ping_time;
            if (me->quiet_ >= me->target_.idle_time)
                return me->end(Error(Fault::timed_out, "nothing was heard, not even a pong"));
            me->ping();
            me->tick();
        });
    }

    void ping() {
        if (is_pinging_) return;
        is_pinging_ = true;
        socket_.async_ping({}, [me = shared_from_this()](error_code) { me->is_pinging_ = false; });
    }

    void read_next() {
        is_reading_ = true;
        socket_.async_read(buffer_, [me = shared_from_this()](error_code error, std::size_t) {
            me->is_reading_ = false;
            if (me->is_over_ || me->is_leaving_) return;
            if (error) return me->end_read(error);
            me->is_held_ = true;
            if (!me->is_paused_) me->deliver_held();
        });
    }

    void deliver_held() {
        if (is_over_ || is_leaving_ || is_paused_ || !is_held_) return;
        is_held_ = false;
        renew_allowance();
        // Nothing is read into the buffer until the sink has had it.
        is_reading_ = true;
        auto bytes = buffer_.cdata();
        auto keep_alive = shared_from_this();
        if (sink_.on_message)
            sink_.on_message({static_cast<char const*>(bytes.data()), bytes.size()},
                             socket_.got_text());
        is_reading_ = false;
        buffer_.consume(buffer_.size());
        if (buffer_.capacity() > limits::ws_framing_bytes) buffer_.shrink_to_fit();
        if (!is_over_ && !is_leaving_ && !is_paused_) read_next();
    }

    void end_read(error_code const& error) {
        if (error == ws::error::closed) {
            auto const& said = socket_.reason();
            std::uint16_t code = said.code == ws::close_code::none ? no_code : said.code;
            return end(WebSocketGoodbye{code, {said.reason.data(), said.reason.size()}});
        }
        if (error == ws::error::message_too_big || error == ws::error::buffer_overflow)
            return end(Error(Fault::over_budget, "a message is larger than it may be"));
        if (error == boost::asio::error::no_buffer_space)
            return end(Error(Fault::peer_failed, "too many frames made no message"));
        if (error == boost::asio::error::eof || error == boost::asio::ssl::error::stream_truncated)
            return end(Error(Fault::peer_failed, "the connection ended without a goodbye"));
        end(failed("reading", error));
    }

    void write_next() {
        if (waiting_.empty()) {
            if (is_leaving_) say_goodbye();
            return;
        }
        is_writing_ = true;
        auto const& message = waiting_.front();
        socket_.text(message.is_text);
        socket_.async_write(boost::asio::buffer(message.bytes),
                            [me = shared_from_this()](error_code error, std::size_t) {
                                me->is_writing_ = false;
                                if (me->is_over_) return;
                                // Why nothing can be written is told by the reader.
                                if (error) return me->write_failed(error);
                                me->queued_bytes_ -= me->waiting_.front().bytes.size();
                                me->waiting_.pop_front();
                                me->write_next();
                            });
    }

    void write_failed(error_code const& error) {
        if (is_reading_ && !is_leaving_ && error == boost::asio::error::operation_aborted) return;
        end(failed("writing", error));
    }

    void say_goodbye() {
        is_writing_ = true;
        socket_.async_close(goodbye_, [me = shared_from_this()](error_code error) {
            me->end(failed("closing", error));
        });
    }

    void end(Result<WebSocketGoodbye> how) {
        if (is_over_) return;
        is_over_ = true;
        auto keep_alive = shared_from_this();  // the timer may be all that holds it
        shut();
        if (is_leaving_)
            --leaving();
        else if (sink_.on_closed)
            sink_.on_closed(std::move(how), status_, is_sent_);
    }
    void shut() {
        timer_.reset();
        ticker_.reset();
        dial_->cut();
    }

    Loop& loop_;
    WebSocketTarget target_;
    WebSocketSink sink_;
    std::shared_ptr<Dial> dial_;  // shared with its own pending operations
    ws::stream<Dial&, false> socket_;
    ws::response_type answer_;
    ws::close_reason goodbye_;
    beast::flat_buffer buffer_;
    std::deque<Message> waiting_;  // the first is being written while is_writing_
    std::size_t queued_bytes_ = 0;
    Loop::Handle timer_, ticker_;
    std::uint64_t bytes_heard_ = 0;
    std::chrono::milliseconds quiet_{0};
    int status_ = 0;
    bool is_sent_ = false, is_open_ = false, is_over_ = false, is_leaving_ = false,
         is_paused_ = false, is_reading_ = false, is_writing_ = false, is_pinging_ = false,
         is_held_ = false;  // a message that a pause keeps back
};

class LineSocket final : public WebSocket {
public:
    explicit LineSocket(std::shared_ptr<Line> line) : line_(std::move(line)) {}
    ~LineSocket() override { line_->close(1001, {}); }
    void send(std::string bytes, bool is_text) override { line_->send(std::move(bytes), is_text); }
    std::size_t queued_bytes() const override { return line_->queued_bytes(); }
    void pause(bool paused) override { line_->pause(paused); }
    void close(std::uint16_t code, std::string_view reason) override { line_->close(code, reason); }

private:
    std::shared_ptr<Line> line_;  // shared with its own pending operations
};

}  // namespace

Result<Url> parse_ws_url(std::string_view text) {
    auto scheme = std::string(text.substr(0, std::min<std::size_t>(text.find("://"), 4)));
    for (auto& c : scheme)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    if (scheme != "ws" && scheme != "wss")
        return Error(Fault::bad_input, "URL: is neither ws nor wss");
    auto rest = std::string(text.substr(scheme.size()));
    TRY(url, parse_url((scheme == "ws" ? "http" : "https") + rest));
    url.scheme = scheme;
    return url;
}

std::unique_ptr<WebSocket> open_websocket(Loop& loop, WebSocketTarget target,
                                          AddressCheck may_connect, WebSocketSink sink) {
    auto line =
        std::make_shared<Line>(loop, std::move(target), std::move(may_connect), std::move(sink));
    line->begin();
    return std::make_unique<LineSocket>(std::move(line));
}

}  // namespace parley
