// The skills that only look. What they answer is bounded, and says so when it leaves something out.
#include "skills.hpp"

#include <regex.h>

#include <algorithm>
#include <chrono>

namespace files {
namespace {

using parley::Json;
using Clock = std::chrono::steady_clock;

constexpr std::size_t shown_bytes = 128 * 1024;      // of a file, in one answer
constexpr std::size_t shown_entries = 1000;          // of a folder
constexpr std::size_t found_lines = 200;             // of a search
constexpr std::size_t found_line_bytes = 400;
constexpr std::size_t matched_line_bytes = 64 * 1024;  // longer lines are searched up to here
constexpr std::size_t searched_files = 20'000;
constexpr std::size_t searched_bytes = 256u << 20;
constexpr std::size_t searched_depth = 32;
constexpr auto search_time = std::chrono::seconds(20);

// One line of text: control characters of hostile names must not look like more lines.
std::string one_line(std::string_view text) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    for (char const c : parley::visible_utf8(text)) {
        auto const byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7F) {
            out += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
        } else {
            out += c;
        }
    }
    return out;
}

bool is_binary(std::string_view content) {
    return content.substr(0, 8 * 1024).find('\0') != content.npos;
}

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> out;
    while (!text.empty()) {
        std::size_t const end = text.find('\n');
        std::size_t const size = end == text.npos ? text.size() : end + 1;
        out.push_back(text.substr(0, size));
        text.remove_prefix(size);
    }
    return out;
}

class Pattern {
public:
    explicit Pattern(std::string const& text) {
        refuse_costly(text);
        int const problem = ::regcomp(&compiled_, text.c_str(), REG_EXTENDED | REG_NOSUB);
        if (problem == 0) return;
        char why[256];
        ::regerror(problem, &compiled_, why, sizeof why);
        throw Problem("`pattern` is no regular expression: " + std::string(why));
    }
    Pattern(Pattern const&) = delete;
    ~Pattern() { ::regfree(&compiled_); }

    bool matches(std::string_view line) const {
        regmatch_t range{};
        range.rm_eo = static_cast<regoff_t>(line.size());
        return ::regexec(&compiled_, line.data(), 1, &range, REG_STARTEND) == 0;
    }

private:
    // Intervals and back-references can cost any amount of memory and time.
    static void refuse_costly(std::string const& text) {
        if (text.size() > 512) throw Problem("`pattern` is longer than 512 bytes");
        if (text.find('\0') != text.npos) throw Problem("`pattern` holds a NUL");
        bool escaped = false, in_set = false;
        for (char const c : text) {
            if (escaped && c >= '1' && c <= '9') throw Problem("`pattern` holds a back-reference");
            if (!escaped && !in_set && c == '{') {
                throw Problem("`pattern` holds `{`; write \\{ for the character itself");
            }
            if (!escaped && c == '[') in_set = true;
            if (c == ']') in_set = false;
            escaped = !escaped && !in_set && c == '\\';
        }
    }
    regex_t compiled_{};
};

class Search {
public:
    Search(Tree const& tree, Pattern const& pattern) : tree_(tree), pattern_(pattern) {}

    void folder(std::string const& path, std::size_t depth) {
        if (depth > searched_depth) return leave_out("folders deeper than 32");
        auto const [entries, more] = entries_of(tree_.open_folder(path), searched_files);
        if (more) leave_out("the rest of a very large folder");
        for (Entry const& entry : entries) {
            if (full()) return;
            if (entry.name.starts_with('.')) continue;
            std::string const inside = path.empty() ? entry.name : path + "/" + entry.name;
            if (S_ISDIR(entry.facts.st_mode)) quietly([&] { folder(inside, depth + 1); });
            if (S_ISREG(entry.facts.st_mode)) quietly([&] { file(inside); });
        }
    }

    void file(std::string const& path) {
        if (++files_ > searched_files) return leave_out("files after the first 20000");
        std::string const content = read_all(tree_.open_file(path).get());
        bytes_ += content.size();
        if (is_binary(content)) return;
        std::size_t number = 0;
        for (std::string_view line : lines_of(content)) {
            ++number;
            while (!line.empty() && (line.back() == '\n' || line.back() == '\r'))
                line.remove_suffix(1);
            if (!pattern_.matches(line.substr(0, matched_line_bytes))) continue;
            if (++lines_ > found_lines) return;
            out_ += one_line(path) + ":" + std::to_string(number) + ": " +
                    one_line(line.substr(0, found_line_bytes)) + "\n";
        }
    }

