#include "markdown.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <utility>

namespace chat_text {

namespace {

// Beyond these a mark is text: nobody nests so deeply, and looking further would make the work
// quadratic.
constexpr std::size_t open_marks_most = 64, marks_in_row_most = 8;
constexpr std::size_t link_text_bytes = 1024, link_url_bytes = 2048;
constexpr int link_depth_most = 2;

bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_punctuation(char c) {
    return c > ' ' && c < 127 && !is_digit(c) && !is_letter(c);
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return text;
}

std::size_t run_length(std::string_view text, std::size_t at) {
    std::size_t size = 0;
    while (at + size < text.size() && text[at + size] == text[at]) ++size;
    return size;
}

// Only what leads to a page; a link of another kind could do something.
bool is_link(std::string_view url) {
    bool const known = url.starts_with("https://") || url.starts_with("http://");
    auto const is_fine = [](char c) { return c > ' ' && c != '<' && c != '>' && c != 127; };
    return known && url.size() <= link_url_bytes && std::all_of(url.begin(), url.end(), is_fine);
}

// ---- Inside of a paragraph.

// A piece of text, or a row of marks that may open or close emphasis.
struct Piece {
    std::string text;
    Style style;
    char mark = '\0';
    std::size_t marks = 0;
    bool can_open = false, can_close = false;
};

class Inline {
public:
    Inline(std::string_view text, Style base, int depth)
        : text_(text), base_(std::move(base)), depth_(depth) {}

    Styled read() {
        while (at_ < text_.size()) step();
        flush();
        match_marks();
        Styled out;
        for (auto& piece : pieces_) {
            if (piece.mark != '\0') piece.text.assign(piece.marks, piece.mark);
            if (piece.text.empty()) continue;
            if (!out.empty() && out.back().style == piece.style)
                out.back().text += piece.text;
            else
                out.push_back({std::move(piece.text), std::move(piece.style)});
        }
        return out;
    }

private:
    void step() {
        char const c = text_[at_];
        bool taken = false;
        if (c == '\\')
            taken = escape();
        else if (c == '`')
            taken = code();
        else if (c == '*' || c == '_' || c == '~')
            taken = marks();
        else if (c == '[')
            taken = link(at_);
        else if (c == '!' && text_.substr(at_ + 1).starts_with('['))
            taken = link(at_ + 1);
        else if (c == '<')
            taken = address();
        else if (c == '&')
            taken = entity();
        if (!taken) plain_ += text_[at_++];
    }

    bool escape() {
        if (at_ + 1 >= text_.size() || !is_punctuation(text_[at_ + 1])) return false;
        plain_ += text_[at_ + 1];
        at_ += 2;
        return true;
    }

    bool code() {
        std::size_t const size = run_length(text_, at_);
        if (!endless_.contains(size)) {
            for (auto end = text_.find('`', at_ + size); end != text_.npos;) {
                std::size_t const found = run_length(text_, end);
                if (found == size) return code_until(end, size);
                end = text_.find('`', end + found);
            }
            endless_.insert(size);
        }
        plain_.append(size, '`');
        at_ += size;
        return true;
    }
    bool code_until(std::size_t end, std::size_t size) {
        auto inside = text_.substr(at_ + size, end - at_ - size);
        bool const padded = inside.size() > 2 && inside.front() == ' ' && inside.back() == ' ' &&
                            !trimmed(inside).empty();
        if (padded) inside = inside.substr(1, inside.size() - 2);
        Style style = base_;
        style.code = true;
        add(std::string(inside), style);
        at_ = end + size;
        return true;
    }

