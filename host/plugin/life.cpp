#include "plugin/life.hpp"

#include "base/guard.hpp"
#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"
#include "plugin/setup.hpp"
#include "plugin/spawner.hpp"

#include <parley/frame.h>
#define PARLEY_HOST_SIDE
#include <parley/plugin.h>

#include <boost/json/value.hpp>

#include <algorithm>

namespace parley {

namespace {

Fault fault_of(std::int32_t status) {
    switch (status) {
        case PARLEY_E_INVALID:
        case PARLEY_E_UNSUPPORTED:
            return Fault::bad_input;
        case PARLEY_E_CANCELLED:
            return Fault::cancelled;
        case PARLEY_E_DEADLINE:
            return Fault::timed_out;
        case PARLEY_E_DENIED:
            return Fault::denied;
        default:
            return Fault::peer_failed;
    }
}

char const* word_of(std::int32_t status) {
    switch (status) {
        case PARLEY_E_INVALID:
            return "the plugin says that the request makes no sense";
        case PARLEY_E_UNSUPPORTED:
            return "the plugin does not offer this";
        case PARLEY_E_CANCELLED:
            return "cancelled";
        case PARLEY_E_DEADLINE:
            return "the plugin gave up at its deadline";
        case PARLEY_E_DENIED:
            return "the plugin refused";
        case PARLEY_E_LIMIT:
            return "the plugin says: too large or too many";
        case PARLEY_E_PEER:
            return "the service behind the plugin failed";
        default:
            return "the plugin failed without a word";
    }
}

}  // namespace

Life::Life(WorkerDeps const& deps, WorkerSpec const& spec, bool single, Told told)
    : deps_(deps), spec_(spec), single_(single), told_(std::move(told)) {}

Life::~Life() {
    operations_.clear();
    if (link_) link_->close();
    if (!process_) return;
    process_->forget();
    process_->kill();
}

std::shared_ptr<Life> Life::begin(WorkerDeps const& deps, WorkerSpec const& spec, bool single,
                                  Told told) {
    auto life = std::make_shared<Life>(deps, spec, single, std::move(told));
    // Later in any case: the caller must know of this life before it hears from it.
    deps.loop->post([weak = std::weak_ptr(life)] {
        auto self = weak.lock();
        if (!self || self->stage_ != Stage::confining) return;
        if (auto spawned = self->spawn(); !spawned) self->exited(spawned.error().what);
    });
    return life;
}

Result<> Life::spawn() {
    TRY(setup, setup_lines(spec_));
    Process::Told words;
    std::weak_ptr<Life> weak = shared_from_this();
    words.on_line = [weak](std::string_view line) {
        if (auto self = weak.lock()) self->say(PARLEY_LOG_WARN, line);
    };
    words.on_exit = [weak](std::string const& how) {
        if (auto self = weak.lock()) self->exited(how);
    };
    Link::Told heard;
    heard.on_message = [weak](std::uint16_t type, std::uint64_t id, std::string_view body) {
        if (auto self = weak.lock()) self->heard(type, id, body);
    };
    heard.on_broken = [weak](std::string const& why) {
        if (auto self = weak.lock()) self->end(why);
    };
    heard.on_drained = [weak] {
        auto self = weak.lock();
        if (!self) return;
        auto operations = self->operations_;
        for (auto const& [id, operation] : operations) operation->drained();
    };
    TRY(spawned, deps_.spawner->spawn(deps_, spec_, std::move(words), std::move(heard)));
    process_ = std::move(spawned.process);
    link_ = std::move(spawned.link);
    link_->send(PARLEY_F_SETUP, 0, {setup});
    timer_ = deps_.loop->after(limits::worker_start_time,
                               [this] { end("the worker did not start in time"); });
    return ok();
}

// ---- Ending -------------------------------------------------------------------------------------

void Life::end(std::string why) {
    if (stage_ == Stage::gone) return;
    if (why_.empty()) why_ = std::move(why);
    if (stage_ != Stage::ending) operations_.clear();
    stage_ = Stage::ending;
    if (!process_)
        return deps_.loop->post([weak = weak_from_this()] {
            if (auto self = weak.lock()) self->exited("the worker was never started");
        });
    if (single_) return part();
    process_->kill();
}

// The guard of a namespaced worker sees the end of the link, kills the tree and ends after it. Only
// if it does not is it killed itself, and the kernel does the rest.
void Life::part() {
    stage_ = Stage::ending;
    operations_.clear();
    if (link_) link_->close();
    timer_ = deps_.loop->after(limits::worker_end_grace, [this] {
        if (process_) process_->kill();
    });
}

void Life::stop(Fault as) {
    if (stage_ == Stage::gone || stage_ == Stage::ending) return;
    for (auto& [id, call] : calls_)
        if (!call.fate) call.fate = Error(as, "the worker was stopped");
    if (stage_ != Stage::ready || single_) return end("stopped");
    why_ = "stopped";
    stage_ = Stage::ending;
    operations_.clear();
    link_->send(PARLEY_F_STOP, 0, {});
    timer_ = deps_.loop->after(limits::worker_end_grace, [this] {
        if (process_) process_->kill();
    });
}

void Life::exited(std::string const& how) {
    auto self = shared_from_this();
    // What it said before it died counts, as long as nobody had condemned it.
    if (link_ && stage_ != Stage::ending) link_->drain();
    // The link's end is how an exit looks from there; the exit itself says more.
    bool violated = !why_.empty() && why_ != "the worker closed its link";
    auto why = violated ? why_ : how;
    stage_ = Stage::gone;
    timer_.reset();
    operations_.clear();
    if (link_) link_->close();
    auto calls = std::exchange(calls_, {});
    for (auto& [id, call] : calls) {
        if (!call.sink.on_done) continue;
        if (call.fate) {
            call.sink.on_done(*call.fate);
        } else {
            call.sink.on_done(Error(Fault::peer_gone, why));
        }
    }
    if (auto last_word = std::exchange(last_word_, {})) last_word();
    if (auto on_gone = std::exchange(told_.on_gone, {})) on_gone(why);
}

// ---- Calls --------------------------------------------------------------------------------------

void Life::start(std::uint64_t id, Verb verb, std::string_view request, CallOptions options,
                 CallSink sink) {
    auto& call = calls_[id];
    call.durable = options.emits_are_durable;
    call.credit = PARLEY_CREDIT;
    if (sink.before_egress) call.leave = Call::Leave::ask;
    call.sink = std::move(sink);
    auto number = static_cast<std::uint32_t>(verb);
    auto timeout = static_cast<std::uint32_t>(
        std::clamp<std::int64_t>(options.timeout.count(), 0, UINT32_MAX));
    if (timeout > 0)
        call.timer =
            deps_.loop->after(options.timeout, [this, id] { cancel(id, Fault::timed_out); });
    bool is_large = request.size() > limits::worker_message_bytes - 64;
    if (is_large || is_crowded()) {
        call.fate = is_large
                        ? Error(Fault::bad_input, "the request is too large for a worker")
                        : Error(Fault::unavailable, "the worker does not keep up with its calls");
        deps_.loop->post([weak = weak_from_this(), id] {
            if (auto self = weak.lock()) self->finish(id, std::string());
        });
        return;
    }
    link_->send(PARLEY_F_START, id, {bytes_of(number), bytes_of(timeout), request});
}

void Life::cancel(std::uint64_t id, Fault as) {
    auto found = calls_.find(id);
    if (found == calls_.end() || stage_ != Stage::ready) return;
    auto& call = found->second;
    if (call.cancelled) return;
    call.cancelled = true;
    call.fate = Error(as, as == Fault::timed_out ? "the call took longer than its timeout"
                                                 : "the call was cancelled");
    link_->send(PARLEY_F_CANCEL, id, {});
    if (!holds("cancel-grace")) return;
    call.timer = deps_.loop->after(limits::worker_cancel_grace, [this] {
        end("the worker was ended because a call did not stop when it was cancelled");
    });
}

void Life::finish(std::uint64_t id, Result<std::string> result) {
    auto self = shared_from_this();
    auto found = calls_.find(id);
    if (found == calls_.end()) return;
    auto call = std::move(found->second);
    calls_.erase(found);
    drop_operations(id);
    // A call that managed to end well after a cancel did end well; a secret spoils anything.
    if (call.fate && (!result || call.fate->fault == Fault::secret || !call.cancelled))
        result = std::move(*call.fate);
    if (!single_) {
        if (call.sink.on_done) call.sink.on_done(std::move(result));
        if (calls_.empty() && told_.on_idle) told_.on_idle();
        return;
    }
    last_word_ = [on_done = std::move(call.sink.on_done), result = std::move(result)]() mutable {
        if (on_done) on_done(std::move(result));
    };
    part();
}

void Life::drop_operations(std::uint64_t call) {
    if (operations_.empty()) return;
    std::erase_if(operations_, [call](auto const& entry) {
        if (entry.second->call() != call) return false;
        entry.second->ended();
        return true;
    });
}

void Life::give_back(std::uint64_t id, Call& call, std::size_t bytes) {
    // No more than was taken, whatever the caller says.
    auto taken = static_cast<std::size_t>(PARLEY_CREDIT - call.credit);
    call.owed = std::min(call.owed + std::max<std::size_t>(bytes, 1), taken);
    if (call.owed < PARLEY_CREDIT / 4) return;
    auto given = static_cast<std::uint32_t>(call.owed);
    call.credit += given;
    call.owed = 0;
    link_->send(PARLEY_F_CREDIT, id, {bytes_of(given)});
}

void Life::acknowledge(std::uint64_t id, std::string_view cursor, std::size_t bytes) {
    auto found = calls_.find(id);
    if (found == calls_.end() || stage_ != Stage::ready) return;
    if (!cursor.empty()) link_->send(PARLEY_F_ACK, id, {cursor.substr(0, limits::cursor_bytes)});
    give_back(id, found->second, bytes);
}

// ---- What the worker says -----------------------------------------------------------------------

void Life::heard(std::uint16_t type, std::uint64_t id, std::string_view body) {
    if (stage_ == Stage::gone || stage_ == Stage::ending) return;
    if (type == PARLEY_F_LOG) return on_log(body);
    if (stage_ == Stage::confining)
        return type == PARLEY_F_READY ? on_ready(body)
                                      : end("the worker spoke before it was ready");
    if (stage_ == Stage::creating && type == PARLEY_F_CREATED) return on_created(body);
    if (stage_ != Stage::ready) return end("the worker spoke before its plugin was made");
    switch (type) {
        case PARLEY_F_EMIT:
            return on_emit(id, body);
        case PARLEY_F_COMPLETE:
            return on_complete(id, body);
        case PARLEY_F_STREAM_WRITE:
        case PARLEY_F_BLOB_WRITE:
        case PARLEY_F_BLOB_FINISH:
        case PARLEY_F_WS_WRITE:
            return on_word(type, id, body);
        case PARLEY_F_WS_CLOSE:
            return on_goodbye(id, body);
        case PARLEY_F_INBOUND_ANSWER:
            return on_answer(id, body);
        case PARLEY_F_END:
            if (auto node = operations_.extract(id)) node.mapped()->ended();
            return;
        case PARLEY_F_HTTP_START:
        case PARLEY_F_STREAM_OPEN:
        case PARLEY_F_TIMER_START:
        case PARLEY_F_KV:
        case PARLEY_F_REVEAL:
        case PARLEY_F_BLOB_PUT:
        case PARLEY_F_BLOB_GET:
        case PARLEY_F_WS_OPEN:
        case PARLEY_F_INBOUND_LISTEN:
            return on_service(type, id, body);
        default:
            return end("the worker sent a frame of an unknown type");
    }
}

void Life::on_ready(std::string_view body) {
    auto report = body.size() <= limits::worker_profile_bytes
                      ? parse_json(body)
                      : Result<json::value>(Error(Fault::bad_input, "too long"));
    if (!report) return end("the worker's report makes no sense: " + report.error().what);
    if (int_at(*report, "frame") != PARLEY_FRAME_VERSION ||
        int_at(*report, "abi") != PARLEY_ABI_MAJOR)
        return end("the worker program is of another release");
    profile_ = body;
    if (auto failure = text_at(*report, "failure"); !failure.empty())
        return end("the sandbox is not complete: " + std::string(failure));
    if (auto missing = missing_layer(spec_, *report); !missing.empty() && holds("layers"))
        return end("the sandbox is not complete: the worker does not report " + missing);
    stage_ = Stage::creating;
    link_->send(PARLEY_F_CREATE, 0, {spec_.config});
}

void Life::on_created(std::string_view body) {
    std::int32_t status = 0;
    if (!take_number(body, status)) return end("the worker's report makes no sense");
    if (status != PARLEY_OK)
        return end("the plugin cannot be used: " +
                   visible(clipped(is_utf8(body) ? body : word_of(status), 1024)));
    stage_ = Stage::ready;
    timer_.reset();
    if (told_.on_ready) told_.on_ready();
}

void Life::on_emit(std::uint64_t id, std::string_view body) {
    auto found = calls_.find(id);
    if (found == calls_.end()) return end("the worker emitted for a call that is not open");
    auto& call = found->second;
    if (call.credit <= 0 && holds("credit")) return end("the worker emitted beyond its credit");
    call.credit -= static_cast<std::int64_t>(std::max<std::size_t>(body.size(), 1));
    auto self = shared_from_this();
    bool durable = call.durable;
    if (call.sink.on_emit) {
        auto on_emit = call.sink.on_emit;  // the call may end meanwhile
        on_emit(body);
    }
    if (durable || stage_ != Stage::ready) return;
    if (found = calls_.find(id); found != calls_.end()) give_back(id, found->second, body.size());
}

void Life::on_complete(std::uint64_t id, std::string_view body) {
    std::int32_t status = 0;
    if (!take_number(body, status)) return end("the worker completed a call with a short frame");
    if (!calls_.contains(id) && holds("open-call"))
        return end("the worker completed a call that is not open");
    if (!is_utf8(body) && holds("utf8"))
        return finish(id, Error(Fault::peer_failed, "the plugin's answer is not UTF-8"));
    if (status == PARLEY_OK) return finish(id, std::string(body));
    finish(id, Error(fault_of(status), body.empty() ? word_of(status) : std::string(body)));
}

void Life::on_log(std::string_view body) {
    std::int32_t level = 0;
    if (!take_number(body, level)) return end("the worker logged with a short frame");
    say(std::clamp<int>(level, PARLEY_LOG_DEBUG, PARLEY_LOG_ERROR), body);
}

void Life::say(int level, std::string_view text) {
    if (!deps_.trace) return;
    auto now = std::chrono::steady_clock::now();
    if (now - second_ > std::chrono::seconds(1)) {
        if (dropped_ > 0)
            deps_.trace(PARLEY_LOG_WARN, spec_.name,
                        std::to_string(dropped_) + " lines of this worker were dropped");
        second_ = now;
        lines_ = dropped_ = 0;
    }
    if (++lines_ > limits::worker_log_lines) {
        ++dropped_;
        return;
    }
    deps_.trace(level, spec_.name, visible(text.substr(0, 8192)));
}

}  // namespace parley
