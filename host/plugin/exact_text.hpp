#pragma once

// The bytes of one value inside a JSON text, as its author wrote them. Room-private.
#include <string>
#include <string_view>
#include <vector>

namespace parley {

// `json` is known to be sound. A path of keys and list indexes; `fallback` when a key on the way is
// written with escapes.
std::string exact_text(std::string_view json, std::vector<std::string> const& path,
                       std::string fallback);

}  // namespace parley
