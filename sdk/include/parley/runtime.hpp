#pragma once

// What is open in a worker: calls, and the operations under them. Authors see it only through Call
// and Host, which are made of it.
#include "parley/json.hpp"
#include "parley/plugin.h"

#include <cstdint>
#include <exception>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace parley {
inline namespace sdk_1 {

// Why a call failed, as the host and in the end a person will see it.
struct Failure {
    // One of: invalid, unsupported, denied, limit, timeout, cancelled, peer, auth, rate,
    // overloaded, money, cut_off, internal.
    std::string code = "internal";
    std::string message = {};
    bool retryable = false;
    std::int64_t retry_after_ms = 0;  // 0: the plugin does not know
    std::optional<bool> sent = {};    // channel.send: false when provably nothing left
};

// What became of an item of a call's stream.
enum class Emit {
    taken,
    pause,    // taken, but wait for Call::on_resume before the next
    refused,  // not taken: the call has ended, was cancelled, or the item is too large
};

namespace detail {

inline parley_status status_of(std::string_view code) {
    if (code == "invalid") return PARLEY_E_INVALID;
    if (code == "unsupported") return PARLEY_E_UNSUPPORTED;
    if (code == "cancelled") return PARLEY_E_CANCELLED;
    if (code == "timeout") return PARLEY_E_DEADLINE;
    if (code == "denied") return PARLEY_E_DENIED;
    if (code == "limit") return PARLEY_E_LIMIT;
    if (code == "internal") return PARLEY_E_INTERNAL;
    return PARLEY_E_PEER;
}

inline std::string json_from(Failure const& failure) {
    JsonWriter out;
    out.begin('{').pair("code", failure.code).pair("message", failure.message);
    out.pair("retryable", failure.retryable);
    if (failure.retry_after_ms > 0) out.pair("retry_after_ms", failure.retry_after_ms);
    if (failure.sent) out.pair("sent", *failure.sent);
    return out.end('}').take();
}

enum class Service : std::uint32_t { http, stream, timer, kv, reveal, blob, ws, inbound };

// An operation that waits for its events. `stop` tells the host; empty when that is not possible.
struct Listener {
    parley_id call = 0;
    std::function<void(std::uint32_t kind, std::string_view bytes)> on_event;
    std::function<void()> stop;
};

// What is open in this worker. Ids are keys only; whoever ends a call removes it first, so that a
// call ends once whatever threads, exceptions and late events do.
class Runtime {
public:
    explicit Runtime(parley_host const* host) : host_(host) {}
    Runtime(Runtime const&) = delete;

    struct OpenCall {
        bool cancelled = false;
        std::function<void()> on_cancel;
        std::function<void()> on_resume;
        std::function<void(std::string_view)> on_ack;
    };

    parley_host const* host() const { return host_; }

    void open(parley_id call) {
        std::lock_guard lock(mutex_);
        calls_.emplace(call, OpenCall{});
    }

    bool is_open(parley_id call) const {
        std::lock_guard lock(mutex_);
        return calls_.contains(call);
    }
    bool is_cancelled(parley_id call) const {
        std::lock_guard lock(mutex_);
        auto const found = calls_.find(call);
        return found == calls_.end() || found->second.cancelled;
    }

    // Does nothing when the call has ended.
    void complete(parley_id call, parley_status status, std::string_view bytes) {
        Remains const ended = close(call);
        if (!ended.was_open) return;
        auto const answer = host_->complete(host_, call, status, bytes.data(), bytes.size());
        if (answer == PARLEY_OK || answer == PARLEY_E_STALE) return;
        Failure failure;
        failure.message = "the host did not take the plugin's result: " + std::to_string(answer);
        std::string const detail = json_from(failure);
        host_->complete(host_, call, PARLEY_E_INTERNAL, detail.data(), detail.size());
    }
    void fail(parley_id call, Failure const& failure) {
        complete(call, status_of(failure.code), json_from(failure));
    }
    // A defect of the plugin, unless the host wanted the call to end anyway.
    void fail(parley_id call, char const* defect) {
        Failure failure;
        bool const cancelled = is_cancelled(call);
        failure.code = cancelled ? "cancelled" : "internal";
        failure.message = cancelled ? "cancelled" : defect;
        fail(call, failure);
    }

    Emit emit(parley_id call, std::string_view bytes) {
        if (!is_open(call)) return Emit::refused;
        auto const answer = host_->emit(host_, call, bytes.data(), bytes.size());
        if (answer == PARLEY_OK) return Emit::taken;
        return answer == PARLEY_PAUSE ? Emit::pause : Emit::refused;
    }

    template <class Change>
    void with_call(parley_id call, Change change) {
        std::lock_guard lock(mutex_);
        auto const found = calls_.find(call);
        if (found != calls_.end()) change(found->second);
    }

    // With no on_cancel of its own, a cancelled call loses its operations: their callbacks are
    // destroyed, and with them, as a rule, the Call, which then ends as cancelled.
    void cancel(parley_id call) {
        std::function<void()> told;
        with_call(call, [&](OpenCall& open) {
            open.cancelled = true;
            told = open.on_cancel;
        });
        if (told) return guarded(call, told);
        drop(take_listeners(call));
    }
    void resumed(parley_id call) {
        std::function<void()> told;
        with_call(call, [&](OpenCall& open) { told = open.on_resume; });
        if (told) guarded(call, told);
    }
    void acknowledged(parley_id call, std::string_view cursor) {
        std::function<void(std::string_view)> told;
        with_call(call, [&](OpenCall& open) { told = open.on_ack; });
        if (told) guarded(call, [&] { told(cursor); });
    }

    void listen(Service service, parley_id operation, Listener listener) {
        auto shared = std::make_shared<Listener>(std::move(listener));
        std::lock_guard lock(mutex_);
        listeners_.insert_or_assign({service, operation}, std::move(shared));
    }
    bool listens(Service service, parley_id operation) const {
        std::lock_guard lock(mutex_);
        return listeners_.contains({service, operation});
    }
    void stop(Service service, parley_id operation) {
        drop({take(service, operation, true)});
    }
    void event(Service service, parley_id operation, std::uint32_t kind, bool last,
               std::string_view bytes) {
        auto const listener = take(service, operation, last);
        if (listener) guarded(listener->call, [&] { listener->on_event(kind, bytes); });
    }

    // Runs the plugin's code on the strand so that nothing it throws goes further than the end of
    // its call.
    template <class Work>
    void guarded(parley_id call, Work const& work) noexcept {
        try {
            enter(std::this_thread::get_id());
            try {
                work();
                end_orphans("the plugin dropped the call unfinished");
            } catch (std::exception const& problem) {
                fail(call, problem.what());
                end_orphans(problem.what());
            } catch (...) {
                fail(call, "an exception of unknown type");
                end_orphans("an exception of unknown type");
            }
            enter({});
        } catch (...) {
            // Out of memory while reporting: the host's deadline ends the call.
        }
    }

    // A Call went before its end. While an exception passes through guarded code the end has to
    // wait for the exception's text.
    void dropped(parley_id call, bool unwinding) noexcept {
        try {
            {
                std::lock_guard lock(mutex_);
                if (!calls_.contains(call)) return;
                if (unwinding && guarding_ == std::this_thread::get_id()) {
                    orphans_.push_back(call);
                    return;
                }
            }
            fail(call, "the plugin dropped the call unfinished");
        } catch (...) {
            // As above.
        }
    }

    // Before the plugin goes: callbacks may hold references into it.
    void clear() {
        std::vector<std::shared_ptr<Listener>> rest;
        std::map<parley_id, OpenCall> calls;
        {
            std::lock_guard lock(mutex_);
            for (auto& [key, listener] : listeners_) rest.push_back(std::move(listener));
            listeners_.clear();
            calls.swap(calls_);
        }
    }

private:
    void enter(std::thread::id thread) {
        std::lock_guard lock(mutex_);
        guarding_ = thread;
    }
    void end_orphans(char const* why) {
        std::vector<parley_id> orphans;
        {
            std::lock_guard lock(mutex_);
            orphans.swap(orphans_);
        }
        for (parley_id const call : orphans) fail(call, why);
    }

    using Listeners = std::vector<std::shared_ptr<Listener>>;
    struct Remains {
        bool was_open = false;
        OpenCall callbacks;  // destroyed outside the lock, since they may own calls
    };

    Remains close(parley_id call) {
        Remains out;
        {
            std::lock_guard lock(mutex_);
            auto const found = calls_.find(call);
            if (found == calls_.end()) return out;
            out.was_open = true;
            out.callbacks = std::move(found->second);
            calls_.erase(found);
        }
        drop(take_listeners(call));
        return out;
    }

    std::shared_ptr<Listener> take(Service service, parley_id operation, bool remove) {
        std::lock_guard lock(mutex_);
        auto const found = listeners_.find({service, operation});
        if (found == listeners_.end()) return nullptr;
        auto listener = found->second;
        if (remove) listeners_.erase(found);
        return listener;
    }
    Listeners take_listeners(parley_id call) {
        Listeners out;
        std::lock_guard lock(mutex_);
        for (auto at = listeners_.begin(); at != listeners_.end();) {
            bool const its = at->second->call == call;
            if (its) out.push_back(std::move(at->second));
            at = its ? listeners_.erase(at) : std::next(at);
        }
        return out;
    }
    static void drop(Listeners listeners) {
        for (auto& listener : listeners) {
            if (listener && listener->stop) listener->stop();
        }
    }

    parley_host const* host_;
    mutable std::mutex mutex_;
    std::map<parley_id, OpenCall> calls_;
    std::map<std::pair<Service, parley_id>, std::shared_ptr<Listener>> listeners_;
    std::thread::id guarding_;         // in the plugin's code now, on the strand
    std::vector<parley_id> orphans_;   // dropped while an exception passes
};

}  // namespace detail

}  // namespace sdk_1
}  // namespace parley
