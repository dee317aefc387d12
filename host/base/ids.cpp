#include "base/ids.hpp"

#include <sodium/randombytes.h>

namespace parley {

namespace {

constexpr char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

void append_base32(std::string& out, std::uint64_t number, int digits) {
    for (int digit = digits - 1; digit >= 0; --digit) out += alphabet[(number >> (5 * digit)) & 31];
}

}  // namespace

std::string fresh_id(std::string_view prefix, std::int64_t now_us) {
    unsigned char random[10];
    randombytes_buf(random, sizeof random);
    std::uint64_t high = 0, low = 0;
    for (int i = 0; i < 5; ++i) high = high << 8 | random[i];
    for (int i = 5; i < 10; ++i) low = low << 8 | random[i];
    std::string id(prefix);
    append_base32(id, static_cast<std::uint64_t>(now_us / 1000), 10);
    append_base32(id, high, 8);
    append_base32(id, low, 8);
    return id;
}

std::string fresh_code(int characters) {
    std::string code;
    for (int i = 0; i < characters; ++i) code += alphabet[randombytes_uniform(32)];
    return code;
}

bool is_name(std::string_view text) {
    if (text.empty() || text.size() > 64) return false;
    auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    if (!is_plain(text.front())) return false;
    for (char c : text)
        if (!is_plain(c) && c != '.' && c != '_' && c != '-') return false;
    return true;
}

}  // namespace parley
