// The body of a mail: parts within parts, transfer encodings, character sets.
#include "mail.hpp"

#include "parley/text.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace email {

namespace {

constexpr int parts_deep = 8;
constexpr int parts_most = 100;
constexpr std::size_t name_bytes = 200;
constexpr std::size_t word_bytes = 1000;  // of an encoded word; the rule is 75, not all keep to it

int base64_digit(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+' || c == '-') return 62;
    if (c == '/' || c == '_') return 63;
    return -1;
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

void append_utf8(std::string& out, std::uint32_t point) {
    if (point > 0x10FFFF || (point >= 0xD800 && point < 0xE000)) point = 0xFFFD;
    if (point < 0x80) {
        out += static_cast<char>(point);
    } else if (point < 0x800) {
        out += static_cast<char>(0xC0 | (point >> 6));
        out += static_cast<char>(0x80 | (point & 63));
    } else if (point < 0x10000) {
        out += static_cast<char>(0xE0 | (point >> 12));
        out += static_cast<char>(0x80 | ((point >> 6) & 63));
        out += static_cast<char>(0x80 | (point & 63));
    } else {
        out += static_cast<char>(0xF0 | (point >> 18));
        out += static_cast<char>(0x80 | ((point >> 12) & 63));
        out += static_cast<char>(0x80 | ((point >> 6) & 63));
        out += static_cast<char>(0x80 | (point & 63));
    }
}

// Windows-1252 where it differs from Latin-1: 0x80 to 0x9F.
constexpr std::array<std::uint16_t, 32> windows = {
    0x20AC, 0xFFFD, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0xFFFD, 0x017D, 0xFFFD, 0xFFFD, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0xFFFD, 0x017E, 0x0178};

// `; name="value"` of a header; empty when it is not there.
std::string parameter(std::string_view value, std::string_view name) {
    for (auto at = value.find(';'); at != value.npos; at = value.find(';')) {
        value.remove_prefix(at + 1);
        auto const equals = value.find('=');
        if (equals == value.npos) break;
        bool const is_it = lower(trimmed(value.substr(0, equals))) == name;
        value.remove_prefix(equals + 1);
        value = value.substr(std::min(value.find_first_not_of(" \t"), value.size()));
        std::string text;
        if (value.starts_with('"')) {
            std::size_t end = 1;
            for (; end < value.size() && value[end] != '"'; ++end) {
                if (value[end] == '\\' && end + 1 < value.size()) ++end;
                text += value[end];
            }
            value.remove_prefix(std::min(end, value.size()));
        } else {
            text = trimmed(value.substr(0, value.find(';')));
        }
        if (is_it) return text;
    }
    return {};
}

std::string type_of(Headers const& headers) {
    auto const value = header(headers, "content-type");
    auto const type = lower(trimmed(value.substr(0, value.find(';'))));
    return type.find('/') == type.npos ? "text/plain" : type;
}

std::string decoded(Headers const& headers, std::string_view bytes) {
    auto const encoding = lower(trimmed(header(headers, "content-transfer-encoding")));
    if (encoding == "base64") return from_base64(bytes);
    if (encoding == "quoted-printable") return from_quoted_printable(bytes, false);
    return std::string(bytes);
}

// Where "</name" begins; the end when nothing closes it.
std::size_t end_of_hidden(std::string_view html, std::size_t at, std::string_view name) {
    for (at = html.find("</", at); at != html.npos; at = html.find("</", at + 2))
        if (lower(html.substr(at + 2, name.size())) == name) return at;
    return html.size();
}

struct Reader {
    Body body;
    bool is_html = false;  // what body.text was made of
    int parts = 0;

    void read(Headers const& headers, std::string_view bytes, int depth) {
        if (++parts > parts_most) return;
        auto const type = type_of(headers);
        if (type.starts_with("multipart/")) {
            auto const boundary = parameter(header(headers, "content-type"), "boundary");
            if (!boundary.empty() && depth < parts_deep) return read_parts(boundary, bytes, depth);
        }
        auto const disposition = header(headers, "content-disposition");
        auto name = parameter(disposition, "filename");
        if (name.empty()) name = parameter(header(headers, "content-type"), "name");
        bool const is_text = type == "text/plain" || type == "text/html";
        bool const is_attached = lower(trimmed(disposition)).starts_with("attachment");
        auto content = decoded(headers, bytes);
        if (!is_text || is_attached || !name.empty())
            return attach(decoded_words(name), type, content.size());
        auto text = as_utf8(content, parameter(header(headers, "content-type"), "charset"));
        take(type == "text/html" ? text_of_html(text) : std::move(text), type == "text/html");
    }

    // The plain text of a choice is preferred; two plain texts are one after the other.
    void take(std::string text, bool html) {
        if (body.has_text && html) return;
        if (body.has_text && is_html) body.text.clear();
        body.text += (body.text.empty() ? "" : "\n") + text;
        body.has_text = true;
        is_html = html;
    }

    void attach(std::string name, std::string const& type, std::size_t bytes) {
        for (char& c : name)
            if (static_cast<unsigned char>(c) < ' ' || c == 127) c = ' ';
        body.attachments.push_back({std::string(parley::utf8_cut(name, name_bytes)),
                                    parley::visible_utf8(type.substr(0, name_bytes)), bytes});
    }

    void read_parts(std::string const& boundary, std::string_view bytes, int depth) {
        std::string const mark = "--" + boundary;
        bool inside = false;
        char const* begin = bytes.data();
        while (!bytes.empty()) {
            auto const end = bytes.find('\n');
            auto line = bytes.substr(0, end);
            auto const line_begin = bytes.data();
            bytes.remove_prefix(end == bytes.npos ? bytes.size() : end + 1);
            if (!line.starts_with(mark)) continue;
            auto const tail = trimmed(line.substr(mark.size()));
            if (!tail.empty() && tail != "--") continue;
            if (inside) give({begin, static_cast<std::size_t>(line_begin - begin)}, depth);
            inside = true;
            begin = bytes.data();
            if (tail == "--") return;
        }
        // A mail that was cut off: what there is of its last part counts.
        if (inside) give({begin, static_cast<std::size_t>(bytes.data() - begin)}, depth);
    }

    void give(std::string_view part, int depth) {
        if (part.ends_with('\n')) part.remove_suffix(1);
        if (part.ends_with('\r')) part.remove_suffix(1);
        auto const headers = take_headers(part);
        read(headers, part, depth + 1);
    }
};

}  // namespace

std::string from_base64(std::string_view text) {
    std::string out;
    std::uint32_t bits = 0;
    int count = 0;
    for (char const c : text) {
        if (c == '=') break;
        int const digit = base64_digit(c);
        if (digit < 0) continue;
        bits = (bits << 6) | static_cast<std::uint32_t>(digit);
        if ((count += 6) < 8) continue;
        count -= 8;
        out += static_cast<char>((bits >> count) & 255);
    }
    return out;
}

std::string from_quoted_printable(std::string_view text, bool is_header) {
    std::string out;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] == '_' && is_header) {
            out += ' ';
        } else if (text[at] != '=') {
            out += text[at];
        } else if (text.substr(at + 1).starts_with("\r\n")) {
            at += 2;
        } else if (text.substr(at + 1).starts_with("\n")) {
            at += 1;
        } else if (at + 2 < text.size() && hex_digit(text[at + 1]) >= 0 &&
                   hex_digit(text[at + 2]) >= 0) {
            out += static_cast<char>(hex_digit(text[at + 1]) * 16 + hex_digit(text[at + 2]));
            at += 2;
        } else {
            out += '=';
        }
    }
    return out;
}

