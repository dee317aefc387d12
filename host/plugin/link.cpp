#include "plugin/link.hpp"

#include "base/guard.hpp"
#include "base/limits.hpp"
#include "base/secret.hpp"

#include <parley/frame.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <sys/socket.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

namespace parley {

namespace asio = boost::asio;

static_assert(std::endian::native == std::endian::little);
static_assert(limits::frame_bytes == PARLEY_FRAME_BODY_MAX);
static_assert(limits::worker_message_bytes == PARLEY_MESSAGE_MAX);

namespace {

using Socket = asio::local::stream_protocol::socket;

// One buffer for all links of the event thread: a link at rest keeps nothing.
struct Scratch {
    char bytes[2 * (PARLEY_FRAME_BODY_MAX + sizeof(parley_frame))];
};
Scratch& scratch() {
    thread_local auto buffer = std::make_unique<Scratch>();
    return *buffer;
}

class SocketLink final : public Link {
public:
    SocketLink(Loop& loop, int descriptor, Told told)
        : loop_(loop),
          socket_(loop.context(), asio::local::stream_protocol(), descriptor),
          told_(std::move(told)) {}

    void begin() { wait_to_read(); }

    void send(std::uint16_t type, std::uint64_t id,
              std::initializer_list<std::string_view> body) override {
        if (closed_) return;
        append(type, id, body);
        if (is_crowded()) was_crowded_ = true;
        // Those who send look at is_crowded(); whoever gets here reads nothing and asks for more.
        if (out_.size() - sent_ > limits::worker_queue_bytes + limits::worker_message_bytes)
            return loop_.post([weak = std::weak_ptr(self())] {
                if (auto link = weak.lock(); link && !link->closed_)
                    link->broken("the worker does not read what it asked for");
            });
        if (flushing_) return;
        flushing_ = true;
        loop_.post([self = self()] { self->flush(); });
    }

    void send_secret(std::uint16_t type, std::uint64_t id,
                     std::initializer_list<std::string_view> body) override {
        if (closed_) return;
        // Into a queue of its own, so that no growth leaves a copy behind.
        auto before = std::exchange(out_, {});
        std::size_t size = before.size() + limits::secret_frame_bytes;
        for (auto piece : body) size += piece.size();
        out_.reserve(size);
        out_.append(before);
        append(type, id, body);
        holds_secret_ = true;
        flushing_ = true;
        flush();
    }

    bool is_crowded() const override { return out_.size() - sent_ > limits::worker_queue_bytes; }

    void drain() override {
        while (!closed_ && read_some()) {
        }
    }

    void close() override {
        if (closed_) return;
        closed_ = true;  // told_ stays: one of its functions may be running
        boost::system::error_code ignored;
        socket_.shutdown(Socket::shutdown_both, ignored);
        socket_.close(ignored);
    }

private:
    std::shared_ptr<SocketLink> self() {
        return std::static_pointer_cast<SocketLink>(shared_from_this());
    }

    void append(std::uint16_t type, std::uint64_t id,
                std::initializer_list<std::string_view> body) {
        std::size_t left = 0;
        for (auto piece : body) left += piece.size();
        auto piece = body.begin();
        std::size_t used = 0;
        do {
            auto length = std::min<std::size_t>(left, PARLEY_FRAME_BODY_MAX);
            left -= length;
            parley_frame frame{static_cast<std::uint32_t>(length), type,
                               static_cast<std::uint16_t>(left ? PARLEY_MORE : 0), id};
            out_.append(bytes_of(frame));
            while (length > 0) {
                auto part = piece->substr(used, length);
                out_.append(part);
                length -= part.size();
                used += part.size();
                if (used == piece->size()) ++piece, used = 0;
            }
        } while (left > 0);
    }

    void flush() {
        if (closed_) return;
        while (sent_ < out_.size()) {
            auto n = ::send(socket_.native_handle(), out_.data() + sent_, out_.size() - sent_,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n > 0) {
                sent_ += static_cast<std::size_t>(n);
            } else if (errno == EAGAIN) {
                compact();
                return wait_to_write();
            } else if (errno != EINTR) {
                return broken("the worker closed its link");
            }
        }
        compact();
        flushing_ = false;
    }

