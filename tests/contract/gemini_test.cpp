// The Gemini provider: requests as its wire wants them, chunks of every kind, signatures that go
// back with the part that they came in.
#include "test_host.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace contract;

namespace {

constexpr char plugin[] = PLUGIN_FOLDER "/provider_gemini.so";
using Lines = std::vector<std::string>;

std::string request(std::string_view messages = R"({"role":"user","text":"Hello"})",
                    std::string_view more = "", std::string_view model = "gemini-3.5-flash") {
    return R"({"model":")" + std::string(model) + R"(","max_output_tokens":100,"messages":[)" +
           std::string(messages) + "]" + std::string(more) + "}";
}

struct Chat {
    explicit Chat(std::string const& text = request(), std::string const& config = "{}")
        : host(plugin, config), id(host.start(Verb::provider_generate, text)) {}

    HttpExchange& http() { return host.http.back(); }
    Json body() { return Json::parse(http().body); }
    void play(Lines const& chunks) {
        host.http_head(http(), 200, "[]");
        for (auto const& chunk : chunks)
            if (http().open) host.http_event(http(), chunk);
        if (http().open) host.http_done(http());
    }
    CallRecord call() const { return host.call(id); }
    Json answer() const {
        REQUIRE(call().ended());
        return call().answer();
    }
    Json only(std::string_view type) const {
        auto const found = call().items(type);
        REQUIRE(found.size() == 1);
        return found[0];
    }

    TestHost host;
    parley_id id;
};

// A chunk with these parts, and its last when there is a reason.
std::string chunk(std::string_view parts, std::string_view reason = "",
                  std::string_view more = "") {
    std::string out = R"({"candidates":[{"index":0,"content":{"role":"model","parts":[)" +
                      std::string(parts) + "]}";
    if (!reason.empty()) out += R"(,"finishReason":")" + std::string(reason) + "\"";
    return out + "}]" + std::string(more) + "}";
}
constexpr char usage[] =
    R"(,"usageMetadata":{"promptTokenCount":40,"candidatesTokenCount":7,"thoughtsTokenCount":5,)"
    R"("cachedContentTokenCount":30,"totalTokenCount":52})";
std::string const signed_call =
    R"({"functionCall":{"name":"org_x_y","args":{"a" : "é"}},"thoughtSignature":"c2ln"})";

}  // namespace

TEST_CASE("a request is what Gemini wants, and calls of others carry the mark", "[gemini]") {
    auto const messages =
        R"({"role":"user","text":"Hi","name":"Al"},)"
        R"({"role":"assistant","text":"See.","calls":[{"id":"c-1","name":"org.x:y","arguments":"{\"a\" : 1 }"},{"id":"c-2","name":"shell","arguments":"not json"}]},)"
        R"({"role":"user","text":"hurry"},)"
        R"({"role":"skill","call":"c-1","name":"org.x:y","content":"out","error":false},)"
        R"({"role":"skill","call":"c-2","name":"shell","content":"bad","error":true})";
    auto const more =
        R"(,"system":"be kind","skills":[{"name":"org.x:y","description":"d","parameters":{"type": "object"}},{"name":"shell","description":"","parameters":{}}])";
    Chat chat(request(messages, more));
    Json const http = chat.http().request;
    CHECK(http["url"].text() ==
          "https://generativelanguage.googleapis.com/v1beta/models/"
          "gemini-3.5-flash:streamGenerateContent?alt=sse");
    CHECK(http["framing"].text() == "sse");
    CHECK((*http["inject"].begin())["slot"].text() == "header:x-goog-api-key");
    std::string const mark = R"(,"thoughtSignature":"skip_thought_signature_validator")";
    auto const body = [](std::string const& marked) {
        return R"({"systemInstruction":{"parts":[{"text":"be kind"}]},)"
               R"("contents":[{"role":"user","parts":[{"text":"Al: Hi"}]},)"
               R"({"role":"model","parts":[{"text":"See."},{"functionCall":{"id":"c-1","name":"org_x_y","args":{"a" : 1 }})" +
               marked +
               R"(},{"functionCall":{"id":"c-2","name":"shell","args":{"not_an_object":"not json"}}}]},)"
               R"({"role":"user","parts":[{"functionResponse":{"id":"c-1","name":"org_x_y","response":{"output":"out"}}},)"
               R"({"functionResponse":{"id":"c-2","name":"shell","response":{"error":"bad"}}}]},)"
               R"({"role":"user","parts":[{"text":"hurry"}]}],)"
               R"("tools":[{"functionDeclarations":[{"name":"org_x_y","description":"d","parametersJsonSchema":{"type": "object"}},)"
               R"({"name":"shell","description":""}]}],"generationConfig":{"maxOutputTokens":100}})";
    };
    CHECK(chat.http().body == body(mark));
    for (auto const* model : {"gemini-2.5-pro", "gemini-flash-latest", "gemma-4"})
        CHECK(Chat(request(messages, more, model)).http().body == body(""));
    CHECK(Chat(request(messages, more, "gemini-10-pro")).http().body == body(mark));
    CHECK(chat.host.faults.empty());
}

