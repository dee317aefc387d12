// A schema of a manifest in the first line, and what a model or an operator wrote below it.
#include "target.hpp"

#include "base/json.hpp"
#include "base/schema.hpp"

#include <boost/json/value.hpp>

void try_bytes(std::string_view bytes) {
    auto line = bytes.find('\n');
    auto schema = parley::parse_json(bytes.substr(0, line));
    auto value = parley::parse_json(line == bytes.npos ? "{}" : bytes.substr(line + 1));
    if (!schema || !value || !parley::check_is_schema(*schema)) return;
    auto filled = parley::with_defaults(*schema, *value);
    auto first = parley::check_schema(*schema, filled).operator bool();
    must(first == parley::check_schema(*schema, filled).operator bool(), "it says the same twice");
}
