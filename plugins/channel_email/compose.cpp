#include "compose.hpp"

#include "address.hpp"
#include "parley/text.hpp"

#include <algorithm>
#include <cstdio>
#include <ctime>

namespace email {

namespace {

constexpr std::size_t line_bytes = 76;
constexpr std::size_t word_bytes = 45;  // an encoded word is at most 75 long (RFC 2047, 2)

// RFC 5322, 3.3, in UTC.
std::string date_of(std::int64_t unix_time) {
    static constexpr char const* days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr char const* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::time_t const time = unix_time;
    std::tm parts{};
    gmtime_r(&time, &parts);
    char text[64];
    std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d +0000", days[parts.tm_wday],
                  parts.tm_mday, months[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour,
                  parts.tm_min, parts.tm_sec);
    return text;
}

bool is_plain(std::string_view text) {
    return text.size() < line_bytes && text.find("=?") == text.npos &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c < 127; });
}

std::string display(std::string_view name) {
    if (!is_plain(name)) return encoded_word(name);
    std::string out = "\"";
    for (char const c : name) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

}  // namespace

std::string to_base64(std::string_view bytes) {
    static constexpr char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        auto byte = [&](std::size_t i) -> std::uint32_t {
            return at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0;
        };
        std::uint32_t const bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        out += digits[bits >> 18];
        out += digits[(bits >> 12) & 63];
        out += at + 1 < bytes.size() ? digits[(bits >> 6) & 63] : '=';
        out += at + 2 < bytes.size() ? digits[bits & 63] : '=';
    }
    return out;
}

std::string encoded_word(std::string_view text) {
    if (is_plain(text)) return std::string(text);
    std::string out;
    while (!text.empty()) {
        auto const piece = parley::utf8_cut(text, word_bytes);
        text.remove_prefix(piece.size());
        out += (out.empty() ? "" : "\r\n ") + ("=?utf-8?B?" + to_base64(piece) + "?=");
    }
    return out;
}

std::string without_re(std::string_view subject) {
    for (subject = trimmed(subject); lower(subject.substr(0, 3)) == "re:";
         subject = trimmed(subject))
        subject.remove_prefix(3);
    return std::string(subject);
}

std::string compose(Answer const& answer) {
    std::string out;
    auto field = [&](std::string_view name, std::string_view value) {
        out.append(name).append(": ").append(value).append("\r\n");
    };
    field("From", answer.from_name.empty() ? answer.from
                                           : display(answer.from_name) + " <" + answer.from + '>');
    field("To", answer.to);
    field("Subject", encoded_word("Re: " + without_re(answer.subject)));
    field("Date", date_of(answer.unix_time));
    field("Message-ID", answer.id);
    if (!answer.references.empty()) {
        field("In-Reply-To", answer.references.back());
        std::string list;
        for (auto const& id : answer.references) list += (list.empty() ? "" : "\r\n ") + id;
        field("References", list);
    }
    // So that no other machine answers it (RFC 3834).
    field("Auto-Submitted", "auto-replied");
    field("MIME-Version", "1.0");
    field("Content-Type", "text/plain; charset=utf-8");
    field("Content-Transfer-Encoding", "base64");
    out += "\r\n";
    std::string lines;
    for (char const c : answer.text) {
        if (c == '\n' && !lines.ends_with('\r')) lines += '\r';
        lines += c;
    }
    auto const body = to_base64(lines + "\r\n");
    for (std::size_t at = 0; at < body.size(); at += line_bytes)
        out.append(body, at, line_bytes) += "\r\n";
    return out;
}

}  // namespace email
