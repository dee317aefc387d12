#pragma once

// The verbs' way to a running host: blocking HTTP over the control socket, or to PARLEY_URL.
#include "base/result.hpp"

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace parley {

struct LocalTarget {
    std::filesystem::path socket;  // used when `url` is empty
    std::string url, token;        // http:// or https:// base
};

struct LocalResponse {
    int status = 0;
    std::string body;
};

// Fault::unavailable when nobody listens.
Result<LocalResponse> local_request(LocalTarget const& target, std::string const& method,
                                    std::string const& path, std::string const& body = "");
// Reads a streamed answer piece by piece until it ends or `each` says false.
Result<int> local_stream(LocalTarget const& target, std::string const& path,
                         std::function<bool(std::string_view bytes)> const& each);

}  // namespace parley
