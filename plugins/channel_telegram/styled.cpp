#include "styled.hpp"

#include "parley/text.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace telegram {

namespace {

std::size_t units_at(std::string_view text, std::size_t at, std::size_t& bytes) {
    bytes = std::max<std::size_t>(1, parley::utf8_length(text, at));
    return bytes == 4 ? 2 : 1;
}

bool is_blank(std::string_view text) {
    return text.find_first_not_of(" \t\r\n") == text.npos;
}

// Where the first part ends.
std::size_t first_cut(std::string_view text, std::size_t units) {
    std::size_t const most = utf16_cut(text, units).size();
    if (most == text.size()) return most;
    for (std::string_view const mark : {"\n\n", "\n", " "}) {
        if (most < mark.size()) continue;
        auto const found = text.rfind(mark, most - mark.size());
        // One far to the front would leave most of the part unused.
        if (found != text.npos && found >= most / 2) return found + mark.size();
    }
    return most;
}

Styled slice(Styled const& styled, std::size_t begin, std::size_t end) {
    Styled out;
    std::size_t at = 0;
    for (auto const& run : styled) {
        std::size_t const from = std::max(begin, at), to = std::min(end, at + run.text.size());
        if (from < to) out.push_back({run.text.substr(from - at, to - from), run.style});
        at += run.text.size();
    }
    return out;
}

std::string escaped(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (char const c : text) {
        if (c == '&')
            out += "&amp;";
        else if (c == '<')
            out += "&lt;";
        else if (c == '>')
            out += "&gt;";
        else if (c == '"')
            out += "&quot;";
        else
            out += c;
    }
    return out;
}

// A tag as it is opened, and what closes it.
using Tag = std::pair<std::string, std::string>;

// Outermost first. Telegram lets nothing stand inside of code, and no block of it inside of others.
std::vector<Tag> tags_of(Style const& style) {
    if (style.block) {
        if (style.language.empty()) return {{"<pre>", "</pre>"}};
        return {
            {"<pre><code class=\"language-" + escaped(style.language) + "\">", "</code></pre>"}};
    }
    std::vector<Tag> out;
    if (style.quote) out.push_back({"<blockquote>", "</blockquote>"});
    if (style.code) {
        out.push_back({"<code>", "</code>"});
        return out;
    }
    if (!style.link.empty()) out.push_back({"<a href=\"" + escaped(style.link) + "\">", "</a>"});
    if (style.bold) out.push_back({"<b>", "</b>"});
    if (style.italic) out.push_back({"<i>", "</i>"});
    if (style.strike) out.push_back({"<s>", "</s>"});
    return out;
}

}  // namespace

std::size_t utf16_units(std::string_view text) {
    std::size_t units = 0;
    for (std::size_t at = 0, bytes = 0; at < text.size(); at += bytes) {
        units += units_at(text, at, bytes);
    }
    return units;
}

std::string_view utf16_cut(std::string_view text, std::size_t units) {
    std::size_t at = 0;
    while (at < text.size()) {
        std::size_t bytes = 0;
        std::size_t const needed = units_at(text, at, bytes);
        if (needed > units) break;
        units -= needed;
        at += bytes;
    }
    return text.substr(0, at);
}

std::string text_of(Styled const& styled) {
    std::string out;
    for (auto const& run : styled) out += run.text;
    return out;
}

std::vector<Styled> split(Styled const& styled, std::size_t units) {
    std::vector<Styled> out;
    std::string const whole = text_of(styled);
    for (std::size_t at = 0; at < whole.size();) {
        std::string_view const rest = std::string_view(whole).substr(at);
        std::size_t const size = first_cut(rest, units);
        if (!is_blank(rest.substr(0, size))) out.push_back(slice(styled, at, at + size));
        at += size;
    }
    return out;
}

std::string html_of(Styled const& styled) {
    std::string out;
    std::vector<Tag> open;
    auto close_to = [&](std::size_t depth) {
        while (open.size() > depth) {
            out += open.back().second;
            open.pop_back();
        }
    };
    for (auto const& run : styled) {
        auto const wanted = tags_of(run.style);
        std::size_t common = 0;
        while (common < open.size() && common < wanted.size() && open[common] == wanted[common]) {
            ++common;
        }
        close_to(common);
        for (; common < wanted.size(); ++common) {
            open.push_back(wanted[common]);
            out += wanted[common].first;
        }
        out += escaped(run.text);
    }
    close_to(0);
    return out;
}

}  // namespace telegram
