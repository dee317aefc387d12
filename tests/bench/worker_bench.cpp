// What a worker costs: its start, a call's round trip, a stream's throughput, its memory.
// parley_bench_worker WORKER PLUGIN.so, with the plugin zoo_zoo.so; prints a table, asserts
// nothing.
#include "base/loop.hpp"
#include "plugin/worker.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <sstream>

using namespace parley;
using Clock = std::chrono::steady_clock;

namespace {

double us_since(Clock::time_point begin) {
    return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

double at(std::vector<double>& sorted, double share) {
    std::sort(sorted.begin(), sorted.end());
    return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
}

struct Bench {
    Loop loop;
    WorkerDeps deps;
    WorkerSpec spec;
    std::shared_ptr<Worker> worker;
    std::size_t items = 0, bytes = 0;

    void begin() { worker = Worker::create(deps, spec); }
    void end() {
        worker->stop();
        worker.reset();
        loop.run_for(std::chrono::milliseconds(5));
    }
    // Calls `request`, `count` times, at most `open` at once; false when one fails.
    bool calls(std::string const& request, int count, int open, std::vector<double>* each) {
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
        return good;
    }
};

// Of a process and its children, in KiB.
long proportional_kib(int pid) {
    long kib = 0;
    std::ifstream in("/proc/" + std::to_string(pid) + "/smaps_rollup");
    for (std::string line; std::getline(in, line);)
        if (line.starts_with("Pss:")) kib = std::strtol(line.c_str() + 4, nullptr, 10);
    std::ifstream children("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) +
                           "/children");
    for (int child; children >> child;) kib += proportional_kib(child);
    return kib;
}

void row(char const* what, char const* format, double a, double b) {
    std::printf("%-38s ", what);
    std::printf(format, a, b);
    std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return std::fprintf(stderr, "parley_bench_worker WORKER PLUGIN.so\n"), 2;
    auto file = PluginFile::read(argv[2]);
    if (!file) return std::fprintf(stderr, "%s\n", file.error().what.c_str()), 1;
    Bench bench;
    bench.deps.loop = &bench.loop;
    bench.deps.worker_program = argv[1];
    bench.spec.name = "bench";
    bench.spec.file = *file;

    std::vector<double> starts;
    for (int i = 0; i < 50; ++i) {
        auto begun = Clock::now();
        bench.begin();
        if (!bench.calls("echo x", 1, 1, nullptr)) return std::fprintf(stderr, "no start\n"), 1;
        starts.push_back(us_since(begun));
        bench.end();
    }
    row("start to the first answer, p50 / p99", "%8.2f / %8.2f ms", at(starts, .5) / 1e3,
        at(starts, .99) / 1e3);

    bench.begin();
    std::vector<double> trips;
    bench.calls("echo hello", 2000, 1, nullptr);
    bench.calls("echo hello", 20000, 1, &trips);
    row("round trip, p50 / p99", "%8.1f / %8.1f us", at(trips, .5), at(trips, .99));
    auto begun = Clock::now();
    bench.calls("echo hello", 100000, 16, nullptr);
    auto spent = us_since(begun);
    row("16 calls open: each, and a second", "%8.1f us / %8.0f", spent / 100000, 1e11 / spent);
    for (int size : {64, 4096, 65536}) {
        bench.items = bench.bytes = 0;
        int count = size > 10000 ? 5000 : 50000;
        begun = Clock::now();
        if (!bench.calls("stream " + std::to_string(count) + ' ' + std::to_string(size), 1, 1,
                         nullptr))
            return std::fprintf(stderr, "the stream failed\n"), 1;
        spent = us_since(begun);
        auto what = "stream of " + std::to_string(size) + " bytes: chunks, MB a second";
        row(what.c_str(), "%8.0f / %8.0f", static_cast<double>(bench.items) * 1e6 / spent,
            static_cast<double>(bench.bytes) / spent);
    }
    row("memory of worker and guard, PSS", "%8.2f MB%.0s",
        static_cast<double>(proportional_kib(bench.worker->pid())) / 1024, 0);
    bench.end();
}
