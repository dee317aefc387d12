#include "control/routes.hpp"

#include "base/json.hpp"
#include "base/text.hpp"

#include <boost/json/value.hpp>
#include <catch2/catch.hpp>

#include <set>

using namespace parley;
using namespace std::string_literals;

namespace {

// A path that fits the pattern: {name} becomes "name-1".
std::string filled(std::string_view pattern) {
    std::string path;
    for (char c : pattern)
        if (c == '}')
            path += "-1";
        else if (c != '{')
            path += c;
    return path;
}

std::string shown(Route const& route) {
    return std::string(route.method) + ' ' + std::string(route.path);
}

Match found(std::string_view method, std::string_view path) {
    auto result = match(method, path);
    REQUIRE(result);
    return std::move(*result);
}

}  // namespace

// ---- The table ----------------------------------------------------------------------------------

TEST_CASE("no route stands in the table twice", "[control]") {
    std::set<std::string> seen;
    for (auto const& route : routes()) REQUIRE(seen.insert(shown(route)).second);
}

TEST_CASE("only three pages need no token, and none of them changes anything", "[control]") {
    std::set<std::string> open;
    for (auto const& route : routes())
        if (route.access == Access::open) open.insert(shown(route));
    REQUIRE(open == std::set{"GET /"s, "GET /health"s, "GET /api/v1/openapi.json"s});
}

TEST_CASE("whatever changes something needs the admin token", "[control]") {
    for (auto const& route : routes()) {
        INFO(shown(route));
        REQUIRE((route.method == "GET" || route.access == Access::admin));
    }
}

TEST_CASE("even the names of secrets are for the admin token", "[control]") {
    for (auto const& route : routes())
        if (route.path.find("secret") != std::string_view::npos)
            REQUIRE(route.access == Access::admin);
}

TEST_CASE("there is no route that reads a secret or a token back", "[control]") {
    REQUIRE_FALSE(found("GET", "/api/v1/secrets/openai/default").route);
    REQUIRE_FALSE(found("GET", "/api/v1/tokens/admin").route);
}

// ---- Matching -----------------------------------------------------------------------------------

TEST_CASE("each route is found by its own path, with the parts that stood in it", "[control]") {
    for (auto const& route : routes()) {
        INFO(shown(route));
        auto match = found(route.method, filled(route.path));
        REQUIRE(match.route == &route);
        std::vector<std::string> parts;
        for (auto at = route.path.find('{'); at != std::string_view::npos;
             at = route.path.find('{', at + 1))
            parts.push_back(
                std::string(route.path.substr(at + 1, route.path.find('}', at) - at - 1)) + "-1");
        REQUIRE(match.parts == parts);
    }
}

TEST_CASE("a fixed word is not taken for a part", "[control]") {
    for (auto const* word : {"head", "verify", "export", "checkpoints"}) {
        auto match = found("GET", "/api/v1/ledger/"s + word);
        REQUIRE(match.parts.empty());
        REQUIRE(match.route->path.ends_with(word));
    }
    REQUIRE(found("GET", "/api/v1/ledger/verif").parts == std::vector{"verif"s});
}

TEST_CASE("a path that is not exactly a route's is none", "[control]") {
    for (auto const* path : {"",
                             "health",
                             "xhealth",
                             "//health",
                             "/health/",
                             "/health//",
                             "/Health",
                             "/health%00x",
                             "/api",
                             "/api/v1",
                             "/api/v1/",
                             "/api/v1/agents/",
                             "/api/v1/agents//messages",
                             "/api/v2/agents",
                             "/api/v1/agents/a/b/c",
                             "/api/v1/../v1/status",
                             "/api/v1/%73tatus",
                             "/api/v1/secrets/a",
                             "/api/v1/secrets/a/",
                             "*",
                             "http://127.0.0.1:7420/health",
                             "/health;a",
                             "/health#a"}) {
        INFO(path);
        REQUIRE_FALSE(found("GET", path).path_is_known);
    }
}

TEST_CASE("another method on a known path says which there are, each once", "[control]") {
    auto secret = found("PATCH", "/api/v1/secrets/a/b");
    REQUIRE(secret.path_is_known);
    REQUIRE_FALSE(secret.route);
    REQUIRE(secret.allow == "PUT, DELETE");
    REQUIRE(found("POST", "/api/v1/ledger/verify").allow == "GET");
    for (auto const* method : {"get", "HEAD", "OPTIONS", "TRACE", "CONNECT", "", "GET "})
        REQUIRE_FALSE(found(method, "/health").route);
}

