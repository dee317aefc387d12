#include "trace/trace.hpp"

#include "temp_folder.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <thread>
#include <vector>

using namespace parley;
using namespace std::string_literals;
using Catch::Matchers::Contains;

namespace {

// The lines that `work` leaves on standard error.
std::vector<std::string> lines_of(std::function<void(Trace&)> const& work) {
    TempFolder folder;
    auto path = folder.path / "err";
    int const kept = dup(2);
    int const file = open(path.c_str(), O_WRONLY | O_CREAT, 0600);
    dup2(file, 2);
    close(file);
    {
        Trace trace;
        work(trace);
        trace.flush();
    }
    std::fflush(stderr);
    dup2(kept, 2);
    close(kept);
    std::vector<std::string> lines;
    std::ifstream in(path, std::ios::binary);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

std::string line_of(std::string_view text) {
    auto lines = lines_of([&](Trace& trace) { trace.write(Trace::Level::info, text); });
    REQUIRE(lines.size() == 1);
    return lines[0];
}

// Of a trace that knows one secret.
std::string masked(std::string const& secret, std::string_view text) {
    auto lines = lines_of([&](Trace& trace) {
        trace.scrub_with([secret](std::string& line) {
            bool found = false;
            for (std::size_t at; (at = line.find(secret)) != std::string::npos; found = true)
                line.replace(at, secret.size(), "[secret]");
            return found;
        });
        trace.write(Trace::Level::warn, text);
    });
    REQUIRE(lines.size() == 1);
    return lines[0];
}

}  // namespace

TEST_CASE("a line says when, how bad, and what", "[trace]") {
    auto line = line_of("the host is ready");
    // 2026-11-23T06:05:00.123 info the host is ready
    REQUIRE(line.size() == 23 + " info the host is ready"s.size());
    REQUIRE(line[10] == 'T');
    REQUIRE_THAT(line.substr(23), Catch::Matchers::Equals(" info the host is ready"));
}

TEST_CASE("a debug line is not shown; each other carries its level", "[trace]") {
    auto lines = lines_of([](Trace& trace) {
        trace.write(Trace::Level::debug, "a");
        trace.write(Trace::Level::info, "b");
        trace.write(Trace::Level::warn, "c");
        trace.write(Trace::Level::error, "d");
    });
    REQUIRE(lines.size() == 3);
    REQUIRE_THAT(lines[0], Catch::Matchers::EndsWith(" info b"));
    REQUIRE_THAT(lines[1], Catch::Matchers::EndsWith(" warning c"));
    REQUIRE_THAT(lines[2], Catch::Matchers::EndsWith(" error d"));
}

TEST_CASE("one write is one line, whatever it holds", "[trace]") {
    for (auto const& text :
         {"a\nb"s, "\n\n\n"s, "a\r\nb"s, "a\vb\fc"s, "a\u2028b\u0085c"s, "a\0b"s, ""s}) {
        auto line = line_of(text);
        for (char c : line) REQUIRE(static_cast<unsigned char>(c) >= 0x20);
        REQUIRE(line.find("\u2028") == std::string::npos);
        REQUIRE(line.find("\u0085") == std::string::npos);
    }
}

TEST_CASE("a text cannot forge a second line, nor command the terminal", "[trace]") {
    auto line =
        line_of("x\n2026-11-23T06:05:00.000 error the vault is gone\x1b[2J\u009b31m\u202e\xff");
    REQUIRE_THAT(line, Contains("x 2026-11-23"));
    for (auto const* shown : {"\\u{1b}", "\\u{9b}", "\\u{202e}", "\\xff"})
        REQUIRE_THAT(line, Contains(shown));
}

TEST_CASE("braces and percent signs are text", "[trace]") {
    REQUIRE_THAT(line_of("{} {0} {:>99999} %s %n"), Contains("{} {0} {:>99999} %s %n"));
}

TEST_CASE("a secret is masked wherever it stands in a line, as often as it does", "[trace]") {
    auto secret = "correct horse battery"s;
    auto line = masked(secret, "a " + secret + secret + "\n" + secret);
    REQUIRE_THAT(line, Contains("a [secret][secret] [secret]"));
}

TEST_CASE("a secret of several lines is masked, though a trace has but one", "[trace]") {
    auto secret = "-----BEGIN KEY-----\nMC4CAQAw\r\nBQYDK2Vw\n-----END KEY-----\n"s;
    auto line = masked(secret, "the key is " + secret + "!");
    REQUIRE_THAT(line, Contains("the key is [secret]!"));
}

TEST_CASE("a secret is masked though its bytes are such as a trace makes visible", "[trace]") {
    for (auto const& secret : {"pass\\x41word\\u0041"s, "pass\tword\x01word"s,
                               "pass\u00a0word\u200b"s, "pass\xffword\x80"s, "pass\0word"s}) {
        auto line = masked(secret, "<" + secret + ">");
        REQUIRE_THAT(line, Contains("<[secret]>"));
    }
}

TEST_CASE("a secret that only shows when a text has become one line is masked too", "[trace]") {
    REQUIRE_THAT(masked("correct horse battery", "<correct\nhorse\nbattery>"),
                 Contains("<[secret]>"));
}

TEST_CASE("lines of many threads stay whole", "[trace]") {
    auto lines = lines_of([](Trace& trace) {
        trace.scrub_with([](std::string&) { return false; });
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i)
            threads.emplace_back([&trace, i] {
                for (int k = 0; k < 100; ++k)
                    trace.write(Trace::Level::info,
                                '<' + std::string(200, static_cast<char>('a' + i)) + '>');
            });
        for (auto& thread : threads) thread.join();
    });
    REQUIRE(lines.size() == 400);
    for (auto const& line : lines) {
        auto text = line.substr(line.find('<'));
        REQUIRE(text == '<' + std::string(200, text[1]) + '>');
    }
}