    bool marks() {
        char const mark = text_[at_];
        std::size_t const size = run_length(text_, at_);
        if (size > marks_in_row_most) {
            plain_.append(size, mark);
            at_ += size;
            return true;
        }
        char const before = at_ > 0 ? text_[at_ - 1] : ' ';
        char const after = at_ + size < text_.size() ? text_[at_ + size] : ' ';
        bool const left = !is_space(after) &&
                          (!is_punctuation(after) || is_space(before) || is_punctuation(before));
        bool const right = !is_space(before) &&
                           (!is_punctuation(before) || is_space(after) || is_punctuation(after));
        flush();
        Piece piece{{}, base_, mark, size, left, right};
        if (mark == '_') {
            // snake_case is no emphasis.
            piece.can_open = left && (!right || is_punctuation(before));
            piece.can_close = right && (!left || is_punctuation(after));
        }
        if (mark == '~' && size != 2) piece.can_open = piece.can_close = false;
        pieces_.push_back(std::move(piece));
        at_ += size;
        return true;
    }

    // The ']' that belongs to the '[' at `open`.
    std::optional<std::size_t> bracket_end(std::size_t open) const {
        int depth = 0;
        std::size_t const last = std::min(text_.size(), open + link_text_bytes);
        for (std::size_t i = open; i < last; ++i) {
            if (text_[i] == '\\')
                ++i;
            else if (text_[i] == '[')
                ++depth;
            else if (text_[i] == ']' && --depth == 0)
                return i;
        }
        return std::nullopt;
    }

    bool link(std::size_t open) {
        auto const close = bracket_end(open);
        if (!close || *close + 1 >= text_.size() || text_[*close + 1] != '(') return false;
        std::size_t const begin = *close + 2;
        auto const target = text_.substr(begin, link_url_bytes);
        std::size_t size = 0;
        for (int depth = 0; size < target.size(); ++size) {
            if (target[size] == '(') ++depth;
            if (target[size] == ')' && depth-- == 0) break;
        }
        if (size >= target.size()) return false;
        // A title stands behind the address.
        auto url = trimmed(target.substr(0, size));
        url = url.substr(0, url.find_first_of(" \t\n"));
        if (url.size() > 1 && url.front() == '<' && url.back() == '>') {
            url = url.substr(1, url.size() - 2);
        }
        if (!is_link(url) || depth_ >= link_depth_most) return false;
        auto const words = text_.substr(open + 1, *close - open - 1);
        Style style = base_;
        style.link = url;
        flush();
        for (auto& run : Inline(trimmed(words).empty() ? url : words, style, depth_ + 1).read()) {
            pieces_.push_back({std::move(run.text), std::move(run.style)});
        }
        at_ = begin + size + 1;
        return true;
    }

    bool address() {
        auto const end =
            text_.substr(0, std::min(text_.size(), at_ + link_url_bytes)).find('>', at_);
        if (end == text_.npos) return false;
        auto const url = text_.substr(at_ + 1, end - at_ - 1);
        if (!is_link(url)) return false;
        Style style = base_;
        style.link = url;
        add(std::string(url), style);
        at_ = end + 1;
        return true;
    }

    bool entity() {
        static constexpr std::array<std::pair<std::string_view, std::string_view>, 5> known = {
            {{"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&nbsp;", " "}}};
        for (auto const& [name, meaning] : known) {
            if (!text_.substr(at_).starts_with(name)) continue;
            plain_ += meaning;
            at_ += name.size();
            return true;
        }
        return false;
    }

    void add(std::string text, Style style) {
        flush();
        pieces_.push_back({std::move(text), std::move(style)});
    }
    void flush() {
        if (!plain_.empty()) pieces_.push_back({std::exchange(plain_, {}), base_});
    }

