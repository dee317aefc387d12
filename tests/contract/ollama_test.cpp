// The Ollama provider: requests as its own wire wants them, answers line by line however their
// bytes arrive.
#include "test_host.hpp"

#include <catch2/catch.hpp>

using namespace contract;

namespace {

constexpr char plugin[] = PLUGIN_FOLDER "/provider_ollama.so";

std::string request(std::string_view messages = R"({"role":"user","text":"Hello"})",
                    std::string_view more = "") {
    return R"({"model":"qwen3:8b","max_output_tokens":100,"messages":[)" + std::string(messages) +
           "]" + std::string(more) + "}";
}

struct Chat {
    explicit Chat(std::string const& text = request(), std::string const& config = "{}")
        : host(plugin, config), id(host.start(Verb::provider_generate, text)) {}

    HttpExchange& http() { return host.http.back(); }
    void play(std::string const& lines, std::size_t piece = std::string::npos) {
        host.http_head(http(), 200, R"([["content-type","application/x-ndjson"]])");
        for (std::size_t at = 0; at < lines.size(); at += std::min(piece, lines.size()))
            if (http().open) host.http_data(http(), lines.substr(at, piece));
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

std::string line(std::string_view message) {
    return R"({"model":"m","created_at":"t","message":{"role":"assistant",)" +
           std::string(message) + "},\"done\":false}\n";
}
std::string text(std::string_view words) {
    return line("\"content\":\"" + std::string(words) + "\"");
}
std::string end(std::string_view reason = "stop", std::string_view more = "") {
    return R"({"message":{"role":"assistant","content":""},"done":true,"done_reason":")" +
           std::string(reason) + R"(","prompt_eval_count":40,"eval_count":7)" + std::string(more) +
           "}\n";
}
std::string const two_calls = line(
    R"("content":"","tool_calls":[{"id":"call_a","function":{"index":0,"name":"org_x_y","arguments":{"a" : [1, "é"]}}},{"function":{"name":"shell","arguments":{}}}])");

}  // namespace

TEST_CASE("a request is what Ollama's own chat wants, with room for the context", "[ollama]") {
    Chat chat(request(
        R"({"role":"user","text":"Hi","name":"Al"},)"
        R"({"role":"assistant","text":"See.","calls":[{"id":"c-1","name":"org.x:y","arguments":"{\"a\" : 1 }"},{"id":"c-2","name":"shell","arguments":"not json"}]},)"
        R"({"role":"skill","call":"c-1","name":"org.x:y","content":"out","error":false},)"
        R"({"role":"skill","call":"c-2","name":"shell","content":"bad","error":true})",
        R"(,"system":"be kind","skills":[{"name":"org.x:y","description":"d","parameters":{"type": "object"}}])"));
    Json const http = chat.http().request;
    CHECK(http["method"].text() == "POST");
    CHECK(http["url"].text() == "http://127.0.0.1:11434/api/chat");
    CHECK_FALSE(http["framing"].exists());
    CHECK(
        chat.http().body ==
        R"({"model":"qwen3:8b","stream":true,"options":{"num_ctx":32768,"num_predict":100},)"
        R"("messages":[{"role":"system","content":"be kind"},{"role":"user","content":"Al: Hi"},)"
        R"({"role":"assistant","content":"See.","tool_calls":[{"id":"c-1","function":{"name":"org_x_y","arguments":{"a" : 1 }}},)"
        R"({"id":"c-2","function":{"name":"shell","arguments":{"not_an_object":"not json"}}}]},)"
        R"({"role":"tool","tool_name":"org_x_y","tool_call_id":"c-1","content":"out"},)"
        R"({"role":"tool","tool_name":"shell","tool_call_id":"c-2","content":"[failed] bad"}],)"
        R"("tools":[{"type":"function","function":{"name":"org_x_y","description":"d","parameters":{"type": "object"}}}]})");
    CHECK(chat.host.faults.empty());
}

TEST_CASE("context, thinking and the stay in memory come from the config", "[ollama]") {
    auto body = [](std::string const& config) {
        Chat chat(request(), config);
        return chat.http().body;
    };
    CHECK(
        body(R"({"num_ctx":8192,"keep_alive":"30m","think":"off"})")
            .starts_with(
                R"({"model":"qwen3:8b","stream":true,"think":false,"keep_alive":"30m","options":{"num_ctx":8192,)"));
    CHECK(body(R"({"think":"on"})").find(R"("think":true)") != std::string::npos);
    CHECK(body(R"({"think":"high"})").find(R"("think":"high")") != std::string::npos);
    CHECK(body("{}").find("think") == std::string::npos);
}

