// The Anthropic provider: requests as exact JSON, streams as transcripts, errors as a table.
#include "test_host.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace contract;

namespace {

constexpr char plugin[] = PLUGIN_FOLDER "/provider_anthropic.so";
using Lines = std::vector<std::string>;

// Every message of a conversation, and the model that it is for.
std::string request(std::string_view messages = R"({"role":"user","text":"Hello"})",
                    std::string_view more = R"(,"system":"be kind")") {
    return R"({"model":"claude-x","max_output_tokens":100,"messages":[)" + std::string(messages) +
           "]" + std::string(more) + "}";
}

// A call whose request is under way.
struct Chat {
    explicit Chat(std::string const& text = request(), std::string const& config = "{}")
        : host(plugin, config), id(host.start(Verb::provider_generate, text)) {}

    HttpExchange& http() { return host.http.back(); }
    Json body() { return Json::parse(http().body); }
    std::string messages() { return std::string(body()["messages"].raw()); }
    void head(int status = 200, std::string_view headers = "[]") {
        host.http_head(http(), status, headers);
    }
    void event(std::string_view data) { tell(http(), data); }
    void play(Lines const& events) {
        head();
        auto& on = http();  // an answer that pauses opens another
        for (auto const& data : events) tell(on, data);
        host.http_done(on);
    }
    CallRecord call() const { return host.call(id); }
    Json answer() const {
        REQUIRE(call().ended());
        return call().answer();
    }
    Json stop() const { return only("stop"); }
    Json only(std::string_view type) const {
        auto const items = call().items(type);
        REQUIRE(items.size() == 1);
        return items[0];
    }

    // The service's word on what the model can do, which is asked for first.
    void told_of_model(std::string_view body, int status = 200) {
        auto& on = http();
        REQUIRE(on.request["method"].text() == "GET");
        host.http_head(on, status, "[]");
        host.http_data(on, body);
        host.http_done(on);
    }

    void tell(HttpExchange& on, std::string_view data) {
        host.http_event(on, data, Json::parse(data)["type"].text("message"));
    }

    TestHost host;
    parley_id id;
};

std::string started(std::string_view usage = R"("input_tokens":10,"output_tokens":1)") {
    return R"({"type":"message_start","message":{"id":"msg_1","role":"assistant","content":[],"usage":{)" +
           std::string(usage) + "}}}";
}
std::string block(int index, std::string_view content) {
    return R"({"type":"content_block_start","index":)" + std::to_string(index) +
           R"(,"content_block":)" + std::string(content) + "}";
}
std::string delta(int index, std::string_view inside) {
    return R"({"type":"content_block_delta","index":)" + std::to_string(index) + R"(,"delta":)" +
           std::string(inside) + "}";
}
std::string text(int index, std::string_view words) {
    return delta(index, json_of("type", "text_delta", "text", words));
}
std::string input(int index, std::string_view part) {
    return delta(index, json_of("type", "input_json_delta", "partial_json", part));
}
std::string tool(int index, std::string_view id, std::string_view name) {
    return block(
        index, json_of("type", "tool_use", "id", id, "name", name, "input", parley::JsonRaw{"{}"}));
}
std::string end(int index) {
    return R"({"type":"content_block_stop","index":)" + std::to_string(index) + "}";
}
std::string because(std::string_view reason, std::string_view more = "", int output = 5) {
    return R"({"type":"message_delta","delta":{"stop_reason":")" + std::string(reason) + "\"" +
           std::string(more) + R"(},"usage":{"output_tokens":)" + std::to_string(output) + "}}";
}
std::string const empty_text = R"({"type":"text","text":""})", done = R"({"type":"message_stop"})";

}  // namespace

// ---- Requests.

