#pragma once

// How a request is signed, both ways: the text over which an HMAC is made, and the key. It knows
// no request and no secret; both are handed in.
#include "base/hash.hpp"
#include "base/result.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace parley {

// "v0:{x-time}:{body}" as pieces. The body is last, and text stands between two headers.
struct SignedText {
    struct Piece {
        std::string header;   // lower case
        std::string literal;  // what follows its value
    };
    std::string begin;
    std::vector<Piece> pieces;
    bool holds(std::string_view header) const;
};
// Fault::bad_input says what is wrong with it.
Result<SignedText> parse_signed_text(std::string_view text);

// The value of a header by its name in lower case; nothing when it is missing or stands twice.
using HeaderValue = std::function<std::optional<std::string_view>(std::string_view name)>;
// What stands before the body. Fault::bad_input when a header is not there, or when its value holds
// the character that ends it: then two requests could be read from one text.
Result<std::string> text_before_body(SignedText const& text, HeaderValue const& header);

// How the key is made of a secret: its bytes; or, of `base64`, what those stand for, with or
// without `whsec_` before them.
enum class KeyForm { text, base64 };
// Fault::bad_input when the secret is no base64.
Result<Digest> sign(KeyForm form, std::string_view secret, std::string_view before_body,
                    std::string_view body);

enum class DigestForm { hex, base64 };
std::string written(DigestForm form, Digest const& digest);

}  // namespace parley
