// parley_bench_isolation PARLEY PARLEY-IN-PROCESS [TURNS]: what isolation costs a whole turn. Two
// hosts that differ in nothing but where their plugins are stand beside each other, and the same
// conversations, with a durable log, are held with one and the other by turns.
#include "client.hpp"
#include "process.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using namespace bench;

constexpr int rounds = 20;

double median(std::vector<double> samples) {
    auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
    std::nth_element(samples.begin(), middle, samples.end());
    return *middle;
}

// What rounds of conversations gave.
struct Rounds {
    std::vector<double> turns_a_second, median_ms, cpu_ms;
    std::int64_t failed = 0;
};

struct Host {
    std::string folder, token;
    int port = 0;
    std::unique_ptr<Program> program;

    // `parley`: whose plugins and worker it uses.
    void begin(std::string const& binary, fs::path const& parley, int its_port) {
        port = its_port;
        char name[] = "/tmp/parley-bench-XXXXXX";
        folder = mkdtemp(name);
        auto home = folder + "/home";
        auto build = parley.parent_path().parent_path();
        std::vector<std::string> environment = {
            "PATH=/usr/bin:/bin", "HOME=" + folder,
            "PARLEY_VAULT_KEY_FILE=" + folder + "/key/vault.key",
            "PARLEY_PLUGINS=" + (build / "plugins").string(),
            "PARLEY_WORKER=" + (build / "host/worker/parley-worker").string()};
        auto made = output_of({parley, "init", "--home", home, "--listen",
                               "127.0.0.1:" + std::to_string(port), "--json"},
                              environment);
        std::string const key = "\"admin_token\":\"";
        if (auto at = made.find(key); at != made.npos)
            token = made.substr(at + key.size(), made.find('"', at + key.size()) - at - key.size());
        program = std::make_unique<Program>(std::vector<std::string>{binary, "run", "--home", home},
                                            environment, folder + "/host.log");
        int status = 0;
        for (auto begun = now_us(); status != 200 && now_us() - begun < 20'000'000; usleep(1000))
            request(port, token, "GET", "/health", "", &status);
        if (status == 200) return;
        std::fprintf(stderr, "the host did not start; see %s/host.log\n", folder.c_str());
        std::exit(1);
    }
    ~Host() {
        program.reset();
        std::error_code ignored;
        fs::remove_all(folder, ignored);
    }

    // Of the host and its workers.
    std::int64_t spent_us() const {
        auto sum = program->usage().cpu_us;
        for (int pid : program->children()) sum += Program::usage_of(pid).cpu_us;
        return sum;
    }

    void talk(int sessions, std::int64_t count, std::string const& text, std::string const& prefix,
              Rounds& out) {
        auto before = spent_us();
        auto figures = converse(port, token, sessions, count, text, prefix);
        auto turns = static_cast<double>(std::max<std::int64_t>(figures.turns, 1));
        out.cpu_ms.push_back(static_cast<double>(spent_us() - before) / 1000 / turns);
        out.turns_a_second.push_back(turns * 1e6 / static_cast<double>(figures.wall_us));
        std::vector<double> latencies(figures.latencies_us.begin(), figures.latencies_us.end());
        out.median_ms.push_back(median(std::move(latencies)) / 1000);
        out.failed += figures.failed;
    }
};

// Of each round's pair, since what disturbs a machine disturbs neighbours alike.
double ratio(std::vector<double> const& isolated, std::vector<double> const& near) {
    std::vector<double> each;
    for (std::size_t i = 0; i < isolated.size(); ++i) each.push_back(isolated[i] / near[i]);
    return median(std::move(each));
}

void table(char const* title, Host& isolated, Host& near, std::int64_t turns,
           std::string const& text) {
    std::printf("\n%s\n%8s %21s %8s %17s %8s %17s %8s\n", title, "sessions", "turns/s", "ratio",
                "p50 ms", "ratio", "cpu ms", "ratio");
    static int row = 0;
    for (int sessions : {1, 8, 32}) {
        auto const count = std::max<std::int64_t>(turns / rounds, 4 * sessions);
        auto const prefix = "r" + std::to_string(++row) + '-';
        Rounds a, b, warmth;
        isolated.talk(sessions, count, text, prefix, warmth);
        near.talk(sessions, count, text, prefix, warmth);
        for (int round = 0; round < rounds; ++round) {
            auto name = prefix + std::to_string(round) + '-';
            if (round % 2 == 0) isolated.talk(sessions, count, text, name, a);
            near.talk(sessions, count, text, name, b);
            if (round % 2 == 1) isolated.talk(sessions, count, text, name, a);
        }
        std::printf("%8d %10.0f %10.0f %8.3f %8.2f %8.2f %8.3f %8.3f %8.3f %8.3f%s\n", sessions,
                    median(a.turns_a_second), median(b.turns_a_second),
                    ratio(a.turns_a_second, b.turns_a_second), median(a.median_ms),
                    median(b.median_ms), ratio(a.median_ms, b.median_ms), median(a.cpu_ms),
                    median(b.cpu_ms), ratio(a.cpu_ms, b.cpu_ms),
                    a.failed + b.failed ? "  FAILED" : "");
        std::fflush(stdout);
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "usage: parley_bench_isolation PARLEY PARLEY-IN-PROCESS [TURNS]\n");
        return 2;
    }
    auto const turns = argc > 3 ? std::atoll(argv[3]) : 10'000;
    auto const parley = fs::absolute(argv[1]);
    Host isolated, near;
    isolated.begin(parley, parley, 17423);
    near.begin(fs::absolute(argv[2]), parley, 17424);
    std::printf(
        "of each pair the first is with workers, the second without; cpu is a turn's, of "
        "host and workers\n");
    table("an answer in one piece", isolated, near, turns, "/say ok");
    table("an answer in fifty pieces", isolated, near, turns / 4,
          "/stream 50 0 " + std::string(500, 'x'));
    return 0;
}
