#pragma once

// The metaschemas of JSON Schema 2020-12: the schemas that describe schemas. They are text of the
// specification, kept here so that a reference to them needs no network; they are read when asked
// for and not before.
#include <string_view>

namespace parley {

// Empty when `uri` names none of them.
std::string_view metaschema(std::string_view uri);

}  // namespace parley