    void compact() {
        if (sent_ == out_.size()) {
            if (std::exchange(holds_secret_, false)) wipe(out_);
            if (out_.capacity() > 2 * PARLEY_FRAME_BODY_MAX)
                out_ = std::string();
            else
                out_.clear();
            sent_ = 0;
        } else if (sent_ > limits::worker_queue_bytes / 4) {
            out_.erase(0, sent_);
            sent_ = 0;
        }
        if (!was_crowded_ || out_.size() - sent_ > limits::worker_queue_bytes / 2) return;
        was_crowded_ = false;
        if (told_.on_drained) told_.on_drained();
    }

    void wait_to_write() {
        socket_.async_wait(Socket::wait_write, [self = self()](auto error) {
            if (!error) self->flush();
        });
    }

    void wait_to_read() {
        socket_.async_wait(Socket::wait_read, [weak = std::weak_ptr(self())](auto error) {
            auto self = weak.lock();
            if (error || !self || self->closed_) return;
            self->read_some();
            if (!self->closed_) self->wait_to_read();
        });
    }

    // One read, and every message in it. False when there is nothing now, or never again.
    bool read_some() {
        auto keep_alive = self();
        auto& buffer = scratch();
        rest_.copy(buffer.bytes, rest_.size());
        auto held = rest_.size();
        auto n = recv(socket_.native_handle(), buffer.bytes + held, sizeof buffer.bytes - held,
                      MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
        if (n <= 0) return broken("the worker closed its link"), false;
        std::string_view bytes(buffer.bytes, held + static_cast<std::size_t>(n));
        while (!closed_ && take_frame(bytes)) {
        }
        if (closed_) return false;
        rest_ = bytes;
        return true;
    }

    bool take_frame(std::string_view& bytes) {
        parley_frame frame;
        if (bytes.size() < sizeof frame) return false;
        std::memcpy(&frame, bytes.data(), sizeof frame);
        if (frame.length > PARLEY_FRAME_BODY_MAX)
            return broken("the worker sent a frame that is too long"), false;
        if ((frame.flags & ~PARLEY_MORE) && holds("frame-flags"))
            return broken("the worker sent a frame with unknown flags"), false;
        if (bytes.size() < sizeof frame + frame.length) return false;
        auto body = bytes.substr(sizeof frame, frame.length);
        bytes.remove_prefix(sizeof frame + frame.length);
        return take_body(frame, body);
    }

    bool take_body(parley_frame const& frame, std::string_view body) {
        if (in_parts_ && (frame.type != part_type_ || frame.id != part_id_))
            return broken("the worker mixed the frames of two messages"), false;
        if (!in_parts_ && !(frame.flags & PARLEY_MORE)) {
            told_.on_message(frame.type, frame.id, body);
            return !closed_;
        }
        if (whole_.size() + body.size() > limits::worker_message_bytes)
            return broken("the worker sent a message that is too long"), false;
        whole_.append(body);
        in_parts_ = frame.flags & PARLEY_MORE;
        part_type_ = frame.type;
        part_id_ = frame.id;
        if (in_parts_) return true;
        auto message = std::exchange(whole_, {});
        told_.on_message(frame.type, frame.id, message);
        return !closed_;
    }

    void broken(char const* why) {
        close();
        if (told_.on_broken) told_.on_broken(why);
    }

    Loop& loop_;
    Socket socket_;
    Told told_;
    bool closed_ = false;
    std::string rest_;   // an incomplete frame
    std::string whole_;  // an incomplete message
    bool in_parts_ = false;
    std::uint16_t part_type_ = 0;
    std::uint64_t part_id_ = 0;
    std::string out_;
    std::size_t sent_ = 0;
    bool flushing_ = false, was_crowded_ = false;
    bool holds_secret_ = false;  // wiped when all of it has left
};

}  // namespace

std::shared_ptr<Link> Link::open(Loop& loop, int descriptor, Told told) {
    auto link = std::make_shared<SocketLink>(loop, descriptor, std::move(told));
    link->begin();
    return link;
}

}  // namespace parley
