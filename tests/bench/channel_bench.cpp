// parley_bench_channel PARLEY CROWD.so [TURNS]: a real host with a channel of 1, 32 and 1000
// conversations that all talk at once, and a model that answers whole or in fifty pieces. Each row
// has a home of its own. Figures of one run belong together; the ratios are the result.
#include "client.hpp"
#include "process.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

namespace {

namespace fs = std::filesystem;
using namespace bench;

constexpr char listen_at[] = "127.0.0.1:17422";
constexpr std::int64_t longest_us = 120'000'000;  // then a row has failed

void write(fs::path const& path, std::string const& text) {
    std::ofstream(path, std::ios::trunc) << text;
    fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
}

std::int64_t number_at(std::string const& json, std::string const& key) {
    auto at = json.find('"' + key + "\":");
    return at == json.npos ? 0 : std::atoll(json.c_str() + at + key.size() + 3);
}

// The one line that the crowd leaves in the log when it has heard every answer; empty until then.
std::string report_in(fs::path const& log) {
    std::ifstream in(log);
    for (std::string line; std::getline(in, line);)
        if (line.find("p99_us") != line.npos) return line.substr(line.find('{'));
    return {};
}

// JSON is YAML.
void furnish(std::string const& home, int people, std::int64_t turns, std::string const& text) {
    auto config = "{\"people\": " + std::to_string(people) + ", \"turns\": " + std::to_string(turns) +
                  ", \"text\": \"" + text + "\"}";
    write(home + "/parley.yaml",
          std::string("{\"listen\": \"") + listen_at +
              "\", \"plugins\": {\"rehearsal\": {\"enabled\": true}, \"org.bench.crowd\": {\"enabled\": true}},"
              "\"models\": {\"default\": {\"provider\": \"rehearsal\", \"model\": \"echo\","
              "\"price\": {\"input\": 0, \"output\": 0}}},"
              "\"channels\": {\"crowd\": {\"plugin\": \"org.bench.crowd\", \"agent\": \"assistant\","
              "\"config\": " + config + "}}}\n");
    write(home + "/agents/assistant/agent.yaml",
          "{\"model\": \"default\", \"skills\": {\"allow\": []},"
          "\"channels\": {\"crowd\": {\"authorized_senders\": [\"id:1\"]}}}\n");
}

void row(std::string const& parley, std::string const& crowd, int people, std::int64_t turns,
         std::string const& text) {
    char name[] = "/tmp/parley-bench-XXXXXX";
    std::string const folder = mkdtemp(name), home = folder + "/home", log = folder + "/host.log";
    std::vector<std::string> const environment = {
        "PATH=/usr/bin:/bin", "HOME=" + folder, "PARLEY_VAULT_KEY_FILE=" + folder + "/key/vault.key"};
    output_of({parley, "init", "--home", home, "--listen", listen_at, "--json"}, environment);
    fs::copy_file(crowd, home + "/plugins/crowd.so");
    furnish(home, people, turns, text);
    output_of({parley, "plugin", "lock", "org.bench.crowd", "--yes", "--home", home}, environment);

    std::string report;
    Usage host;
    {
        Program program({parley, "run", "--home", home}, environment, log);
        for (auto begun = now_us(); report.empty() && now_us() - begun < longest_us;) {
            usleep(20'000);
            report = report_in(log);
        }
        host = program.usage();
    }
    auto wall_us = number_at(report, "wall_us");
    if (wall_us == 0) {
        std::printf("%8d  FAILED; see %s\n", people, log.c_str());
        return;
    }
    auto count = static_cast<double>(turns);
    std::printf("%8d %9.0f %8.2f %8.2f %9.3f %8.1f\n", people, count * 1e6 / static_cast<double>(wall_us),
                static_cast<double>(number_at(report, "p50_us")) / 1000,
                static_cast<double>(number_at(report, "p99_us")) / 1000,
                static_cast<double>(host.cpu_us) / 1000 / count,
                static_cast<double>(host.resident_kb) / 1024);
    std::fflush(stdout);
    std::error_code ignored;
    fs::remove_all(folder, ignored);
}

void table(char const* title, std::string const& parley, std::string const& crowd,
           std::int64_t turns, std::string const& text) {
    std::printf("\n%s\n%8s %9s %8s %8s %9s %8s\n", title, "people", "turns/s", "p50 ms", "p99 ms",
                "host cpu", "host MB");
    for (int people : {1, 32, 1000})
        row(parley, crowd, people, people == 1 ? turns / 10 : turns, text);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "usage: parley_bench_channel PARLEY CROWD.so [TURNS]\n");
        return 2;
    }
    std::int64_t const turns = argc > 3 ? std::atoll(argv[3]) : 10'000;
    std::printf("cpu is milliseconds a turn, start included; latency is from a message to its answer\n");
    table("an answer in one piece", argv[1], argv[2], turns, "/say ok");
    table("an answer in fifty pieces", argv[1], argv[2], turns,
          "/stream 50 0 " + std::string(500, 'x'));
    return 0;
}
