#include "base/pattern.hpp"
#include "base/text.hpp"

namespace parley {

namespace {

bool is_word(char32_t c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

}  // namespace

// One walk of a block's steps through the text, on all its ways at once. A way is a step that waits
// for the next code point; at each place of the text a step is entered but once.
class PatternWalk {
public:
    PatternWalk(Pattern const& pattern, std::u32string_view text, Steps& steps)
        : pattern_(pattern), text_(text), steps_(steps), entered_(pattern.size(), nowhere) {}

    // From the step `first`, at the place `from` or, if it may slide, anywhere behind it.
    bool matches(std::size_t first, std::size_t from, bool may_slide) {
        for (auto place = from; place <= text_.size(); ++place) {
            if ((place == from || may_slide) && enter(first, place)) return true;
            if (place == text_.size() || (waiting_.empty() && !may_slide)) return false;
            ways_.swap(waiting_);
            waiting_.clear();
            for (auto step : ways_) {
                if (!steps_.take()) return false;
                if (takes(pattern_.program_[step], text_[place]) && enter(step + 1, place + 1))
                    return true;
            }
        }
        return false;
    }

private:
    static constexpr auto nowhere = std::size_t(-1);
    using Kind = Pattern::Op::Kind;

    bool takes(Pattern::Op const& op, char32_t c) const {
        auto what = static_cast<std::size_t>(op.to);
        return op.kind == Kind::point ? what == c : pattern_.sets_[what].contains(c);
    }

    bool at_edge(std::size_t place) const {
        auto before = place > 0 && is_word(text_[place - 1]);
        auto after = place < text_.size() && is_word(text_[place]);
        return before != after;
    }

    bool would_match(std::size_t first, std::size_t place) const {
        if (!steps_.take_bytes(pattern_.size())) return false;
        return PatternWalk(pattern_, text_, steps_).matches(first, place, false);
    }

    // Goes on from a step to all that wait for a code point; true when one of the ways is done.
    bool enter(std::size_t first, std::size_t place) {
        to_enter_.assign(1, first);
        while (!to_enter_.empty()) {
            auto step = to_enter_.back();
            to_enter_.pop_back();
            if (!steps_.take()) return false;
            if (entered_[step] == place) continue;
            entered_[step] = place;
            auto const& op = pattern_.program_[step];
            auto goal = step + static_cast<std::size_t>(op.to);  // wraps when it leads back
            switch (op.kind) {
                case Kind::accept:
                    return true;
                case Kind::jump:
                    to_enter_.push_back(goal);
                    break;
                case Kind::fork:
                    to_enter_.push_back(goal);
                    to_enter_.push_back(step + 1);
                    break;
                case Kind::start:
                    if (place == 0) to_enter_.push_back(step + 1);
                    break;
                case Kind::end:
                    if (place == text_.size()) to_enter_.push_back(step + 1);
                    break;
                case Kind::edge:
                case Kind::no_edge:
                    if (at_edge(place) == (op.kind == Kind::edge)) to_enter_.push_back(step + 1);
                    break;
                case Kind::look:
                case Kind::look_not:
                    if (would_match(step + 1, place) == (op.kind == Kind::look))
                        to_enter_.push_back(goal);
                    break;
                case Kind::point:
                case Kind::set:
                    waiting_.push_back(step);
            }
        }
        return false;
    }

    Pattern const& pattern_;
    std::u32string_view text_;
    Steps& steps_;
    std::vector<std::size_t> entered_;  // for each step, where it was entered last
    std::vector<std::size_t> ways_, waiting_, to_enter_;
};

bool Pattern::found_in(std::string_view text, Steps& steps) const {
    if (!steps.take_bytes(text.size() + program_.size())) return false;
    auto points = code_points(text);
    auto is_anchored = program_[0].kind == Op::Kind::start;
    return PatternWalk(*this, points, steps).matches(0, 0, !is_anchored);
}

}  // namespace parley
