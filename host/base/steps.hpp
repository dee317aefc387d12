#pragma once

// Work that is left to one task. Once it has run out it stays so: whoever asked for more gives up,
// and the one who began the task asks why at the end. It never counts time.
#include <cstddef>

namespace parley {

class Steps {
public:
    explicit Steps(std::size_t most) : left_(most) {}

    // False when so much is not left.
    bool take(std::size_t count = 1) {
        spent_ = spent_ || count > left_;
        left_ -= spent_ ? left_ : count;
        return !spent_;
    }
    // A pass over so many bytes is cheaper than a step for each.
    bool take_bytes(std::size_t count) { return take(1 + count / 16); }
    bool spent() const { return spent_; }

private:
    std::size_t left_;
    bool spent_ = false;
};

}  // namespace parley
