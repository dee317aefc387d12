#include "wire/stream.hpp"

#include "base/limits.hpp"
#include "wire/dial.hpp"

#include <array>

namespace parley {
namespace {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using boost::system::error_code;

// What lives until the last pending operation is over; the Stream is only its handle.
class Line final : public std::enable_shared_from_this<Line> {
public:
    Line(Loop& loop, StreamTarget target, AddressCheck may_connect, StreamSink sink)
        : loop_(loop),
          target_(target),
          sink_(std::move(sink)),
          dial_(std::make_shared<Dial>(loop, std::move(target), std::move(may_connect))) {}

    void begin() {
        dial_->begin([me = shared_from_this()](Result<> reached) {
            reached ? me->opened() : me->end(std::move(reached));
        });
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

    void opened() {
        open_ = true;
        timer_.reset();
        if (sink_.on_open) sink_.on_open(dial_->peer(), target_.tls);
        if (is_over_) return;
        if (!waiting_.empty() && !is_writing_) write_some();
        if (!is_paused_ && !is_reading_) read_some();
    }

    void read_some() {
        is_reading_ = true;
        dial_->async_read_some(asio::buffer(buffer_),
                               [me = shared_from_this()](error_code error, std::size_t count) {
                                   me->is_reading_ = false;
                                   if (me->is_over_) return;
                                   me->held_ = count;
                                   if (error)
                                       me->end_read(error);
                                   else if (!me->is_paused_)
                                       me->deliver_held();
                               });
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
            if (is_leaving_) dial_->say_no_more();
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
        dial_->async_write_some(bytes, std::move(done));
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
        dial_->cut();
    }

    Loop& loop_;
    StreamTarget target_;
    StreamSink sink_;
    std::shared_ptr<Dial> dial_;  // shared with its own pending operations
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
