// The shell skill: one command, run in the workspace by a worker that the host has confined to it
// and will end with it. It decides nothing: what runs was approved by a person, byte for byte.
#include "command.hpp"
#include "parley/plugin.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <list>
#include <thread>

namespace shell {
namespace {

using namespace std::chrono_literals;
using parley::Call;
using parley::Host;
using parley::Json;
using parley::json_of;

constexpr auto default_limit = 120s;
constexpr auto longest_limit = 3600s;
constexpr auto reply_time = 500ms;  // kept of the host's time limit, to kill and to tell

std::string ending(Outcome const& outcome, std::chrono::milliseconds limit) {
    switch (outcome.end) {
        case Outcome::End::exited: return "[exit status " + std::to_string(outcome.number) + "]";
        case Outcome::End::signalled:
            return "[ended by signal " + std::to_string(outcome.number) + "]";
        case Outcome::End::timed_out:
            return "[killed after " + std::to_string(limit.count() / 1000) +
                   " s, with everything that it had started]";
        default: return "[killed]";
    }
}

// A command under way, with the thread that watches it.
struct Job {
    Job(Call its_call, Order order)
        : call(std::move(its_call)), limit(order.limit), command(std::move(order)) {}
    ~Job() {
        command.kill();
        if (thread.joinable()) thread.join();
    }

    void run() noexcept {
        try {
            report(command.run());
        } catch (std::exception const& problem) {
            call.fail("internal", problem.what());
        }
        done = true;
    }

    void report(Outcome outcome) {
        if (outcome.end == Outcome::End::killed) {
            return call.fail("cancelled", "the command was killed");
        }
        if (outcome.end == Outcome::End::not_started) {
            return call.fail("internal", std::string("the command could not be started: ") +
                                             std::strerror(outcome.number));
        }
        std::string content = std::move(outcome.output);
        if (!content.empty() && content.back() != '\n') content += '\n';
        content += ending(outcome, limit);
        bool const fine = outcome.end == Outcome::End::exited && outcome.number == 0;
        call.complete_ok(json_of("content", content, "error", !fine));
    }

    Call call;
    std::chrono::milliseconds limit;
    Command command;
    std::atomic<bool> done{false};
    std::thread thread;
};

class Shell final : public parley::Skill {
public:
    Shell(Host&, Json const&) {}

    void invoke(Call call, Json request) override {
        jobs_.remove_if([](Job const& job) { return job.done.load(); });
        Json const arguments = request["arguments"];
        std::string const command(arguments["command"].text());
        std::string const workspace(request["grants"]["workspace"].text());
        if (request["skill"].text() != "shell") return call.fail("unsupported", "no such skill");
        if (command.empty()) return call.fail("invalid", "`command` is missing");
        // The shell would run only what stands before it, and that is not what was approved.
        if (command.find('\0') != command.npos)
            return call.fail("invalid", "`command` holds a NUL");
        if (!workspace.starts_with('/')) return call.fail("denied", "no workspace was granted");

        auto const limit = limit_for(call, arguments);
        Job& job = jobs_.emplace_back(std::move(call), Order{command, workspace, limit});
        job.call.on_cancel([&job] { job.command.kill(); });
        job.thread = std::thread([&job] { job.run(); });
    }

private:
    static std::chrono::milliseconds limit_for(Call const& call, Json const& arguments) {
        std::chrono::milliseconds out = std::chrono::seconds(std::clamp<std::int64_t>(
            arguments["timeout_s"].integer(default_limit.count()), 1, longest_limit.count()));
        if (call.timeout() > 2 * reply_time) out = std::min(out, call.timeout() - reply_time);
        return out;
    }

    std::list<Job> jobs_;
};

}  // namespace
}  // namespace shell

PARLEY_PLUGIN(shell::Shell)
