// JSON as plugins read it.
#include "target.hpp"

#include <parley/json.hpp>

void try_bytes(std::string_view bytes) {
    std::string why;
    auto value = parley::Json::parse(bytes, &why);
    must(value.kind() != parley::Json::Kind::missing || !why.empty(), "a refusal says why");
}
