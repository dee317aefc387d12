#pragma once

// The plugin itself: loads it, lends it the host's functions, and turns messages into calls. One
// thread (the strand) calls into the plugin; the plugin may call back from any thread.
#include "link.hpp"
#include "setup.hpp"

#include <parley/plugin.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>

namespace parley::worker {

class Plugin : private parley_host {
public:
    Plugin(Link& link, Setup const& setup);

    // dlopen and create. Answers with PARLEY_F_CREATED; false when the plugin cannot be used.
    bool create(std::string const& path, std::string_view config);
    // One message from the host.  [strand]
    void handle(Message const& message);
    void destroy();

private:
    struct Call {
        std::int64_t credit;  // bytes that emit may still take; may end below zero by one item
    };
    struct Operation {
        std::uint64_t call;
        std::uint32_t service;
        std::int64_t credit;  // of what is written to: bytes that write may still take
        std::unordered_set<std::uint64_t> requests = {};  // webhooks that wait for an answer
    };

    void start(std::uint64_t call, std::string_view body);
    void event(std::uint64_t operation, std::string_view body);
    void credit(std::uint64_t id, std::string_view body);
    parley_start_fn verb(std::uint32_t number) const;
    void const* role(unsigned kind) const;
    bool is_open(std::uint64_t call);
    // Both with mutex_ held, and the frame sent under it too: the host must see things in the
    // order of the tables, and kills a worker that speaks of a call which has ended.
    bool end_call(std::uint64_t call);
    parley_id open_operation(std::uint64_t call, std::uint32_t service, parley_status& status);
    parley_status end_operation(std::uint64_t operation);
    // Takes the bytes from the operation's credit and calls `send` with mutex_ held.
    parley_status write(std::uint64_t operation, std::uint32_t service, std::size_t size,
                        std::function<void()> const& send);
    bool refuse(parley_status status, std::string_view why);

    friend struct HostFunctions;

    Link& link_;
    Setup const& setup_;
    parley_entry const* entry_ = nullptr;
    void* self_ = nullptr;
    void const* roles_[5] = {};
    parley_event_sink_v1 const* sinks_[9] = {};
    parley_ack_sink_v1 const* ack_sink_ = nullptr;
    parley_flow_sink_v1 const* flow_sink_ = nullptr;

    std::mutex mutex_;  // the two tables
    std::unordered_map<std::uint64_t, Call> calls_;
    std::unordered_map<std::uint64_t, Operation> operations_;
    std::atomic<std::uint64_t> next_operation_{1};
};

}  // namespace parley::worker
