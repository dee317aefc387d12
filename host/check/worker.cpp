// What only the real host side shows: a worker that dies in the middle of a call.
#include "base/limits.hpp"
#include "base/loop.hpp"
#include "base/text.hpp"
#include "check/sample.hpp"

#include <boost/json/value.hpp>

#include <signal.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <optional>

namespace parley {

namespace {

using Clock = std::chrono::steady_clock;

// The process that holds the plugin, below the one that guards it.
pid_t first_child(int pid) {
    auto text = std::to_string(pid);
    std::ifstream in("/proc/" + text + "/task/" + text + "/children");
    pid_t child = 0;
    in >> child;
    return child;
}

class Trial {
public:
    explicit Trial(Subject const& subject) {
        deps_.loop = &loop_;
        deps_.worker_program = subject.places.worker;
        // These services are real ones: with no way out, nothing of it leaves the machine.
        auto spec = subject.spec();
        spec.egress.clear();
        worker_ = Worker::create(deps_, std::move(spec));
        worker_->on_state([this](Worker::State state, std::string const& reason) {
            has_given_up_ = state == Worker::State::quarantined;
            reason_ = visible(clipped(reason, limits::check_line_bytes));
        });
    }
    ~Trial() {
        worker_->on_state({});
        worker_->stop();
        until([this] { return worker_->pid() == 0; });
    }

    bool until(std::function<bool()> const& done) {
        auto end = Clock::now() + limits::check_time;
        while (!done() && Clock::now() < end) loop_.run_for(std::chrono::milliseconds(20));
        return done();
    }
    bool is_ready() { return worker_->state() == Worker::State::ready; }
    void start(SampleRequest const& request) {
        answer_.reset();
        CallSink sink;
        sink.on_done = [this](Result<std::string> result) { answer_ = std::move(result); };
        call_ = worker_->start(request.verb, request.text, {}, std::move(sink));
    }

    Loop loop_;
    WorkerDeps deps_;
    std::shared_ptr<Worker> worker_;
    std::string reason_;  // of its state
    bool has_given_up_ = false;
    std::optional<Result<std::string>> answer_;
    std::uint64_t call_ = 0;
};

}  // namespace

Verdict check_worker(Rule const&, Subject const& subject) {
    if (!subject.spec().grants.empty())
        return Verdict::skip("a call that holds a grant has a worker of its own, gone with it");
    std::vector<std::string> missing;
    auto requests = sample_requests(subject, Fill::least, missing);
    if (requests.empty()) return Verdict::skip("there is nothing to call");
    Verdict verdict;
    Trial trial(subject);
    trial.worker_->start_now();
    if (!trial.until([&] { return trial.is_ready() || trial.has_given_up_; }) ||
        trial.has_given_up_)
        return verdict.fail("its worker does not start: " + trial.reason_), verdict;
    // It holds still while the call reaches it, and so dies with the call open.
    auto inner = first_child(trial.worker_->pid());
    if (inner == 0) return verdict.fail("its worker has no process"), verdict;
    ::kill(inner, SIGSTOP);
    trial.start(requests.front());
    trial.loop_.run_for(std::chrono::milliseconds(20));
    ::kill(inner, SIGKILL);
    if (!trial.until([&] { return trial.answer_.has_value(); }))
        return verdict.fail("a call was not told that its worker died"), verdict;
    if (*trial.answer_ || trial.answer_->error().fault != Fault::peer_gone)
        verdict.fail("a call whose worker died did not fail by that");
    if (!trial.until([&] { return trial.is_ready(); }))
        return verdict.fail("its worker is not started again"), verdict;
    trial.start(requests.front());
    trial.loop_.run_for(std::chrono::milliseconds(50));
    trial.worker_->cancel(trial.call_);
    if (!trial.until([&] { return trial.answer_.has_value(); }))
        verdict.fail("the call after it does not end");
    else if (!*trial.answer_ && trial.answer_->error().fault == Fault::peer_gone)
        verdict.crash("the call after it fails: " + trial.answer_->error().what);
    return verdict;
}

}  // namespace parley
