#pragma once

// From a name to a connection: looks it up, asks about each address, connects to the first that may
// be, and wraps it into TLS where that is wanted. What goes over it is its owner's. Room-private.
#include "base/limits.hpp"
#include "base/loop.hpp"
#include "base/result.hpp"
#include "wire/stream.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace parley {

Error failed(std::string const& what, boost::system::error_code const& error);

// Lives until the last pending operation is over. An AsyncStream in the sense of Beast.
class Dial : public std::enable_shared_from_this<Dial> {
public:
    using ErrorCode = boost::system::error_code;
    using Socket = boost::asio::ip::tcp::socket;
    using Done = std::function<void(Result<>)>;

    Dial(Loop& loop, StreamTarget target, AddressCheck may_connect);

    // Told later, once; never when it is cut first. It sets no limit of time.
    void begin(Done done);
    // Closes; whatever is pending ends with an error.
    void cut();

    std::string peer() const;  // address:port, or "" when it is gone
    void say_no_more();        // the end of what is sent, where no TLS is about it

    // Of all that was read. Beyond what was allowed last, reading fails; nothing is unlimited.
    std::uint64_t bytes_read() const { return bytes_read_; }
    void allow(std::size_t bytes) { may_read_ = bytes; }

    using executor_type = Socket::executor_type;
    executor_type get_executor() { return socket_.get_executor(); }
    template <class Buffers, class Handler>
    void async_read_some(Buffers const& buffers, Handler&& handler);
    template <class Buffers, class Handler>
    void async_write_some(Buffers const& buffers, Handler&& handler);

private:
    // Each step leads to the next; any of them may end it.
    void resolve();
    void choose();
    void connect(std::size_t which);
    void shake_hands();
    void finish(Result<> result);

    Loop& loop_;
    StreamTarget target_;
    AddressCheck may_connect_;
    Done done_;
    Socket socket_;
    boost::asio::ip::tcp::resolver resolver_;
    std::shared_ptr<boost::asio::ssl::context> context_;  // shared with other lines
    std::optional<boost::asio::ssl::stream<Socket&>> tls_;
    std::vector<boost::asio::ip::tcp::endpoint> candidates_;
    std::uint64_t bytes_read_ = 0;
    std::optional<std::size_t> may_read_;
    bool is_cut_ = false;
};

template <class Buffers, class Handler>
void Dial::async_read_some(Buffers const& buffers, Handler&& handler) {
    auto counted = [me = shared_from_this(), handler = std::forward<Handler>(handler)](
                       ErrorCode error, std::size_t count) mutable {
        me->bytes_read_ += count;
        if (me->may_read_ && !error && count > *me->may_read_)
            error = boost::asio::error::no_buffer_space;
        if (me->may_read_) *me->may_read_ -= std::min(count, *me->may_read_);
        handler(error, count);
    };
    if (tls_)
        tls_->async_read_some(buffers, std::move(counted));
    else
        socket_.async_read_some(buffers, std::move(counted));
}

template <class Buffers, class Handler>
void Dial::async_write_some(Buffers const& buffers, Handler&& handler) {
    if (tls_)
        tls_->async_write_some(buffers, std::forward<Handler>(handler));
    else
        socket_.async_write_some(buffers, std::forward<Handler>(handler));
}

}  // namespace parley