TEST_CASE("a request is what the Messages API wants", "[anthropic]") {
    Chat chat(request(
        R"({"role":"user","text":"Hi","name":"Al"},{"role":"user","text":"and you?"},)"
        R"({"role":"assistant","text":"Let me see.","calls":[{"id":"c-1","name":"shell","arguments":"{\"a\" : 1 }"},{"id":"c-2","name":"org.x:y","arguments":"not json"}]},)"
        R"({"role":"user","text":"hurry"},)"
        R"({"role":"skill","call":"c-1","name":"shell","content":"out","error":false},)"
        R"({"role":"skill","call":"c-2","name":"org.x:y","content":"bad","error":true},)"
        R"({"role":"assistant","text":"Done."},{"role":"user","text":"Thanks"})",
        R"(,"system":"be kind","skills":[{"name":"shell","description":"Runs \"it\".","parameters":{"type": "object"}},{"name":"org.x:y","description":"","parameters":{}}])"));
    Json const http = chat.http().request;
    CHECK(http["method"].text() == "POST");
    CHECK(http["url"].text() == "https://api.anthropic.com/v1/messages");
    CHECK(http["framing"].text() == "sse");
    CHECK(http["headers"].raw().find(R"(["anthropic-version","2026-10-21"])") != std::string::npos);
    CHECK(http["inject"].raw() ==
          R"([{"slot":"header:Authorization","secret":"api_key","prefix":"Bearer "}])");
    CHECK(
        chat.http().body ==
        R"({"model":"claude-x","max_tokens":100,"stream":true,)"
        R"("tools":[{"name":"shell","description":"Runs \"it\".","input_schema":{"type": "object"}},)"
        R"({"name":"org_x_y","description":"","input_schema":{"type":"object"},"cache_control":{"type":"ephemeral"}}],)"
        R"("system":[{"type":"text","text":"be kind","cache_control":{"type":"ephemeral"}}],)"
        R"("messages":[{"role":"user","content":[{"type":"text","text":"Al: Hi"},{"type":"text","text":"and you?"}]},)"
        R"({"role":"assistant","content":[{"type":"text","text":"Let me see."},)"
        R"({"type":"tool_use","id":"c-1","name":"shell","input":{"a" : 1 }},)"
        R"({"type":"tool_use","id":"c-2","name":"org_x_y","input":{"not_an_object":"not json"}}]},)"
        R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"c-1","content":"out"},)"
        R"({"type":"tool_result","tool_use_id":"c-2","content":"bad","is_error":true},)"
        R"({"type":"text","text":"hurry","cache_control":{"type":"ephemeral"}}]},)"
        R"({"role":"assistant","content":[{"type":"text","text":"Done."}]},)"
        R"({"role":"user","content":[{"type":"text","text":"Thanks","cache_control":{"type":"ephemeral"}}]}]})");
    CHECK(chat.host.faults.empty());
}

TEST_CASE("turns alternate, begin with the user, and none of them is empty", "[anthropic]") {
    Chat chat(request(R"({"role":"assistant","text":"one"},{"role":"assistant","text":""},)"
                      R"({"role":"user","text":""})"),
              R"({"cache":false})");
    CHECK(
        chat.messages() ==
        R"~([{"role":"user","content":[{"type":"text","text":"(earlier words are left out)"}]},)~"
        R"~({"role":"assistant","content":[{"type":"text","text":"one"},{"type":"text","text":"(empty)"}]},)~"
        R"~({"role":"user","content":[{"type":"text","text":"(empty)"}]}])~");
}

TEST_CASE("version, place, key, thinking and effort come from the config", "[anthropic]") {
    Chat chat(request(),
              R"({"base_url":"http://127.0.0.1:8080/","version":"2023-06-01","auth":"x-api-key",)"
              R"("thinking":"adaptive","effort":"high","cache":false,"timeout_s":5})");
    chat.told_of_model("", 404);
    Json const http = chat.http().request;
    CHECK(http["url"].text() == "http://127.0.0.1:8080/v1/messages");
    CHECK(http["headers"].raw().find(R"(["anthropic-version","2023-06-01"])") != std::string::npos);
    CHECK((*http["inject"].begin())["slot"].text() == "header:x-api-key");
    CHECK((*http["inject"].begin())["prefix"].text() == "");
    CHECK(http["timeout_ms"].integer() == 5000);
    CHECK(
        chat.http().body ==
        R"({"model":"claude-x","max_tokens":100,"stream":true,)"
        R"("thinking":{"type":"adaptive","display":"summarized"},"output_config":{"effort":"high"},)"
        R"("system":[{"type":"text","text":"be kind"}],)"
        R"("messages":[{"role":"user","content":[{"type":"text","text":"Hello"}]}]})");
}

