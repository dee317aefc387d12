#pragma once

// JSON Schema 2020-12, whole: a schema is read once and holds values against itself. It fetches
// nothing, throws nothing and takes a bounded amount of work for whatever schema and value.
// `format` and the like say something and forbid nothing, as the specification has it.
#include "base/result.hpp"

#include <boost/json/fwd.hpp>

#include <map>
#include <memory>
#include <string>

namespace parley {

class SchemaIndex;

// What cannot be checked is not silently allowed: where a schema says what a stranger may do, a
// keyword that is unknown is an error of the schema, except for notes, which begin with "x-".
enum class UnknownKeywords { refused, ignored };

// By absolute URI.
using SchemaDocuments = std::map<std::string, boost::json::value, std::less<>>;

class Schema {
public:
    // Fault::bad_input names the place in the schema that is none, that refers to nothing or that
    // is beyond the bounds. A reference may lead into the document itself, into `others` (which may
    // be null, and need not live on) and to the metaschemas of 2020-12.
    static Result<Schema> open(boost::json::value document,
                               UnknownKeywords unknown = UnknownKeywords::refused,
                               SchemaDocuments const* others = nullptr);
    Schema(Schema&&) noexcept;
    Schema& operator=(Schema&&) noexcept;
    ~Schema();

    // Fault::bad_input when the value does not fit: the JSON pointer to what does not, why, and the
    // place of the keyword. Also when the check would take too much work; the message says so.
    Result<> check(boost::json::value const& value) const;

    // The value with the `default` of each member that is missing, in the objects that are there
    // and in those that a default brings. Stops at limits::schema_defaults.
    boost::json::value with_defaults(boost::json::value value) const;

private:
    explicit Schema(std::unique_ptr<SchemaIndex const> index);

    std::unique_ptr<SchemaIndex const> index_;
};

// The same for a schema that is used once; unknown keywords are refused.
Result<> check_schema(boost::json::value const& schema, boost::json::value const& value);
Result<> check_is_schema(boost::json::value const& schema);
// What is no schema fills in nothing.
boost::json::value with_defaults(boost::json::value const& schema, boost::json::value value);

}  // namespace parley
