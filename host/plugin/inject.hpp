#pragma once

// Secrets are placed out of band: a request says beside itself which slot takes which declared
// field, and the host fills it on the way out. Nothing is ever searched for placeholders by
// meaning. Room-private.
#include "base/json.hpp"
#include "base/result.hpp"
#include "plugin/manifest.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace parley {

struct Placement {
    enum class Kind { header, query, path, body, stream } kind;
    std::string place;  // the slot's part after the colon
    std::string field;  // a declared secret
    std::string prefix, suffix;
    enum class Encode { none, percent, base64, hmac_hex, hmac_base64 } encode = Encode::none;
    SignedText signed_text{};  // of an hmac
    KeyForm key = KeyForm::text;
    bool is_signature() const { return encode >= Encode::hmac_hex; }
};

// What leaves as one request; also what a redirect is made from, without the secrets.
struct Outgoing {
    std::string method;
    std::string origin, path_and_query;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
};

// Reads the `inject` member (null: none) and holds each entry against the manifest: a declared
// field, in one of its declared slots. Fault::denied otherwise.
Result<std::vector<Placement>> read_placements(json::value const* inject, Manifest const& manifest);

// Puts one secret, or the signature that is made with it, into its slot; signatures come last, since
// they are made over what leaves. `encode` is applied to prefix, secret and suffix together; a path
// or query value is made URL-safe in any case. Fault::bad_input when the slot is not there.
Result<> place_secret(Outgoing& request, Placement const& placement, std::string_view secret);
// The first occurrence of the place's text in `bytes`.
Result<> place_in_stream(std::string& bytes, Placement const& placement, std::string_view secret);

}  // namespace parley
