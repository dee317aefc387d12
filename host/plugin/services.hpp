#pragma once

// What the host lends a plugin: HTTP, streams, WebSockets, timers, a small store, blobs. Each
// request names an open call and is an Operation until its last event. Room-private.
#include "base/result.hpp"
#include "plugin/inject.hpp"
#include "plugin/worker.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace parley {

// What an operation may ask of the worker's life that it belongs to.
class Desk {
public:
    virtual ~Desk() = default;
    virtual WorkerDeps const& deps() const = 0;
    virtual WorkerSpec const& spec() const = 0;
    // An event for the plugin. After the last one the operation is dropped, so nothing of it may be
    // touched then.
    virtual void tell(std::uint64_t operation, std::uint32_t kind, std::string_view bytes,
                      bool last) = 0;
    // The same for the bytes of a secret, which stay nowhere behind.
    virtual void tell_secret(std::uint64_t operation, std::uint32_t kind,
                             std::string_view bytes) = 0;
    // Calls `go` at once or when the call's EGRESS record is durable; never when the call ends
    // first.
    virtual void when_may_leave(std::uint64_t call, std::function<void()> go) = 0;
    // One that was let go has ended, and provably nothing of it left this machine.
    virtual void stayed(std::uint64_t call) = 0;
    // A secret stood in what was to leave, or came back: the call will fail with Fault::secret.
    virtual void secret_found(std::uint64_t call, std::string const& name) = 0;
    virtual void give_credit(std::uint64_t operation, std::uint32_t bytes) = 0;
    virtual bool is_run(std::uint64_t call) const = 0;  // a channel's, which stays open
    virtual bool is_crowded() const = 0;  // the link: read no more from outside until drained()
};

class Operation : public std::enable_shared_from_this<Operation> {
public:
    Operation(Desk& desk, std::uint64_t call, std::uint64_t id, std::uint32_t service)
        : desk_(desk), call_(call), id_(id), service_(service) {}
    virtual ~Operation() = default;
    // A frame for it; false when it is too short to be one.
    virtual bool hear(std::uint16_t /*type*/, std::string_view /*body*/) { return true; }
    // The last word to a WebSocket.
    virtual void say_goodbye(std::uint32_t /*code*/, std::string_view /*reason*/) {}
    // To a request that the operation told of; false when it told of no such one.
    virtual bool answer(std::uint64_t /*request*/, std::string_view /*answer*/) { return false; }
    virtual void drained() {}
    // The plugin has heard enough, or its call is over: nothing more is told.
    virtual void ended() {}
    std::uint64_t call() const { return call_; }
    std::uint32_t service() const { return service_; }

protected:
    // An event for the plugin.
    virtual void say(std::uint32_t kind, std::string_view bytes, bool last) {
        desk_.tell(id_, kind, bytes, last);
    }
    // {"code","message",…} as every service reports a failure; `status` where a server answered
    // one.
    void fail(std::uint32_t kind, Error const& error, bool retryable = false, bool sent = false,
              int status = 0);
    // True, and the call is marked, when a secret stands in these bytes.
    bool holds_secret(std::string_view bytes);
    // The same for one direction of a stream, where a secret may lie over two chunks.
    bool stream_holds_secret(std::string_view bytes);
    // Each secret that is named must be bound, and meant for this host; `place` puts it there.
    Result<> place_each(
        std::vector<Placement> const& placements, EgressRule const& rule, std::string const& host,
        std::function<Result<>(Placement const&, std::string_view secret)> const& place);

    Desk& desk_;
    std::uint64_t const call_, id_;

private:
    std::uint32_t const service_;
    std::string tail_;
};

// Each answers later, by events. The bytes are the plugin's, whole and unchecked.
std::shared_ptr<Operation> start_http(Desk& desk, std::uint64_t call, std::uint64_t id,
                                      std::string_view request, std::string_view body);
std::shared_ptr<Operation> start_stream(Desk& desk, std::uint64_t call, std::uint64_t id,
                                        std::string_view request);
std::shared_ptr<Operation> start_ws(Desk& desk, std::uint64_t call, std::uint64_t id,
                                    std::string_view request);
std::shared_ptr<Operation> start_timer(Desk& desk, std::uint64_t call, std::uint64_t id,
                                       std::uint32_t after_ms);
std::shared_ptr<Operation> start_reveal(Desk& desk, std::uint64_t call, std::uint64_t id,
                                        std::string_view field);
std::shared_ptr<Operation> start_blob_put(Desk& desk, std::uint64_t call, std::uint64_t id);
std::shared_ptr<Operation> start_blob_get(Desk& desk, std::uint64_t call, std::uint64_t id,
                                          std::string_view request);
std::shared_ptr<Operation> start_inbound(Desk& desk, std::uint64_t call, std::uint64_t id);
std::shared_ptr<Operation> start_kv(Desk& desk, std::uint64_t call, std::uint64_t id,
                                    std::uint32_t verb, std::string_view key,
                                    std::string_view value);

}  // namespace parley
