#pragma once

// One command on its way: a process group of its own, its output read, its end waited for, and
// all of it killed at the time limit or on request. It blocks, so it belongs on its own thread.
#include "output.hpp"

#include <atomic>
#include <chrono>
#include <string>

namespace shell {

struct Order {
    std::string command;
    std::string workspace;  // absolute
    std::chrono::milliseconds limit{0};
};

struct Outcome {
    enum class End {
        exited,       // number: the status
        signalled,    // number: the signal
        timed_out,
        killed,       // by kill()
        not_started,  // number: errno; nothing ran
    };
    End end = End::not_started;
    int number = 0;
    std::string output;
};

class Command {
public:
    explicit Command(Order order);
    ~Command();
    Command(Command const&) = delete;

    // Runs it to its end. What the group left behind is killed before this returns.
    Outcome run();

    // From any thread, before, during or after run().
    void kill();

private:
    Outcome watch(int process, int output);
    bool has_ended(int process) const;

    Order order_;
    int wake_ = -1;  // readable when kill() was called
};

}  // namespace shell
