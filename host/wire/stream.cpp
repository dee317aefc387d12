#include "wire/stream.hpp"

#include "base/limits.hpp"
#include "wire/curl_module.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl.hpp>

#include <array>
#include <optional>
#include <vector>

namespace parley {
namespace {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using tcp = asio::ip::tcp;
using boost::system::error_code;

Error failed(std::string const& what, error_code const& error) {
    return Error(Fault::peer_failed, what + ": " + error.message());
}

Result<std::shared_ptr<ssl::context>> make_context(std::string const& ca_file) {
    auto context = std::make_shared<ssl::context>(ssl::context::tls_client);
    error_code error;
    SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
    context->set_verify_mode(ssl::verify_peer, error);
    if (!error && ca_file.empty()) context->set_default_verify_paths(error);
    if (!error && !ca_file.empty()) context->load_verify_file(ca_file, error);
    if (error) return failed("TLS: the trusted certificates cannot be read", error);
    return context;
}

// Reading the system's store takes 40 ms, so it is read once, and only when it is wanted.
Result<std::shared_ptr<ssl::context>> context_for(std::string const& ca_file) {
    if (!ca_file.empty()) return make_context(ca_file);
    static auto const system = make_context("");
    return system;
}

// What lives until the last pending operation is over; the Stream is only its handle.
class Line final : public std::enable_shared_from_this<Line> {
public:
    Line(Loop& loop, StreamTarget target, AddressCheck may_connect, StreamSink sink)
        : loop_(loop),
          target_(std::move(target)),
          may_connect_(std::move(may_connect)),
          sink_(std::move(sink)),
          socket_(loop.context()),
          resolver_(loop.context()) {}

    void begin() {
        loop_.post([me = shared_from_this()] { me->resolve(); });
        timer_ = loop_.after(target_.connect_timeout, [weak = weak_from_this()] {
            auto me = weak.lock();
            if (me && !me->open_) me->end(Error(Fault::timed_out, "no connection in time"));
        });
    }

    // What was written still leaves. Then the peer's end is waited for a while: closing over bytes
    // that nobody read would make the kernel reset the connection, and the peer may lose what it
    // has not read yet.
    void let_go() {
        if (!open_ || is_over_ || leaving() >= limits::streams_leaving) {
            is_over_ = true;
            return shut();
        }
        is_leaving_ = true;
        ++leaving();
        timer_ =
            loop_.after(limits::stream_linger_time, [me = shared_from_this()] { me->end(ok()); });
        is_paused_ = false;
        held_ = 0;
        if (!is_reading_) read_some();
        if (!is_writing_) write_some();
    }
    void write(std::string bytes) {
        if (is_over_ || bytes.empty()) return;
        if (queued_bytes() + bytes.size() > limits::stream_queue_bytes)
            return end_later(Error(Fault::unavailable, "more waits to be sent than may"));
        waiting_.append(bytes);
        if (open_ && !is_writing_) write_some();
    }
    std::size_t queued_bytes() const { return going_.size() - gone_ + waiting_.size(); }

    void pause(bool paused) {
        is_paused_ = paused;
        if (paused || is_over_ || !open_) return;
        if (held_ > 0)
            loop_.post([me = shared_from_this()] { me->deliver_held(); });
        else if (!is_reading_)
            read_some();
    }

private:
    // How many lines nobody holds any more; all are of the one event thread.
    static int& leaving() {
        thread_local int count = 0;
        return count;
    }

    // Each step of opening leads to the next; any of them may end it.
    void resolve() {
        if (is_over_) return;
        if (target_.host.empty() || target_.host.size() > 253 ||
            target_.host.find('\0') != std::string::npos || target_.port == 0)
            return end(Error(Fault::bad_input, "the target has no well-formed host and port"));
        error_code error;
        auto address = asio::ip::make_address(target_.host, error);
        if (!error) {
            candidates_.emplace_back(address, target_.port);
            return choose();
        }
        resolver_.async_resolve(
            target_.host, std::to_string(target_.port), tcp::resolver::numeric_service,
            [me = shared_from_this()](error_code problem, tcp::resolver::results_type found) {
                if (me->is_over_) return;
                if (problem)
                    return me->end(failed("'" + me->target_.host + "' is not found", problem));
                for (auto const& entry : found) me->candidates_.push_back(entry.endpoint());
                me->choose();
            });
    }

    // Only what was resolved here is checked, and only what was checked is connected to.
    void choose() {
        std::erase_if(candidates_, [this](tcp::endpoint const& endpoint) {
            return !may_connect_ || !may_connect_(endpoint.address().to_string(), endpoint.port());
        });
        if (is_over_) return;
        if (candidates_.empty())
            return end(
                Error(Fault::denied, "no address of '" + target_.host + "' may be connected to"));
        connect(0);
    }

    void connect(std::size_t which) {
        error_code ignored;
        socket_.close(ignored);
        socket_.async_connect(
            candidates_[which], [me = shared_from_this(), which](error_code problem) {
                if (me->is_over_) return;
                if (problem && which + 1 < me->candidates_.size()) return me->connect(which + 1);
                if (problem) return me->end(failed("'" + me->target_.host + "'", problem));
                error_code no_matter;
                me->socket_.set_option(tcp::no_delay(true), no_matter);
                me->socket_.set_option(asio::socket_base::keep_alive(true), no_matter);
                me->target_.tls ? me->shake_hands() : me->opened();
            });
    }

