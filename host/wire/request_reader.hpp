#pragma once

// HTTP/1 requests as a machine: bytes in, requests or a refusal out. It opens no socket and is
// stricter than its parser: what two readers could understand differently is refused.
#include "wire/server.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace parley {

class RequestReader {
public:
    enum class State {
        idle,    // no byte of a next request yet
        header,  // in its header
        body,    // header complete, body on its way
        ready,   // take() it
        refused  // nothing more is read; see refusal()
    };

    RequestReader();
    ~RequestReader();

    // Asked of each request when its header is known; it may add to it what it knows of the peer.
    void check_heads_with(std::function<BodyTerms(Request& head)> check);

    // Where the next bytes go. Never empty unless the state is ready or refused.
    struct Room {
        char* data;
        std::size_t size_bytes;
    };
    Room room();
    // `count` bytes were put into the room.
    State took(std::size_t count);
    State state() const;

    // The request that is ready; what was read beyond it is looked at with the next go_on().
    Request take();
    State go_on();
    bool has_unread() const;

    HttpRefusal const& refusal() const;
    // Of the request that was ready or is being read.
    bool keep_alive() const;
    bool http_1_1() const;
    bool expects_continue() const;
    std::chrono::milliseconds body_time() const;  // as the check set it; 0: it did not

private:
    struct Inside;
    std::unique_ptr<Inside> inside_;
};

}  // namespace parley
