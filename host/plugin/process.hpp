#pragma once

// One worker process: its birth, its two ends of a link, its last words. Spawned by the event
// thread only, since the kernel ties its life to the thread that made it.
#include "base/loop.hpp"
#include "base/result.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace parley {

class Process {
public:
    struct Told {
        std::function<void(std::string_view line)> on_line;   // stdout and stderr, bounded
        std::function<void(std::string const& how)> on_exit;  // once
    };
    // `plugin` becomes descriptor 4 of the worker. `link` receives our end, which the caller owns.
    static Result<std::shared_ptr<Process>> spawn(Loop& loop, std::filesystem::path const& program,
                                                  int plugin, int& link, Told told);
    virtual ~Process() = default;

    virtual int pid() const = 0;  // 0 once it has ended
    virtual void kill() = 0;      // SIGKILL; on_exit follows
    virtual void forget() = 0;    // nothing more is told; it is still reaped
};

}  // namespace parley