TEST_CASE("what a model cannot do is not asked of it, as the service says once", "[anthropic]") {
    auto const model = [](std::string_view capabilities, std::string_view more = "") {
        return R"({"id":"claude-x","type":"model","capabilities":)" + std::string(capabilities) +
               std::string(more) + "}";
    };
    constexpr char config[] = R"({"thinking":"adaptive","effort":"xhigh"})";
    std::string const able =
        R"({"effort":{"supported":true,"high":{"supported":true},"xhigh":{"supported":true}},)"
        R"("thinking":{"supported":true,"types":{"adaptive":{"supported":true}}}})";
    struct Row {
        std::string said;
        bool thinks, tries;
        int max_tokens;
    };
    Row const rows[] = {
        {model(able), true, true, 100},
        {model(able, R"(,"max_tokens":64)"), true, true, 64},
        {model(
             R"({"effort":{"supported":true,"high":{"supported":true},"xhigh":null},"thinking":{"supported":true,"types":{"adaptive":{"supported":false}}}})"),
         false, false, 100},
        {model(
             R"({"effort":{"supported":false,"xhigh":{"supported":true}},"thinking":{"supported":false}})"),
         false, false, 100},
        // Not said is not refused.
        {model("null", R"(,"max_tokens":null)"), true, true, 100},
        {"not json", true, true, 100}};
    for (auto const& row : rows) {
        INFO(row.said);
        Chat chat(request(), config);
        CHECK(chat.http().request["url"].text() == "https://api.anthropic.com/v1/models/claude-x");
        CHECK(chat.http().request["timeout_ms"].integer() == 10000);
        chat.told_of_model(row.said);
        CHECK(chat.http().request["method"].text() == "POST");
        CHECK(chat.body()["thinking"].exists() == row.thinks);
        CHECK(chat.body()["output_config"].exists() == row.tries);
        CHECK(chat.body()["max_tokens"].integer() == row.max_tokens);
        chat.play({started(), because("end_turn"), done});
        CHECK(chat.call().succeeded());
        chat.host.start(Verb::provider_generate, request());
        CHECK(chat.host.http.size() == 3);
        CHECK(chat.http().request["method"].text() == "POST");
        CHECK(chat.body()["thinking"].exists() == row.thinks);
        CHECK(chat.host.faults.empty());
    }
    // Where nothing hangs on it nobody asks.
    CHECK(Chat().http().request["method"].text() == "POST");

    Chat odd(R"({"model":"a/b?c","max_output_tokens":9,"messages":[{"role":"user","text":"x"}]})",
             config);
    CHECK(odd.http().request["url"].text() == "https://api.anthropic.com/v1/models/a%2Fb%3Fc");
    odd.host.http_failed(odd.http(),
                         R"({"code":"timeout","message":"slow","retryable":true,"sent":true})");
    CHECK(odd.http().request["method"].text() == "POST");

    Chat cancelled(request(), config);
    cancelled.host.cancel(cancelled.id);
    CHECK(cancelled.call().status == PARLEY_E_CANCELLED);
    CHECK(cancelled.host.http.size() == 1);
    CHECK_FALSE(cancelled.http().open);
}

TEST_CASE("a model that is about to go is named to the operator, once", "[anthropic]") {
    Chat chat(request(), R"({"effort":"high"})");
    chat.told_of_model(
        R"({"id":"claude-x","lifecycle":"deprecated","retires_at":"2027-02-01T00:00:00Z"})");
    chat.host.start(Verb::provider_generate, request());
    REQUIRE(chat.host.logs.size() == 1);
    CHECK(chat.host.logs[0].find("claude-x is deprecated, and retires at 2027-02-01") !=
          std::string::npos);
}

TEST_CASE("a request or count that makes no sense or is too large is not sent", "[anthropic]") {
    TestHost host(plugin);
    auto code = [&](Verb verb, std::string const& text) {
        return std::string(host.run(verb, text).answer()["code"].text());
    };
    for (auto const verb : {Verb::provider_generate, Verb::provider_count_tokens}) {
        CHECK(code(verb, R"({"model":"","messages":[{"role":"user","text":"x"}]})") == "invalid");
        CHECK(code(verb, R"({"model":"m","messages":[]})") == "invalid");
        CHECK(code(verb, request(json_of("role", "user", "text", std::string(17u << 20, 'x')))) ==
              "limit");
    }
    CHECK(host.http.empty());
}

