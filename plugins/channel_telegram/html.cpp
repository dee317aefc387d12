#include "html.hpp"

#include <utility>
#include <vector>

namespace telegram {

namespace {

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
