// Files that go with a message: what their names may be, and what is left of a hostile list.
#include "plugin/attachment.hpp"

#include "base/limits.hpp"
#include "base/text.hpp"

#include <boost/json/value.hpp>
#include <catch2/catch.hpp>

using namespace parley;

TEST_CASE("whatever a file was called, its name is plain", "[attachment]") {
    struct Row {
        std::string given, plain;
    };
    Row const rows[] = {
        {"report.pdf", "report.pdf"},
        {"Grüße 2026.txt", "Grüße 2026.txt"},
        {"../../etc/passwd", "passwd"},
        {"C:\\docs\\report.pdf", "report.pdf"},
        {"/", "file"},
        {"", "file"},
        {".", "file"},
        {"..", "file"},
        {"...", "file"},
        {".bashrc", "bashrc"},
        {"-rf", "rf"},
        {"--help.txt", "help.txt"},
        {"a\nb\tc\x01.txt", "abc.txt"},
        {"photo\u202egpj.exe", "photogpj.exe"},
        {"zero\u200bwidth\ufeff", "zerowidth"},
        {"broken\xff\xfe.txt", "broken.txt"},
        {"dot. . ", "dot"},
        {std::string("nul\0.txt", 8), "nul.txt"},
    };
    for (auto const& row : rows) {
        INFO(visible(row.given));
        CHECK(plain_file_name(row.given) == row.plain);
    }
}

TEST_CASE("a long name is cut between characters, and keeps its ending", "[attachment]") {
    auto name = plain_file_name("x" + std::string(400, 'a') + ".pdf");
    CHECK(name.size() == limits::attachment_name_bytes);
    CHECK(name.ends_with(".pdf"));
    std::string wide;
    for (int i = 0; i < 200; ++i) wide += "ü";
    for (auto const* ending : {"", ".x", ".pdf", ".an-ending-that-is-too-long-for-one"}) {
        auto cut = plain_file_name(wide + ending);
        CHECK(cut.size() <= limits::attachment_name_bytes);
        CHECK(is_utf8(cut));
    }
}

TEST_CASE("of a list only attachments are taken, and only so many", "[attachment]") {
    auto id = "b-" + std::string(64, 'a');
    auto list = [&](std::string const& items) {
        auto value = parse_json(R"({"attachments":[)" + items + "]}");
        REQUIRE(value);
        return attachments_in(*value, "attachments");
    };
    auto one = list(R"({"blob":")" + id + R"(","name":"a/b.txt","type":"text/plain","bytes":3})");
    REQUIRE(one.size() == 1);
    CHECK(one[0].blob == id);
    CHECK(one[0].name == "b.txt");
    CHECK(one[0].type == "text/plain");
    CHECK(one[0].bytes == 3);
    JsonWriter out;
    write_attachments(out, one);
    CHECK(out.text() ==
          R"([{"blob":")" + id + R"(","name":"b.txt","type":"text/plain","bytes":3}])");

    for (auto const* type : {"", "text", "text/", "/plain", "text/plain; x=y", "a/b/c",
                             "te xt/plain", "text/pl\\u000aain"}) {
        INFO(type);
        auto typed = list(R"({"blob":")" + id + R"(","type":")" + type + R"(","bytes":-7})");
        REQUIRE(typed.size() == 1);
        CHECK(typed[0].type.empty());
        CHECK(typed[0].bytes == 0);
        CHECK(typed[0].name == "file");
    }
    for (auto const* wrong :
         {"7", "{}", "null", "[]", R"({"blob":7})", R"({"blob":"../x"})", R"({"blob":"b-zz"})"})
        CHECK(list(wrong).empty());
    std::string many;
    for (std::size_t i = 0; i < limits::attachments + 5; ++i)
        many += (many.empty() ? "" : ",") + (R"({"blob":")" + id + "\"}");
    CHECK(list(many).size() == limits::attachments);
    for (auto const* other : {R"({})", R"({"attachments":{}})", R"({"attachments":"x"})", "[]"})
        CHECK(attachments_in(*parse_json(other), "attachments").empty());
}
