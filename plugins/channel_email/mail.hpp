#pragma once

// One mail as bytes, read into what an agent needs of it. Every byte is a stranger's: whatever it
// is, it is read within bounds, and nothing of it is executed, fetched or believed.
#include "address.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace email {

struct Attachment {
    std::string name, type;
    std::size_t bytes = 0;
};

struct Mail {
    Mailbox from;               // empty address: none, several, or one that cannot be read
    bool is_proven = false;     // the operator's own server vouches for `from`
    bool is_automatic = false;  // a list, a bounce, another machine: never answered
    std::string subject;        // UTF-8, one line
    std::string id;             // Message-ID with its brackets; empty when there is none
    std::vector<std::string> references;  // oldest first; ids with their brackets
    std::string text;                     // UTF-8, without what it quotes at its end
    std::vector<Attachment> attachments;
};

// `authserv`: see address.hpp.
Mail read_mail(std::string_view bytes, std::string_view authserv);

// ---- Parts, for read_mail and tests.

using Headers =
    std::vector<std::pair<std::string, std::string>>;  // lower-case name, unfolded value
// Takes the header off the front of `bytes`, with the empty line.
Headers take_headers(std::string_view& bytes);
std::string_view header(Headers const& headers, std::string_view name);  // the first, or empty

// =?charset?B?…?= and the like (RFC 2047), as UTF-8.
std::string decoded_words(std::string_view text);
std::string as_utf8(std::string_view bytes, std::string_view charset);
std::string from_base64(std::string_view text);
std::string from_quoted_printable(std::string_view text, bool is_header);
std::string text_of_html(std::string_view html);
// Without the mail that is quoted below an answer.
std::string without_quote(std::string_view text);

// The readable text of a part, and what else hangs on it.
struct Body {
    std::string text;
    bool has_text = false;
    std::vector<Attachment> attachments;
};
Body read_body(Headers const& headers, std::string_view bytes);

}  // namespace email
