#pragma once

// Checks a JSON value against a JSON Schema (the 2020-12 keywords that manifests and skills use).
// It never fetches, never recurses past limits::json_depth and never throws. A keyword that it
// does not know is an error of the schema: what cannot be checked is not silently allowed.
#include "base/result.hpp"

#include <boost/json/fwd.hpp>

namespace parley {

// Fault::bad_input with a JSON pointer and the reason, when `value` does not fit.
Result<> check_schema(boost::json::value const& schema, boost::json::value const& value);

// Is this a schema that the check above can apply whole?
Result<> check_is_schema(boost::json::value const& schema);

// Fills members that are missing with their `default`, at the top level.
boost::json::value with_defaults(boost::json::value const& schema, boost::json::value value);

}  // namespace parley
