#include "process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace bench {

namespace {

int spawn(std::vector<std::string> const& argv, std::vector<std::string> const& environment,
          int out, int err) {
    int pid = fork();
    if (pid != 0) return pid;
    if (out >= 0) dup2(out, 1);
    if (err >= 0) dup2(err, 2);
    std::vector<char*> arguments, variables;
    for (auto const& word : argv) arguments.push_back(const_cast<char*>(word.c_str()));
    for (auto const& word : environment) variables.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    variables.push_back(nullptr);
    execve(arguments[0], arguments.data(), variables.data());
    _exit(127);
}

}  // namespace

Program::Program(std::vector<std::string> argv, std::vector<std::string> environment, std::string log) {
    int file = open(log.c_str(), O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0600);
    pid_ = spawn(argv, environment, file, file);
    close(file);
}

Program::~Program() {
    kill(pid_, SIGTERM);
    for (int i = 0; i < 1000; ++i) {
        if (waitpid(pid_, nullptr, WNOHANG) == pid_) return;
        usleep(10'000);
    }
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
}

Usage Program::usage_of(int pid) {
    Usage usage;
    auto const process = "/proc/" + std::to_string(pid);
    std::int64_t resident_pages = 0, spent_ns = 0;
    std::ifstream(process + "/statm").ignore(64, ' ') >> resident_pages;
    usage.resident_kb = resident_pages * (sysconf(_SC_PAGESIZE) / 1024);
    // Of each thread, in nanoseconds; the process's own count is in hundredths of a second.
    std::error_code error;
    for (auto const& thread : std::filesystem::directory_iterator(process + "/task", error)) {
        std::int64_t ns = 0;
        std::ifstream(thread.path() / "schedstat") >> ns;
        spent_ns += ns;
    }
    usage.cpu_us = spent_ns / 1000;
    return usage;
}

std::vector<int> Program::children() const {
    std::vector<int> pids{pid_};
    for (std::size_t i = 0; i < pids.size(); ++i) {
        auto pid = std::to_string(pids[i]);
        std::ifstream list("/proc/" + pid + "/task/" + pid + "/children");
        for (int child; list >> child;) pids.push_back(child);
    }
    pids.erase(pids.begin());
    return pids;
}

std::int64_t folder_bytes(std::string const& path) {
    std::int64_t bytes = 0;
    std::error_code error;
    for (auto const& entry : std::filesystem::recursive_directory_iterator(path, error))
        if (entry.is_regular_file(error)) bytes += static_cast<std::int64_t>(entry.file_size(error));
    return bytes;
}

std::string output_of(std::vector<std::string> const& argv, std::vector<std::string> const& environment) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return {};
    int pid = spawn(argv, environment, ends[1], -1);
    close(ends[1]);
    std::string text;
    char piece[4096];
    for (ssize_t n; (n = read(ends[0], piece, sizeof piece)) > 0;) text.append(piece, static_cast<std::size_t>(n));
    close(ends[0]);
    waitpid(pid, nullptr, 0);
    return text;
}

}  // namespace bench
