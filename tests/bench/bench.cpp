// parley_bench PARLEY FLOOR [TURNS-IN-THE-LOG]: measures a real host with a real worker and an
// instant provider, and beside it a program that does the same system calls and nothing else.
// Figures of one run belong together; the machine decides their size, the ratios are the result.
#include "client.hpp"
#include "process.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

namespace {

using namespace bench;

constexpr int port = 17420;
constexpr int floor_port = 17421;

std::string text_at(std::string const& json, std::string const& key) {
    auto at = json.find('"' + key + "\":");
    if (at == std::string::npos) return {};
    at = json.find('"', at + key.size() + 3);
    return json.substr(at + 1, json.find('"', at + 1) - at - 1);
}

double at_percent(std::vector<std::int64_t>& sorted, double percent) {
    if (sorted.empty()) return 0;
    auto index = static_cast<std::size_t>(percent / 100 * static_cast<double>(sorted.size() - 1));
    return static_cast<double>(sorted[index]) / 1000;
}

struct Bench {
    std::string parley, floor, folder, token;
    std::vector<std::string> environment;
    std::unique_ptr<Program> host;

    std::string home() const { return folder + "/home"; }

    // Until GET /health answers, in milliseconds.
    double start() {
        auto begun = now_us();
        host = std::make_unique<Program>(std::vector<std::string>{parley, "run", "--home", home()},
                                         environment, folder + "/host.log");
        int status = 0;
        while (status != 200 && now_us() - begun < 20'000'000) {
            request(port, token, "GET", "/health", "", &status);
            if (status != 200) usleep(500);
        }
        if (status != 200) {
            std::fprintf(stderr, "the host did not start; see %s/host.log\n", folder.c_str());
            std::exit(1);
        }
        return static_cast<double>(now_us() - begun) / 1000;
    }

    Usage workers() const {
        Usage sum;
        for (int pid : host->children()) {
            auto one = Program::usage_of(pid);
            sum.cpu_us += one.cpu_us;
            sum.resident_kb = std::max(sum.resident_kb, one.resident_kb);
        }
        return sum;
    }

    void row(int sessions, std::int64_t turns, std::string const& prefix) {
        auto host_before = host->usage(), workers_before = workers();
        auto bytes_before = folder_bytes(home() + "/ledger");
        auto figures = converse(port, token, sessions, turns, "/say ok", prefix);
        auto host_after = host->usage(), workers_after = workers();
        auto bytes = folder_bytes(home() + "/ledger") - bytes_before;
        std::sort(figures.latencies_us.begin(), figures.latencies_us.end());
        auto count = static_cast<double>(std::max<std::int64_t>(figures.turns, 1));
        std::printf("%8d %9.0f %8.2f %8.2f %9.3f %9.3f %8.1f %8.1f %9.0f%s\n", sessions,
                    count * 1e6 / static_cast<double>(figures.wall_us),
                    at_percent(figures.latencies_us, 50), at_percent(figures.latencies_us, 99),
                    static_cast<double>(host_after.cpu_us - host_before.cpu_us) / 1000 / count,
                    static_cast<double>(workers_after.cpu_us - workers_before.cpu_us) / 1000 / count,
                    static_cast<double>(host_after.resident_kb) / 1024,
                    static_cast<double>(workers_after.resident_kb) / 1024,
                    static_cast<double>(bytes) / count, figures.failed ? "  FAILED" : "");
        std::fflush(stdout);
    }

    void table(char const* title, std::int64_t scale) {
        std::printf("\n%s\n%8s %9s %8s %8s %9s %9s %8s %8s %9s\n", title, "sessions", "turns/s",
                    "p50 ms", "p99 ms", "host cpu", "work cpu", "host MB", "work MB", "log B");
        static int round = 0;
        for (int sessions : {1, 8, 32, 128})
            row(sessions, scale * std::min(sessions, 32) / 4 + scale,
                "b" + std::to_string(++round) + "-");
    }

    void floor_table(std::int64_t scale) {
        Program program({floor, std::to_string(floor_port), folder + "/floor.bin"}, environment,
                        folder + "/floor.log");
        int status = 0;
        for (int i = 0; i < 1000 && status != 200; ++i) {
            request(floor_port, "x", "GET", "/health", "", &status);
            usleep(1000);
        }
        std::printf("\nfloor: the same system calls, nothing else\n%8s %9s %8s %8s %9s\n", "sessions",
                    "turns/s", "p50 ms", "p99 ms", "cpu");
        for (int sessions : {1, 8, 32, 128}) {
            auto before = program.usage();
            auto figures = converse(floor_port, "x", sessions,
                                    scale * std::min(sessions, 32) / 4 + scale, "/say ok", "f");
            auto after = program.usage();
            std::sort(figures.latencies_us.begin(), figures.latencies_us.end());
            auto count = static_cast<double>(std::max<std::int64_t>(figures.turns, 1));
            std::printf("%8d %9.0f %8.2f %8.2f %9.3f\n", sessions,
                        count * 1e6 / static_cast<double>(figures.wall_us),
                        at_percent(figures.latencies_us, 50), at_percent(figures.latencies_us, 99),
                        static_cast<double>(after.cpu_us - before.cpu_us) / 1000 / count);
            std::fflush(stdout);
        }
    }
};

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "usage: parley_bench PARLEY FLOOR [TURNS-IN-THE-LOG]\n");
        return 2;
    }
    auto fill = argc > 3 ? std::atoll(argv[3]) : 100'000;
    char name[] = "/tmp/parley-bench-XXXXXX";
    Bench bench;
    bench.parley = argv[1];
    bench.floor = argv[2];
    bench.folder = mkdtemp(name);
    bench.environment = {"PATH=/usr/bin:/bin", "HOME=" + bench.folder,
                         "PARLEY_VAULT_KEY_FILE=" + bench.folder + "/key/vault.key"};
    auto made = output_of({bench.parley, "init", "--home", bench.home(), "--listen",
                           "127.0.0.1:" + std::to_string(port), "--json"},
                          bench.environment);
    bench.token = text_at(made, "admin_token");
    if (bench.token.empty()) {
        std::fprintf(stderr, "init failed: %s\n", made.c_str());
        return 1;
    }
    std::int64_t scale = 400;
    std::printf("cpu is milliseconds a turn, resident memory the process's own; floor and host ran "
                "one after the other\n");
    bench.floor_table(scale);
    std::printf("\ncold start to ready, empty log: %.1f ms\n", bench.start());
    usleep(300'000);
    std::printf("resident, idle: host %.1f MB\n", static_cast<double>(bench.host->usage().resident_kb) / 1024);
    bench.table("empty log", scale);
    if (fill > 0) {
        converse(port, bench.token, 128, fill, "/say ok", "fill-");
        std::printf("\n%lld turns in the log\n", static_cast<long long>(fill));
        bench.host.reset();
        std::printf("cold start to ready: %.1f ms\n", bench.start());
        usleep(300'000);
        std::printf("resident, idle: host %.1f MB\n", static_cast<double>(bench.host->usage().resident_kb) / 1024);
        bench.table("filled log", scale);
    }
    bench.host.reset();
    std::error_code ignored;
    std::filesystem::remove_all(bench.folder, ignored);
    return 0;
}
