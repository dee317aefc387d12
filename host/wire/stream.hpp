#pragma once

// TCP and TLS streams outward, for plugins, by the host's hand. TLS verifies the peer's name
// against the system's trust store, which is loaded at the first TLS stream.
#include "base/loop.hpp"
#include "base/result.hpp"
#include "wire/client.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace parley {

struct StreamTarget {
    std::string host;
    std::uint16_t port = 0;
    bool tls = false;
    std::string ca_file;  // empty: the system's store
    std::chrono::milliseconds connect_timeout{20'000};
};

// Told on the event thread; never from inside a call of the stream.
struct StreamSink {
    std::function<void(std::string peer, bool tls)> on_open;
    std::function<void(std::string_view bytes)> on_data;
    std::function<void(Result<> why)> on_closed;  // once, last; ok when the peer closed
};

class Stream {
public:
    virtual ~Stream() = default;         // closes, without a further call of the sink
    virtual void write(std::string bytes) = 0;
    virtual std::size_t queued_bytes() const = 0;  // written, not yet taken by the kernel
    virtual void pause(bool paused) = 0;           // stop reading
};

std::unique_ptr<Stream> open_stream(Loop& loop, StreamTarget target, AddressCheck may_connect,
                                    StreamSink sink);

}  // namespace parley
