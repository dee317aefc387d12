#pragma once

// HTTP outward, for plugins, by the host's hand: libcurl in a module that is loaded at first use.
// It follows no redirect by itself, uses no proxy that it was not given, and asks before it
// connects to an address.
#include "base/limits.hpp"
#include "base/loop.hpp"
#include "base/result.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace parley {

struct FetchRequest {
    std::string method, url;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    std::chrono::milliseconds timeout{60'000};
    // Empty: none, whatever the environment says. With one, AddressCheck sees the proxy's address.
    std::string proxy;
    std::size_t response_bytes_most = 32u << 20;
};

struct FetchHead {
    int status = 0;
    std::vector<std::pair<std::string, std::string>> headers;
};

// Told on the event thread. After on_done nothing more comes.
struct FetchSink {
    std::function<void(FetchHead)> on_head;
    std::function<void(std::string_view bytes)> on_data;
    // `sent` is false when provably no byte of the request left this machine.
    std::function<void(Result<> outcome, bool sent)> on_done;
};

// May this address (numeric, as resolved) and port be connected to?
using AddressCheck = std::function<bool(std::string_view address, std::uint16_t port)>;

class HttpClient {
public:
    explicit HttpClient(Loop& loop);
    ~HttpClient();

    class Fetch;  // in flight as long as it is not done or stopped
    using Handle = std::shared_ptr<Fetch>;
    // The sink is told later, also of what is wrong with the request (Fault::bad_input). Headers
    // that frame the message or name its host are bad input: they follow from url and body.
    Handle start(FetchRequest request, AddressCheck may_connect, FetchSink sink);
    void stop(Handle const& fetch);   // no further call of the sink
    void pause(Handle const& fetch, bool paused);  // back-pressure: stop reading the body

private:
    class Engine;
    std::shared_ptr<Engine> engine_;  // shared with what it has posted to the loop
};

// The WHATWG event-stream framing, as a machine: bytes in, events out.
class EventParser {
public:
    struct Event {
        std::string event = "message", data, id;
    };
    // Calls `each` for every event that is complete. Fault::bad_input over limits::sse_line_bytes.
    Result<> feed(std::string_view bytes, std::function<void(Event)> const& each);

private:
    std::string line_, data_, event_, id_;
    bool data_seen_ = false, after_cr_ = false, started_ = false;
    Result<> take_line(std::function<void(Event)> const& each);
};

// Numeric addresses only. Private, loopback, link-local, multicast, unspecified, IPv4-mapped and
// -translated forms of those, carrier-grade NAT and metadata addresses are not public.
bool is_public_address(std::string_view address);
bool is_loopback_address(std::string_view address);

// A URL in parts; no user info, no fragment kept. Fault::bad_input otherwise.
struct Url {
    std::string scheme, host, path_and_query;  // host lower-case, without brackets
    std::uint16_t port = 0;                    // filled from the scheme when absent
    bool host_is_ip = false;
    std::string origin() const;                // scheme://host:port
};
Result<Url> parse_url(std::string_view text);

}  // namespace parley
