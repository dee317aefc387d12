#pragma once

// JSON's numbers as the decimals that they stand for, and the values made of them: compared,
// divided and hashed exactly, whether a reader kept a number as an integer or as a double. Never
// rounds.
#include "base/json.hpp"
#include "base/steps.hpp"

#include <array>

namespace parley {

// 0.DIGITS times ten to the magnitude; the digits neither begin nor end with a zero. A double is
// the shortest decimal that reads back as it: the one that its author wrote.
class Decimal {
public:
    // Zero when the value is not a number.
    static Decimal of(json::value const& value);

    bool is_whole() const { return magnitude_ >= static_cast<int>(count_); }
    // `step` is more than zero.
    bool is_multiple_of(Decimal const& step) const;
    // Below zero, zero or above it, as this is less than, equal to or more than the other.
    int compared_to(Decimal const& other) const;
    std::size_t hash() const;

private:
    std::string_view digits() const { return {digits_.data(), count_}; }
    void keep(std::string_view digits, int exponent);

    bool negative_ = false;
    int magnitude_ = 0;
    std::size_t count_ = 0;
    std::array<char, 20> digits_{};
};

// Equal as JSON Schema has it: 1 is 1.0, and the order of an object's members is nothing. Both give
// up, with whatever answer, when the steps run out; a value too deep to look at takes all of them.
bool same_json(json::value const& a, json::value const& b, Steps& steps);
// Equal values have equal hashes.
std::size_t hash_json(json::value const& value, Steps& steps);

}  // namespace parley
