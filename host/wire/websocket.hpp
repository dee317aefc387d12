#pragma once

// WebSockets outward, for plugins, by the host's hand: RFC 6455 over the same connections as
// streams. It follows no redirect, uses no proxy, offers no extension, and answers pings by itself.
#include "base/limits.hpp"
#include "base/loop.hpp"
#include "base/result.hpp"
#include "wire/client.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace parley {

// As parse_url, for ws and wss. Fault::bad_input otherwise.
Result<Url> parse_ws_url(std::string_view text);

struct WebSocketTarget {
    Url url;
    std::vector<std::pair<std::string, std::string>> headers;  // beside those of the upgrade
    std::vector<std::string> subprotocols;                     // offered, the first one preferred
    std::string ca_file;                                       // empty: the system's store
    std::chrono::milliseconds open_timeout{20'000};            // connection and upgrade together
    std::size_t message_bytes_most = limits::ws_message_bytes;
    std::chrono::milliseconds ping_time = limits::ws_ping_time;
    std::chrono::milliseconds idle_time = limits::ws_idle_time;
};

struct WebSocketOpened {
    std::string peer;         // address:port
    std::string subprotocol;  // one of those offered, or ""
};

// How one side said goodbye. 1005: without a code.
struct WebSocketGoodbye {
    std::uint16_t code = 0;
    std::string reason;  // UTF-8
};

// Told on the event thread; never from inside a call of the socket.
struct WebSocketSink {
    std::function<void(WebSocketOpened)> on_open;
    std::function<void(std::string_view bytes, bool is_text)> on_message;  // whole; text is UTF-8
    // Once, last. `status` is what the server answered instead of 101, or 0. `sent` is false when
    // provably no byte left this machine.
    std::function<void(Result<WebSocketGoodbye> how, int status, bool sent)> on_closed;
};

class WebSocket {
public:
    virtual ~WebSocket() = default;  // says goodbye as `close(1001, "")` does
    // One message; text must be UTF-8. Before it is open, messages wait.
    virtual void send(std::string bytes, bool is_text) = 0;
    virtual std::size_t queued_bytes() const = 0;  // sent, not yet taken by the kernel
    virtual void pause(bool paused) = 0;           // stop reading
    // What was sent leaves first. No further call of the sink.
    virtual void close(std::uint16_t code, std::string_view reason) = 0;
};

std::unique_ptr<WebSocket> open_websocket(Loop& loop, WebSocketTarget target,
                                          AddressCheck may_connect, WebSocketSink sink);

}  // namespace parley
