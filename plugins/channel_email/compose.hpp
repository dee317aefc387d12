#pragma once

// An answer as the bytes of a mail. What stands in its header is checked before: nothing that a
// stranger wrote can begin a header of its own.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace email {

struct Answer {
    std::string from, from_name, to;
    std::string subject;                  // as it was, without "Re:"
    std::string id;                       // of this mail, with brackets
    std::vector<std::string> references;  // oldest first; the last is the mail that is answered
    std::string text;                     // UTF-8
    std::int64_t unix_time = 0;           // seconds
};

std::string compose(Answer const& answer);

std::string encoded_word(std::string_view text);  // RFC 2047, folded; plain when that is enough
std::string to_base64(std::string_view bytes);
std::string without_re(std::string_view subject);

}  // namespace email
