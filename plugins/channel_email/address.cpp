#include "address.hpp"

#include <algorithm>

namespace email {

namespace {

constexpr std::size_t mailboxes_most = 100;
constexpr std::size_t address_bytes = 254;  // RFC 5321, 4.5.3.1.3 without its brackets

bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// Takes comments away, which may nest; false when one does not end.
bool without_comments(std::string_view text, std::string& out) {
    int depth = 0;
    bool quoted = false;
    for (std::size_t at = 0; at < text.size(); ++at) {
        char const c = text[at];
        if (c == '\\' && at + 1 < text.size()) {
            if (depth == 0) out.append(text, at, 2);
            ++at;
        } else if (c == '"' && depth == 0) {
            quoted = !quoted;
            out += c;
        } else if (c == '(' && !quoted) {
            ++depth;
        } else if (c == ')' && !quoted && depth > 0) {
            --depth;
        } else if (depth == 0) {
            out += c;
        }
    }
    return depth == 0 && !quoted;
}

// At commas outside of quotes and brackets.
std::vector<std::string_view> list_items(std::string_view text) {
    std::vector<std::string_view> out;
    std::size_t begin = 0;
    bool quoted = false, angled = false;
    for (std::size_t at = 0; at <= text.size(); ++at) {
        if (at < text.size() && text[at] == '\\') {
            ++at;
            continue;
        }
        if (at < text.size() && text[at] == '"') quoted = !quoted;
        if (at < text.size() && !quoted && (text[at] == '<' || text[at] == '>'))
            angled = text[at] == '<';
        if (at == text.size() || (text[at] == ',' && !quoted && !angled)) {
            out.push_back(trimmed(text.substr(begin, at - begin)));
            begin = at + 1;
        }
    }
    return out;
}

std::string unquoted(std::string_view text) {
    text = trimmed(text);
    if (text.size() < 2 || text.front() != '"' || text.back() != '"') return std::string(text);
    std::string out;
    for (std::size_t at = 1; at + 1 < text.size(); ++at) {
        if (text[at] == '\\' && at + 2 < text.size()) ++at;
        out += text[at];
    }
    return out;
}

}  // namespace

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    return out;
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return text;
}

bool is_address(std::string_view text) {
    auto const at = text.rfind('@');
    if (at == text.npos || at == 0 || at + 1 == text.size() || text.size() > address_bytes)
        return false;
    return std::all_of(text.begin(), text.end(),
                       [](char c) {
                           return c > ' ' && c < 127 &&
                                  std::string_view("\"(),:;<>[\\]").find(c) ==
                                      std::string_view::npos;
                       }) &&
           text.find('@') == at;
}

std::optional<std::vector<Mailbox>> mailboxes_in(std::string_view header) {
    std::string plain;
    if (!without_comments(header, plain)) return {};
    std::vector<Mailbox> out;
    for (auto item : list_items(plain)) {
        if (item.empty()) continue;
        Mailbox box;
        auto address = item;
        if (auto const open = item.rfind('<'); open != item.npos) {
            if (item.back() != '>') return {};
            address = trimmed(item.substr(open + 1, item.size() - open - 2));
            box.name = unquoted(item.substr(0, open));
        }
        if (!is_address(address) || out.size() == mailboxes_most) return {};
        box.address = lower(address);
        out.push_back(std::move(box));
    }
    return out;
}

std::optional<bool> vouches(std::string_view header, std::string_view authserv,
                            std::string_view domain) {
    std::string plain;
    if (authserv.empty() || !without_comments(header, plain)) return {};
    auto rest = std::string_view(plain);
    auto const server = trimmed(rest.substr(0, rest.find(';')));
    // The name may be followed by a version.
    if (lower(server.substr(0, server.find_first_of(" \t"))) != lower(authserv)) return {};
    bool passed = false;
    while (rest.find(';') != rest.npos) {
        rest.remove_prefix(rest.find(';') + 1);
        auto result = lower(trimmed(rest.substr(0, rest.find(';'))));
        if (!result.starts_with("dmarc")) continue;
        std::erase_if(result, [](char c) { return c == '\r' || c == '\n'; });
        std::replace(result.begin(), result.end(), '\t', ' ');
        std::string_view words = result;
        bool passes = false, is_domain = false;
        while (!words.empty()) {
            auto const word = words.substr(0, words.find(' '));
            words.remove_prefix(std::min(word.size() + 1, words.size()));
            passes |= word == "dmarc=pass";
            is_domain |= word == "header.from=" + lower(domain);
        }
        // Two verdicts of one server that disagree are no verdict.
        if (!passes || !is_domain) return false;
        passed = true;
    }
    return passed;
}

}  // namespace email
