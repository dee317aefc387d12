// What a worker costs, beside the same plugin called in this very process: its start, a call's
// round trip, a stream's throughput; and its memory. The two take turns, so that the machine's mood
// meets both. parley_bench_worker WORKER PLUGIN.so, with the plugin zoo_zoo.so; prints a table,
// asserts nothing.
#include "base/loop.hpp"
#include "in_process.hpp"
#include "plugin/worker.hpp"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

using namespace parley;
using Clock = std::chrono::steady_clock;

namespace {

constexpr int rounds = 5;
constexpr std::array<int, 3> sizes{64, 4096, 65536};

double us_since(Clock::time_point begin) {
    return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

double at(std::vector<double>& samples, double share) {
    std::sort(samples.begin(), samples.end());
    return samples[static_cast<std::size_t>(share * static_cast<double>(samples.size() - 1))];
}

void need(bool good, char const* what) {
    if (good) return;
    std::fprintf(stderr, "failed: %s\n", what);
    std::exit(1);
}

// Memory of a process and its children, in KiB.
struct Memory {
    long resident = 0, proportional = 0;
    int processes = 0;
};
void add_memory(Memory& sum, int pid) {
    auto process = "/proc/" + std::to_string(pid);
    std::ifstream in(process + "/smaps_rollup");
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with("Rss:")) sum.resident += std::strtol(line.c_str() + 4, nullptr, 10);
        if (line.starts_with("Pss:"))
            sum.proportional += std::strtol(line.c_str() + 4, nullptr, 10);
    }
    ++sum.processes;
    std::ifstream children(process + "/task/" + std::to_string(pid) + "/children");
    for (int child; children >> child;) add_memory(sum, child);
}

// What two processes and a socket pair cost by themselves: a few bytes there and back.
void bare_trips(int count, std::vector<double>& each) {
    int ends[2];
    need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "a socket pair");
    char bytes[32] = {};
    auto child = fork();
    need(child >= 0, "a process");
    if (child == 0) {
        close(ends[0]);
        while (recv(ends[1], bytes, sizeof bytes, 0) > 0 &&
               send(ends[1], bytes, sizeof bytes, MSG_NOSIGNAL) > 0) {
        }
        _exit(0);
    }
    close(ends[1]);
    for (int i = 0; i < count; ++i) {
        auto begun = Clock::now();
        need(send(ends[0], bytes, sizeof bytes, MSG_NOSIGNAL) > 0, "a bare send");
        need(recv(ends[0], bytes, sizeof bytes, 0) > 0, "a bare answer");
        each.push_back(us_since(begun));
    }
    close(ends[0]);
    waitpid(child, nullptr, 0);
}

// One way to hold the plugin, and what was measured of it.
struct Side {
    Loop loop;
    WorkerDeps deps;
    WorkerSpec spec;
    std::shared_ptr<Worker> worker;
    std::size_t items = 0, bytes = 0;

    std::vector<double> starts, answers, trips;  // us each
    double crowd_us = 0, crowd_calls = 0;
    struct Stream {
        double us = 0, items = 0, bytes = 0;
    };
    std::array<Stream, sizes.size()> streams;

    void begin() {
        worker = Worker::create(deps, spec);
        worker->start_now();
        while (worker->state() == Worker::State::starting)
            loop.run_for(std::chrono::milliseconds(1));
        need(worker->state() == Worker::State::ready, "a start");
    }
    void end() {
        worker->stop();
        worker.reset();
        loop.run_for(std::chrono::milliseconds(5));
    }
    // Calls `request`, `count` times, at most `open` at once.
    void calls(std::string const& request, int count, int open, std::vector<double>* each) {
        int begun = 0, done = 0;
        bool good = true;
        std::function<void()> next = [&] {
            ++begun;
            CallSink sink;
            sink.on_emit = [this](std::string_view item) { ++items, bytes += item.size(); };
            sink.on_done = [&, started = Clock::now()](Result<std::string> result) {
                if (each) each->push_back(us_since(started));
                good = good && result;
                ++done;
                if (begun < count) next();
            };
            worker->start(Verb::skill_invoke, request, {}, std::move(sink));
        };
        while (begun < open && begun < count) next();
        while (done < count && good) loop.run_for(std::chrono::milliseconds(1));
        need(good, "a call");
    }

