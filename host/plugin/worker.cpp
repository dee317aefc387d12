#include "plugin/worker.hpp"

#include "base/limits.hpp"
#include "plugin/call_worker.hpp"
#include "plugin/life.hpp"

#include <algorithm>
#include <deque>
#include <unordered_map>

namespace parley {

namespace {

using Moment = std::chrono::steady_clock::time_point;

// A worker without grants: one process for all calls, started again when it dies.
class StandingWorker final : public Worker, public std::enable_shared_from_this<StandingWorker> {
public:
    StandingWorker(WorkerDeps const& deps, WorkerSpec spec) : deps_(deps), spec_(std::move(spec)) {}

    void start_now() override {
        if (!life_ && !restart_ && state_ == State::starting) begin_life();
    }
    void on_state(std::function<void(State, std::string const&)> told) override {
        told_ = std::move(told);
    }
    State state() const override { return state_; }
    int pid() const override { return life_ ? life_->pid() : 0; }
    std::string profile() const override { return life_ ? life_->profile() : std::string(); }

    std::uint64_t start(Verb verb, std::string request, CallOptions options,
                        CallSink sink) override {
        auto id = next_ += 2;
        if (state_ == State::ready && life_ && life_->is_ready() && !retiring_) {
            life_->start(id, verb, request, options, std::move(sink));
            return id;
        }
        waiting_bytes_ += request.size();
        bool full = waiting_.size() >= limits::worker_calls_waiting ||
                    waiting_bytes_ > limits::worker_message_bytes;
        auto& call = waiting_[id];
        call = {verb, std::move(request), options, std::move(sink), {}};
        if (retiring_)
            later(id, Fault::unavailable, "the plugin is being switched off or replaced");
        else if (state_ == State::stopped || state_ == State::quarantined)
            later(id, Fault::unavailable, why_);
        else if (full)
            later(id, Fault::unavailable, "too many calls wait for the worker to start");
        else
            call.timer = deps_.loop->after(limits::worker_start_time, [this, id] {
                drop(id, Error(Fault::unavailable, "the worker did not start in time" +
                                                       (why_.empty() ? "" : ": " + why_)));
            });
        start_now();
        return id;
    }

    void cancel(std::uint64_t call) override {
        if (waiting_.contains(call)) return later(call, Fault::cancelled, "the call was cancelled");
        if (life_) life_->cancel(call);
    }

    void acknowledge(std::uint64_t call, std::string_view cursor, std::size_t bytes) override {
        if (life_) life_->acknowledge(call, cursor, bytes);
    }

    void retire() override {
        retiring_ = true;
        end_when_idle();
    }

    void stop() override {
        if (state_ == State::stopped) return;
        why_ = "the worker was stopped";
        restart_.reset();
        for (auto const& [id, call] : waiting_) later(id, Fault::cancelled, why_);
        if (life_) life_->stop(Fault::cancelled);
        change(State::stopped, why_);
    }

private:
    struct Waiting {
        Verb verb;
        std::string request;
        CallOptions options;
        CallSink sink;
        Loop::Handle timer;
    };

    void begin_life() {
        Life::Told told;
        std::weak_ptr<StandingWorker> weak = shared_from_this();
        told.on_ready = [weak] {
            if (auto self = weak.lock()) self->ready();
        };
        told.on_idle = [weak] {
            if (auto self = weak.lock()) self->end_when_idle();
        };
        told.on_gone = [weak](std::string const& why) {
            if (auto self = weak.lock()) self->gone(why);
        };
        born_ = std::chrono::steady_clock::now();
        life_ = Life::begin(deps_, spec_, false, std::move(told));
    }

    void ready() {
        if (state_ == State::stopped) return;
        change(State::ready, "");
        // In the order in which they were made.
        std::vector<std::uint64_t> ids;
        for (auto const& [id, call] : waiting_) ids.push_back(id);
        std::sort(ids.begin(), ids.end());
        for (auto id : ids) {
            auto node = waiting_.extract(id);
            if (!node) continue;
            auto& call = node.mapped();
            waiting_bytes_ -= call.request.size();
            life_->start(id, call.verb, call.request, call.options, std::move(call.sink));
        }
    }

    void gone(std::string const& why) {
        auto self = shared_from_this();
        life_.reset();
        if (state_ == State::stopped) return;
        why_ = why;
        if (retiring_ && waiting_.empty()) return change(State::stopped, why_);
        auto now = std::chrono::steady_clock::now();
        if (now - born_ > limits::worker_steady_time) pause_ = limits::worker_restart_first;
        deaths_.push_back(now);
        while (now - deaths_.front() > std::chrono::minutes(1)) deaths_.pop_front();
        if (deaths_.size() >= static_cast<std::size_t>(limits::worker_deaths_to_quarantine)) {
            for (auto const& [id, call] : waiting_) later(id, Fault::unavailable, why_);
            return change(State::quarantined, why_);
        }
        restart_ = deps_.loop->after(pause_, [this] {
            restart_.reset();
            begin_life();
        });
        pause_ = std::min<std::chrono::milliseconds>(pause_ * 2, limits::worker_restart_last);
        change(State::restarting, why_);
    }

    void change(State state, std::string const& reason) {
        if (state_ == state && reason.empty()) return;
        state_ = state;
        if (auto told = told_) told(state, reason);
    }

    void later(std::uint64_t id, Fault fault, std::string const& what) {
        deps_.loop->post([weak = weak_from_this(), id, error = Error(fault, what)] {
            if (auto self = weak.lock()) self->drop(id, error);
        });
    }

    void drop(std::uint64_t id, Error error) {
        auto self = shared_from_this();
        auto node = waiting_.extract(id);
        if (!node) return;
        waiting_bytes_ -= node.mapped().request.size();
        if (auto on_done = std::move(node.mapped().sink.on_done)) on_done(std::move(error));
        end_when_idle();
    }

    void end_when_idle() {
        if (retiring_ && waiting_.empty() && (!life_ || life_->is_idle())) stop();
    }

    WorkerDeps const& deps_;
    WorkerSpec const spec_;
    std::function<void(State, std::string const&)> told_;
    State state_ = State::starting;
    bool retiring_ = false;
    std::string why_;
    std::shared_ptr<Life> life_;
    std::uint64_t next_ = 0;
    std::unordered_map<std::uint64_t, Waiting> waiting_;  // for the process to be ready
    std::size_t waiting_bytes_ = 0;
    std::deque<Moment> deaths_;
    Moment born_{};
    std::chrono::milliseconds pause_ = limits::worker_restart_first;
    Loop::Handle restart_;
};

}  // namespace

std::shared_ptr<Worker> Worker::create(WorkerDeps const& deps, WorkerSpec spec) {
    if (!spec.grants.empty()) return make_call_worker(deps, std::move(spec));
    return std::make_shared<StandingWorker>(deps, std::move(spec));
}

}  // namespace parley