    // Pairs closing marks with opening ones, nearest first, as CommonMark does.
    void match_marks() {
        std::vector<std::size_t> open;
        for (std::size_t i = 0; i < pieces_.size(); ++i) {
            Piece& piece = pieces_[i];
            if (piece.mark == '\0') continue;
            while (piece.can_close && piece.marks > 0 && match(open, i)) continue;
            if (!piece.can_open || piece.marks == 0) continue;
            if (open.size() == open_marks_most) open.erase(open.begin());
            open.push_back(i);
        }
    }
    bool match(std::vector<std::size_t>& open, std::size_t closer) {
        Piece& end = pieces_[closer];
        for (std::size_t depth = open.size(); depth-- > 0;) {
            Piece& begin = pieces_[open[depth]];
            bool const both_ways = begin.can_close || end.can_open;
            bool const odd = both_ways && (begin.marks + end.marks) % 3 == 0 &&
                             (begin.marks % 3 != 0 || end.marks % 3 != 0);
            if (begin.mark != end.mark || (odd && end.mark != '~')) continue;
            std::size_t const size = begin.marks >= 2 && end.marks >= 2 ? 2 : 1;
            for (std::size_t i = open[depth] + 1; i < closer; ++i) {
                Style& style = pieces_[i].style;
                (end.mark == '~' ? style.strike : size == 2 ? style.bold : style.italic) = true;
            }
            begin.marks -= size;
            end.marks -= size;
            open.resize(depth + (begin.marks > 0 ? 1 : 0));
            return true;
        }
        return false;
    }

    std::string_view const text_;
    Style const base_;
    int const depth_;
    std::size_t at_ = 0;
    std::string plain_;
    std::vector<Piece> pieces_;
    std::set<std::size_t> endless_;  // rows of backticks of that length close nowhere
};

// ---- Lines.

struct Fence {
    char mark = '`';
    std::size_t size = 0;
    std::string language;
    bool quoted = false;
};

class Blocks {
public:
    explicit Blocks(std::string_view text) : rest_(text) {}

    Styled read() {
        while (!rest_.empty()) line(next_line());
        if (fence_) close_fence();
        end_paragraph();
        return std::move(out_);
    }

private:
    std::string_view next_line() {
        auto const end = std::min(rest_.find('\n'), rest_.size());
        auto out = rest_.substr(0, end);
        rest_.remove_prefix(std::min(end + 1, rest_.size()));
        if (out.ends_with('\r')) out.remove_suffix(1);
        return out;
    }

    void line(std::string_view text) {
        bool const quoted = take_quote(text);
        if (fence_) {
            bool const left = fence_->quoted && !quoted;
            if (!left) return fence_line(text);
            close_fence();
        }
        if (quoted != base_.quote) end_paragraph();
        base_.quote = quoted;
        std::size_t const indent = std::min(text.find_first_not_of(" \t"), text.size());
        auto const content = text.substr(indent);
        if (content.empty()) return blank();
        if (open_fence(content, quoted) || heading(content) || rule(content)) return;
        if (table(content) || item(content, indent)) return;
        paragraph_ += (paragraph_.empty() ? "" : "\n") + std::string(trimmed(content));
    }

    // Chats have one level of quotes.
    static bool take_quote(std::string_view& text) {
        bool found = false;
        while (true) {
            auto const at = text.find_first_not_of(' ');
            if (at == text.npos || at > 3 || text[at] != '>') return found;
            found = true;
            text.remove_prefix(at + 1);
            if (text.starts_with(' ')) text.remove_prefix(1);
        }
    }

    void blank() {
        end_paragraph();
        gap_ = 2;
    }

    bool open_fence(std::string_view text, bool quoted) {
        if (text[0] != '`' && text[0] != '~') return false;
        std::size_t const size = run_length(text, 0);
        auto const info = trimmed(text.substr(size));
        if (size < 3 || (text[0] == '`' && info.find('`') != info.npos)) return false;
        end_paragraph();
        auto word = info.substr(0, std::min<std::size_t>(info.find_first_of(" \t{"), 32));
        bool const named = std::all_of(word.begin(), word.end(), [](char c) {
            return is_letter(c) || is_digit(c) || c == '+' || c == '-' || c == '#' || c == '.';
        });
        fence_ = Fence{text[0], size, named ? std::string(word) : "", quoted};
        return true;
    }
    void fence_line(std::string_view text) {
        auto const mark = trimmed(text);
        bool const closes = mark.size() >= fence_->size && mark[0] == fence_->mark &&
                            run_length(mark, 0) == mark.size();
        if (closes) return close_fence();
        code_.append(text).append("\n");
    }
    void close_fence() {
        if (!code_.empty()) code_.pop_back();
        Style style;
        style.block = true;
        style.language = fence_->language;
        if (!code_.empty()) block({{std::exchange(code_, {}), style}});
        fence_.reset();
    }

