#pragma once

// The headers that a plugin wants beside those that are the host's to set. Room-private.
#include "base/json.hpp"
#include "base/result.hpp"

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace parley {

using Headers = std::vector<std::pair<std::string, std::string>>;

// Header names are compared without case.
bool same_name(std::string_view a, std::string_view b);
bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names);
// A token of RFC 9110, at most 128 bytes.
bool is_token(std::string_view text);

// The member `headers` of a request. Fault::denied for those that decide where the bytes go and
// where a request ends, Fault::bad_input for what makes no sense.
Result<Headers> read_headers(json::value const& request);

}  // namespace parley