TEST_CASE("thinking and effort come from the config, and a model's name is no path", "[gemini]") {
    Chat chat(request(R"({"role":"assistant","text":""})", "", "a/../b?c"),
              R"({"thinking":"summary","effort":"high","base_url":"http://127.0.0.1:80/"})");
    CHECK(chat.http().request["url"].text() ==
          "http://127.0.0.1:80/models/a%2F..%2Fb%3Fc:streamGenerateContent?alt=sse");
    CHECK(chat.body()["generationConfig"]["thinkingConfig"].raw() ==
          R"({"includeThoughts":true,"thinkingLevel":"HIGH"})");
    CHECK(
        chat.body()["contents"].raw() ==
        R"~([{"role":"user","parts":[{"text":"(earlier words are left out)"}]},{"role":"model","parts":[{"text":"(empty)"}]}])~");
}

TEST_CASE("text leaves with its part, and the last chunk brings usage and stop", "[gemini]") {
    Chat chat;
    chat.host.http_head(chat.http(), 200, "[]");
    chat.host.http_event(chat.http(), chunk(R"({"text":"hm","thought":true},{"text":"Hel"})"));
    CHECK(chat.call().text() == "Hel");
    CHECK(chat.call().text("reasoning") == "hm");
    chat.host.http_event(chat.http(), chunk(R"({"text":"lo"})", "STOP", usage));
    chat.host.http_done(chat.http());
    REQUIRE(chat.call().succeeded());
    CHECK(chat.call().text() == "Hello");
    CHECK(chat.only("usage").raw() ==
          R"({"type":"usage","input":40,"output":12,"cache_read":30,"reasoning":5})");
    CHECK(chat.only("stop")["reason"].text() == "end");
    CHECK(chat.call().items("state").empty());
}

TEST_CASE("a signature goes back with the part that it came in", "[gemini]") {
    Chat chat(request(R"({"role":"user","text":"x"})",
                      R"(,"skills":[{"name":"org.x:y","description":"d","parameters":{}}])"));
    chat.play(
        {chunk(R"({"text":"See."},{"text":""})"),
         chunk(signed_call + R"(,{"functionCall":{"id":"v-2","name":"shell"}})", "STOP", usage)});
    auto const calls = chat.call().items("call");
    REQUIRE(calls.size() == 2);
    CHECK(calls[0]["name"].text() == "org.x:y");
    CHECK(calls[0]["arguments"].text() == R"({"a" : "é"})");
    CHECK_FALSE(calls[0]["id"].exists());
    CHECK(calls[1]["arguments"].text() == "{}");
    CHECK(chat.only("stop")["reason"].text() == "calls");
    auto const parts =
        R"([{"text":"See."},)" + signed_call + R"(,{"functionCall":{"id":"v-2","name":"shell"}}])";
    auto const state = std::string(chat.only("state")["value"].text());
    CHECK(state == parts);

    auto const with = [&](std::string const& value) {
        Chat next(request(
            R"({"role":"user","text":"x"},)" +
                json_of(
                    "role", "assistant", "text", "See.", "calls",
                    parley::JsonRaw{
                        R"([{"id":"c-1","name":"org.x:y","arguments":"{}"},{"id":"c-2","name":"shell","arguments":"{}"}])"},
                    "state", parley::JsonRaw{json_of("value", value)}) +
                R"(,{"role":"skill","call":"c-1","name":"org.x:y","content":"a","error":false})"
                R"(,{"role":"skill","call":"c-2","name":"shell","content":"b","error":false})",
            R"(,"skills":[{"name":"org.x:y","description":"d","parameters":{}}])"));
        return std::string(next.body()["contents"].raw());
    };
    CHECK(
        with(state) ==
        R"([{"role":"user","parts":[{"text":"x"}]},{"role":"model","parts":)" + parts +
            R"(},{"role":"user","parts":[{"functionResponse":{"name":"org_x_y","response":{"output":"a"}}},)"
            R"({"functionResponse":{"id":"v-2","name":"shell","response":{"output":"b"}}}]}])");
    CHECK(with("[]").find("skip_thought_signature_validator") != std::string::npos);
}

TEST_CASE("each end has its word, and what the model got wrong is a failure", "[gemini]") {
    struct Row {
        char const *reason, *stop;
        std::size_t calls;
    };
    Row const rows[] = {{"STOP", "calls", 1},
                        {"MAX_TOKENS", "length", 1},
                        {"SAFETY", "refusal", 0},
                        {"PROHIBITED_CONTENT", "refusal", 0},
                        {"SOMETHING_NEW", "calls", 1}};
    for (auto const& row : rows) {
        INFO(row.reason);
        Chat chat;
        chat.play({chunk(signed_call, row.reason, usage)});
        CHECK(chat.call().succeeded());
        CHECK(chat.only("stop")["reason"].text() == row.stop);
        CHECK(chat.call().items("call").size() == row.calls);
        CHECK(chat.call().items("state").size() == row.calls);
    }
    Chat blocked;
    blocked.play(
        {R"({"promptFeedback":{"blockReason":"OTHER"},"usageMetadata":{"promptTokenCount":4}})"});
    CHECK(blocked.only("stop")["reason"].text() == "refusal");
    CHECK(blocked.only("stop")["detail"].text() == "OTHER");
    for (auto const* reason : {"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "OTHER"}) {
        Chat chat;
        chat.play({chunk(R"({"text":"x"})", reason, usage)});
        CHECK(chat.answer()["code"].text() == "peer");
        CHECK(chat.answer()["message"].text().find(reason) != std::string_view::npos);
        CHECK(chat.only("usage")["output"].integer() == 12);
    }
}

TEST_CASE("what fails inside the stream, or ends too early, is told", "[gemini]") {
    struct Row {
        std::string chunk, code;
        bool retryable;
    };
    Row const rows[] = {
        {R"({"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}})", "overloaded", true},
        {R"({"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}})", "rate", true},
        {R"({"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT"}})", "invalid", false},
        {chunk(R"({"text":"more"})", "", usage), "cut_off", true},
        {"{", "peer", false},
        {"[]", "peer", false},
        {chunk("5"), "peer", false},
        {chunk(R"({"functionCall":{"args":{}}})", "STOP"), "peer", false}};
    for (auto const& row : rows) {
        INFO(row.chunk);
        Chat chat;
        chat.play({chunk(R"({"text":"x"})"), row.chunk});
        CHECK(chat.answer()["code"].text() == row.code);
        CHECK(chat.answer()["retryable"].boolean() == row.retryable);
        CHECK(chat.call().items("stop").empty());
        CHECK(chat.call().items("usage").empty());
    }
    Chat endless;
    endless.host.http_head(endless.http(), 200, "[]");
    auto const big = chunk(json_of("text", std::string(512 * 1024, 'x')));
    for (int i = 0; i < 40 && !endless.call().ended(); ++i)
        endless.host.http_event(endless.http(), big);
    CHECK(endless.answer()["code"].text() == "peer");
}

