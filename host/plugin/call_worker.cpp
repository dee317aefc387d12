#include "plugin/call_worker.hpp"

#include "base/limits.hpp"
#include "plugin/life.hpp"

#include <unordered_map>

namespace parley {

void CallSlots::take(std::function<void()> begin) {
    if (used_ >= limits::call_workers) return line_.push_back(std::move(begin));
    ++used_;
    begin();
}

void CallSlots::release() {
    --used_;
    if (line_.empty()) return;
    auto next = std::move(line_.front());
    line_.pop_front();
    ++used_;
    next();
}

std::shared_ptr<CallSlots> make_call_slots() {
    return std::make_shared<CallSlots>();
}

namespace {

class CallWorker final : public Worker, public std::enable_shared_from_this<CallWorker> {
public:
    CallWorker(WorkerDeps const& deps, WorkerSpec spec) : deps_(deps), spec_(std::move(spec)) {}

    void start_now() override {}
    void on_state(std::function<void(State, std::string const&)> told) override {
        told_ = std::move(told);
    }
    State state() const override { return state_; }
    std::string profile() const override { return profile_; }
    int pid() const override {
        for (auto const& [id, call] : calls_)
            if (call->life && call->life->pid() > 0) return call->life->pid();
        return 0;
    }

    std::uint64_t start(Verb verb, std::string request, CallOptions options,
                        CallSink sink) override {
        auto id = next_ += 2;
        auto call =
            std::make_shared<Call>(Call{verb, std::move(request), options, std::move(sink)});
        calls_.emplace(id, call);
        if (state_ == State::stopped || retiring_) {
            end_unborn(id, Fault::unavailable, "the worker was stopped");
            return id;
        }
        deps_.call_slots->take([weak = weak_from_this(), id, slots = deps_.call_slots] {
            auto self = weak.lock();
            if (!self || !self->begin(id)) slots->release();
        });
        return id;
    }

    void cancel(std::uint64_t id) override {
        auto found = calls_.find(id);
        if (found == calls_.end()) return;
        auto& call = *found->second;
        if (!call.life) return end_unborn(id, Fault::cancelled, "the call was cancelled");
        if (call.life->has(id)) return call.life->cancel(id);
        call.cancelled = true;
        call.life->stop(Fault::cancelled);
    }

    void acknowledge(std::uint64_t id, std::string_view cursor, std::size_t bytes) override {
        auto found = calls_.find(id);
        if (found != calls_.end() && found->second->life)
            found->second->life->acknowledge(id, cursor, bytes);
    }

    void retire() override {
        retiring_ = true;
        if (calls_.empty()) stop();
    }

    void stop() override {
        if (state_ == State::stopped) return;
        state_ = State::stopped;
        auto calls = calls_;
        for (auto const& [id, call] : calls) {
            call->cancelled = true;
            if (call->life)
                call->life->stop(Fault::cancelled);
            else
                end_unborn(id, Fault::cancelled, "the worker was stopped");
        }
        if (told_) told_(state_, "the worker was stopped");
    }

private:
    struct Call {
        Verb verb;
        std::string request;
        CallOptions options;
        CallSink sink;
        std::shared_ptr<Life> life = nullptr;
        bool handed_over = false;  // the life answers for it now
        bool cancelled = false;
    };

    // False when there is nothing to begin.
    bool begin(std::uint64_t id) {
        auto found = calls_.find(id);
        if (found == calls_.end() || state_ == State::stopped) return false;
        auto call = found->second;
        Life::Told told;
        std::weak_ptr<CallWorker> weak = shared_from_this();
        told.on_ready = [weak, id, call] {
            call->handed_over = true;
            call->life->start(id, call->verb, call->request, call->options, std::move(call->sink));
            if (auto self = weak.lock()) self->profile_ = call->life->profile();
        };
        // The call and its life hold each other until this.
        told.on_gone = [weak, id, call, slots = deps_.call_slots](std::string const& why) {
            auto life = std::move(call->life);
            slots->release();
            if (!call->handed_over && call->sink.on_done)
                call->sink.on_done(
                    Error(call->cancelled ? Fault::cancelled : Fault::unavailable, why));
            auto self = weak.lock();
            if (!self) return;
            self->calls_.erase(id);
            if (self->retiring_ && self->calls_.empty()) self->stop();
        };
        call->life = Life::begin(deps_, spec_, true, std::move(told));
        return true;
    }

    void end_unborn(std::uint64_t id, Fault fault, char const* what) {
        deps_.loop->post([weak = weak_from_this(), id, error = Error(fault, what)] {
            auto self = weak.lock();
            if (!self) return;
            auto found = self->calls_.find(id);
            if (found == self->calls_.end()) return;
            auto call = found->second;
            if (call->life) {  // its turn came meanwhile
                call->cancelled = true;
                return call->life->has(id) ? call->life->cancel(id)
                                           : call->life->stop(Fault::cancelled);
            }
            self->calls_.erase(found);
            if (call->sink.on_done) call->sink.on_done(error);
        });
    }

    WorkerDeps const& deps_;
    WorkerSpec const spec_;
    std::function<void(State, std::string const&)> told_;
    State state_ = State::ready;
    bool retiring_ = false;
    std::string profile_;
    std::uint64_t next_ = 0;
    std::unordered_map<std::uint64_t, std::shared_ptr<Call>> calls_;
};

}  // namespace

std::shared_ptr<Worker> make_call_worker(WorkerDeps const& deps, WorkerSpec spec) {
    return std::make_shared<CallWorker>(deps, std::move(spec));
}

}  // namespace parley
