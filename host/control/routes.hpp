#pragma once

// Every route, once: its method, its path, who may use it and what it is for. The server's checks
// and its OpenAPI document are both made from this table, so neither can forget one.
#include "control/access.hpp"

#include <boost/json/fwd.hpp>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace parley {

class Control;

// One request on its way through a handler.
struct Asked {
    Request request;
    std::vector<std::string> parts;            // what stood for {…} in the path, decoded
    std::map<std::string, std::string> query;
    std::shared_ptr<boost::json::value const> body;  // parsed; a JSON null when there was none
    Caller caller;
    std::shared_ptr<Reply> reply;
};

struct Route {
    using Handler = void (Control::*)(Asked& asked);

    // Access has no default: a route without one does not compile.
    Route(char const* method, char const* path, Access access, Handler handler, char const* summary)
        : method(method), path(path), access(access), handler(handler), summary(summary) {}

    std::string_view method, path;
    Access access;
    Handler handler;
    std::string_view summary;
};

std::vector<Route> const& routes();

struct Match {
    Route const* route = nullptr;
    std::vector<std::string> parts;
    bool path_is_known = false;   // with another method
    std::string allow;            // those methods
};
// `target` as sent: path, then query. Fault::bad_input for broken percent signs.
Result<Match> match(std::string_view method, std::string_view path);
Result<std::string> percent_decoded(std::string_view text);
Result<std::map<std::string, std::string>> parse_query(std::string_view query);

std::string openapi_document();

}  // namespace parley
