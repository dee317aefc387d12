#pragma once

// The program under measurement: started in a home of its own, read through /proc, ended by its id.
#include <cstdint>
#include <string>
#include <vector>

namespace bench {

struct Usage {
    std::int64_t cpu_us = 0, resident_kb = 0;
};

class Program {
public:
    // Starts argv in its own process; stderr goes to `log`.
    Program(std::vector<std::string> argv, std::vector<std::string> environment, std::string log);
    ~Program();  // SIGTERM, then SIGKILL after 10 s
    Program(Program const&) = delete;
    int pid() const { return pid_; }
    Usage usage() const { return usage_of(pid_); }
    std::vector<int> children() const;
    static Usage usage_of(int pid);

private:
    int pid_ = 0;
};

// Bytes of all files below a folder.
std::int64_t folder_bytes(std::string const& path);
// Runs to the end; its standard output.
std::string output_of(std::vector<std::string> const& argv, std::vector<std::string> const& environment);

}  // namespace bench
