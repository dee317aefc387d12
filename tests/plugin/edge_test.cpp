// Tables of a plugin that end where its memory ends: the real worker reads no further.
#include "rig.hpp"

TEST_CASE("a verb beyond the end of a role's table is one that the plugin lacks", "[edge]") {
    Rig rig("edge");
    REQUIRE(rig.call("here").text() == "here");
    auto const pid = rig.get().pid();
    for (auto verb : {Verb::skill_reconcile, Verb::skill_preview, Verb::skill_list_dynamic}) {
        Answer answer;
        CallSink sink;
        sink.on_done = [&](Result<std::string> result) { answer.result = std::move(result); };
        rig.get().start(verb, "{}", {}, sink);
        REQUIRE(rig.until([&] { return answer.result.has_value(); }));
        CHECK(answer.result->error().fault == Fault::bad_input);
    }
    CHECK(rig.call("still here").text() == "still here");
    CHECK(rig.get().pid() == pid);
}

TEST_CASE("a sink that ends before its function hears nothing", "[edge]") {
    Answer open;
    bool asked = false;
    Rig rig("edge");
    rig.deps.kv_get = [&](std::string const&, std::string_view) {
        asked = true;
        return std::optional<std::string>("value");
    };
    REQUIRE(rig.call("here").text() == "here");
    auto const pid = rig.get().pid();

    SECTION("of an operation's events") {
        rig.begin("hold", open);
        REQUIRE(rig.until([&] { return asked; }));
    }
    SECTION("of leave to go on") {
        rig.begin("flood", open);
        REQUIRE(rig.until([&] { return !open.items.empty(); }));
    }
    SECTION("of a cursor that is durable") {
        auto const call = rig.begin("hold", open);
        rig.get().acknowledge(call, "cursor", 1);
    }
    // Frames arrive in their order: what is answered now comes after what was not heard.
    CHECK(rig.call("still here").text() == "still here");
    CHECK(rig.get().pid() == pid);
    CHECK_FALSE(open.result);
}