    void measure() {
        for (int i = 0; i < 20; ++i) {
            auto begun = Clock::now();
            begin();
            starts.push_back(us_since(begun));
            calls("echo x", 1, 1, nullptr);
            answers.push_back(us_since(begun));
            end();
        }
        begin();
        calls("echo hello", 500, 1, nullptr);
        calls("echo hello", 5000, 1, &trips);
        auto begun = Clock::now();
        calls("echo hello", 30000, 16, nullptr);
        crowd_us += us_since(begun);
        crowd_calls += 30000;
        for (std::size_t i = 0; i < sizes.size(); ++i) {
            items = bytes = 0;
            auto count = sizes[i] > 10000 ? 2000 : 20000;
            begun = Clock::now();
            calls("stream " + std::to_string(count) + ' ' + std::to_string(sizes[i]), 1, 1,
                  nullptr);
            streams[i].us += us_since(begun);
            streams[i].items += static_cast<double>(items);
            streams[i].bytes += static_cast<double>(bytes);
        }
        end();
    }
};

void row(std::string const& what, double worker, double in_process) {
    std::printf("%-40s %12.2f %12.2f %9.2f\n", what.c_str(), worker, in_process,
                worker / in_process);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return std::fprintf(stderr, "parley_bench_worker WORKER PLUGIN.so\n"), 2;
    auto file = PluginFile::read(argv[2]);
    if (!file) return std::fprintf(stderr, "%s\n", file.error().what.c_str()), 1;
    Side strict, near;
    for (auto* side : {&strict, &near}) {
        side->deps.loop = &side->loop;
        side->deps.worker_program = argv[1];
        side->spec.name = "bench";
        side->spec.file = *file;
    }
    near.deps.spawner = parity::in_process_spawner();

    strict.begin();
    Memory idle;
    add_memory(idle, strict.worker->pid());
    strict.end();
    std::vector<double> bare;
    for (int i = 0; i < rounds; ++i) {
        bare_trips(5000, bare);
        strict.measure();
        near.measure();
    }

    std::printf("%-40s %12s %12s %9s\n", "", "worker", "in process", "ratio");
    row("start to ready, p50, ms", at(strict.starts, .5) / 1e3, at(near.starts, .5) / 1e3);
    row("start to ready, p99, ms", at(strict.starts, .99) / 1e3, at(near.starts, .99) / 1e3);
    row("start to the first answer, p50, ms", at(strict.answers, .5) / 1e3,
        at(near.answers, .5) / 1e3);
    row("round trip, p50, us", at(strict.trips, .5), at(near.trips, .5));
    row("round trip, p99, us", at(strict.trips, .99), at(near.trips, .99));
    row("16 calls open: us each", strict.crowd_us / strict.crowd_calls,
        near.crowd_us / near.crowd_calls);
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        auto const &a = strict.streams[i], &b = near.streams[i];
        auto what = "stream of " + std::to_string(sizes[i]) + " bytes: ";
        row(what + "items a second", a.items * 1e6 / a.us, b.items * 1e6 / b.us);
        row(what + "MB a second", a.bytes / a.us, b.bytes / b.us);
    }
    std::printf("two bare processes and a socket pair: round trip p50 %.2f us, p99 %.2f us\n",
                at(bare, .5), at(bare, .99));
    std::printf("an idle worker, %d processes: %.2f MB resident, %.2f MB of its own share (PSS)\n",
                idle.processes, static_cast<double>(idle.resident) / 1024,
                static_cast<double>(idle.proportional) / 1024);
}
