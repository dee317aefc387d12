#pragma once

// Words about text: is it UTF-8, and how does a person see all of it?
#include <optional>
#include <string>
#include <string_view>

namespace parley {

bool is_utf8(std::string_view text);

// The characters of UTF-8; a byte that belongs to none is U+FFFD.
std::u32string code_points(std::string_view text);

// Cut to at most `limit_bytes`, never inside a character. `text` is UTF-8.
std::string_view clipped(std::string_view text, std::size_t limit_bytes);

// Every byte made visible on one or more lines: control, bidirectional, zero-width and
// invalid bytes as \u{…} or \x…; newlines stay. What an approver reads is made by this.
std::string visible(std::string_view text);

// As one word of a shell, whatever it holds: in single quotes unless nothing in it needs them. For
// commands that people are shown; `text` should be visible() before.
std::string shell_word(std::string_view text);

std::string hex(std::string_view bytes);                      // lower case
std::optional<std::string> from_hex(std::string_view text);   // nothing unless even and hex
std::string base64(std::string_view bytes);
// Nothing unless it is base64 with its padding, and no more.
std::optional<std::string> from_base64(std::string_view text);

// The candidate nearest to `word` by edit distance, or nothing when none is near.
template <class Range>
std::string nearest(std::string_view word, Range const& candidates);
std::size_t edit_distance(std::string_view a, std::string_view b);

template <class Range>
std::string nearest(std::string_view word, Range const& candidates) {
    std::string best;
    auto best_distance = word.size() / 2 + 1;
    for (auto const& candidate : candidates) {
        auto distance = edit_distance(word, candidate);
        if (distance < best_distance) {
            best_distance = distance;
            best = candidate;
        }
    }
    return best;
}

}  // namespace parley
