#pragma once

// A call of the host, as the plugin holds it until it has ended it.
#include "parley/runtime.hpp"

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace parley {
inline namespace sdk_1 {

// One call of the host, to be ended once by complete_ok() or fail(). Dropped before that, it fails
// by itself: as cancelled when the host had cancelled it, else as a defect of the plugin. When it
// ends, the operations that were started under it are stopped. Any thread may use it.
class Call {
public:
    Call() = default;
    Call(Call&& other) noexcept
        : runtime_(std::exchange(other.runtime_, nullptr)),
          id_(std::exchange(other.id_, 0)),
          timeout_(other.timeout_),
          exceptions_(other.exceptions_) {}
    Call& operator=(Call&& other) noexcept {
        if (this == &other) return *this;
        drop();
        runtime_ = std::exchange(other.runtime_, nullptr);
        id_ = std::exchange(other.id_, 0);
        timeout_ = other.timeout_;
        exceptions_ = other.exceptions_;
        return *this;
    }
    Call(Call const&) = delete;
    Call& operator=(Call const&) = delete;
    ~Call() { drop(); }

    parley_id id() const { return id_; }
    // 0: the host sets none. The host cancels a call whose time is up.
    std::chrono::milliseconds timeout() const { return timeout_; }
    bool is_open() const { return runtime_ && runtime_->is_open(id_); }
    bool is_cancelled() const { return !runtime_ || runtime_->is_cancelled(id_); }

    void complete_ok(std::string_view json = "{}") {
        if (runtime_) runtime_->complete(id_, PARLEY_OK, json);
    }
    void fail(std::string code, std::string message, bool retryable = false) {
        fail(Failure{std::move(code), std::move(message), retryable, 0, std::nullopt});
    }
    void fail(Failure const& failure) {
        if (runtime_) runtime_->fail(id_, failure);
    }
    // One item of the stream. Nothing is ever blocked by it.
    Emit emit(std::string_view json) {
        return runtime_ ? runtime_->emit(id_, json) : Emit::refused;
    }

    // Told on the strand when the host wants the call to end; the call must still end itself.
    // Without it, the operations of the call are stopped and their callbacks destroyed.
    void on_cancel(std::function<void()> told) {
        with([&](auto& open) { open.on_cancel = std::move(told); });
    }
    // Told on the strand when what answered Emit::pause may go on.
    void on_resume(std::function<void()> told) {
        with([&](auto& open) { open.on_resume = std::move(told); });
    }
    // channel.run: a message with this cursor is durable in the host.
    void on_ack(std::function<void(std::string_view cursor)> told) {
        with([&](auto& open) { open.on_ack = std::move(told); });
    }

private:
    template <class>
    friend struct Entry;
    friend class Host;
    Call(detail::Runtime& runtime, parley_id id, std::uint32_t timeout_ms)
        : runtime_(&runtime), id_(id), timeout_(timeout_ms) {}

    template <class Change>
    void with(Change change) {
        if (runtime_) runtime_->with_call(id_, change);
    }
    void drop() noexcept {
        if (!runtime_) return;
        auto& runtime = *std::exchange(runtime_, nullptr);
        runtime.dropped(id_, std::uncaught_exceptions() > exceptions_);
    }

    detail::Runtime* runtime_ = nullptr;
    parley_id id_ = 0;
    std::chrono::milliseconds timeout_{0};
    int exceptions_ = std::uncaught_exceptions();
};

}  // namespace sdk_1
}  // namespace parley