TEST_CASE("at most four breakpoints mark the cache, however long the conversation", "[anthropic]") {
    std::string messages = R"({"role":"user","text":"0"})";
    for (int i = 0; i < 30; ++i)
        messages += R"(,{"role":"assistant","text":"a"},{"role":"user","text":"u"})";
    Chat chat(request(
        messages,
        R"(,"system":"s","skills":[{"name":"a","description":"","parameters":{}},{"name":"b","description":"","parameters":{}}])"));
    std::size_t marks = 0;
    for (auto at = chat.http().body.find("cache_control"); at != std::string::npos;
         at = chat.http().body.find("cache_control", at + 1))
        ++marks;
    CHECK(marks == 4);
}

// ---- Answers.

TEST_CASE("text leaves as it comes, and the end brings a stop and all that was read, cached or not",
          "[anthropic]") {
    Chat chat;
    chat.head();
    chat.event(started(
        R"("input_tokens":3,"cache_creation_input_tokens":20,"cache_read_input_tokens":100,"output_tokens":1)"));
    chat.event(block(0, empty_text));
    chat.event(R"({"type":"ping"})");
    chat.event(text(0, "Hel"));
    CHECK(chat.call().text() == "Hel");
    chat.event(R"({"type":"something_new","delta":{"text":"no"}})");
    chat.event(text(0, "lo \xf0\x9f\x98\x80"));
    chat.event(end(0));
    chat.event(because("end_turn", "", 7));
    CHECK_FALSE(chat.call().ended());
    chat.event(done);
    REQUIRE(chat.call().succeeded());
    CHECK(chat.call().text() == "Hello \xf0\x9f\x98\x80");
    CHECK(chat.only("usage").raw() ==
          R"({"type":"usage","input":123,"output":7,"cache_read":100,"cache_write":20})");
    CHECK(chat.stop()["reason"].text() == "end");
    CHECK(chat.call().items("state").empty());
    CHECK_FALSE(chat.http().open);
    CHECK(chat.host.faults.empty());
}

TEST_CASE("parallel calls are joined from their fragments, however they are cut", "[anthropic]") {
    std::string const first = R"({"command": "ls \"x\" é"})", second = R"({"path":"a\\b"})";
    for (std::size_t cut = 0; cut <= first.size(); ++cut) {
        if (!parley::is_utf8(first.substr(0, cut))) continue;
        Chat chat;
        chat.play({started(), tool(0, "toolu_a", "shell"), input(0, ""),
                   input(0, first.substr(0, cut)), tool(1, "toolu_b", "read_file"),
                   input(1, second), input(0, first.substr(cut)), end(0), end(1),
                   tool(2, "toolu_c", "now"), end(2), because("tool_use"), done});
        auto const calls = chat.call().items("call");
        REQUIRE(calls.size() == 3);
        CHECK(calls[0]["id"].text() == "toolu_a");
        CHECK(calls[0]["arguments"].text() == first);
        CHECK(calls[1]["name"].text() == "read_file");
        CHECK(calls[1]["arguments"].text() == second);
        CHECK(calls[2]["arguments"].text() == "{}");
        CHECK(chat.stop()["reason"].text() == "calls");
    }
}

TEST_CASE("a call by a stand-in is given back under the third party's name", "[anthropic]") {
    Chat chat(request(R"({"role":"user","text":"x"})",
                      R"(,"skills":[{"name":"org.x:y","description":"","parameters":{}}])"));
    chat.play({started(), tool(0, "t", "org_x_y"), end(0), because("tool_use"), done});
    CHECK(chat.only("call")["name"].text() == "org.x:y");
}

TEST_CASE("each of the service's reasons to stop has its word", "[anthropic]") {
    struct Row {
        char const *told, *reason;
        bool calls;
    };
    Row const rows[] = {{"end_turn", "end", false},
                        {"stop_sequence", "end", false},
                        {"max_tokens", "length", false},
                        {"max_tokens", "length", true},
                        {"model_context_window_exceeded", "length", false},
                        {"tool_use", "calls", true},
                        {"something_new", "end", false}};
    for (auto const& row : rows) {
        INFO(row.told << (row.calls ? " with a call" : ""));
        Chat chat;
        Lines events{started(), block(0, empty_text), text(0, "x"), end(0)};
        if (row.calls) events.insert(events.end(), {tool(1, "a", "shell"), end(1)});
        events.insert(events.end(), {because(row.told), done});
        chat.play(events);
        CHECK(chat.stop()["reason"].text() == row.reason);
        CHECK(chat.call().items("call").size() == (row.calls ? 1 : 0));
    }
}

