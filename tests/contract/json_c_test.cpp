// parley/json.h: what a plugin in C reads and writes, within the bounds that it was given.
#include "json_c.h"
#include "parley/json.h"
#include "parley/json.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <string>
#include <string_view>

namespace {

// A document with room of its own.
struct Read {
    explicit Read(std::string text_in, std::size_t room = 64) : text(std::move(text_in)) {
        fine = parley_json_read(&document, text.data(), text.size(), nodes.data(), room) == 1;
    }
    Read(Read const&) = delete;
    parley_json_value root() const { return parley_json_root(&document); }
    parley_json_value get(char const* name) const { return parley_json_get(root(), name); }

    std::string text;
    std::array<parley_json_node, 256> nodes{};
    parley_json document{};
    bool fine = false;
};

std::string text_of(parley_json_value value) {
    char out[64];
    auto const size = parley_json_text(value, out, sizeof out);
    return size == PARLEY_JSON_NONE ? "(none)" : std::string(out, size);
}

std::string why(std::string text, std::size_t room = 64) {
    Read const read(std::move(text), room);
    return read.fine ? "" : read.document.why;
}

}  // namespace

TEST_CASE("C reads values of every kind", "[json.h]") {
    Read const read(
        R"( {"t":true,"f":false,"n":null,"i":-42,"d":1.5e1,"s":"x","a":[1,2],"o":{}} )");
    REQUIRE(read.fine);
    CHECK(parley_json_count(read.root()) == 8);
    CHECK(parley_json_truth(read.get("t"), 0) == 1);
    CHECK(parley_json_truth(read.get("f"), 1) == 0);
    CHECK(parley_json_truth(read.get("i"), 1) == 1);
    CHECK(parley_json_kind(read.get("n")) == PARLEY_JSON_NULL);
    CHECK(parley_json_integer(read.get("i"), 0) == -42);
    CHECK(parley_json_integer(read.get("d"), 7) == 7);
    CHECK(parley_json_number(read.get("d"), 0) == 15.0);
    CHECK(text_of(read.get("s")) == "x");
    CHECK(parley_json_is(read.get("s"), "x"));
    CHECK_FALSE(parley_json_is(read.get("s"), "xy"));
    CHECK(parley_json_integer(parley_json_next(parley_json_first(read.get("a"))), 0) == 2);
    CHECK(parley_json_kind(parley_json_first(read.get("o"))) == PARLEY_JSON_MISSING);
}

TEST_CASE("in C a path over what is not there ends in the fallback", "[json.h]") {
    Read const read(R"({"a":{"b":1}})");
    auto const missing = parley_json_get(parley_json_get(read.get("a"), "x"), "y");
    CHECK(parley_json_kind(missing) == PARLEY_JSON_MISSING);
    CHECK(parley_json_integer(missing, 5) == 5);
    CHECK(parley_json_count(missing) == 0);
    CHECK(text_of(missing) == "(none)");
    std::size_t size = 1;
    parley_json_raw(missing, &size);
    CHECK(size == 0);
    CHECK(parley_json_kind(parley_json_next(missing)) == PARLEY_JSON_MISSING);
}

TEST_CASE("C resolves escapes in texts and in names", "[json.h]") {
    Read const read(R"({"a\u0062":"\ud83d\ude00 \"\\\/\b\f\n\r\t\u00e9","z":"a\u0000b"})");
    REQUIRE(read.fine);
    CHECK(text_of(read.get("ab")) == "\xF0\x9F\x98\x80 \"\\/\b\f\n\r\t\xC3\xA9");
    CHECK(text_of(read.get("z")) == "(none)");
    std::size_t size = 0;
    auto const* raw = parley_json_raw(read.get("z"), &size);
    CHECK(std::string_view(raw, size) == R"("a\u0000b")");
}

TEST_CASE("in C a text that does not fit is not cut but refused", "[json.h]") {
    Read const read(R"({"s":"four","e":"\u00e9\u00e9"})");
    char out[5] = "####";
    CHECK(parley_json_text(read.get("s"), out, 5) == 4);
    CHECK(parley_json_text(read.get("s"), out, 4) == PARLEY_JSON_NONE);
    CHECK(out[0] == '\0');
    CHECK(parley_json_text(read.get("e"), out, 5) == 4);
    CHECK(parley_json_text(read.get("e"), out, 4) == PARLEY_JSON_NONE);
    CHECK(parley_json_text(read.get("s"), nullptr, 0) == PARLEY_JSON_NONE);
}

TEST_CASE("C says why a text is refused, and where", "[json.h]") {
    CHECK(why("") == "a value wanted");
    CHECK(why("{\"a\":1,}") == "a name in quotes wanted");
    CHECK(why("[1 2]") == "',' or ']' wanted");
    CHECK(why("01") == "a number with a leading zero");
    CHECK(why("1.") == "digits wanted");
    CHECK(why("\"a\nb\"") == "a control character in a string");
    CHECK(why("\"\\x\"") == "an unknown escape");
    CHECK(why("\"\\ud800\"") == "half of a surrogate pair");
    CHECK(why("\"\\u12g4\"") == "four hex digits wanted");
    CHECK(why("\"a") == "a string without its end");
    CHECK(why("\"\xC0\xAF\"") == "not UTF-8");
    CHECK(why("\"\xED\xA0\x80\"") == "not UTF-8");
    CHECK(why("true false") == "bytes after the value");
    CHECK(why("tru") == "a value wanted");
    Read const read("[1,\n x]");
    CHECK(read.document.at == 5);
    CHECK(parley_json_kind(read.root()) == PARLEY_JSON_MISSING);
}

