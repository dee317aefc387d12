// A schema of a manifest in the first line, and what a model or an operator wrote below it.
#include "target.hpp"

#include "base/json.hpp"
#include "base/schema.hpp"

#include <boost/json/value.hpp>

void try_bytes(std::string_view bytes) {
    using namespace parley;
    auto line = bytes.find('\n');
    auto document = parse_json(bytes.substr(0, line));
    auto value = parse_json(line == bytes.npos ? "{}" : bytes.substr(line + 1));
    if (!document || !value) return;
    auto schema = Schema::open(*document, UnknownKeywords::ignored);
    auto strict = Schema::open(*document);
    must(schema || !strict, "what is a schema to the strict is one to all");
    must(bool(check_is_schema(*document)) == bool(strict), "it is a schema or it is none");
    if (!schema) return;
    auto filled = schema->with_defaults(*value);
    must(to_text(schema->with_defaults(*value)) == to_text(filled), "defaults are the same twice");
    auto verdict = schema->check(filled);
    must(bool(verdict) == bool(schema->check(filled)), "it says the same twice");
    must(!strict || bool(strict->check(filled)) == bool(verdict), "strictness changes no verdict");
    must(verdict || verdict.error().what.size() < 4096, "a reason is short");
}
