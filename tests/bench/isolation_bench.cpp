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

constexpr int rounds = 10;

struct Host {
    std::string folder, token;
    int port = 0;
    std::unique_ptr<Program> program;

    // Of one number of sessions, over all rounds.
    std::vector<std::int64_t> latencies_us;
    std::int64_t turns = 0, wall_us = 0, cpu_us = 0, failed = 0;

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

    void forget() {
        latencies_us.clear();
        turns = wall_us = cpu_us = failed = 0;
    }
    void talk(int sessions, std::int64_t count, std::string const& text,
              std::string const& prefix) {
        auto before = spent_us();
        auto figures = converse(port, token, sessions, count, text, prefix);
        cpu_us += spent_us() - before;
        wall_us += figures.wall_us;
        turns += figures.turns;
        failed += figures.failed;
        latencies_us.insert(latencies_us.end(), figures.latencies_us.begin(),
                            figures.latencies_us.end());
    }

    double turns_a_second() const {
        return static_cast<double>(turns) * 1e6 / static_cast<double>(wall_us);
    }
    double cpu_ms() const {
        return static_cast<double>(cpu_us) / 1000 / static_cast<double>(turns);
    }
    double median_ms() {
        auto middle = latencies_us.begin() + static_cast<std::ptrdiff_t>(latencies_us.size() / 2);
        std::nth_element(latencies_us.begin(), middle, latencies_us.end());
        return static_cast<double>(*middle) / 1000;
    }
};

void table(char const* title, Host& isolated, Host& near, std::int64_t turns,
           std::string const& text) {
    std::printf("\n%s\n%8s %21s %8s %17s %8s %17s %8s\n", title, "sessions", "turns/s", "ratio",
                "p50 ms", "ratio", "cpu ms", "ratio");
    static int row = 0;
    for (int sessions : {1, 8, 32}) {
        ++row;
        for (auto* host : {&isolated, &near}) host->forget();
        // The first round warms up and is not counted.
        for (int round = 0; round <= rounds; ++round) {
            auto prefix = "r" + std::to_string(row) + '-' + std::to_string(round) + '-';
            auto count =
                std::max<std::int64_t>(turns * std::min(sessions, 8) / 8 / rounds, sessions);
            bool swapped = round % 2 == 1;
            (swapped ? near : isolated).talk(sessions, count, text, prefix);
            (swapped ? isolated : near).talk(sessions, count, text, prefix);
            if (round == 0)
                for (auto* host : {&isolated, &near}) host->forget();
        }
        auto a = isolated.median_ms(), b = near.median_ms();
        std::printf("%8d %10.0f %10.0f %8.3f %8.2f %8.2f %8.3f %8.3f %8.3f %8.3f%s\n", sessions,
                    isolated.turns_a_second(), near.turns_a_second(),
                    isolated.turns_a_second() / near.turns_a_second(), a, b, a / b,
                    isolated.cpu_ms(), near.cpu_ms(), isolated.cpu_ms() / near.cpu_ms(),
                    isolated.failed + near.failed ? "  FAILED" : "");
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
