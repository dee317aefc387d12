#include "base/limits.hpp"
#include "wire/client.hpp"

#include <catch2/catch.hpp>

using namespace parley;

namespace {

std::vector<std::string> events_of(std::string_view text, std::size_t split, bool& good) {
    EventParser parser;
    std::vector<std::string> events;
    auto each = [&](EventParser::Event event) {
        events.push_back(event.event + "|" + event.data + "|" + event.id);
    };
    good = bool(parser.feed(text.substr(0, split), each)) &&
           bool(parser.feed(text.substr(split), each));
    return events;
}

}  // namespace

TEST_CASE("events are the same wherever the stream is split", "[wire]") {
    // The literal holds a NUL, hence its size by hand.
    static std::string const text(
        "\xef\xbb\xbf: comment\ndata: one\n\n"
        "event: add\r\ndata:two\r\ndata: lines\r\nid: 7\r\n\r\n"
        "data\r\rdata:  padded\rretry: 9\runknown: x\rid\r\r"
        "event: lonely\n\n"
        "data: a: b\n\n"
        "id: with\0nul\ndata\n\ndata: unfinished\n", 175);
    std::vector<std::string> const expected{"message|one|", "add|two\nlines|7", "message||7",
                                            "message| padded|", "message|a: b|", "message||"};
    for (std::size_t split = 0; split <= text.size(); ++split) {
        auto good = false;
        auto events = events_of(text, split, good);
        REQUIRE(good);
        REQUIRE(events == expected);
    }
}

TEST_CASE("a stream fed byte by byte gives the same events", "[wire]") {
    EventParser parser;
    std::vector<std::string> events;
    for (char c : std::string_view("id: 1\r\ndata: x\r\n\r\ndata: y\n\n"))
        REQUIRE(parser.feed(
            {&c, 1}, [&](EventParser::Event event) { events.push_back(event.data + event.id); }));
    CHECK(events == std::vector<std::string>{"x1", "y1"});
}

TEST_CASE("a line or an event without end is refused", "[wire]") {
    std::string const line(limits::sse_line_bytes, 'x');
    EventParser one;
    CHECK(one.feed(line, [](auto) {}));
    CHECK(one.feed("y", [](auto) {}).error().fault == Fault::bad_input);

    EventParser many;
    std::string const short_line = "data: " + std::string(1000, 'x') + "\n";
    auto result = ok();
    for (int i = 0; i < 2000 && result; ++i) result = many.feed(short_line, [](auto) {});
    CHECK_FALSE(result);
}
