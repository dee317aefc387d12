#pragma once

// SIGTERM, SIGINT and SIGHUP as events on the loop.
#include "base/loop.hpp"

#include <functional>
#include <memory>

namespace parley {

class Signals {
public:
    Signals(Loop& loop, std::function<void(int signal)> told);
    ~Signals();

private:
    struct Inside;
    std::unique_ptr<Inside> inside_;
};

}  // namespace parley
