#include "base/schema.hpp"

#include "base/json.hpp"

#include <boost/json/value.hpp>
#include <catch2/catch.hpp>

using namespace parley;

namespace {

bool fits(char const* schema, char const* value) {
    auto rules = parse_json(schema), given = parse_json(value);
    REQUIRE(rules);
    REQUIRE(given);
    return bool(check_schema(*rules, *given));
}

struct Row {
    char const *schema, *good, *bad;
};

}  // namespace

TEST_CASE("each keyword lets pass what it should and refuses the rest", "[base]") {
    Row const rows[] = {
        {R"({"type":"object"})", "{}", "[]"},
        {R"({"type":["string","null"]})", "null", "1"},
        {R"({"type":"integer"})", "3.0", "3.5"},
        {R"({"type":"number"})", "3.5", "\"3\""},
        {R"({"type":"boolean"})", "false", "0"},
        {R"({"enum":[1,"a",null,{"x":[1]}]})", R"({"x":[1.0]})", R"({"x":[2]})"},
        {R"({"const":{"a":1}})", R"({"a":1})", R"({"a":1,"b":2})"},
        {R"({"required":["a"]})", R"({"a":null})", "{}"},
        {R"({"properties":{"a":{"type":"string"}}})", R"({"b":1})", R"({"a":1})"},
        {R"({"properties":{"a":{}},"additionalProperties":false})", R"({"a":1})", R"({"b":1})"},
        {R"({"additionalProperties":{"type":"integer"}})", R"({"b":1})", R"({"b":"x"})"},
        {R"({"propertyNames":{"maxLength":2}})", R"({"ab":1})", R"({"abc":1})"},
        {R"({"minProperties":1,"maxProperties":1})", R"({"a":1})", R"({"a":1,"b":2})"},
        {R"({"items":{"type":"integer"}})", "[1,2]", "[1,\"2\"]"},
        {R"({"prefixItems":[{"type":"string"}],"items":{"type":"integer"}})", R"(["a",1])", "[1,1]"},
        {R"({"minItems":1,"maxItems":2})", "[1]", "[1,2,3]"},
        {R"({"uniqueItems":true})", "[1,2]", "[1,1.0]"},
        {R"({"minLength":2})", R"("\u00e9\u00e9")", R"("\u00e9")"},
        {R"({"maxLength":1})", R"("\ud83d\ude00")", R"("ab")"},
        {R"({"pattern":"^[a-z]+$"})", R"("abc")", R"("aBc")"},
        {R"({"minimum":0,"maximum":10})", "10", "10.5"},
        {R"({"exclusiveMinimum":0})", "0.1", "0"},
        {R"({"exclusiveMaximum":1})", "0", "1"},
        {R"({"multipleOf":0.5})", "1.5", "1.2"},
        {R"({"anyOf":[{"type":"string"},{"minimum":5}]})", "6", "4"},
        {R"({"oneOf":[{"type":"integer"},{"minimum":5}]})", "4", "6"},
        {R"({"allOf":[{"minimum":1},{"maximum":3}]})", "2", "4"},
        {R"({"not":{"type":"string"}})", "1", R"("a")"},
        {R"({"$defs":{"n":{"type":"integer"}},"properties":{"a":{"$ref":"#/$defs/n"}}})", R"({"a":1})", R"({"a":"1"})"},
        {R"({"type":"object","properties":{"next":{"$ref":"#"}},"additionalProperties":false})",
         R"({"next":{"next":{}}})", R"({"next":{"nexx":{}}})"},
        {"true", "1", "1 "},
    };
    for (auto const& row : rows) {
        INFO(row.schema << " with " << row.good << " and " << row.bad);
        REQUIRE(fits(row.schema, row.good));
        if (std::string(row.schema) != "true") REQUIRE_FALSE(fits(row.schema, row.bad));
    }
    REQUIRE_FALSE(fits("false", "1"));
}

TEST_CASE("what cannot be checked is not silently allowed", "[base]") {
    for (auto const* schema : {R"({"unevaluatedProperty":false})", R"({"typo":1})", R"({"type":"text"})", R"({"required":"a"})",
                               R"({"minLength":-1})", R"({"pattern":"("})", R"({"$ref":"https://evil.example/x"})", R"({"items":5})",
                               R"({"enum":[]})", R"({"multipleOf":0})", "[]", "3"})
        REQUIRE_FALSE(check_is_schema(*parse_json(schema)));
}

TEST_CASE("a schema that goes round in circles ends with an error", "[base]") {
    REQUIRE_FALSE(fits(R"({"$ref":"#"})", "1"));
    REQUIRE_FALSE(fits(R"({"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"$ref":"#/$defs/a"})", "1"));
    REQUIRE_FALSE(fits(R"({"$ref":"#/nowhere"})", "1"));
}

TEST_CASE("the message names the place and what was wrong with it", "[base]") {
    auto result = check_schema(*parse_json(R"({"properties":{"list":{"items":{"required":["name"]}}}})"),
                               *parse_json(R"({"list":[{"name":1},{}]})"));
    REQUIRE_FALSE(result);
    REQUIRE(result.error().what == "/list/1: 'name' is missing (#/properties/list/items/required)");
}

TEST_CASE("defaults fill in what is missing and change nothing else", "[base]") {
    auto filled = with_defaults(*parse_json(R"({"properties":{"a":{"default":1},"b":{"default":2}}})"), *parse_json(R"({"b":7})"));
    REQUIRE(int_at(filled, "a") == 1);
    REQUIRE(int_at(filled, "b") == 7);
}