TEST_CASE("a part is decoded after the path was cut, so it may hold a slash and stays one part",
          "[control]") {
    auto agent = found("GET", "/api/v1/agents/..%2F..%2Fetc");
    REQUIRE(agent.parts == std::vector{"../../etc"s});
    REQUIRE(found("GET", "/api/v1/agents/a%20b%25").parts == std::vector{"a b%"s});
}

TEST_CASE("a part that is not text is refused", "[control]") {
    for (auto const* part :
         {"%", "%4", "a%", "a%4", "%zz", "%4g", "%-1", "%00", "a%00b", "%ff", "%c3", "%ed%a0%80"}) {
        INFO(part);
        auto result = match("GET", "/api/v1/agents/"s + part);
        REQUIRE_FALSE(result);
        REQUIRE(result.error().fault == Fault::bad_input);
    }
}

// ---- Queries ------------------------------------------------------------------------------------

TEST_CASE("text is decoded once, and a plus is a plus", "[control]") {
    REQUIRE(*percent_decoded("a%2bb+c") == "a+b+c");
    REQUIRE(*percent_decoded("%2541") == "%41");
    REQUIRE(*percent_decoded("%c3%A9") == "\u00e9");
    REQUIRE(percent_decoded("")->empty());
}

TEST_CASE("a query is names and values, each decoded", "[control]") {
    auto query = parse_query("state=pending&after=a%26b%3Dc&limit&x=1=2");
    REQUIRE(query);
    REQUIRE(*query == std::map<std::string, std::string>{
                          {"state", "pending"}, {"after", "a&b=c"}, {"limit", ""}, {"x", "1=2"}});
    REQUIRE(parse_query("")->empty());
}

TEST_CASE("a name that stands twice in a query is refused, however it is written", "[control]") {
    for (auto const* query : {"a=1&a=2", "a=1&%61=1", "a&a", "a=%zz", "%ff=1", "a=%00"}) {
        INFO(query);
        REQUIRE_FALSE(parse_query(query));
    }
}

// ---- The document -------------------------------------------------------------------------------

TEST_CASE("the OpenAPI document holds every route and no other", "[control]") {
    auto document = parse_json(openapi_document());
    REQUIRE(document);
    REQUIRE(text_at(*document, "openapi") == "3.1.0");
    std::set<std::string> told, there;
    for (auto const& path : member(*document, "paths")->get_object())
        for (auto const& method : path.value().get_object()) {
            std::string name(method.key());
            for (char& c : name) c = static_cast<char>(std::toupper(c));
            told.insert(name + ' ' + std::string(path.key()));
        }
    for (auto const& route : routes()) there.insert(shown(route));
    REQUIRE(told == there);
}

TEST_CASE("the OpenAPI document says of each route what it needs, as the server enforces it",
          "[control]") {
    auto document = parse_json(openapi_document());
    REQUIRE(document);
    for (auto const& route : routes()) {
        INFO(shown(route));
        std::string method(route.method);
        for (char& c : method) c = static_cast<char>(std::tolower(c));
        auto const* told = member(*member(*member(*document, "paths"), route.path), method);
        auto scopes = to_text(*member(*told, "security"));
        REQUIRE(text_at(*told, "summary") == route.summary);
        switch (route.access) {
            case Access::open:
                REQUIRE(scopes == "[]");
                break;
            case Access::read:
                REQUIRE(scopes == R"([{"read":[]},{"admin":[]}])");
                break;
            case Access::admin:
                REQUIRE(scopes == R"([{"admin":[]}])");
                break;
        }
    }
}

TEST_CASE("the OpenAPI document names the parts of each path", "[control]") {
    auto document = parse_json(openapi_document());
    REQUIRE(document);
    auto const& paths = *member(*document, "paths");
    auto const* call =
        member(*member(paths, "/api/v1/sessions/{id}/calls/{call}/resolution"), "post");
    auto const& parameters = member(*call, "parameters")->get_array();
    REQUIRE(parameters.size() == 2);
    REQUIRE(text_at(parameters[0], "name") == "id");
    REQUIRE(text_at(parameters[1], "name") == "call");
    REQUIRE(bool_at(parameters[1], "required"));
}