TEST_CASE("a refusal is an answer that says of what kind it is, and wants nothing done",
          "[anthropic]") {
    Chat chat;
    chat.play({started(), block(0, empty_text), text(0, "Well"), tool(1, "a", "shell"),
               because("refusal",
                       R"(,"stop_details":{"category":"cyber","explanation":"No such help."})"),
               done});
    REQUIRE(chat.call().succeeded());
    CHECK(chat.stop().raw() ==
          R"({"type":"stop","reason":"refusal","detail":"cyber: No such help."})");
    CHECK(chat.call().items("call").empty());
    CHECK(chat.call().items("state").empty());
    Chat bare;
    bare.play({started(), because("refusal", R"(,"stop_details":{"category":null})"), done});
    CHECK(bare.stop()["detail"].text() == "");
}

TEST_CASE("a server that does not stream is understood", "[anthropic]") {
    Chat chat;
    chat.head(200, R"([["content-type","application/json"]])");
    chat.host.http_data(
        chat.http(),
        R"({"type":"message","content":[{"type":"text","text":"Grüße"},{"type":"tool_use","id":"t","name":"shell","input":{"x": 1}}],)"
        R"("stop_reason":"tool_use","usage":{"input_tokens":7,"output_tokens":2}})");
    chat.host.http_done(chat.http());
    CHECK(chat.call().text() == "Grüße");
    CHECK(chat.only("call")["arguments"].text() == R"({"x": 1})");
    CHECK(chat.only("usage")["input"].integer() == 7);
    CHECK(chat.stop()["reason"].text() == "calls");
}

// ---- What goes back word for word.

TEST_CASE("thinking goes back as it came, with its signature, in its place, under its own names",
          "[anthropic]") {
    Chat chat;
    chat.play({started(),
               block(0, R"({"type":"thinking","thinking":"","signature":""})"),
               delta(0, R"({"type":"thinking_delta","thinking":"Hm. "})"),
               delta(0, R"({"type":"thinking_delta","thinking":"\"So\"."})"),
               delta(0, R"({"type":"signature_delta","signature":"c2ln"})"),
               end(0),
               block(1, R"({"type":"redacted_thinking","data":"b3BhcXVl"})"),
               end(1),
               block(2, empty_text),
               text(2, "I look."),
               end(2),
               block(3, R"({"type":"thinking","thinking":"","signature":"x"})"),
               end(3),
               tool(4, "toolu_a", "shell"),
               input(4, R"({"a": )"),
               input(4, "1}"),
               end(4),
               block(5, empty_text),
               end(5),
               because("tool_use"),
               done});
    CHECK(chat.call().text("reasoning") == "Hm. \"So\".");
    CHECK(chat.call().text() == "I look.");
    std::string const content =
        R"([{"type":"thinking","thinking":"Hm. \"So\".","signature":"c2ln"},)"
        R"({"type":"redacted_thinking","data":"b3BhcXVl"},{"type":"text","text":"I look."},)"
        R"({"type":"thinking","thinking":"","signature":"x"},)"
        R"({"type":"tool_use","id":"toolu_a","name":"shell","input":{"a": 1}}])";
    CHECK(chat.only("state")["value"].text() == content);

    auto answered = [&](std::string_view state) {
        return request(
            R"({"role":"user","text":"x"},{"role":"assistant","text":"I look.","calls":[{"id":"c-1","name":"shell","arguments":"{\"a\": 1}"}],"state":)" +
            json_of("of", "us", "value", state) +
            R"(},{"role":"skill","call":"c-1","name":"shell","content":"out","error":false})");
    };
    Chat next(answered(content), R"({"cache":false})");
    CHECK(
        next.messages() ==
        R"([{"role":"user","content":[{"type":"text","text":"x"}]},{"role":"assistant","content":)" +
            content +
            R"(},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_a","content":"out"}]}])");

    // What does not go with the calls is not ours, or no longer: the plain answer goes.
    for (auto const* odd : {"", "[]", "{}", "not json", R"([{"type":"text","text":"y"}])"}) {
        INFO(odd);
        Chat plain(answered(odd), R"({"cache":false})");
        CHECK(plain.messages().find(R"("tool_use_id":"c-1")") != std::string::npos);
        CHECK(plain.messages().find(R"({"type":"text","text":"I look."})") != std::string::npos);
    }
}

