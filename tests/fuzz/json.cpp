// JSON of plugins, models, channels and clients.
#include "target.hpp"

#include "base/json.hpp"

#include <boost/json/value.hpp>

void try_bytes(std::string_view bytes) {
    auto value = parley::parse_json(bytes);
    if (!value) return;
    must(parley::parse_json(parley::to_text(*value)).operator bool(), "what was written can be read");
}