    std::string report() {
        if (lines_ > found_lines) leave_out("matches after the first 200");
        if (bytes_ > searched_bytes) leave_out("files after the first 256 MiB");
        if (Clock::now() > until_) leave_out("what 20 seconds were not enough for");
        if (lines_ == 0) out_ = "No line matches.\n";
        return out_ + left_out_;
    }

private:
    bool full() const {
        return lines_ > found_lines || files_ > searched_files || bytes_ > searched_bytes ||
               Clock::now() > until_;
    }
    void leave_out(std::string const& what) {
        std::string const line = "[left out: " + what + "]\n";
        if (left_out_.find(line) == left_out_.npos) left_out_ += line;
    }
    // What cannot be read on the way is not part of the answer: it may be gone by now.
    template <class Work>
    static void quietly(Work const& work) {
        try {
            work();
        } catch (Problem const&) {
        }
    }

    Tree const& tree_;
    Pattern const& pattern_;
    Clock::time_point until_ = Clock::now() + search_time;
    std::size_t files_ = 0, bytes_ = 0, lines_ = 0;
    std::string out_, left_out_;
};

}  // namespace

std::string read_file(Tree const& tree, Json const& arguments) {
    std::string const path = tree.relative(arguments["path"].text());
    std::string const content = read_all(tree.open_file(path).get());
    if (content.empty()) return "[the file is empty]";
    if (is_binary(content)) {
        throw Problem(path + " is not a text file (" + std::to_string(content.size()) + " bytes)");
    }
    auto const lines = lines_of(content);
    auto const count = static_cast<std::int64_t>(lines.size());
    std::int64_t const first = std::max<std::int64_t>(arguments["start_line"].integer(1), 1);
    std::int64_t const wanted = std::max<std::int64_t>(arguments["line_count"].integer(count), 1);
    if (first > count) throw Problem(path + " has only " + std::to_string(count) + " lines");

    std::string out;
    std::int64_t next = first;
    bool cut = false;
    for (; next <= count && next - first < wanted && !cut; ++next) {
        std::string const line = parley::visible_utf8(lines[static_cast<std::size_t>(next - 1)]);
        std::string_view const piece = parley::utf8_cut(line, shown_bytes - out.size());
        cut = piece.size() < line.size();
        if (cut && next > first) break;  // whole lines, unless the first alone is too long
        out += piece;
    }
    if (next > count && first == 1 && !cut) return out;
    if (!out.empty() && out.back() != '\n') out += '\n';
    if (cut && next == first + 1) out += "[the line goes on]\n";
    return out + "[lines " + std::to_string(first) + " to " + std::to_string(next - 1) + " of " +
           std::to_string(count) + "]";
}

std::string list_files(Tree const& tree, Json const& arguments) {
    std::string const path = tree.relative(arguments["path"].text());
    auto const [entries, more] = entries_of(tree.open_folder(path), shown_entries);
    std::string out;
    for (Entry const& entry : entries) {
        out += one_line(entry.name);
        if (S_ISDIR(entry.facts.st_mode)) {
            out += "/";
        } else if (S_ISREG(entry.facts.st_mode)) {
            out += "  " + std::to_string(entry.facts.st_size) + " bytes";
        } else {
            out += S_ISLNK(entry.facts.st_mode) ? "  (a link, not followed)" : "  (not a file)";
        }
        out += '\n';
    }
    if (more) out += "[there are more than " + std::to_string(shown_entries) + "]\n";
    return out.empty() ? "[the folder is empty]" : out;
}

std::string search_files(Tree const& tree, Json const& arguments) {
    Pattern const pattern{std::string(arguments["pattern"].text())};
    std::string const path = tree.relative(arguments["path"].text());
    Search search(tree, pattern);
    if (tree.is_folder(path)) {
        search.folder(path, 1);
    } else {
        search.file(path);
    }
    return search.report();
}

}  // namespace files
