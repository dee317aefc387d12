// That the comparison can fail, and what the zoo's plugin makes of the link itself.
#include "stage.hpp"

#include <fstream>

using namespace parity;

TEST_CASE("a plugin that does what it may not has two transcripts", "[link]") {
    std::string act = GENERATE("read NOTE", "fork", "socket", "surroundings");
    auto both = play_both_ways(zoo("zoo"), [&](Stage& stage) {
        auto note = stage.folder.path / "note";
        std::ofstream(note) << "of the host";
        stage.transcript.name(note, "<note>");
        auto request = act;
        if (auto at = request.find("NOTE"); at != request.npos)
            request.replace(at, 4, note.string());
        stage.call(Verb::skill_invoke, request);
    });
    INFO(act);
    CHECK_FALSE(both.difference().empty());
    // And in nothing else.
    CHECK(both.difference().starts_with("in the process: heard COMPLETE"));
}

TEST_CASE("every way to use the link leaves the same transcript", "[link]") {
    auto both = play_both_ways(zoo("zoo"), [](Stage& stage) {
        stage.configure("{}");
        for (auto const* request : {"echo hello",
                                    "fail no",
                                    "negative",
                                    "forget",
                                    "unknown",
                                    "twice",
                                    "late x",
                                    "stream 40 20000",
                                    "big 300000",
                                    "flood",
                                    "invalid",
                                    "log a line",
                                    "timer 1",
                                    "kv put a one",
                                    "kv get a",
                                    "kv del a",
                                    "kv get a",
                                    "reveal open",
                                    R"(http {"url":"https://not.declared.example/"})",
                                    "service parley.host.http/1",
                                    "service parley.host.unknown/9"})
            stage.call(Verb::skill_invoke, request);
        stage.call(Verb::skill_preview, "echo hello");
        stage.call(Verb::skill_invoke, "echo " + std::string(200000, 'e'));
        Answer answer;
        auto call = stage.start(Verb::skill_invoke, "cursor c-1", answer);
        CHECK(stage.until([&] { return !answer.items.empty(); }));
        stage.worker->acknowledge(call, "c-1", 3);
        CHECK(stage.until([&] { return answer.result.has_value(); }));
        Answer wait;
        stage.cancel(stage.start(Verb::skill_invoke, "wait", wait), wait);
    });
    CHECK(both.difference() == "");
}
