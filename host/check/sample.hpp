#pragma once

// Values that a schema allows, and the requests that a host makes of them. Room-private.
#include "base/json.hpp"
#include "base/result.hpp"
#include "check/subject.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace parley {

enum class Fill {
    least,    // what is required, as small as may be
    all,      // every member that the schema names
    largest,  // the same, with texts as long as may be
};

// Fault::bad_input when none is found; the message says where to help.
Result<json::value> sample_of(json::value const& schema, Fill fill);

// The least config, with addresses where the manifest takes them from the config.
Result<std::string> sample_config(Manifest const& manifest);

struct SampleRequest {
    Verb verb;
    std::string text;  // one line of JSON
};
// One for each verb of each role, skill and point. Skills of which no arguments are found are left
// out, and named in `missing`.
std::vector<SampleRequest> sample_requests(Subject const& subject, Fill fill,
                                           std::vector<std::string>& missing);
std::vector<SampleRequest> sample_previews(Subject const& subject);
// The same with a member that nobody knows.
std::string with_odd_member(std::string const& request);

}  // namespace parley