TEST_CASE("lines are read however they are cut, and the end brings usage and stop", "[ollama]") {
    std::string const whole = line(R"("content":"","thinking":"hm")") + text("Grü") + "\r\n" +
                              text("ße") + two_calls + end();
    for (std::size_t piece = 1; piece < whole.size(); piece += piece < 80 ? 1 : 40) {
        Chat chat(request(R"({"role":"user","text":"x"})",
                          R"(,"skills":[{"name":"org.x:y","description":"d","parameters":{}}])"));
        chat.play(whole, piece);
        REQUIRE(chat.call().succeeded());
        CHECK(chat.call().text() == "Grüße");
        CHECK(chat.call().text("reasoning") == "hm");
        auto const calls = chat.call().items("call");
        REQUIRE(calls.size() == 2);
        CHECK(calls[0]["id"].text() == "call_a");
        CHECK(calls[0]["name"].text() == "org.x:y");
        CHECK(calls[0]["arguments"].text() == R"({"a" : [1, "é"]})");
        CHECK(calls[1]["arguments"].text() == "{}");
        CHECK(chat.only("usage").raw() == R"({"type":"usage","input":40,"output":7})");
        CHECK(chat.only("stop")["reason"].text() == "calls");
        CHECK(chat.host.faults.empty());
    }
}

TEST_CASE("text leaves with its line, and what follows the end is no part of it", "[ollama]") {
    Chat chat;
    chat.host.http_head(chat.http(), 200, "[]");
    chat.host.http_data(chat.http(), text("one"));
    CHECK(chat.call().text() == "one");
    chat.host.http_data(chat.http(), end("length") + text("more"));
    CHECK(chat.call().succeeded());
    CHECK(chat.call().text() == "one");
    CHECK(chat.only("stop")["reason"].text() == "length");
    CHECK_FALSE(chat.http().open);

    Chat bare;  // the last line without its end
    auto const last = end();
    bare.play(text("x") + last.substr(0, last.size() - 1));
    CHECK(bare.only("stop")["reason"].text() == "end");
}

TEST_CASE("what goes wrong says whose matter it is", "[ollama]") {
    struct Row {
        std::string lines, code;
        bool retryable;
    };
    Row const rows[] = {
        {text("half"), "cut_off", true},
        {"", "cut_off", true},
        {text("x") + R"({"error":"out of memory"})" + "\n", "peer", true},
        {"not json\n", "peer", false},
        {"[]\n", "peer", false},
        {std::string(2u << 20, ' ') + "\n", "peer", false},
        {line(R"("tool_calls":[{"function":{"arguments":{}}}])") + end(), "peer", false}};
    for (auto const& row : rows) {
        INFO(row.lines.substr(0, 100));
        Chat chat;
        chat.play(row.lines, 64 * 1024);
        CHECK(chat.answer()["code"].text() == row.code);
        CHECK(chat.answer()["retryable"].boolean() == row.retryable);
        CHECK(chat.call().items("stop").empty());
        CHECK_FALSE(chat.http().open);
    }
    Chat missing;
    missing.host.http_head(missing.http(), 404, "[]");
    missing.host.http_data(missing.http(), R"({"error":"model 'qwen3:8b' not found"})");
    missing.host.http_done(missing.http());
    CHECK(missing.answer()["code"].text() == "peer");
    CHECK(missing.answer()["message"].text() == "HTTP 404: model 'qwen3:8b' not found");

    TestHost host(plugin);
    CHECK(host.run(Verb::provider_generate, R"({"model":"","messages":[]})")
              .answer()["code"]
              .text() == "invalid");
    CHECK(host.http.empty());
}

TEST_CASE("an endless answer in lines is ended", "[ollama]") {
    Chat chat;
    chat.host.http_head(chat.http(), 200, "[]");
    auto const big = text(std::string(512 * 1024, 'x'));
    for (int i = 0; i < 40 && !chat.call().ended(); ++i) chat.host.http_data(chat.http(), big);
    CHECK(chat.answer()["code"].text() == "peer");
}

TEST_CASE("usage that is not told whole is not told", "[ollama]") {
    Chat chat;
    chat.play(text("x") +
              R"({"message":{"content":""},"done":true,"done_reason":"stop","eval_count":7})"
              "\n");
    CHECK(chat.call().succeeded());
    CHECK(chat.call().items("usage").empty());
}
