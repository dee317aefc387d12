#include "cli/context.hpp"

#include "base/text.hpp"
#include "kit.hpp"

using namespace parley;
using namespace std::string_literals;

namespace {

json::value parsed(std::string const& text) {
    auto value = parse_json(text);
    REQUIRE(value);
    return std::move(*value);
}

std::string table(std::string const& list, std::initializer_list<char const*> columns) {
    Shell shell;
    return shell.hear([&] { return print_table(parsed(list), columns), 0; }).out;
}

std::string members(std::string const& object) {
    Shell shell;
    return shell.hear([&] { return print_members(parsed(object)), 0; }).out;
}

std::string document(std::string const& text) {
    Shell shell;
    Context context;
    context.json = true;
    return shell.hear([&] { return print_json(context, text) ? 0 : 1; }).out;
}

// What moves a terminal's cursor, turns text around or hides it, as a stranger would write it.
constexpr char hostile[] = "\\u001b[2J\\u009b31m\\u202e\\u200b\\u007f\\u0000";

bool is_tame(std::string_view text) {
    for (auto const* bad : {"\x1b", "\u009b", "\u202e", "\u200b", "\x7f"})
        if (text.find(bad) != std::string_view::npos) return false;
    return text.find('\0') == std::string_view::npos;
}

}  // namespace

TEST_CASE("a table has a line of names and a line for each item, in columns", "[cli]") {
    REQUIRE(table(R"({"items":[{"name":"a","count":7},{"name":"longer","count":12}]})",
                  {"name", "count"}) ==
            "name    count\n"
            "a       7\n"
            "longer  12\n");
}

TEST_CASE("what an item does not say is a dash", "[cli]") {
    REQUIRE(table(R"({"items":[{"a":null},{"b":false},7,null]})", {"a", "b"}) ==
            "a  b\n"
            "-  -\n"
            "-  false\n"
            "-  -\n"
            "-  -\n");
}

TEST_CASE("an answer that is no list is an empty table", "[cli]") {
    for (auto const* answer : {"{}", "[]", "7", "null", R"({"items":null})", R"({"items":{}})"})
        REQUIRE(table(answer, {"name"}) == "name\n");
}

TEST_CASE("a cell stays on its line and within its width, cut inside no character", "[cli]") {
    REQUIRE(table(R"({"items":[{"a":"one\ntwo"}]})", {"a"}) == "a\none two\n");
    auto most = std::string(68, 'x');
    auto cut = table("{\"items\":[{\"a\":\"" + most + "\u00e9\u00e9\u00e9\"}]}", {"a"});
    REQUIRE(cut == "a\n" + most + "...\n");
}

TEST_CASE("nothing that a stranger wrote reaches the terminal as a command, wherever it stands",
          "[cli]") {
    auto text = "\""s + hostile + '"';
    for (auto const& value :
         {text, "[" + text + "]", "{\"sender\":" + text + "}", "[{\"sender\":" + text + "}]"}) {
        INFO(value);
        REQUIRE(is_tame(table("{\"items\":[{\"a\":" + value + "}]}", {"a"})));
        REQUIRE(is_tame(members("{\"a\":" + value + "}")));
        auto line = record_line(parsed(R"({"seq":1,"kind":"message.received","body":{"text":)" +
                                       value + ",\"sender\":" + value + "}}"));
        REQUIRE(is_tame(line));
    }
    REQUIRE(is_tame(members("{\""s + hostile + "\":1,\"b\":{\"" + hostile + "\":\"x\"}}")));
}

TEST_CASE("members are shown one a line, those of a member below it, and long text as a block",
          "[cli]") {
    REQUIRE(members(R"({"id":"s-1","cost":1.5,"none":null,"list":["a",1],
                        "inner":{"deep":{"x":true}},"text":"a\nb"})") ==
            "id: s-1\n"
            "cost: 1.5E0\n"
            "none: null\n"
            "list: [\"a\",1]\n"
            "inner:\n"
            "  deep:\n"
            "    x: true\n"
            "text:\n"
            "a\nb\n");
}

TEST_CASE("a record is one line: number, time, kind, whose, and what it says", "[cli]") {
    auto record = parsed(R"({"seq":42,"time":"2026-11-23T06:05:00.123456Z","kind":"skill.failed",
        "session":"s-1","call":"c-3","body":{"other":1,"why":"two\nlines","skill":"shell"}})");
    REQUIRE(record_line(record) ==
            "    42  2026-11-23T06:05:00  skill.failed  s-1  c-3  skill=shell  why=two lines");
}

TEST_CASE("a record with a long text or an odd shape is still one short line", "[cli]") {
    auto line = record_line(
        parsed(R"({"seq":1,"kind":"k","body":{"text":")" + std::string(100'000, 'x') + "\"}}"));
    REQUIRE(line.size() < 250);
    for (auto const* odd :
         {"{}", "[]", "null", R"({"seq":"x","time":7,"body":"text"})", R"({"body":[1]})"})
        REQUIRE(record_line(parsed(odd)).find('\n') == std::string::npos);
}

TEST_CASE("a document for programs begins with its version, once", "[cli]") {
    REQUIRE(document("{}") == "{\"version\":1}\n");
    REQUIRE(document(R"({"items":[]})") == "{\"version\":1,\"items\":[]}\n");
    REQUIRE(document(R"({"version":1,"items":[]})") == "{\"version\":1,\"items\":[]}\n");
}

TEST_CASE("who did not ask for a document gets none", "[cli]") {
    Shell shell;
    Context context;
    auto said = shell.hear([&] { return print_json(context, "{}") ? 0 : 1; });
    REQUIRE(said.code == 1);
    REQUIRE(said.out.empty());
}

TEST_CASE("an error is one word of whose it is and what is wrong, on standard error", "[cli]") {
    Shell shell;
    auto said = shell.hear([&] { return fail("no\x1b[2J host"); });
    REQUIRE(said.code == 1);
    REQUIRE(said.out.empty());
    REQUIRE(said.err == "parley: no\\u{1b}[2J host\n");
}

TEST_CASE("what a person types stands in a path as one part, to the byte", "[cli]") {
    REQUIRE(percent_encoded("aZ09-_.~") == "aZ09-_.~");
    REQUIRE(percent_encoded("../a b?c#d%\n\xff&=+") == "..%2Fa%20b%3Fc%23d%25%0A%FF%26%3D%2B");
    REQUIRE(percent_encoded("\0"s) == "%00");
    REQUIRE(percent_encoded("").empty());
}