std::string as_utf8(std::string_view bytes, std::string_view charset) {
    auto const name = lower(charset);
    bool const is_single = name == "iso-8859-1" || name == "latin1" || name == "windows-1252" ||
                           name == "iso-8859-15" || name == "cp1252";
    if (!is_single) return parley::visible_utf8(bytes);
    std::string out;
    for (char const c : bytes) {
        auto const byte = static_cast<unsigned char>(c);
        if (byte == 0xA4 && name == "iso-8859-15")
            append_utf8(out, 0x20AC);
        else
            append_utf8(out, byte >= 0x80 && byte < 0xA0 ? windows[byte - 0x80] : byte);
    }
    return out;
}

std::string decoded_words(std::string_view text) {
    std::string out;
    bool after_word = false;
    while (!text.empty()) {
        // =?CHARSET?K?CONTENT?=
        auto const open = text.find("=?");
        auto const window = open == text.npos ? std::string_view() : text.substr(open, word_bytes);
        auto const charset_end = window.find('?', 2);
        auto const is_kind = [&](char kind) {
            return charset_end + 2 < window.size() && (window[charset_end + 1] | 32) == kind &&
                   window[charset_end + 2] == '?';
        };
        bool const is_mark =
            charset_end != window.npos && charset_end > 2 && (is_kind('b') || is_kind('q'));
        auto const end = is_mark ? window.find("?=", charset_end + 3) : window.npos;
        if (end == window.npos) {
            auto const passed = open == text.npos ? text.size() : open + 2;
            out += parley::visible_utf8(text.substr(0, passed));
            text.remove_prefix(passed);
            after_word = false;
            continue;
        }
        // Space between two such words is theirs.
        auto const before = text.substr(0, open);
        if (!after_word || !trimmed(before).empty()) out += parley::visible_utf8(before);
        auto const charset = window.substr(2, charset_end - 2);
        auto const content = window.substr(charset_end + 3, end - charset_end - 3);
        out += as_utf8(is_kind('b') ? from_base64(content) : from_quoted_printable(content, true),
                       charset.substr(0, charset.find('*')));
        after_word = true;
        text.remove_prefix(open + end + 2);
    }
    return out;
}

