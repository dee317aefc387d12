#include "hook/hook.hpp"

#include "base/json.hpp"
#include "base/limits.hpp"
#include "scripted_worker.hpp"

#include <boost/json/value.hpp>

using namespace parley;

namespace {

HookLink link(std::string const& id, HookPoint point, bool fails_open = false) {
    return {PluginId(id), true, {{point, fails_open}}};
}

// A chain whose plugins all say what the test makes them say.
struct Chain {
    std::shared_ptr<ScriptedWorker> worker = std::make_shared<ScriptedWorker>();
    std::vector<std::string> asked;  // whose worker was wanted, in order
    std::optional<HookOutcome> outcome;
    Hooks hooks{[this](PluginId const& id) {
        asked.push_back(id.text);
        return worker;
    }};

    explicit Chain(std::vector<HookLink> links) { hooks.use(std::move(links)); }

    void run(HookPoint point, std::string text) {
        HookEvent event;
        event.point = point;
        event.agent = AgentName("ops");
        event.text = std::move(text);
        hooks.run(event, [this](HookOutcome told) {
            CHECK_FALSE(outcome);
            outcome = std::move(told);
        });
    }
};

}  // namespace

TEST_CASE("where no hook stands a text passes at once and as it is", "[hook]") {
    Chain chain({link("org.a", HookPoint::message_out)});
    CHECK_FALSE(chain.hooks.listens(HookPoint::message_in));
    chain.run(HookPoint::message_in, "hello");
    REQUIRE(chain.outcome);
    CHECK(chain.outcome->text == "hello");
    CHECK_FALSE(chain.outcome->is_rejected);
    CHECK(chain.outcome->notes.empty());
    CHECK(chain.asked.empty());
}

TEST_CASE("each hook is given the text as the one before it left it", "[hook]") {
    Chain chain({link("org.a", HookPoint::message_in), link("org.out", HookPoint::message_out),
                 link("org.b", HookPoint::message_in)});
    chain.run(HookPoint::message_in, "one");
    REQUIRE(chain.worker->calls.size() == 1);
    CHECK(chain.worker->calls[0].verb == Verb::hook_on_event);
    CHECK(chain.worker->calls[0].options.timeout == limits::hook_time);
    CHECK(chain.worker->calls[0].request == R"({"point":"message.in","agent":"ops","text":"one"})");
    chain.worker->end(0, std::string(R"({"action":"replace","text":"two"})"));
    REQUIRE(chain.worker->calls.size() == 2);
    CHECK(text_at(*parse_json(chain.worker->calls[1].request), "text") == "two");
    CHECK_FALSE(chain.outcome);
    chain.worker->end(1, std::string(R"({"action":"replace","text":"three"})"));
    REQUIRE(chain.outcome);
    CHECK(chain.asked == std::vector<std::string>{"org.a", "org.b"});
    CHECK(chain.outcome->text == "three");
    REQUIRE(chain.outcome->notes.size() == 2);
    CHECK(chain.outcome->notes[0].before == "one");
    CHECK(chain.outcome->notes[1].before == "two");
    CHECK(chain.outcome->notes[1].plugin == PluginId("org.b"));
}

TEST_CASE("a hook that passes, or puts the same text back, leaves no note", "[hook]") {
    Chain chain({link("org.a", HookPoint::compaction), link("org.b", HookPoint::compaction)});
    chain.run(HookPoint::compaction, "same");
    chain.worker->end(0, std::string(R"({"action":"pass","text":"ignored"})"));
    chain.worker->end(1, std::string(R"({"action":"replace","text":"same"})"));
    REQUIRE(chain.outcome);
    CHECK(chain.outcome->text == "same");
    CHECK(chain.outcome->notes.empty());
}

TEST_CASE("after a rejection nobody else is asked, and its author and reason are told", "[hook]") {
    Chain chain({link("org.a", HookPoint::message_in), link("org.b", HookPoint::message_in)});
    chain.run(HookPoint::message_in, "bad");
    chain.worker->end(0, std::string(R"({"action":"reject","reason":"a bad word\u202e"})"));
    REQUIRE(chain.outcome);
    CHECK(chain.outcome->is_rejected);
    CHECK(chain.outcome->why == "org.a: a bad word\\u{202e}");
    CHECK(chain.worker->calls.size() == 1);
    CHECK(chain.outcome->notes.at(0).kind == HookNote::Kind::rejected);
}

