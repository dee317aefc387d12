#pragma once

// One life of a worker: from spawn to exit, with the calls that are open in it and the services
// that serve them. Everything that it hears is hostile; what breaks the rules ends it.
// Room-private.
#include "plugin/link.hpp"
#include "plugin/process.hpp"
#include "plugin/services.hpp"
#include "plugin/worker.hpp"

#include <memory>
#include <string>
#include <unordered_map>

namespace parley {

class Life final : public Desk, public std::enable_shared_from_this<Life> {
public:
    struct Told {
        std::function<void()> on_ready;
        // The last open call has ended. May be empty.
        std::function<void()> on_idle;
        // Once, after the process is gone and every call has been answered.
        std::function<void(std::string const& why)> on_gone;
    };
    // `single`: serves one call, and that call's answer is told when the process tree is dead.
    static std::shared_ptr<Life> begin(WorkerDeps const& deps, WorkerSpec const& spec, bool single,
                                       Told told);
    ~Life() override;

    bool is_ready() const { return stage_ == Stage::ready; }
    bool is_idle() const { return calls_.empty(); }
    int pid() const { return process_ ? process_->pid() : 0; }
    std::string const& profile() const { return profile_; }

    void start(std::uint64_t call, Verb verb, std::string_view request, CallOptions options,
               CallSink sink);
    bool has(std::uint64_t call) const { return calls_.contains(call); }
    void cancel(std::uint64_t call, Fault as = Fault::cancelled);
    void acknowledge(std::uint64_t call, std::string_view cursor, std::size_t bytes);
    // Asks the plugin to end, then ends it; open calls end with `as`.
    void stop(Fault as);

    WorkerDeps const& deps() const override { return deps_; }
    WorkerSpec const& spec() const override { return spec_; }
    void tell(std::uint64_t operation, std::uint32_t kind, std::string_view bytes,
              bool last) override;
    void tell_secret(std::uint64_t operation, std::uint32_t kind, std::string_view bytes) override;
    void when_may_leave(std::uint64_t call, std::function<void()> go) override;
    void stayed(std::uint64_t id) override;
    void secret_found(std::uint64_t call, std::string const& name) override;
    void give_credit(std::uint64_t operation, std::uint32_t bytes) override;
    bool is_run(std::uint64_t call) const override {
        auto found = calls_.find(call);
        return found != calls_.end() && found->second.durable;
    }
    bool is_crowded() const override { return link_ && link_->is_crowded(); }

    Life(WorkerDeps const& deps, WorkerSpec const& spec, bool single, Told told);

private:
    enum class Stage {
        confining,  // SETUP sent, READY awaited
        creating,   // CREATE sent, CREATED awaited
        ready,
        ending,  // killed, or asked to end; only the exit is awaited
        gone,
    };
    struct Call {
        CallSink sink;
        bool durable = false;
        std::int64_t credit = 0;    // what the worker may still emit
        std::size_t owed = 0;       // consumed, not yet given back
        Loop::Handle timer;         // the timeout, then the grace after a cancel
        std::optional<Error> fate;  // what it ends with, whatever the plugin says
        bool cancelled = false;
        enum class Leave { free, ask, asked } leave = Leave::free;
        std::vector<std::function<void()>> waiting;  // for the EGRESS record
    };

    Result<> spawn();
    void heard(std::uint16_t type, std::uint64_t id, std::string_view body);
    void on_ready(std::string_view body);
    void on_created(std::string_view body);
    void on_emit(std::uint64_t id, std::string_view body);
    void on_complete(std::uint64_t id, std::string_view body);
    void on_log(std::string_view body);
    void on_service(std::uint16_t type, std::uint64_t id, std::string_view body);
    void on_word(std::uint16_t type, std::uint64_t id, std::string_view body);
    void on_goodbye(std::uint64_t id, std::string_view body);
    void on_answer(std::uint64_t id, std::string_view body);
    void give_back(std::uint64_t id, Call& call, std::size_t bytes);
    void finish(std::uint64_t id, Result<std::string> result);
    void drop_operations(std::uint64_t call);
    void end(std::string why);  // kills; the first reason stays
    void part();                // a single call is over: let the tree die, then tell
    void exited(std::string const& how);
    void say(int level, std::string_view text);

    WorkerDeps const& deps_;
    WorkerSpec const spec_;
    bool const single_;
    Told told_;
    Stage stage_ = Stage::confining;
    std::shared_ptr<Process> process_;
    std::shared_ptr<Link> link_;
    std::string profile_, why_;
    Loop::Handle timer_;  // of the start, then of the end
    std::unordered_map<std::uint64_t, Call> calls_;
    std::unordered_map<std::uint64_t, std::shared_ptr<Operation>> operations_;
    std::function<void()> last_word_;  // of a single call
    std::chrono::steady_clock::time_point second_{};
    std::size_t lines_ = 0, dropped_ = 0;
};

}  // namespace parley
