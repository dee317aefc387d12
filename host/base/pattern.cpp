#include "base/pattern.hpp"

#include "base/limits.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <optional>

namespace parley {

namespace {

using Kind = Pattern::Op::Kind;
using Block = std::vector<Pattern::Op>;

constexpr char32_t last_point = 0x10ffff;

CodePoints set_of(std::initializer_list<CodePoints::Range> ranges) {
    CodePoints points;
    for (auto const& range : ranges) points.add(range.first, range.last);
    points.settle();
    return points;
}

CodePoints spaces() {  // ECMA-262's WhiteSpace and LineTerminator
    return set_of({{0x9, 0xd},
                   {0x20, 0x20},
                   {0xa0, 0xa0},
                   {0x1680, 0x1680},
                   {0x2000, 0x200a},
                   {0x2028, 0x2029},
                   {0x202f, 0x202f},
                   {0x205f, 0x205f},
                   {0x3000, 0x3000},
                   {0xfeff, 0xfeff}});
}

// Of \d, \w, \s and their opposites.
std::optional<CodePoints> class_of(char32_t letter) {
    switch (letter) {
        case 'd':
            return set_of({{'0', '9'}});
        case 'w':
            return set_of({{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}});
        case 's':
            return spaces();
        case 'D':
        case 'W':
        case 'S':
            return class_of(letter + ('a' - 'A'))->inverted();
        default:
            return std::nullopt;
    }
}

std::int32_t size_of(Block const& block) {
    return static_cast<std::int32_t>(block.size());
}

void append(Block& block, Block const& more) {
    block.insert(block.end(), more.begin(), more.end());
}

// Where each way begins it is left for the next; where it ends the others are passed over.
Block any_of(std::vector<Block> const& ways) {
    auto end = std::int32_t(ways.size() - 1) * 2;
    for (auto const& way : ways) end += size_of(way);
    Block all;
    for (auto const& way : ways) {
        auto is_last = &way == &ways.back();
        if (!is_last) all.push_back({Kind::fork, size_of(way) + 2});
        append(all, way);
        if (!is_last) all.push_back({Kind::jump, end - size_of(all)});
    }
    return all;
}

Block any_number_of(Block const& block) {
    Block loop{{Kind::fork, size_of(block) + 2}};
    append(loop, block);
    loop.push_back({Kind::jump, -size_of(block) - 1});
    return loop;
}

bool is_digit(char32_t c) {
    return c >= '0' && c <= '9';
}

bool is_letter(char32_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

}  // namespace

void CodePoints::add(CodePoints const& others) {
    ranges_.insert(ranges_.end(), others.ranges_.begin(), others.ranges_.end());
}

void CodePoints::settle() {
    std::sort(ranges_.begin(), ranges_.end(),
              [](Range const& a, Range const& b) { return a.first < b.first; });
    std::vector<Range> joined;
    for (auto const& range : ranges_)
        if (!joined.empty() && range.first <= joined.back().last + 1)
            joined.back().last = std::max(joined.back().last, range.last);
        else
            joined.push_back(range);
    ranges_ = std::move(joined);
}

CodePoints CodePoints::inverted() const {
    CodePoints others;
    char32_t next = 0;
    for (auto const& range : ranges_) {
        if (range.first > next) others.add(next, range.first - 1);
        next = range.last + 1;
    }
    if (next <= last_point) others.add(next, last_point);
    return others;
}

bool CodePoints::contains(char32_t point) const {
    auto after = std::upper_bound(ranges_.begin(), ranges_.end(), point,
                                  [](char32_t p, Range const& range) { return p < range.first; });
    return after != ranges_.begin() && point <= std::prev(after)->last;
}

// Reads an expression by recursive descent; each function returns the program of what it has read.
class PatternReader {
public:
    explicit PatternReader(std::u32string text) : text_(std::move(text)) {}

    Result<Pattern> read() {
        TRY(block, alternatives(0));
        if (more()) return wrong("an unmatched )");
        block.push_back({Kind::accept, 0});
        pattern_.program_ = std::move(block);
        return std::move(pattern_);
    }

private:
    struct Count {
        std::size_t least, most;
        bool endless;
    };
    // Of a set: one point, or a class of them.
    struct Member {
        CodePoints points;
        char32_t point;
        bool is_point;
    };

    bool more() const { return at_ < text_.size(); }
    bool next_is(char32_t c) const { return more() && text_[at_] == c; }
    bool skip(std::u32string_view word) {
        if (!std::u32string_view(text_).substr(at_).starts_with(word)) return false;
        at_ += word.size();
        return true;
    }
    Error wrong(std::string const& what) const {
        return Error(Fault::bad_input, "at character " + std::to_string(at_ + 1) + ": " + what);
    }

    Error too_large() const { return wrong("the pattern is too large"); }

