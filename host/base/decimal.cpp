#include "base/decimal.hpp"

#include "base/limits.hpp"

#include <boost/json/value.hpp>

#include <charconv>
#include <cmath>
#include <functional>

namespace parley {

namespace {

std::uint64_t sum_modulo(std::uint64_t a, std::uint64_t b, std::uint64_t modulus) {
    return a >= modulus - b ? a - (modulus - b) : a + b;
}

// Ten times `a`, which is less than the modulus, without leaving 64 bits.
std::uint64_t tenfold_modulo(std::uint64_t a, std::uint64_t modulus) {
    auto twice = sum_modulo(a, a, modulus);
    auto four_times = sum_modulo(twice, twice, modulus);
    auto five_times = sum_modulo(four_times, a, modulus);
    return sum_modulo(five_times, five_times, modulus);
}

std::uint64_t whole(std::string_view digits) {
    std::uint64_t number = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), number);
    return number;
}

std::size_t mixed(std::size_t a, std::size_t b) {
    return a ^ (b + 0x9e3779b97f4a7c15u + (a << 6) + (a >> 2));
}

std::size_t hash_text(json::string_view text) {
    return std::hash<std::string_view>()({text.data(), text.size()});
}

// Nobody's answer counts any more.
bool give_up(Steps& steps) {
    return steps.take(limits::schema_steps + 1);
}

bool same(json::value const& a, json::value const& b, Steps& steps, std::size_t depth);

bool same_items(json::array const& a, json::array const& b, Steps& steps, std::size_t depth) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i)
        if (!same(a[i], b[i], steps, depth)) return false;
    return true;
}

bool same_members(json::object const& a, json::object const& b, Steps& steps, std::size_t depth) {
    if (a.size() != b.size()) return false;
    for (auto const& member : a) {
        auto const* other = b.if_contains(member.key());
        if (!other || !same(member.value(), *other, steps, depth)) return false;
    }
    return true;
}

bool same(json::value const& a, json::value const& b, Steps& steps, std::size_t depth) {
    if (depth > limits::json_depth) return give_up(steps);
    if (!steps.take()) return false;
    if (a.is_number() && b.is_number()) return Decimal::of(a).compared_to(Decimal::of(b)) == 0;
    if (a.kind() != b.kind()) return false;
    if (a.is_array()) return same_items(a.get_array(), b.get_array(), steps, depth + 1);
    if (a.is_object()) return same_members(a.get_object(), b.get_object(), steps, depth + 1);
    if (a.is_string() && !steps.take_bytes(a.get_string().size())) return false;
    return a == b;
}

std::size_t hash(json::value const& value, Steps& steps, std::size_t depth) {
    if (depth > limits::json_depth) return give_up(steps);
    if (!steps.take()) return 0;
    if (value.is_number()) return Decimal::of(value).hash();
    auto result = static_cast<std::size_t>(value.kind());
    if (auto const* text = value.if_string()) {
        steps.take_bytes(text->size());
        return mixed(result, hash_text(*text));
    }
    if (auto const* truth = value.if_bool()) return mixed(result, *truth);
    if (auto const* items = value.if_array())
        for (auto const& item : *items) result = mixed(result, hash(item, steps, depth + 1));
    if (auto const* members = value.if_object())
        for (auto const& member : *members)  // in any order
            result += mixed(hash_text(member.key()), hash(member.value(), steps, depth + 1));
    return result;
}

}  // namespace

Decimal Decimal::of(json::value const& value) {
    Decimal result;
    char text[32];
    char* end = text;
    if (auto const* number = value.if_int64()) {
        result.negative_ = *number < 0;
        auto size = static_cast<std::uint64_t>(*number);
        end = std::to_chars(text, std::end(text), *number < 0 ? 0 - size : size).ptr;
        result.keep({text, end}, 0);
    } else if (auto const* large = value.if_uint64()) {
        end = std::to_chars(text, std::end(text), *large).ptr;
        result.keep({text, end}, 0);
    } else if (auto const* real = value.if_double(); real && std::isfinite(*real)) {
        result.negative_ = *real < 0;
        auto style = std::chars_format::scientific;
        end = std::to_chars(text, std::end(text), std::fabs(*real), style).ptr;
        // d.ddde+xx: the point goes, and the digits behind it count.
        std::string_view written(text, static_cast<std::size_t>(end - text));
        auto e = written.find('e');
        std::string digits(1, written[0]);
        if (e > 2) digits += written.substr(2, e - 2);
        auto exponent = written.substr(e + 1);
        if (exponent[0] == '+') exponent.remove_prefix(1);
        int power = 0;
        std::from_chars(exponent.data(), exponent.data() + exponent.size(), power);
        result.keep(digits, power - static_cast<int>(digits.size()) + 1);
    }
    return result;
}

void Decimal::keep(std::string_view digits, int exponent) {
    auto last = digits.find_last_not_of('0');
    if (last == digits.npos) {  // zero has no sign
        negative_ = false;
        return;
    }
    magnitude_ = static_cast<int>(digits.size()) + exponent;
    count_ = digits.copy(digits_.data(), last + 1);
}

bool Decimal::is_multiple_of(Decimal const& step) const {
    if (count_ == 0) return true;
    auto power = magnitude_ - static_cast<int>(count_);
    auto step_power = step.magnitude_ - static_cast<int>(step.count_);
    if (power < step_power) return false;  // the last digit is not a zero, that of a multiple is
    auto modulus = whole(step.digits());
    auto rest = whole(digits()) % modulus;
    for (; power > step_power && rest != 0; --power) rest = tenfold_modulo(rest, modulus);
    return rest == 0;
}

int Decimal::compared_to(Decimal const& other) const {
    if (negative_ != other.negative_) return negative_ ? -1 : 1;
    auto sign = negative_ ? -1 : 1;
    if (count_ == 0 || other.count_ == 0)
        return (count_ > 0 ? sign : 0) - (other.count_ > 0 ? sign : 0);
    if (magnitude_ != other.magnitude_) return magnitude_ < other.magnitude_ ? -sign : sign;
    auto order = digits().compare(other.digits());
    return order == 0 ? 0 : order < 0 ? -sign : sign;
}

std::size_t Decimal::hash() const {
    auto place = static_cast<std::size_t>(magnitude_) * 2 + (negative_ ? 1 : 0);
    return mixed(std::hash<std::string_view>()(digits()), place);
}

bool same_json(json::value const& a, json::value const& b, Steps& steps) {
    return same(a, b, steps, 0);
}

std::size_t hash_json(json::value const& value, Steps& steps) {
    return hash(value, steps, 0);
}

}  // namespace parley
