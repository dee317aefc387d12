// What is Rust's own in its layer: JSON as it reads and writes it, and its handles. All else is
// tested together with the layer in C++.
#include "test_host.hpp"

#include <catch2/catch.hpp>

using namespace contract;

namespace {
constexpr char layer[] = RUST_LAYER_PLUGIN;

// What the reader in Rust says to a text: the value as it writes it again, or why not.
std::string read(TestHost& host, std::string_view text) {
    auto const call = host.run(Verb::skill_invoke, json_of("skill", "read", "text", text));
    REQUIRE(call.succeeded());
    auto const answer = call.answer();
    return std::string(answer["why"] ? answer["why"].text() : answer["value"].raw());
}
}  // namespace

TEST_CASE("Rust writes what it read", "[rust]") {
    TestHost host(layer);
    CHECK(read(host, R"( {"a" : [1.50e3, -0, true, null, "x"], "b":{}, "":[]} )") ==
          R"({"a":[1.50e3,-0,true,null,"x"],"b":{},"":[]})");
    CHECK(read(host, R"("\u0041\ud83d\ude00\/\b\u007f\"\\\n")") ==
          "\"A\xF0\x9F\x98\x80/\\u0008\\u007f\\\"\\\\\\n\"");
    CHECK(read(host, "12345678901234567890") == "12345678901234567890");
}

TEST_CASE("Rust refuses what C and C++ refuse, for the same reason", "[rust]") {
    TestHost host(layer);
    for (std::string const text : {"",
                                   "{\"a\":1,}",
                                   "[1 2]",
                                   "01",
                                   "1.",
                                   "1e",
                                   "-",
                                   "\"a\nb\"",
                                   "\"\\x\"",
                                   "\"\\ud800\"",
                                   "\"\\udc00\"",
                                   "\"\\ud800\\u0041\"",
                                   "\"\\u12g4\"",
                                   "\"\\u+123\"",
                                   "\"a",
                                   "true false",
                                   "tru",
                                   "{\"a\":1,\"\\u0061\":2}",
                                   "[",
                                   "{",
                                   "{\"a\"}",
                                   "{1:2}"}) {
        INFO(text);
        std::string why;
        CHECK_FALSE(Json::parse(text, &why));
        CHECK(read(host, text).substr(read(host, text).rfind(": ")) == why.substr(why.rfind(": ")));
    }
    std::string const deep(64, '['), end(64, ']');
    auto const call = host.run(Verb::skill_invoke, json_of("skill", "read", "text", deep + end));
    CHECK(call.result == R"({"value":)" + deep + end + "}");
    CHECK_THAT(read(host, "[" + deep + end + "]"), Catch::Contains("nested too deeply"));
}

TEST_CASE("what is stopped in Rust calls back no more", "[rust]") {
    TestHost host(layer);
    CHECK(host.run(Verb::skill_invoke, json_of("skill", "stop")).succeeded());
    CHECK_FALSE(host.timers.at(0).open);
    CHECK(host.logs.empty());
}

TEST_CASE("a panic tells the operator its place", "[rust]") {
    TestHost host(layer);
    host.run(Verb::skill_invoke, json_of("skill", "throw"));
    REQUIRE(host.logs.size() == 1);
    CHECK_THAT(host.logs[0], Catch::Contains("layer.rs"));
}
