#pragma once

// The keywords of JSON Schema 2020-12, each with what its value must be and with the function that
// applies it. The table is all that there is: a keyword that is not in it is unknown.
#include "base/json.hpp"

#include <cstdint>

namespace parley {

class SchemaCheck;
struct SchemaPlace;

enum class Form : std::uint8_t {
    any,
    boolean,
    text,
    texts,        // a list of them
    named_texts,  // an object of such lists
    list,
    type,  // the name of a type, or a list of names
    number,
    positive,
    whole,  // not below zero
    schema,
    schemas,        // a list of them, not empty
    named_schemas,  // an object of them
    named_either,   // an object of schemas and lists of texts
    pattern,
    patterned_schemas,  // an object of schemas, its names patterns
    identifier,         // a URI reference without a fragment
    anchor,             // a name
    reference,          // a URI reference
    dialect,            // the URI of a metaschema
};

enum class Vocabulary : std::uint8_t {
    core,
    applicator,
    unevaluated,
    validation,
    annotation,  // format, content and meta-data: they say something, and forbid nothing
};

struct Keyword {
    // Does the value at `place` do justice to the keyword, whose own value is `rule`?
    using Check = bool (SchemaCheck::*)(json::value const& rule, SchemaPlace const& place);

    std::string_view name;
    Form form;
    Vocabulary vocabulary;
    Check check = nullptr;  // none: an annotation, or read by the keyword that it belongs to
};

// Null when there is none of that name.
Keyword const* find_keyword(std::string_view name);

// Is this what stands beside a keyword of the form? What it holds of schemas is not looked into.
bool has_form(json::value const& value, Form form);

}  // namespace parley
