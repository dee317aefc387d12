#include "mail.hpp"

#include "parley/text.hpp"

#include <algorithm>

namespace email {

namespace {

constexpr std::size_t headers_most = 1000;
constexpr std::size_t references_most = 50;
constexpr std::size_t id_bytes = 200;
constexpr std::size_t subject_bytes = 400;

// Ids stand in headers that we write: only such as can mean nothing else there.
bool is_id(std::string_view text) {
    return text.size() > 2 && text.size() <= id_bytes && text.front() == '<' &&
           text.back() == '>' && std::all_of(text.begin() + 1, text.end() - 1, [](char c) {
               return c > ' ' && c < 127 && c != '<' && c != '>';
           });
}

std::vector<std::string> ids_in(std::string_view text) {
    std::vector<std::string> out;
    for (auto open = text.find('<'); open != text.npos; open = text.find('<')) {
        text.remove_prefix(open);
        auto const close = text.substr(0, id_bytes).find('>');
        auto const id = text.substr(0, close == text.npos ? 0 : close + 1);
        bool const is_one = is_id(id);
        if (is_one && out.size() < references_most) out.emplace_back(id);
        text.remove_prefix(is_one ? id.size() : 1);
    }
    return out;
}

std::string one_line(std::string text) {
    for (char& c : text)
        if (static_cast<unsigned char>(c) < ' ' || c == 127) c = ' ';
    return text;
}

bool is_automatic(Headers const& headers) {
    auto const submitted = lower(trimmed(header(headers, "auto-submitted")));
    auto const precedence = lower(trimmed(header(headers, "precedence")));
    return (!submitted.empty() && submitted != "no") || precedence == "bulk" ||
           precedence == "junk" || precedence == "list" || !header(headers, "list-id").empty() ||
           trimmed(header(headers, "return-path")) == "<>";
}

// The topmost of our own server: those below may be the sender's.
bool is_proven(Headers const& headers, std::string_view authserv, std::string_view address) {
    auto const domain = address.substr(address.rfind('@') + 1);
    for (auto const& [name, value] : headers) {
        if (name != "authentication-results") continue;
        if (auto const word = vouches(value, authserv, domain)) return *word;
    }
    return false;
}

}  // namespace

Headers take_headers(std::string_view& bytes) {
    Headers out;
    while (!bytes.empty()) {
        auto const end = bytes.find('\n');
        auto line = bytes.substr(0, end);
        bytes.remove_prefix(end == bytes.npos ? bytes.size() : end + 1);
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.empty()) break;
        if (line.front() == ' ' || line.front() == '\t') {
            if (!out.empty()) out.back().second += line;
            continue;
        }
        auto const colon = line.find(':');
        if (colon == line.npos || out.size() == headers_most) continue;
        out.emplace_back(lower(trimmed(line.substr(0, colon))),
                         std::string(trimmed(line.substr(colon + 1))));
    }
    return out;
}

std::string_view header(Headers const& headers, std::string_view name) {
    for (auto const& [known, value] : headers)
        if (known == name) return value;
    return {};
}

Mail read_mail(std::string_view bytes, std::string_view authserv) {
    auto const headers = take_headers(bytes);
    Mail mail;
    auto const count = std::count_if(headers.begin(), headers.end(),
                                     [](auto const& one) { return one.first == "from"; });
    // Two From headers are shown differently by different programs: a trick, not a mail.
    auto const from =
        count == 1 ? mailboxes_in(header(headers, "from")) : std::optional<std::vector<Mailbox>>();
    if (from && from->size() == 1) {
        mail.from = from->front();
        mail.from.name = one_line(decoded_words(mail.from.name));
        mail.is_proven = is_proven(headers, authserv, mail.from.address);
    }
    mail.is_automatic = is_automatic(headers);
    auto const subject = one_line(decoded_words(header(headers, "subject")));
    mail.subject = parley::utf8_cut(subject, subject_bytes);
    if (auto const ids = ids_in(header(headers, "message-id")); !ids.empty()) mail.id = ids.front();
    mail.references = ids_in(header(headers, "references"));
    if (mail.references.empty()) mail.references = ids_in(header(headers, "in-reply-to"));
    auto body = read_body(headers, bytes);
    mail.text = without_quote(body.text);
    mail.attachments = std::move(body.attachments);
    return mail;
}

}  // namespace email
