#include "base/clock.hpp"
#include "base/hash.hpp"
#include "base/ids.hpp"
#include "base/json.hpp"
#include "base/secret.hpp"
#include "base/text.hpp"

#include <boost/json/value.hpp>
#include <catch2/catch.hpp>

#include <type_traits>

using namespace parley;

TEST_CASE("a key that stands twice in one object is refused at any depth", "[base]") {
    REQUIRE_FALSE(parse_json(R"({"a":1,"a":2})"));
    REQUIRE_FALSE(parse_json(R"({"x":[{"a":1,"\u0061":2}]})"));
    REQUIRE(parse_json(R"({"a":1,"b":{"a":2}})"));
}

TEST_CASE("a number that no double holds is refused", "[base]") {
    CHECK_FALSE(parse_json("[1e999]"));
    CHECK_FALSE(parse_json("18446744073E709551615"));
    CHECK(parse_json("[1.7e308, -18446744073709551616]"));
}

TEST_CASE("what is not exactly one JSON value is refused", "[base]") {
    for (auto const* text : {"", "{", "{}x", "[1,]", "nul", "\"\xff\"", "'a'", "{\"a\":1}{}", "\xef\xbb\xbf{}"})
        REQUIRE_FALSE(parse_json(text));
    REQUIRE_FALSE(parse_json(std::string(100, '[') + std::string(100, ']')));
    REQUIRE(parse_json(" {\"a\":[1,2.5,null,true,\"\\ud83d\\ude00\"]} "));
}

TEST_CASE("written JSON reads back as it was", "[base]") {
    std::string odd = "q\" b\\ n\n t\t \x01 \xc3\xa9";
    JsonWriter out;
    out.begin('{').pair("odd", odd).key("list").begin('[').number(-7).boolean(true).null();
    out.begin('{').end('}').end(']').pair("n", std::int64_t(1) << 60).end('}');
    auto value = parse_json(out.text());
    REQUIRE(value);
    REQUIRE(text_at(*value, "odd") == odd);
    REQUIRE(int_at(*value, "n") == std::int64_t(1) << 60);
}

TEST_CASE("money is written exactly", "[base]") {
    auto text = [](std::int64_t nano) {
        JsonWriter out;
        out.usd(nano);
        return out.take();
    };
    REQUIRE(text(0) == "0");
    REQUIRE(text(1) == "0.000000001");
    REQUIRE(text(1'500'000'000) == "1.5");
    REQUIRE(text(-2'000'000'000) == "-2");
}

TEST_CASE("text that is not UTF-8 is seen as such", "[base]") {
    for (auto const* text : {"\x80", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\xc3"})
        REQUIRE_FALSE(is_utf8(text));
    REQUIRE(is_utf8("\xf0\x9f\x98\x80 \xc3\xa9"));
}

TEST_CASE("visible text shows what would hide, and cannot be forged", "[base]") {
    REQUIRE(visible("a\x1b[2J") == "a\\u{1b}[2J");
    REQUIRE(visible("\xe2\x80\xae") == "\\u{202e}");
    REQUIRE(visible("\\u{202e}") == "\\\\u{202e}");
    REQUIRE(visible("\xff") == "\\xff");
    REQUIRE(visible("\\xff") == "\\\\xff");
    REQUIRE(visible("one\ntwo") == "one\ntwo");
    REQUIRE(visible("C:\\dir") == "C:\\dir");
}

TEST_CASE("cutting text never splits a character", "[base]") {
    REQUIRE(clipped("a\xc3\xa9", 2) == "a");
    REQUIRE(clipped("abc", 2) == "ab");
    REQUIRE(clipped("\xf0\x9f\x98\x80", 3).empty());
}

TEST_CASE("the canonical form keeps fields apart", "[base]") {
    auto one = Hasher("t").field(std::string_view("ab")).field(std::string_view("c")).done();
    auto two = Hasher("t").field(std::string_view("a")).field(std::string_view("bc")).done();
    auto other = Hasher("u").field(std::string_view("ab")).field(std::string_view("c")).done();
    REQUIRE(one != two);
    REQUIRE(one != other);
}

TEST_CASE("ids sort by time and never repeat", "[base]") {
    auto a = fresh_id("s-", 1'000'000), b = fresh_id("s-", 1'000'000), c = fresh_id("s-", 2'000'000);
    REQUIRE(a != b);
    REQUIRE(a < c);
    REQUIRE(a.size() == 2 + 26);
}

TEST_CASE("names hold nothing that could mean a path or a pattern", "[base]") {
    for (auto const* bad : {"", ".", "..", "-a", "A", "a/b", "a b", "a*", "\xc3\xa9"}) REQUIRE_FALSE(is_name(bad));
    REQUIRE(is_name("tg-main_1.x"));
    REQUIRE_FALSE(is_name(std::string(65, 'a')));
}

TEST_CASE("a secret can be moved and compared in constant time, and nothing else", "[base]") {
    static_assert(!std::is_copy_constructible_v<Secret>);
    static_assert(!std::is_copy_assignable_v<Secret>);
    static_assert(!std::is_convertible_v<Secret, std::string>);
    auto secret = Secret::from("twelve bytes");
    REQUIRE(secret);
    REQUIRE(secret->equals("twelve bytes"));
    REQUIRE_FALSE(secret->equals("twelve byteS"));
    REQUIRE_FALSE(secret->equals("twelve"));
}

TEST_CASE("times are written in UTC to the microsecond", "[base]") {
    REQUIRE(iso_time(0) == "1970-01-01T00:00:00.000000Z");
    REQUIRE(iso_time(1'795'500'300'123'456) == "2026-11-24T06:05:00.123456Z");
}

TEST_CASE("whatever a text holds, it is one word of a shell", "[text]") {
    REQUIRE(shell_word("id:5") == "id:5");
    REQUIRE(shell_word("/home/ada/parley") == "/home/ada/parley");
    REQUIRE(shell_word("") == "''");
    REQUIRE(shell_word("-rf") == "'-rf'");
    REQUIRE(shell_word("mask:a!b@c") == "'mask:a!b@c'");
    REQUIRE(shell_word("a'; b #") == "'a'\\''; b #'");
    REQUIRE(shell_word("$(x) `y` ~") == "'$(x) `y` ~'");
}
