#pragma once

// UTF-8 for plugin authors: checking it, cutting it, and making broken bytes visible. Everything
// that a plugin hands to the host must be valid UTF-8; nothing here guesses an encoding.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace parley {
inline namespace sdk_1 {

// Length of the character at `at`, 1 to 4, or 0 when the bytes there are not valid UTF-8: overlong
// forms, surrogates and anything above U+10FFFF are not.
inline std::size_t utf8_length(std::string_view text, std::size_t at) {
    auto byte = [&](std::size_t i) {
        return i < text.size() ? static_cast<std::uint8_t>(text[i]) : std::uint8_t{0};
    };
    auto follows = [&](std::size_t i) { return (byte(i) & 0xC0) == 0x80; };
    std::uint8_t const first = byte(at);
    if (at >= text.size()) return 0;
    if (first < 0x80) return 1;
    if (first < 0xC2) return 0;
    if (first < 0xE0) return follows(at + 1) ? 2 : 0;
    if (first < 0xF0) {
        if (!follows(at + 1) || !follows(at + 2)) return 0;
        if (first == 0xE0 && byte(at + 1) < 0xA0) return 0;
        if (first == 0xED && byte(at + 1) >= 0xA0) return 0;
        return 3;
    }
    if (first > 0xF4 || !follows(at + 1) || !follows(at + 2) || !follows(at + 3)) return 0;
    if (first == 0xF0 && byte(at + 1) < 0x90) return 0;
    if (first == 0xF4 && byte(at + 1) >= 0x90) return 0;
    return 4;
}

// Where the first byte stands that is not valid UTF-8; text.size() when all of it is.
inline std::size_t utf8_valid_size(std::string_view text) {
    std::size_t at = 0;
    while (at < text.size()) {
        std::size_t const length = utf8_length(text, at);
        if (length == 0) return at;
        at += length;
    }
    return at;
}

inline bool is_utf8(std::string_view text) { return utf8_valid_size(text) == text.size(); }

// Broken bytes become \xNN, so that a reader sees that something was there.
inline std::string visible_utf8(std::string_view text) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        std::size_t const length = utf8_length(text, at);
        if (length > 0) {
            out.append(text, at, length);
            at += length;
            continue;
        }
        auto const byte = static_cast<std::uint8_t>(text[at++]);
        out += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
    }
    return out;
}

// The longest beginning of valid `text` within `size_bytes` that does not split a character.
inline std::string_view utf8_cut(std::string_view text, std::size_t size_bytes) {
    if (text.size() <= size_bytes) return text;
    while (size_bytes > 0 && (static_cast<std::uint8_t>(text[size_bytes]) & 0xC0) == 0x80) {
        --size_bytes;
    }
    return text.substr(0, size_bytes);
}

}  // namespace sdk_1
}  // namespace parley