std::string text_of_html(std::string_view html) {
    static constexpr std::pair<std::string_view, std::string_view> names[] = {
        {"amp", "&"}, {"lt", "<"}, {"gt", ">"}, {"quot", "\""}, {"apos", "'"}, {"nbsp", " "}};
    std::string out;
    for (std::size_t at = 0; at < html.size();) {
        if (html[at] == '<') {
            auto const close = html.find('>', at);
            if (close == html.npos) break;
            auto tag = lower(html.substr(at + 1, std::min<std::size_t>(close - at - 1, 10)));
            at = close + 1;
            for (std::string_view const hidden : {"script", "style", "head"}) {
                if (!tag.starts_with(hidden)) continue;
                at = end_of_hidden(html, at, hidden);
            }
            for (std::string_view const breaks : {"br", "/p", "/div", "/tr", "/li", "/h"})
                if (tag.starts_with(breaks)) {
                    out += '\n';
                    break;
                }
        } else if (html[at] == '&') {
            auto const end = html.substr(at, 12).find(';');
            auto const name = end == html.npos ? std::string_view() : html.substr(at + 1, end - 1);
            auto const known = std::find_if(std::begin(names), std::end(names),
                                            [&](auto const& one) { return one.first == name; });
            std::uint32_t point = 0;
            if (name.size() > 1 && name[0] == '#') {
                bool const is_hex = (name[1] | 32) == 'x';
                for (char const c : name.substr(is_hex ? 2 : 1)) {
                    int const digit = hex_digit(c);
                    if (digit < 0 || (!is_hex && digit > 9) || point > 0x10FFFF) {
                        point = 0;
                        break;
                    }
                    point = point * (is_hex ? 16 : 10) + static_cast<std::uint32_t>(digit);
                }
            }
            if (known != std::end(names))
                out += known->second;
            else if (point >= ' ')
                append_utf8(out, point);
            else
                out += html.substr(at, end == html.npos ? 1 : end + 1);
            at += end == html.npos ? 1 : end + 1;
        } else {
            out += html[at++];
        }
    }
    return std::string(trimmed(out));
}

std::string without_quote(std::string_view text) {
    std::vector<std::string_view> lines;
    for (auto rest = text; !rest.empty();) {
        auto const end = rest.find('\n');
        auto line = rest.substr(0, end);
        if (line.ends_with('\r')) line.remove_suffix(1);
        lines.push_back(line);
        rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
    }
    auto const was = lines.size();
    auto blank = [&] { return !lines.empty() && trimmed(lines.back()).empty(); };
    while (blank()) lines.pop_back();
    bool const quotes = !lines.empty() && lines.back().starts_with('>');
    while (!lines.empty() && (lines.back().starts_with('>') || (quotes && blank())))
        lines.pop_back();
    // "On Monday, Ann wrote:", in whatever language, over one line or two.
    if (quotes && lines.size() < was && !lines.empty() && trimmed(lines.back()).ends_with(':'))
        lines.pop_back();
    while (blank()) lines.pop_back();
    std::string out;
    for (auto const line : lines) out.append(line) += '\n';
    if (!out.empty()) out.pop_back();
    // Nothing but a quote is what its sender wanted to say.
    return out.empty() ? std::string(trimmed(text)) : out;
}

Body read_body(Headers const& headers, std::string_view bytes) {
    Reader reader;
    reader.read(headers, bytes, 0);
    return std::move(reader.body);
}

}  // namespace email
