#pragma once

// The host's end of a worker link. It knows frames and their bounds, not what they mean. A frame
// that breaks the rules breaks the link.
#include "base/loop.hpp"

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

namespace parley {

class Link : public std::enable_shared_from_this<Link> {
public:
    struct Told {
        // A whole message; the bytes are valid until it returns.
        std::function<void(std::uint16_t type, std::uint64_t id, std::string_view body)> on_message;
        // Once: the other side closed, or broke a rule.
        std::function<void(std::string const& why)> on_broken;
        // The queue has fallen below half of limits::worker_queue_bytes after being over it.
        std::function<void()> on_drained;
    };
    // Owns `descriptor`.
    static std::shared_ptr<Link> open(Loop& loop, int descriptor, Told told);
    virtual ~Link() = default;

    // Queued, and written once per turn of the event loop.
    virtual void send(std::uint16_t type, std::uint64_t id,
                      std::initializer_list<std::string_view> body) = 0;
    // The same for bytes that must not stay behind in the queue.
    virtual void send_secret(std::uint16_t type, std::uint64_t id,
                             std::initializer_list<std::string_view> body) = 0;
    virtual bool is_crowded() const = 0;  // over limits::worker_queue_bytes
    // Takes what has already arrived: after the death of the other side.
    virtual void drain() = 0;
    // Nothing more is told or sent; the other side sees the end.
    virtual void close() = 0;
};

// Numbers in bodies are little endian, as this machine's are.
template <class Number>
std::string_view bytes_of(Number const& number) {
    return {reinterpret_cast<char const*>(&number), sizeof number};
}

// Takes a number off the front of a body; false when it is too short.
template <class Number>
bool take_number(std::string_view& body, Number& out) {
    if (body.size() < sizeof out) return false;
    body.copy(reinterpret_cast<char*>(&out), sizeof out);
    body.remove_prefix(sizeof out);
    return true;
}

}  // namespace parley