    void shake_hands() {
        auto file = target_.ca_file.empty() ? ca_file_from_environment() : target_.ca_file;
        auto context = context_for(file);
        if (!context) return end(std::move(context).error());
        context_ = *context;
        tls_.emplace(socket_, *context_);
        error_code error;
        tls_->set_verify_callback(ssl::host_name_verification(target_.host), error);
        error_code not_ip;
        asio::ip::make_address(target_.host, not_ip);
        // SNI carries names only.
        if (not_ip && !SSL_set_tlsext_host_name(tls_->native_handle(), target_.host.c_str()))
            return end(Error(Fault::bad_input, "TLS does not take this host name"));
        if (error) return end(failed("TLS", error));
        tls_->async_handshake(ssl::stream_base::client,
                              [me = shared_from_this()](error_code problem) {
                                  if (me->is_over_) return;
                                  if (problem) return me->end(failed("TLS", problem));
                                  me->opened();
                              });
    }

    void opened() {
        open_ = true;
        timer_.reset();
        error_code error;
        auto endpoint = socket_.remote_endpoint(error);
        auto peer = error ? std::string()
                          : endpoint.address().to_string() + ":" + std::to_string(endpoint.port());
        if (sink_.on_open) sink_.on_open(std::move(peer), target_.tls);
        if (is_over_) return;
        if (!waiting_.empty() && !is_writing_) write_some();
        if (!is_paused_ && !is_reading_) read_some();
    }

    void read_some() {
        is_reading_ = true;
        auto done = [me = shared_from_this()](error_code error, std::size_t count) {
            me->is_reading_ = false;
            if (me->is_over_) return;
            me->held_ = count;
            if (error)
                me->end_read(error);
            else if (!me->is_paused_)
                me->deliver_held();
        };
        if (tls_)
            tls_->async_read_some(asio::buffer(buffer_), std::move(done));
        else
            socket_.async_read_some(asio::buffer(buffer_), std::move(done));
    }

    void deliver_held() {
        if (is_over_ || is_paused_ || held_ == 0) return;
        auto count = std::exchange(held_, 0);
        // Nothing is read into the buffer until the sink has had it.
        is_reading_ = true;
        if (sink_.on_data && !is_leaving_) sink_.on_data({buffer_.data(), count});
        is_reading_ = false;
        if (!is_over_ && !is_paused_) read_some();
    }

    void end_read(error_code const& error) {
        if (error == asio::error::eof) return end(ok());
        if (error == ssl::error::stream_truncated)
            return end(Error(Fault::peer_failed, "the peer closed without TLS's goodbye"));
        end(failed("reading", error));
    }

    void write_some() {
        if (gone_ == going_.size()) {
            going_ = std::exchange(waiting_, {});
            gone_ = 0;
        }
        if (gone_ == going_.size()) {
            error_code ignored;
            if (is_leaving_) socket_.shutdown(tcp::socket::shutdown_send, ignored);
            return;
        }
        is_writing_ = true;
        auto done = [me = shared_from_this()](error_code error, std::size_t count) {
            me->is_writing_ = false;
            if (me->is_over_) return;
            if (error) return me->end(failed("writing", error));
            me->gone_ += count;
            me->write_some();
        };
        auto bytes = asio::buffer(going_.data() + gone_, going_.size() - gone_);
        if (tls_)
            tls_->async_write_some(bytes, std::move(done));
        else
            socket_.async_write_some(bytes, std::move(done));
    }

    void end(Result<> why) {
        if (is_over_) return;
        is_over_ = true;
        auto keep_alive = shared_from_this();  // the timer may be all that holds it
        shut();
        if (is_leaving_)
            --leaving();
        else if (sink_.on_closed)
            sink_.on_closed(std::move(why));
    }
    void end_later(Error why) {
        loop_.post([me = shared_from_this(), why = std::move(why)] { me->end(why); });
    }
    void shut() {
        timer_.reset();
        resolver_.cancel();
        error_code ignored;
        socket_.close(ignored);
    }

    Loop& loop_;
    StreamTarget target_;
    AddressCheck may_connect_;
    StreamSink sink_;
    tcp::socket socket_;
    tcp::resolver resolver_;
    std::shared_ptr<ssl::context> context_;  // shared with other lines
    std::optional<ssl::stream<tcp::socket&>> tls_;
    std::vector<tcp::endpoint> candidates_;
    Loop::Handle timer_;
    bool open_ = false, is_over_ = false, is_leaving_ = false, is_paused_ = false,
         is_reading_ = false, is_writing_ = false;
    std::array<char, limits::stream_read_bytes> buffer_;
    std::size_t held_ = 0;         // bytes of buffer_ that a pause keeps back
    std::string going_, waiting_;  // with the kernel now, from gone_ on; and after that
    std::size_t gone_ = 0;
};

class LineStream final : public Stream {
public:
    explicit LineStream(std::shared_ptr<Line> line) : line_(std::move(line)) {}
    ~LineStream() override { line_->let_go(); }
    void write(std::string bytes) override { line_->write(std::move(bytes)); }
    std::size_t queued_bytes() const override { return line_->queued_bytes(); }
    void pause(bool paused) override { line_->pause(paused); }

private:
    std::shared_ptr<Line> line_;  // shared with its own pending operations
};

}  // namespace

std::unique_ptr<Stream> open_stream(Loop& loop, StreamTarget target, AddressCheck may_connect,
                                    StreamSink sink) {
    auto line =
        std::make_shared<Line>(loop, std::move(target), std::move(may_connect), std::move(sink));
    line->begin();
    return std::make_unique<LineStream>(std::move(line));
}

}  // namespace parley