TEST_CASE("an answer that pauses is sent back to go on, and is one answer", "[anthropic]") {
    Chat chat(request(), R"({"cache":false})");
    std::string const search =
        R"({"type":"server_tool_use","id":"srv_1","name":"search","input":{}})";
    chat.play({started(), block(0, empty_text), text(0, "One "), end(0), block(1, search),
               input(1, R"({"q":1})"), end(1), because("pause_turn", "", 4), done});
    REQUIRE(chat.host.http.size() == 2);
    CHECK(
        chat.messages() ==
        R"([{"role":"user","content":[{"type":"text","text":"Hello"}]},{"role":"assistant","content":)"
        R"([{"type":"text","text":"One "},{"type":"server_tool_use","id":"srv_1","name":"search","input":{"q":1}}]}])");
    chat.play({started(), block(0, empty_text), text(0, "two."), end(0), because("end_turn", "", 6),
               done});
    CHECK(chat.call().text() == "One two.");
    CHECK(chat.only("usage").raw() == R"({"type":"usage","input":20,"output":10})");
    CHECK(chat.only("state")["value"].text().ends_with(R"({"type":"text","text":"two."}])"));
}

TEST_CASE("one that pauses without an end is ended", "[anthropic]") {
    Chat chat;
    for (int i = 0; i < 20 && !chat.call().ended(); ++i)
        chat.play(
            {started(), block(0, empty_text), text(0, "x"), end(0), because("pause_turn"), done});
    CHECK(chat.host.http.size() == 6);
    CHECK(chat.answer()["code"].text() == "peer");
    CHECK_FALSE(chat.answer()["retryable"].boolean(true));
}

TEST_CASE("a state that is larger than the host takes is not told, and the answer is",
          "[anthropic]") {
    Chat chat;
    chat.play({started(),
               block(0, json_of("type", "redacted_thinking", "data", std::string(300 * 1024, 'x'))),
               end(0), block(1, empty_text), text(1, "ok"), end(1), because("end_turn"), done});
    CHECK(chat.call().text() == "ok");
    CHECK(chat.call().items("state").empty());
}

// ---- Errors.

TEST_CASE("each status of the service has its code, and says whether to try again", "[anthropic]") {
    struct Row {
        int status;
        char const *headers, *type, *error_code, *code;
        bool retryable;
        int retry_after_ms;
    };
    Row const rows[] = {
        {400, "[]", "invalid_request_error", "", "invalid", false, 0},
        {401, "[]", "authentication_error", "", "auth", false, 0},
        {402, "[]", "billing_error", "", "money", false, 0},
        {403, "[]", "permission_error", "", "auth", false, 0},
        {404, "[]", "not_found_error", "", "peer", false, 0},
        {408, "[]", "x", "", "peer", true, 0},
        {409, "[]", "conflict_error", "", "peer", true, 0},
        {413, "[]", "request_too_large", "", "limit", false, 0},
        {429, R"([["retry-after","2"]])", "rate_limit_error", "", "rate", true, 2000},
        {429, R"([["retry-after","2"],["retry-after-ms","30"]])", "rate_limit_error", "", "rate",
         true, 30},
        {429,
         R"([["Date","Sun, 06 Nov 1994 08:49:37 GMT"],["retry-after","Sun, 06 Nov 1994 08:49:40 GMT"]])",
         "rate_limit_error", "", "rate", true, 3000},
        {429, R"([["retry-after","9"]])", "rate_limit_error", "ramp_limit_exceeded", "rate", true,
         9000},
        {429, R"([["x-should-retry","true"]])", "rate_limit_error", "enforced_spend_limit_reached",
         "money", false, 0},
        {400, "[]", "invalid_request_error", "contract_spend_limit_reached", "money", false, 0},
        {500, "[]", "api_error", "", "peer", true, 0},
        {504, "[]", "timeout_error", "", "peer", true, 0},
        {529, "[]", "overloaded_error", "", "overloaded", true, 0},
        {529, R"([["x-should-retry","false"]])", "overloaded_error", "", "overloaded", false, 0},
    };
    for (auto const& row : rows) {
        INFO(row.status << " " << row.headers << " " << row.type << " " << row.error_code);
        Chat chat;
        chat.head(row.status, row.headers);
        chat.host.http_data(chat.http(),
                            R"({"type":"error","error":{"type":")" + std::string(row.type) +
                                R"(","message":"it said so","details":{"error_code":")" +
                                row.error_code + R"("}},"request_id":"req_1"})");
        chat.host.http_done(chat.http());
        CHECK(chat.answer()["code"].text() == row.code);
        CHECK(chat.answer()["retryable"].boolean() == row.retryable);
        CHECK(chat.answer()["retry_after_ms"].integer() == row.retry_after_ms);
        CHECK(chat.answer()["message"].text() ==
              "HTTP " + std::to_string(row.status) + ": it said so");
        CHECK(chat.host.http.size() == 1);
    }
}