TEST_CASE("C refuses a name that stands twice, however it is written", "[json.h]") {
    CHECK(why(R"({"a":1,"b":2,"\u0061":3})") == "a name stands twice in one object");
    CHECK(why(R"({"a":{"a":1},"b":[{"a":1},{"a":1}]})").empty());
    std::string many = "{";
    for (int i = 0; i < 100; ++i) many += '"' + std::to_string(i * 37 % 101) + "\":0,";
    CHECK(why(many + "\"x\":0}", 200).empty());
    CHECK(why(many + "\"74\":0}", 200) == "a name stands twice in one object");
}

TEST_CASE("C keeps to the depth and to the room that it was given", "[json.h]") {
    std::string const deep(64, '[');
    CHECK(why(deep + std::string(64, ']'), 100).empty());
    CHECK(why('[' + deep + std::string(65, ']'), 100) == "nested too deeply");
    CHECK(why("[1,2,3]", 4).empty());
    CHECK(why("[1,2,3]", 3) == "too many values");
    CHECK(why("1", 0) == "too many values");
}

TEST_CASE("in C integers end at 64 bits and numbers at what a double holds", "[json.h]") {
    auto integer = [](std::string text) {
        Read const read(std::move(text));
        return parley_json_integer(read.root(), 1);
    };
    CHECK(integer("9223372036854775807") == INT64_MAX);
    CHECK(integer("9223372036854775808") == 1);
    CHECK(integer("-9223372036854775808") == INT64_MIN);
    CHECK(integer("-9223372036854775809") == 1);
    CHECK(integer("-0") == 0);
    CHECK(integer("1e3") == 1);
    Read const huge("1e999"), longer(std::string(65, '1'));
    CHECK(parley_json_number(huge.root(), 2) == 2);
    CHECK(parley_json_number(longer.root(), 2) == 2);
}

TEST_CASE("what C writes is read again as the same", "[json.h]") {
    char buffer[256];
    auto out = parley_json_to(buffer, sizeof buffer);
    parley_json_begin(&out, '{');
    parley_json_key(&out, "quote\"");
    parley_json_string(&out, "a\n\x01\x7F\xC3\xA9\xFF");
    parley_json_key(&out, "list");
    parley_json_begin(&out, '[');
    parley_json_int(&out, INT64_MIN);
    parley_json_double(&out, 0.25);
    parley_json_bool(&out, 1);
    parley_json_null(&out);
    parley_json_begin(&out, '{');
    parley_json_end(&out, '}');
    parley_json_raw_of(&out, "[1]", 3);
    parley_json_end(&out, ']');
    parley_json_end(&out, '}');
    REQUIRE(parley_json_done(&out));
    auto const read = parley::Json::parse({out.text, out.size});
    CHECK(read["quote\""].text() == "a\n\x01\x7F\xC3\xA9\xEF\xBF\xBD");
    CHECK(read["list"].raw() == "[-9223372036854775808,0.25,true,null,{},[1]]");
}

TEST_CASE("in C what does not fit spoils the writer for good", "[json.h]") {
    char buffer[8];
    auto out = parley_json_to(buffer, sizeof buffer);
    parley_json_string(&out, "12345");
    CHECK(parley_json_done(&out));
    CHECK(std::string_view(buffer) == "\"12345\"");
    out = parley_json_to(buffer, sizeof buffer);
    parley_json_string(&out, "123456");
    CHECK_FALSE(parley_json_done(&out));
    parley_json_int(&out, 1);
    CHECK_FALSE(parley_json_done(&out));
    CHECK(std::string_view(buffer).size() < sizeof buffer);
    out = parley_json_to(nullptr, 0);
    parley_json_null(&out);
    CHECK_FALSE(parley_json_done(&out));
}

TEST_CASE("in C brackets, names and values that do not belong together are noticed", "[json.h]") {
    char buffer[512];
    auto spoiled = [&](auto write) {
        auto out = parley_json_to(buffer, sizeof buffer);
        write(&out);
        return !parley_json_done(&out);
    };
    CHECK(spoiled([](auto*) {}));
    CHECK(spoiled([](auto* out) { parley_json_begin(out, '{'); }));
    CHECK(spoiled([](auto* out) { parley_json_begin(out, '{'), parley_json_end(out, ']'); }));
    CHECK(spoiled([](auto* out) { parley_json_end(out, '}'); }));
    CHECK(spoiled([](auto* out) { parley_json_key(out, "a"); }));
    CHECK(spoiled([](auto* out) { parley_json_null(out), parley_json_null(out); }));
    CHECK(spoiled([](auto* out) { parley_json_double(out, 1e308 * 10); }));
    CHECK(spoiled([](auto* out) {
        parley_json_begin(out, '{'), parley_json_null(out), parley_json_end(out, '}');
    }));
    CHECK(spoiled([](auto* out) {
        parley_json_begin(out, '{'), parley_json_key(out, "a"), parley_json_end(out, '}');
    }));
    CHECK(spoiled([](auto* out) {
        for (int i = 0; i < 65; ++i) parley_json_begin(out, '[');
        for (int i = 0; i < 65; ++i) parley_json_end(out, ']');
    }));
    CHECK_FALSE(spoiled([](auto* out) {
        for (int i = 0; i < 64; ++i) parley_json_begin(out, '[');
        for (int i = 0; i < 64; ++i) parley_json_end(out, ']');
    }));
}

TEST_CASE("the same header serves a plugin that is compiled as C", "[json.h]") {
    char out[64];
    std::string const request = R"({"wanted":{"first":1,"second":[2],"third":{"x":3}}})";
    auto const size = order_of(request.data(), request.size(), out, sizeof out);
    CHECK(std::string_view(out, size) == R"({"names":["first","second","third"],"count":3})");
    CHECK(order_of(request.data(), request.size(), out, 20) == 0);
    CHECK(order_of("{", 1, out, sizeof out) == 0);
}
