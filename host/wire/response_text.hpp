#pragma once

// Answers as bytes. What a handler says about headers is checked here, so that no value can end a
// header early.
#include "wire/server.hpp"

#include <string>

namespace parley {

enum class Framing {
    length,   // Content-Length: response.body's
    chunked,  // a body of unknown length
    to_close  // a body that ends with the connection
};

// Status line and header, with the defaults that every answer of ours carries.
std::string response_head(Response const& response, Framing framing, bool keep_alive,
                          bool http_1_1);

// RFC 9457, about:blank.
Response problem(int status, std::string const& detail);

char const* reason_for(int status);

bool same_header(std::string_view a, std::string_view b);  // ASCII, case-insensitive

}  // namespace parley