TEST_CASE("where nothing else says so, the rate that is used up says when to come back",
          "[anthropic]") {
    auto wait = [](std::string_view more) {
        Chat chat;
        chat.head(429, R"([["Date","Sun, 06 Nov 1994 08:49:37 GMT"])" + std::string(more) + "]");
        chat.host.http_done(chat.http());
        return chat.answer()["retry_after_ms"].integer();
    };
    std::string const requests = R"(,["anthropic-ratelimit-requests-remaining","0"],)"
                                 R"(["anthropic-ratelimit-requests-reset","1994-11-06T08:49:41Z"])",
                      tokens =
                          R"(,["anthropic-ratelimit-input-tokens-remaining","0"],)"
                          R"(["anthropic-ratelimit-input-tokens-reset","1994-11-06T08:49:46.5Z"])",
                      left = R"(,["anthropic-ratelimit-tokens-remaining","5"],)"
                             R"(["anthropic-ratelimit-tokens-reset","1994-11-06T09:00:00Z"])";
    CHECK(wait(requests) == 4000);
    CHECK(wait(requests + tokens + left) == 10000);
    CHECK(wait(left) == 0);
    CHECK(wait(requests + R"(,["retry-after","1"])") == 1000);
    for (auto const* odd : {"", "soon", "1994-13-06T08:49:41Z", "1994-11-06 08:49:41Z",
                            "1994-11-06T08:49:41+01:00", "1994-11-06T08:49:00Z"})
        CHECK(
            wait(
                R"(,["anthropic-ratelimit-tokens-remaining","0"],["anthropic-ratelimit-tokens-reset",")" +
                std::string(odd) + "\"]") == 0);
}

TEST_CASE("an error inside the stream is an error, and what was used stays told", "[anthropic]") {
    struct Row {
        char const *type, *code;
        bool retryable;
    };
    Row const rows[] = {
        {"overloaded_error", "overloaded", true}, {"api_error", "peer", true},
        {"rate_limit_error", "rate", true},       {"invalid_request_error", "invalid", false},
        {"billing_error", "money", false},        {"authentication_error", "auth", false}};
    for (auto const& row : rows) {
        INFO(row.type);
        Chat chat;
        chat.play({started(), block(0, empty_text), text(0, "half"),
                   R"({"type":"error","error":{"type":")" + std::string(row.type) +
                       R"(","message":"oh"}})"});
        CHECK(chat.answer()["code"].text() == row.code);
        CHECK(chat.answer()["retryable"].boolean() == row.retryable);
        CHECK(chat.call().text() == "half");
        CHECK(chat.call().items("usage").empty());
        CHECK(chat.call().items("stop").empty());
    }
}

