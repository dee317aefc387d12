#include "plugin/signature.hpp"

#include "base/secret.hpp"
#include "base/text.hpp"

#include <algorithm>

namespace parley {

namespace {

constexpr std::size_t pieces_most = 8;

Error bad(std::string what) {
    return Error(Fault::bad_input, std::move(what));
}

bool is_header_name(std::string_view text) {
    return !text.empty() && text.size() <= 128 &&
           text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_") == text.npos;
}

}  // namespace

bool SignedText::holds(std::string_view header) const {
    return std::any_of(pieces.begin(), pieces.end(),
                       [header](auto const& piece) { return piece.header == header; });
}

Result<SignedText> parse_signed_text(std::string_view text) {
    constexpr std::string_view body = "{body}";
    if (!text.ends_with(body)) return bad("does not end with {body}");
    text.remove_suffix(body.size());
    SignedText out;
    auto open = std::min(text.find('{'), text.size());
    out.begin = text.substr(0, open);
    text.remove_prefix(open);
    while (!text.empty()) {
        auto close = text.find('}');
        if (close == text.npos) return bad("has a { without its }");
        SignedText::Piece piece;
        piece.header = text.substr(1, close - 1);
        text.remove_prefix(close + 1);
        open = std::min(text.find('{'), text.size());
        piece.literal = text.substr(0, open);
        text.remove_prefix(open);
        if (!is_header_name(piece.header) || piece.header == "body")
            return bad("names something that is no header in lower case");
        if (piece.literal.empty()) return bad("has nothing after the header " + piece.header);
        out.pieces.push_back(std::move(piece));
    }
    if (out.pieces.size() > pieces_most) return bad("names too many headers");
    return out;
}

Result<std::string> text_before_body(SignedText const& text, HeaderValue const& header) {
    auto out = text.begin;
    for (auto const& piece : text.pieces) {
        auto value = header(piece.header);
        if (!value) return bad("the header " + piece.header + " is missing");
        if (value->find(piece.literal.front()) != value->npos)
            return bad("the header " + piece.header + " holds what should end it");
        out.append(*value).append(piece.literal);
    }
    return out;
}

Result<Digest> sign(KeyForm form, std::string_view secret, std::string_view before_body,
                    std::string_view body) {
    if (form == KeyForm::text) return hmac_sha256(secret, {before_body, body});
    constexpr std::string_view mark = "whsec_";
    if (secret.starts_with(mark)) secret.remove_prefix(mark.size());
    auto key = from_base64(secret);
    if (!key || key->empty()) return bad("the secret is no base64, which its key has to be");
    auto digest = hmac_sha256(*key, {before_body, body});
    wipe(*key);
    return digest;
}

std::string written(DigestForm form, Digest const& digest) {
    std::string_view bytes(reinterpret_cast<char const*>(digest.data()), digest.size());
    return form == DigestForm::hex ? hex(bytes) : base64(bytes);
}

}  // namespace parley
