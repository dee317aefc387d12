#pragma once

// What a reference means, seen from a base (RFC 3986, section 5). Names only: nothing here opens,
// fetches or trusts what a URI points to.
#include <optional>
#include <string>
#include <string_view>

namespace parley {

struct Reference {
    std::string document;  // without a fragment
    std::string fragment;  // percent-decoded
};

// A fragment that is not well encoded, or a result longer than limits::schema_uri_bytes, is
// nothing.
std::optional<Reference> resolve_reference(std::string_view base, std::string_view reference);

}  // namespace parley
