// The operator's files, with a typing error in them.
#include "target.hpp"

#include "base/json.hpp"
#include "config/yaml.hpp"

#include <boost/json/value.hpp>

void try_bytes(std::string_view bytes) {
    auto tree = parley::parse_yaml(bytes, "parley.yaml");
    if (tree) must(parley::parse_json(parley::yaml_to_json(*tree)).operator bool(), "it is JSON");
}