    Result<Block> alternatives(std::size_t depth);
    Result<Block> sequence(std::size_t depth);
    Result<Block> atom(std::size_t depth);
    Result<Block> group(std::size_t depth);
    Result<Block> look(Kind kind, std::size_t depth);
    Result<Block> escape();
    Result<Block> set_in_brackets();
    Result<Member> set_member();
    Result<char32_t> escaped_point();
    Result<char32_t> hex_point(std::size_t digits);
    Result<char32_t> unicode_point();
    Result<std::optional<Count>> count();
    std::optional<std::size_t> number();
    Result<Block> repeated(Block const& block, Count const& count) const;

    Block one_of(CodePoints set) {
        pattern_.sets_.push_back(std::move(set));
        return {{Kind::set, static_cast<std::int32_t>(pattern_.sets_.size() - 1)}};
    }

    std::u32string text_;
    std::size_t at_ = 0;
    Pattern pattern_;
};

Result<Block> PatternReader::alternatives(std::size_t depth) {
    if (depth > limits::pattern_depth) return wrong("the groups are nested too deeply");
    std::vector<Block> ways;
    std::size_t size = 0;
    do {
        TRY(way, sequence(depth));
        size += way.size() + 2;
        if (size > limits::pattern_size) return too_large();
        ways.push_back(std::move(way));
    } while (skip(U"|"));
    return any_of(ways);
}

Result<Block> PatternReader::sequence(std::size_t depth) {
    Block block;
    while (more() && !next_is('|') && !next_is(')')) {
        TRY(piece, atom(depth));
        TRY(times, count());
        if (times) {
            TRY(many, repeated(piece, *times));
            piece = std::move(many);
        }
        append(block, piece);
        if (block.size() > limits::pattern_size) return too_large();
    }
    return block;
}

Result<Block> PatternReader::repeated(Block const& block, Count const& count) const {
    Block all;
    if (block.empty()) return all;
    for (std::size_t i = 0; i < count.least; ++i) {
        append(all, block);
        if (all.size() > limits::pattern_size) return too_large();
    }
    if (count.endless) {
        append(all, any_number_of(block));
        return all;
    }
    // Each further one may be the last: the way out leads behind them all.
    auto optional = count.most - count.least;
    if (optional > limits::pattern_size) return too_large();
    auto left = static_cast<std::int32_t>(optional) * (size_of(block) + 1);
    for (; left > 0; left -= size_of(block) + 1) {
        all.push_back({Kind::fork, left});
        append(all, block);
        if (all.size() > limits::pattern_size) return too_large();
    }
    return all;
}

Result<std::optional<PatternReader::Count>> PatternReader::count() {
    std::optional<Count> times;
    if (skip(U"*"))
        times = Count{0, 0, true};
    else if (skip(U"+"))
        times = Count{1, 1, true};
    else if (skip(U"?"))
        times = Count{0, 1, false};
    else if (skip(U"{")) {
        auto least = number();
        auto most = least;
        auto endless = false;
        if (least && skip(U",")) {
            most = number();
            endless = !most;
        }
        if (!least || !skip(U"}")) return wrong("a { that begins no count; write \\{");
        if (!endless && *most < *least) return wrong("a count that ends before it begins");
        times = Count{*least, endless ? *least : *most, endless};
    }
    if (times) skip(U"?");  // how eager it is makes no difference to whether it matches
    return times;
}

std::optional<std::size_t> PatternReader::number() {
    auto begin = at_;
    std::size_t value = 0;
    for (; more() && is_digit(text_[at_]); ++at_)
        value = std::min<std::size_t>(value * 10 + (text_[at_] - '0'), 1'000'000);
    if (at_ == begin) return std::nullopt;
    return value;
}

Result<Block> PatternReader::atom(std::size_t depth) {
    if (skip(U"^")) return Block{{Kind::start, 0}};
    if (skip(U"$")) return Block{{Kind::end, 0}};
    if (skip(U"(")) return group(depth + 1);
    if (skip(U"[")) return set_in_brackets();
    if (skip(U"\\")) return escape();
    if (skip(U"."))
        return one_of(set_of({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}).inverted());
    auto c = text_[at_];
    if (c == '*' || c == '+' || c == '?') return wrong("there is nothing to repeat");
    if (c == '{') return wrong("a { that counts nothing; write \\{");
    ++at_;
    return Block{{Kind::point, static_cast<std::int32_t>(c)}};
}

Result<Block> PatternReader::group(std::size_t depth) {
    if (skip(U"?=")) return look(Kind::look, depth);
    if (skip(U"?!")) return look(Kind::look_not, depth);
    if (skip(U"?<=") || skip(U"?<!")) return wrong("look-behind is not supported");
    if (skip(U"?<")) {  // the name makes no difference without back-references
        while (more() && !next_is('>')) ++at_;
        if (!skip(U">")) return wrong("a group's name without an end");
    } else if (!skip(U"?:") && next_is('?')) {
        return wrong("an unknown kind of group");
    }
    TRY(block, alternatives(depth));
    if (!skip(U")")) return wrong("a group without an end");
    return block;
}

Result<Block> PatternReader::look(Kind kind, std::size_t depth) {
    TRY(ahead, alternatives(depth));
    if (!skip(U")")) return wrong("a group without an end");
    Block block{{kind, size_of(ahead) + 2}};
    append(block, ahead);
    block.push_back({Kind::accept, 0});
    return block;
}

Result<Block> PatternReader::escape() {
    if (skip(U"b")) return Block{{Kind::edge, 0}};
    if (skip(U"B")) return Block{{Kind::no_edge, 0}};
    if (more())
        if (auto set = class_of(text_[at_])) {
            ++at_;
            return one_of(std::move(*set));
        }
    TRY(point, escaped_point());
    return Block{{Kind::point, static_cast<std::int32_t>(point)}};
}

Result<char32_t> PatternReader::escaped_point() {
    if (!more()) return wrong("a \\ at the end");
    auto c = text_[at_++];
    switch (c) {
        case 't':
            return U'\t';
        case 'n':
            return U'\n';
        case 'v':
            return U'\v';
        case 'f':
            return U'\f';
        case 'r':
            return U'\r';
        case 'x':
            return hex_point(2);
        case 'u':
            return unicode_point();
        case 'c':
            if (!more() || !is_letter(text_[at_])) return wrong("\\c without a letter");
            return text_[at_++] % 32;
        case '0':
            if (more() && is_digit(text_[at_])) return wrong("octal is not supported");
            return U'\0';
        case 'k':
            return wrong("back-references are not supported");
        case 'p':
        case 'P':
            return wrong("the classes of Unicode are not supported");
        default:
            if (is_digit(c)) return wrong("back-references are not supported");
            if (is_letter(c) || c >= 0x80) return wrong("an unknown escape");
            return c;
    }
}

Result<char32_t> PatternReader::hex_point(std::size_t digits) {
    char32_t point = 0;
    for (std::size_t i = 0; i < digits; ++i, ++at_) {
        if (!more() || !(is_digit(text_[at_]) || (is_letter(text_[at_]) && (text_[at_] & 31) <= 6)))
            return wrong("a hexadecimal digit is missing");
        auto c = text_[at_];
        point = point * 16 + (is_digit(c) ? c - '0' : (c & 31) + 9);
    }
    return point;
}

Result<char32_t> PatternReader::unicode_point() {
    if (skip(U"{")) {
        char32_t point = 0;
        do {
            TRY(digit, hex_point(1));
            point = point * 16 + digit;
            if (point > last_point) return wrong("there is no such character");
        } while (!next_is('}') && more());
        if (!skip(U"}")) return wrong("a \\u{ without an end");
        return point;
    }
    TRY(point, hex_point(4));
    if (point < 0xd800 || point > 0xdbff || !skip(U"\\u")) return point;
    TRY(low, hex_point(4));
    if (low < 0xdc00 || low > 0xdfff) return wrong("half a character");
    return 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
}

Result<Block> PatternReader::set_in_brackets() {
    auto is_inverted = skip(U"^");
    CodePoints all;
    while (!skip(U"]")) {
        TRY(from, set_member());
        // A class is no end of a range: the line beside it stands for itself.
        auto is_range =
            from.is_point && next_is('-') && at_ + 1 < text_.size() && text_[at_ + 1] != ']';
        auto line = at_;
        if (is_range && skip(U"-")) {
            TRY(to, set_member());
            if (!to.is_point)
                at_ = line;
            else if (to.point < from.point)
                return wrong("a range that ends before it begins");
            else
                from.points = set_of({{from.point, to.point}});
        }
        all.add(from.points);
    }
    all.settle();
    return one_of(is_inverted ? all.inverted() : std::move(all));
}

Result<PatternReader::Member> PatternReader::set_member() {
    if (!more()) return wrong("a [ without an end");
    auto point = text_[at_];
    if (!skip(U"\\")) {
        ++at_;
    } else if (skip(U"b")) {
        point = U'\b';
    } else {
        if (more())
            if (auto set = class_of(text_[at_])) {
                ++at_;
                return Member{std::move(*set), 0, false};
            }
        TRY(escaped, escaped_point());
        point = escaped;
    }
    return Member{set_of({{point, point}}), point, true};
}

Result<Pattern> Pattern::compile(std::string_view text) {
    if (text.size() > limits::pattern_bytes)
        return Error(Fault::bad_input, "the pattern is longer than " +
                                           std::to_string(limits::pattern_bytes) + " bytes");
    return PatternReader(code_points(text)).read();
}

}  // namespace parley
