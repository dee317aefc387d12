// The JSON that plugin authors get: what it takes, what it refuses, and what it writes.
#include "parley/json.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <random>

using namespace parley;

TEST_CASE("a value is found by its path, and a missing one answers with the fallback", "[json]") {
    Json const json = Json::parse(R"( {"a":{"b":[1,-2.5e1,true,null,"x"]},"":"empty"} )");
    REQUIRE(json.is_object());
    auto item = json["a"]["b"].begin();
    CHECK((*item).integer() == 1);
    CHECK((*++item).number() == -25.0);
    CHECK((*item).integer(7) == 7);
    CHECK((*++item).boolean());
    CHECK((*++item).is_null());
    CHECK((*++item).text() == "x");
    CHECK(json["a"]["b"].size() == 5);
    CHECK(json[""].text() == "empty");
    CHECK_FALSE(json["no"]["such"]["path"].exists());
    CHECK(json["no"].text("fallback") == "fallback");
    CHECK(json["a"].text("fallback") == "fallback");
}

TEST_CASE("the exact text of a value is kept", "[json]") {
    Json const json = Json::parse("{ \"x\" : { \"b\":1.0, \"a\" :\"\\u0041\" } , \"y\":2}");
    CHECK(json["x"].raw() == "{ \"b\":1.0, \"a\" :\"\\u0041\" }");
    CHECK(json["x"]["a"].raw() == "\"\\u0041\"");
    CHECK(json["x"]["a"].text() == "A");
}

TEST_CASE("a value outlives the document's handle", "[json]") {
    Json kept;
    {
        Json const json = Json::parse(R"({"a":["deep"]})");
        kept = *json["a"].begin();
    }
    CHECK(kept.text() == "deep");
}

TEST_CASE("escapes become the characters they mean", "[json]") {
    Json const json = Json::parse(R"(["\"\\\/\b\f\n\r\t","\u00e9\u20AC\ud83d\ude00","a\u0000b"])");
    auto item = json.begin();
    CHECK((*item).text() == "\"\\/\b\f\n\r\t");
    CHECK((*++item).text() == "é€😀");
    CHECK((*++item).text() == std::string_view("a\0b", 3));
}

TEST_CASE("what is not JSON is refused", "[json]") {
    auto const text =
        GENERATE(as<std::string>{}, "", " ", "{", "[1,]", "{\"a\":1,}", "[1 2]", "nul", "truex",
                 "01", "-", "1.", "1e", ".5", "+1", "'a'", "\"a", "\"\\x\"", "\"\\u12\"", "\"\t\"",
                 "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "{a:1}", "{\"a\"}", "1 1",
                 "[]]", "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}", "\xff", "\"\xc0\x80\"",
                 "\"\xed\xa0\x80\"", "\xef\xbb\xbf{}", "NaN", "{\"a\":1 \"b\":2}");
    CAPTURE(text);
    std::string why;
    CHECK_FALSE(Json::parse(text, &why).exists());
    CHECK_FALSE(why.empty());
}

TEST_CASE("depth, size and number of values are bounded", "[json]") {
    auto nested = [](std::size_t depth) {
        return std::string(depth, '[') + std::string(depth, ']');
    };
    CHECK(Json::parse(nested(64)).exists());
    CHECK_FALSE(Json::parse(nested(65)).exists());
    CHECK_FALSE(Json::parse(std::string(1 << 20, '[')).exists());
    CHECK_FALSE(Json::parse("[1,2,3]", nullptr, {.bytes = 6}).exists());
    CHECK_FALSE(Json::parse("[1,2,3]", nullptr, {.values = 3}).exists());
    CHECK(Json::parse("[1,2,3]", nullptr, {.values = 4}).exists());
}

TEST_CASE("integers are exact or not taken", "[json]") {
    CHECK(Json::parse("9223372036854775807").integer() == INT64_MAX);
    CHECK(Json::parse("-9223372036854775808").integer() == INT64_MIN);
    CHECK(Json::parse("9223372036854775808").integer(5) == 5);
    CHECK(Json::parse("1.0").integer(5) == 5);
    CHECK(Json::parse("1e400").number(5) == 5);
}

TEST_CASE("what is written reads back as it was", "[json]") {
    std::string all;
    for (int byte = 0; byte < 128; ++byte) all += static_cast<char>(byte);
    all += "é€😀";
    JsonWriter out;
    out.begin('{').pair("text", all).pair("n", -7).pair("t", true);
    out.key("list").begin('[').value(1).null().begin('{').end('}').raw("[ ]").end(']').end('}');
    Json const back = Json::parse(out.text());
    CHECK(back["text"].text() == all);
    CHECK(back["n"].integer() == -7);
    CHECK(back["list"].raw() == "[1,null,{},[ ]]");
}

TEST_CASE("broken UTF-8 never leaves the writer", "[json]") {
    CHECK(json_of("a", "x\xff\xe2\x82y") == "{\"a\":\"x\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDy\"}");
    CHECK(visible_utf8("a\xff\xc3") == "a\\xff\\xc3");
    CHECK(utf8_cut("aé", 2) == "a");
    CHECK(utf8_cut("aé", 3) == "aé");
}

TEST_CASE("random damage is either refused or reads back the same", "[json]") {
    std::string const good =
        R"({"type":"text","list":[1,2.5,-3e2,true,false,null,"\u00e9\n"],"o":{"a":{"b":{}}},"é":"😀"})";
    auto const seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937 random(seed);
    for (int round = 0; round < 200'000; ++round) {
        std::string text = good;
        for (unsigned damage = 1 + random() % 4; damage > 0; --damage) {
            std::size_t const at = random() % text.size();
            switch (random() % 4) {
                case 0: text[at] = static_cast<char>(random()); break;
                case 1: text.erase(at, 1 + random() % 5); break;
                case 2: text.insert(at, 1, "\"\\{}[]:,u0"[random() % 10]); break;
                default: text.resize(at); break;
            }
            if (text.empty()) text = "x";
        }
        Json const json = Json::parse(text);
        if (!json.exists()) continue;
        Json const again = Json::parse(json.raw());
        if (!again.exists() || again.size() != json.size()) FAIL(text);
    }
    SUCCEED();
}
