#include "link.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

namespace parley::worker {

static_assert(std::endian::native == std::endian::little);

namespace {

thread_local bool strand = false;
constexpr std::size_t flush_bytes = PARLEY_FRAME_BODY_MAX;

template <class Number>
bool take(std::string_view& body, Number& out) {
    if (body.size() < sizeof out) return false;
    std::memcpy(&out, body.data(), sizeof out);
    body.remove_prefix(sizeof out);
    return true;
}

}  // namespace

void this_is_the_strand() {
    strand = true;
}
bool on_strand() {
    return strand;
}

bool take_number(std::string_view& body, std::uint32_t& out) {
    return take(body, out);
}
bool take_number(std::string_view& body, std::uint64_t& out) {
    return take(body, out);
}

bool SocketLink::fill() {
    if (begin_ > 0) {
        std::memmove(in_, in_ + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    for (;;) {
        auto n = recv(descriptor_, in_ + end_, sizeof in_ - end_, 0);
        if (n > 0) return end_ += static_cast<std::size_t>(n), true;
        if (n == 0 || errno != EINTR) return false;
    }
}

bool SocketLink::receive(Message& message) {
    // A rare large message must not stay in memory for the life of the worker.
    if (whole_.capacity() > 1u << 20) whole_ = std::string();
    whole_.clear();
    for (;;) {
        parley_frame frame;
        while (end_ - begin_ < sizeof frame) {
            flush();
            if (!fill()) return false;
        }
        std::memcpy(&frame, in_ + begin_, sizeof frame);
        if (frame.length > PARLEY_FRAME_BODY_MAX) return false;
        while (end_ - begin_ < sizeof frame + frame.length) {
            flush();
            if (!fill()) return false;
        }
        std::string_view body(in_ + begin_ + sizeof frame, frame.length);
        begin_ += sizeof frame + frame.length;
        message.type = frame.type;
        message.id = frame.id;
        if (!(frame.flags & PARLEY_MORE) && whole_.empty()) {
            message.body = body;
            return true;
        }
        if (whole_.size() + body.size() > PARLEY_MESSAGE_MAX) return false;
        whole_.append(body);
        message.body = whole_;
        if (!(frame.flags & PARLEY_MORE)) return true;
    }
}

void SocketLink::send(std::uint16_t type, std::uint64_t id,
                      std::initializer_list<std::string_view> body) {
    std::size_t left = 0;
    for (auto piece : body) left += piece.size();
    std::lock_guard lock(mutex_);
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
        if (out_.size() >= flush_bytes) write_out();
    } while (left > 0);
    if (!on_strand()) write_out();
}

void SocketLink::flush() {
    std::lock_guard lock(mutex_);
    write_out();
}

void SocketLink::write_out() {
    std::string_view left = out_;
    while (!left.empty()) {
        auto n = ::send(descriptor_, left.data(), left.size(), MSG_NOSIGNAL);
        if (n >= 0) {
            left.remove_prefix(static_cast<std::size_t>(n));
        } else if (errno != EINTR) {
            _exit(0);  // the host has gone, and nobody else needs this process
        }
    }
    if (out_.capacity() > 4 * flush_bytes)
        out_ = std::string();
    else
        out_.clear();
}

}  // namespace parley::worker
