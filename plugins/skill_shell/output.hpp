#pragma once

// What a command printed, kept within a bound: the first half and the last half, so that both how
// it began and how it ended can be read.
#include <cstddef>
#include <string>
#include <string_view>

namespace shell {

class Output {
public:
    explicit Output(std::size_t limit_bytes) : half_(limit_bytes / 2) {}

    void add(std::string_view bytes);

    // Valid UTF-8: broken bytes are shown as \xNN. Says in the middle how much was left out.
    std::string text() const;

private:
    std::size_t half_;
    std::string head_;
    std::string tail_;  // may grow to twice the half before it is cut back
    std::size_t left_out_ = 0;
};

}  // namespace shell