    bool heading(std::string_view text) {
        std::size_t const size = text[0] == '#' ? run_length(text, 0) : 0;
        if (size == 0 || size > 6 || (size < text.size() && !is_space(text[size]))) return false;
        end_paragraph();
        auto words = trimmed(text.substr(size));
        if (auto const last = words.find_last_not_of('#'); last == words.npos)
            words = {};
        else if (last + 1 < words.size() && is_space(words[last]))
            words = trimmed(words.substr(0, last));
        Style style = base_;
        style.bold = true;
        block(Inline(words, style, 0).read());
        return true;
    }

    bool rule(std::string_view text) {
        char const mark = text[0];
        if (mark != '-' && mark != '*' && mark != '_') return false;
        std::size_t marks = 0;
        for (char const c : text) {
            if (c == mark)
                ++marks;
            else if (!is_space(c))
                return false;
        }
        if (marks < 3) return false;
        end_paragraph();
        block({{"———", base_}});
        return true;
    }

    // A chat has no columns: the rows stay as they are, in letters of one width.
    bool table(std::string_view text) {
        auto const below = rest_.substr(0, rest_.find('\n'));
        bool const begins = text[0] == '|' && below.find('-') != below.npos &&
                            below.find('|') != below.npos &&
                            below.find_first_not_of("|-: \t\r") == below.npos;
        if (!begins || base_.quote) return false;
        end_paragraph();
        std::string rows(trimmed(text));
        while (trimmed(rest_.substr(0, rest_.find('\n'))).starts_with('|')) {
            rows.append("\n").append(trimmed(next_line()));
        }
        Style style;
        style.block = true;
        block({{std::move(rows), style}});
        return true;
    }

    bool item(std::string_view text, std::size_t indent) {
        std::size_t size = 0;
        while (size < text.size() && size < 9 && is_digit(text[size])) ++size;
        bool const numbered =
            size > 0 && size < text.size() && (text[size] == '.' || text[size] == ')');
        bool const pointed = size == 0 && (text[0] == '-' || text[0] == '*' || text[0] == '+');
        if (!numbered && !pointed) return false;
        ++size;
        if (size < text.size() && !is_space(text[size])) return false;
        end_paragraph();
        std::string sign = numbered ? std::string(text.substr(0, size)) + " " : "• ";
        auto words = trimmed(text.substr(size));
        if (words.starts_with("[ ] ")) sign = "☐ ";
        if (words.starts_with("[x] ") || words.starts_with("[X] ")) sign = "☑ ";
        if (sign.starts_with("☐") || sign.starts_with("☑")) words.remove_prefix(4);
        lead_ = std::string(std::min<std::size_t>(indent, 16), ' ') + sign;
        paragraph_ = words;
        return true;
    }

    void end_paragraph() {
        if (paragraph_.empty() && lead_.empty()) return;
        Styled runs = Inline(paragraph_, base_, 0).read();
        if (!lead_.empty()) runs.insert(runs.begin(), {std::exchange(lead_, {}), base_});
        paragraph_.clear();
        block(std::move(runs));
    }

    void block(Styled runs) {
        if (runs.empty()) return;
        if (!out_.empty()) {
            Style between;
            between.quote = out_.back().style.quote && runs.front().style.quote;
            out_.push_back({std::string(gap_, '\n'), between});
        }
        for (auto& run : runs) out_.push_back(std::move(run));
        gap_ = 1;
    }

    std::string_view rest_;
    Styled out_;
    Style base_;
    std::string paragraph_, lead_, code_;
    std::optional<Fence> fence_;
    std::size_t gap_ = 1;  // line ends before the next block
};

}  // namespace

Styled styled_from(std::string_view markdown) {
    return Blocks(markdown).read();
}

}  // namespace chat_text