TEST_CASE("an answer without its end is cut off, and nothing of it is done", "[anthropic]") {
    Chat chat;
    chat.play({started(), tool(0, "t", "shell"), input(0, R"({"comm)")});
    CHECK(chat.answer()["code"].text() == "cut_off");
    CHECK(chat.answer()["retryable"].boolean());
    CHECK(chat.call().items("call").empty());
    CHECK(chat.call().items("usage").empty());
}

TEST_CASE("of an answer that failed the usage is told when it was counted to its end",
          "[anthropic]") {
    Chat chat;
    chat.play({started(), tool(0, "t", ""), end(0), because("tool_use", "", 7), done});
    CHECK(chat.answer()["code"].text() == "peer");
    CHECK(chat.only("usage")["output"].integer() == 7);
}

TEST_CASE("garbage ends the answer", "[anthropic]") {
    for (std::string const& odd : Lines{"{", "[]", text(7, "of no block"), block(1, "null"),
                                        R"({"type":"content_block_start","index":1})"}) {
        INFO(odd);
        Chat chat;
        chat.play({started(), block(0, empty_text), odd, done});
        CHECK(chat.answer()["code"].text() == "peer");
        CHECK_FALSE(chat.answer()["retryable"].boolean(true));
    }
    Chat many;
    many.head();
    for (int i = 0; i < 2000 && !many.call().ended(); ++i) many.event(block(i, empty_text));
    CHECK(many.answer()["code"].text() == "peer");
    Chat nameless;
    nameless.play({started(), tool(0, "t", ""), end(0), because("tool_use"), done});
    CHECK(nameless.answer()["code"].text() == "peer");
}

TEST_CASE("random events end an answer or do not, and never break the plugin", "[anthropic]") {
    std::mt19937 random(9);
    Lines const events = {started(),
                          block(0, empty_text),
                          text(0, "x"),
                          tool(1, "a", "n"),
                          input(1, "{"),
                          input(1, "}"),
                          end(0),
                          end(1),
                          because("pause_turn"),
                          because("tool_use"),
                          because("end_turn"),
                          done,
                          R"({"type":5})",
                          "{}",
                          "",
                          R"({"type":"message_delta","delta":5,"usage":[1]})",
                          R"({"type":"message","content":[5,null,{}]})",
                          block(2, R"({"type":"thinking"})"),
                          delta(2, "7"),
                          R"({"type":"content_block_delta","index":1e9,"delta":null})"};
    for (int round = 0; round < 300; ++round) {
        Chat chat;
        for (int again = 0; again < 8 && !chat.call().ended(); ++again) {
            chat.head();
            for (auto left = random() % 12; left > 0; --left) {
                auto const& event = events[random() % events.size()];
                if (chat.http().open)
                    chat.host.http_event(chat.http(),
                                         event.substr(0, random() % 20 ? std::string::npos : 30));
            }
            if (chat.http().open) chat.host.http_done(chat.http());
        }
        CHECK(chat.call().ended());
        CHECK(chat.call().items("stop").size() == (chat.call().succeeded() ? 1u : 0u));
        CHECK(chat.host.faults.empty());
    }
}

// ---- Counts and lists.

TEST_CASE("tokens are counted by the service, of the request as it would be sent", "[anthropic]") {
    TestHost host(plugin, R"({"cache":false})");
    auto const id = host.start(Verb::provider_count_tokens, request());
    CHECK(host.http.back().request["url"].text() ==
          "https://api.anthropic.com/v1/messages/count_tokens");
    CHECK(host.http.back().body ==
          R"({"model":"claude-x","system":[{"type":"text","text":"be kind"}],)"
          R"("messages":[{"role":"user","content":[{"type":"text","text":"Hello"}]}]})");
    host.http_head(host.http.back(), 200);
    host.http_data(host.http.back(), R"({"input_tokens":)");
    host.http_data(host.http.back(), "14}");
    host.http_done(host.http.back());
    CHECK(host.call(id).result == R"({"input":14})");
    for (auto const* odd : {"", "{}", R"({"input_tokens":-1})", R"({"input_tokens":"5"})"}) {
        auto const other = host.start(Verb::provider_count_tokens, request());
        host.http_head(host.http.back(), 200);
        host.http_data(host.http.back(), odd);
        host.http_done(host.http.back());
        CHECK(host.call(other).answer()["code"].text() == "peer");
    }
}

TEST_CASE("models are listed with what they take", "[anthropic]") {
    TestHost host(plugin);
    auto const id = host.start(Verb::provider_list_models, "{}");
    CHECK(host.http.back().request["method"].text() == "GET");
    CHECK(host.http.back().request["url"].text() ==
          "https://api.anthropic.com/v1/models?limit=1000");
    CHECK(host.http.back().request["headers"].raw().find("anthropic-version") != std::string::npos);
    host.http_head(host.http.back(), 200);
    host.http_data(
        host.http.back(),
        R"({"data":[{"type":"model","id":"claude-x","max_input_tokens":200000,"max_tokens":64000},{"id":"claude-y"}]})");
    host.http_done(host.http.back());
    CHECK(
        host.call(id).result ==
        R"({"models":[{"id":"claude-x","context_tokens":200000,"max_output_tokens":64000},{"id":"claude-y"}]})");
}
