#pragma once

// A regular expression as JSON Schema means it: ECMA-262 with code points, searched for anywhere in
// the text. It walks all its ways through the text at once, so that no expression and no text make
// it slow beyond their product; it never backtracks, and never recurses into the text. Not known,
// and therefore refused: back-references, look-behind and the classes of Unicode (\p).
#include "base/result.hpp"
#include "base/steps.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace parley {

// Code points, as sorted ranges that do not touch.
class CodePoints {
public:
    struct Range {
        char32_t first, last;
    };

    void add(char32_t first, char32_t last) { ranges_.push_back({first, last}); }
    void add(CodePoints const& others);
    // Sorts and joins what was added. contains() and inverted() may be asked only after it.
    void settle();
    CodePoints inverted() const;
    bool contains(char32_t point) const;

private:
    std::vector<Range> ranges_;
};

class Pattern {
public:
    // One step of the program that an expression becomes. Jumps are relative, so that a block of
    // steps can be repeated by copying it.
    struct Op {
        enum class Kind : std::uint8_t {
            point,     // takes the code point `to`
            set,       // takes one of the code points of sets_[to]
            jump,      // goes on at `to`
            fork,      // goes on at the next step and at `to`
            start,     // only at the text's start
            end,       // only at its end
            edge,      // only at an edge of a word
            no_edge,   // only elsewhere
            look,      // only where the block up to `to` would match from here
            look_not,  // only where it would not
            accept,
        };
        Kind kind;
        std::int32_t to;
    };

    // Fault::bad_input says what cannot be used, and at which code point.
    static Result<Pattern> compile(std::string_view text);

    // `text` is UTF-8. When the steps run out the answer is no, and steps.spent() says why.
    bool found_in(std::string_view text, Steps& steps) const;

    std::size_t size() const { return program_.size(); }

private:
    friend class PatternReader;
    friend class PatternWalk;

    std::vector<Op> program_;
    std::vector<CodePoints> sets_;
};

}  // namespace parley