TEST_CASE("random chunks of this wire, too, end an answer or do not, and break nothing",
          "[gemini]") {
    std::mt19937 random(13);
    Lines const chunks = {chunk(R"({"text":"x"})"),
                          chunk(signed_call),
                          chunk(R"({"text":"y"})", "STOP", usage),
                          chunk(R"({"thoughtSignature":"s"})"),
                          chunk(R"({"functionCall":{"name":"n","args":5}})"),
                          chunk("null"),
                          R"({"candidates":5})",
                          R"({"candidates":[{"content":{"parts":{}}}]})",
                          R"({"promptFeedback":{"blockReason":"X"}})",
                          R"({"usageMetadata":[]})",
                          "{}",
                          ""};
    for (int round = 0; round < 300; ++round) {
        Chat chat;
        chat.host.http_head(chat.http(), 200, "[]");
        for (auto left = random() % 10; left > 0 && chat.http().open; --left) {
            chat.host.http_event(chat.http(), chunks[random() % chunks.size()].substr(
                                                  0, random() % 20 ? std::string::npos : 30));
        }
        if (chat.http().open) chat.host.http_done(chat.http());
        CHECK(chat.call().ended());
        CHECK(chat.call().items("stop").size() == (chat.call().succeeded() ? 1u : 0u));
        CHECK(chat.host.faults.empty());
    }
}
