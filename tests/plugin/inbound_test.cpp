#include "plugin/inbound.hpp"
#include "rig.hpp"

namespace {

// A plugin that listens in a real worker.
struct Door : Rig {
    explicit Door(std::string const& file = "offers/org.test.hear-body",
                  char const* secret = "secret")
        : Rig(std::filesystem::path(BUILD_FOLDER) / (file + ".so"), "door") {
        spec.inbound = "https://parley.example/hooks/door";
        spec.secrets[secret] = {"test", "door"};
    }
    void run() {
        CallOptions options;
        options.emits_are_durable = true;
        begin(R"({"instance":"door","inbound":{"url":"https://parley.example/hooks/door"}})", ended,
              options, {}, Verb::channel_run);
        until([&] { return ended.result || deps.inbound->find("door"); });
    }
    void hear(std::string body, std::optional<Result<InboundAnswer>>& out) {
        auto listener = deps.inbound->find("door");
        REQUIRE(listener);
        REQUIRE(listener->ask({{{"x-event", "push"}}, std::move(body)},
                              [&out](auto answer) { out = std::move(answer); }));
    }
    Result<InboundAnswer> ask(std::string body) {
        std::optional<Result<InboundAnswer>> out;
        hear(std::move(body), out);
        REQUIRE(until([&] { return out.has_value(); }));
        return std::move(*out);
    }
    Answer ended;
};

using Catch::Matchers::Contains;

}  // namespace

TEST_CASE("webhooks are off unless the operator switched them on", "[inbound]") {
    Door door;
    SECTION("by inbound: true") {
        door.spec.inbound.reset();
    }
    SECTION("with the secret that they are verified with") {
        door.spec.secrets.clear();
    }
    door.run();
    REQUIRE(door.ended.result);
    CHECK(door.ended.result->error().fault == Fault::denied);
    CHECK_FALSE(door.deps.inbound->find("door"));
}

TEST_CASE("a key that cannot be one is told of when the listener opens", "[inbound]") {
    Door door("offers/org.test.hear-standard");
    SECTION("no base64") {}
    SECTION("not there") {
        door.deps.secret = [](SecretName const&) -> Result<Secret> {
            return Error(Fault::not_found, "the vault has no such secret");
        };
    }
    door.run();
    REQUIRE(door.ended.result);
    CHECK_THAT(door.ended.result->error().what,
               Contains("no base64") || Contains("has no such secret"));
    CHECK_FALSE(door.deps.inbound->find("door"));
}

TEST_CASE("a plugin hears a request under its run, and answers it", "[inbound]") {
    Door door;
    door.run();
    auto answer = door.ask(R"({"what":"Grüße \u0000"})");
    REQUIRE(answer);
    CHECK(answer->status == 200);
    CHECK(answer->content_type == "application/json");
    CHECK_THAT(answer->body, Contains(R"(Grüße \\u0000)") && Contains(R"("event":"push")") &&
                                 Contains(R"("authorization":"")"));
    auto status = door.ask(R"({"do":"status","status":418,"body":"teapot"})");
    REQUIRE(status);
    CHECK(status->status == 418);
    CHECK(status->body == "teapot");
}

TEST_CASE("a request waits until what it brought is durable", "[inbound]") {
    Door door;
    door.run();
    std::optional<Result<InboundAnswer>> out;
    door.hear(R"({"do":"say","sender":"id:ann","text":"hi","id":"1"})", out);
    REQUIRE(door.until([&] { return door.ended.items.size() == 2; }));
    CHECK_FALSE(out);
    door.get().acknowledge(2, "c1", 100);
    REQUIRE(door.until([&] { return out.has_value(); }));
    CHECK((*out)->status == 202);
}

TEST_CASE("a request that the plugin drops is answered for it", "[inbound]") {
    Door door;
    door.run();
    auto answer = door.ask(R"({"do":"drop"})");
    REQUIRE(answer);
    CHECK(answer->status == 503);
    CHECK(answer->retry_after_s > 0);
}

TEST_CASE("whatever ends the run leaves no request without an answer", "[inbound]") {
    Door door;
    door.run();
    std::optional<Result<InboundAnswer>> kept;
    door.hear(R"({"do":"keep"})", kept);
    SECTION("the death of the worker") {
        std::optional<Result<InboundAnswer>> last;
        door.hear(R"({"do":"die"})", last);
        REQUIRE(door.until([&] { return last.has_value() && kept.has_value(); }));
        CHECK(last->error().fault == Fault::unavailable);
        CHECK(kept->error().fault == Fault::unavailable);
    }
    SECTION("its cancel") {
        door.get().cancel(2);
        REQUIRE(door.until([&] { return kept.has_value(); }));
        CHECK((!*kept || (*kept)->status == 503));
    }
    SECTION("the end of the host") {
        door.get().stop();
        REQUIRE(door.until([&] { return kept.has_value(); }));
        CHECK_FALSE(*kept);
    }
    CHECK(door.until([&] { return !door.deps.inbound->find("door"); }));
}

TEST_CASE("a secret in an answer goes nowhere", "[inbound]") {
    Door door;
    door.marked = "teapot";
    door.run();
    auto answer = door.ask(R"({"do":"status","status":200,"body":"teapot"})");
    REQUIRE_FALSE(answer);
    CHECK(answer.error().fault == Fault::secret);
}

TEST_CASE("an answer that makes no sense is none", "[inbound]") {
    CHECK(read_inbound_answer(R"({"status":204})"));
    for (auto const* text : {"", "[]", "{}", R"({"status":"200"})", R"({"status":101})",
                             R"({"status":302})", R"({"status":600})"}) {
        INFO(text);
        CHECK_FALSE(read_inbound_answer(text));
    }
    CHECK_FALSE(read_inbound_answer(R"({"status":200,"body":")" +
                                    std::string(limits::inbound_answer_bytes, 'x') + "\"}"));
    CHECK(read_inbound_answer(R"({"status":503,"retry_after_s":99999})")->retry_after_s == 3600);
}

TEST_CASE("a worker that answers a webhook that it was never given is ended", "[inbound]") {
    Door door("animals/inbound_foreign_frame", "token");
    door.run();
    std::optional<Result<InboundAnswer>> out;
    door.hear("{}", out);
    REQUIRE(door.until([&] { return door.ended.result && out; }, 5));
    CHECK_THAT(door.ended.result->error().what, Contains("never given"));
    CHECK_FALSE(*out);
}