TEST_CASE("what makes no sense is a failure, and fails as the hook declares", "[hook]") {
    bool fails_open = GENERATE(false, true);
    auto answer = GENERATE(as<std::string>(), "", "no json", "[]", "{}", R"({"action":"allow"})",
                           R"({"action":"replace"})", R"({"action":"replace","text":7})",
                           R"({"action":"replace","text":"not json"})");
    Chain chain({link("org.a", HookPoint::skill_before, fails_open)});
    chain.run(HookPoint::skill_before, "{}");
    chain.worker->end(0, answer);
    REQUIRE(chain.outcome);
    INFO(answer);
    CHECK(chain.outcome->is_rejected == !fails_open);
    CHECK(chain.outcome->text == "{}");
    REQUIRE(chain.outcome->notes.size() == 1);
    CHECK(chain.outcome->notes[0].kind == HookNote::Kind::failed);
}

TEST_CASE("a text that is longer than its place allows is a failure", "[hook]") {
    Chain chain({link("org.a", HookPoint::message_out)});
    chain.run(HookPoint::message_out, "short");
    std::string large(limits::message_text_bytes + 1, 'x');
    chain.worker->end(0, R"({"action":"replace","text":")" + large + "\"}");
    REQUIRE(chain.outcome);
    CHECK(chain.outcome->is_rejected);
    CHECK(chain.outcome->text == "short");
}

TEST_CASE("a hook may take skills away from an agent and never give it one", "[hook]") {
    Chain chain({link("org.a", HookPoint::skill_list), link("org.b", HookPoint::skill_list)});
    chain.run(HookPoint::skill_list, R"(["read_file","shell"])");
    chain.worker->end(0, std::string(R"({"action":"replace","text":"[\"read_file\"]"})"));
    REQUIRE(chain.worker->calls.size() == 2);

    SECTION("what is left of it may be less again") {
        chain.worker->end(1, std::string(R"({"action":"replace","text":"[]"})"));
        CHECK_FALSE(chain.outcome->is_rejected);
        CHECK(chain.outcome->text == "[]");
    }
    SECTION("a name that was taken away before does not come back") {
        auto list = GENERATE(as<std::string>(), R"([\"shell\"])", R"([\"read_file\",\"new\"])",
                             R"([1])", R"({})", "read_file");
        chain.worker->end(1, R"({"action":"replace","text":")" + list + "\"}");
        CHECK(chain.outcome->is_rejected);
    }
}

TEST_CASE("a request to a model can be refused and not be changed", "[hook]") {
    Chain chain({link("org.a", HookPoint::model_before)});
    chain.run(HookPoint::model_before, "{}");

    SECTION("passed") {
        chain.worker->end(0, std::string(R"({"action":"pass"})"));
        CHECK_FALSE(chain.outcome->is_rejected);
    }
    SECTION("refused") {
        chain.worker->end(0, std::string(R"({"action":"reject","reason":"no"})"));
        CHECK(chain.outcome->why == "org.a: no");
    }
    SECTION("changed, which is a defect and fails as the hook declares") {
        chain.worker->end(0, std::string(R"({"action":"replace","text":"[]"})"));
        CHECK(chain.outcome->is_rejected);
        CHECK(chain.outcome->text == "{}");
    }
}

TEST_CASE("a hook that dies or is late fails as it declares", "[hook]") {
    bool fails_open = GENERATE(false, true);
    auto fault = GENERATE(Fault::peer_gone, Fault::timed_out);
    Chain chain({link("org.a", HookPoint::message_in, fails_open)});
    chain.run(HookPoint::message_in, "hello");
    chain.worker->fail(0, fault, "gone");
    REQUIRE(chain.outcome);
    CHECK(chain.outcome->is_rejected == !fails_open);
}

TEST_CASE("a hook in the chain that cannot be used stands at every point and rejects", "[hook]") {
    Config config;
    Catalogue nothing;
    config.hooks = {{PluginId("org.gone"), false}};
    auto point = GENERATE(HookPoint::message_in, HookPoint::message_out, HookPoint::skill_list,
                          HookPoint::skill_before, HookPoint::skill_after, HookPoint::compaction,
                          HookPoint::model_before, HookPoint::model_after);
    Chain chain(hook_chain(config, nothing));
    REQUIRE(chain.hooks.listens(point));
    chain.run(point, "hello");
    REQUIRE(chain.outcome);
    CHECK(chain.outcome->is_rejected);
    CHECK(chain.outcome->why == "org.gone failed: the plugin cannot run now");
    CHECK(chain.worker->calls.empty());
}

TEST_CASE("a chain that is replaced meanwhile still serves the text that began with it", "[hook]") {
    Chain chain({link("org.a", HookPoint::message_in), link("org.b", HookPoint::message_in)});
    chain.run(HookPoint::message_in, "hello");
    chain.hooks.use({});
    chain.worker->end(0, std::string(R"({"action":"pass"})"));
    REQUIRE(chain.worker->calls.size() == 2);
    chain.worker->end(1, std::string(R"({"action":"pass"})"));
    CHECK(chain.outcome->text == "hello");
}
