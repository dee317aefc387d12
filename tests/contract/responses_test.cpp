// The OpenAI provider on the Responses API: what it asks, typed events in every order that servers
// send, reasoning that goes back sealed, and which schemas are strict.
#include "test_host.hpp"

// The plain part of the plugin, which its file does not export.
#include "../../plugins/provider_openai/responses_request.cpp"

#include <catch2/catch.hpp>

#include <random>

using namespace contract;

namespace {

constexpr char plugin[] = PLUGIN_FOLDER "/provider_openai.so";
constexpr char responses[] = R"({"api":"responses"})";
using Lines = std::vector<std::string>;

std::string request(std::string_view messages = R"({"role":"user","text":"Hello"})",
                    std::string_view more = "") {
    return R"({"model":"gpt-x","max_output_tokens":100,"messages":[)" + std::string(messages) +
           "]" + std::string(more) + "}";
}

struct Chat {
    explicit Chat(std::string const& text = request(), std::string const& config = responses)
        : host(plugin, config), id(host.start(Verb::provider_generate, text)) {}

    HttpExchange& http() { return host.http.back(); }
    Json body() { return Json::parse(http().body); }
    void play(Lines const& events) {
        host.http_head(http(), 200, "[]");
        for (auto const& data : events) host.http_event(http(), data);
        host.http_done(http());
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
    std::string stop() const { return std::string(only("stop")["reason"].text()); }

    TestHost host;
    parley_id id;
};

std::string delta(char const* type, int index, std::string_view words) {
    return json_of("type", type, "sequence_number", 1, "output_index", index, "content_index", 0,
                   "delta", words);
}
std::string text(int index, std::string_view words) {
    return delta("response.output_text.delta", index, words);
}
std::string done(int index, std::string const& item) {
    return json_of("type", "response.output_item.done", "output_index", index, "item",
                   parley::JsonRaw{item});
}
std::string message(std::string_view words) {
    return R"({"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[)" +
           json_of("type", "output_text", "text", words) + "]}";
}
std::string call(std::string_view id, std::string_view name, std::string_view arguments,
                 std::string_view status = "completed") {
    return json_of("id", "fc_1", "type", "function_call", "status", status, "call_id", id, "name",
                   name, "arguments", arguments);
}
std::string end(std::string_view status = "completed", std::string_view more = "",
                std::string_view output = "[]") {
    return R"({"type":"response.)" + std::string(status) +
           R"(","response":{"object":"response","status":")" + std::string(status) +
           R"(","output":)" + std::string(output) + std::string(more) +
           R"(,"usage":{"input_tokens":1200,"input_tokens_details":{"cached_tokens":1024,"cache_write_tokens":7},)"
           R"("output_tokens":30,"output_tokens_details":{"reasoning_tokens":12},"total_tokens":1230}}})";
}
std::string const reasoning =
    R"({"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"sealed=="})";

}  // namespace

// ---- Requests.

TEST_CASE("a request keeps nothing at the service and asks for the reasoning, sealed",
          "[responses]") {
    Chat chat(request(
        R"({"role":"user","text":"Hi","name":"Al"},)"
        R"({"role":"assistant","text":"Let me see.","calls":[{"id":"c-1","name":"org.x:y","arguments":"{\"a\" : 1 }"},{"id":"c-2","name":"shell","arguments":"not json"}]},)"
        R"({"role":"skill","call":"c-1","name":"org.x:y","content":"out","error":false},)"
        R"({"role":"skill","call":"c-2","name":"shell","content":"bad","error":true},)"
        R"({"role":"assistant","text":"done"})",
        R"(,"system":"be kind","skills":[{"name":"shell","description":"Runs it.","parameters":{"type": "object"}},{"name":"org.x:y","description":"","parameters":{"type":"object","properties":{},"additionalProperties":false}}])"));
    Json const http = chat.http().request;
    CHECK(http["method"].text() == "POST");
    CHECK(http["url"].text() == "https://api.openai.com/v1/responses");
    CHECK(http["framing"].text() == "sse");
    CHECK(
        chat.http().body ==
        R"({"model":"gpt-x","stream":true,"store":false,"include":["reasoning.encrypted_content"],"max_output_tokens":100,)"
        R"("instructions":"be kind","input":[{"type":"message","role":"user","content":"Al: Hi"},)"
        R"({"type":"message","role":"assistant","content":"Let me see."},)"
        R"({"type":"function_call","call_id":"c-1","name":"org_x_y","arguments":"{\"a\" : 1 }"},)"
        R"({"type":"function_call","call_id":"c-2","name":"shell","arguments":"not json"},)"
        R"({"type":"function_call_output","call_id":"c-1","output":"out"},)"
        R"({"type":"function_call_output","call_id":"c-2","output":"[failed] bad"},)"
        R"({"type":"message","role":"assistant","content":"done"}],)"
        R"("tools":[{"type":"function","name":"shell","description":"Runs it.","parameters":{"type": "object"},"strict":false},)"
        R"({"type":"function","name":"org_x_y","description":"","parameters":{"type":"object","properties":{},"additionalProperties":false},"strict":true}]})");
    CHECK(chat.host.faults.empty());

    Chat plain(request(), R"({"api":"responses","carry_reasoning":false})");
    CHECK_FALSE(plain.body()["include"].exists());
    Chat usual(request(), "{}");
    CHECK(usual.http().request["url"].text().ends_with("/chat/completions"));
}

TEST_CASE("a schema is strict when it leaves nothing open, and else sent as it is", "[responses]") {
    auto strict = [](std::string const& schema) {
        return openai::strict_schema(Json::parse(schema)).value_or("no");
    };
    auto object = [](std::string const& properties, std::string const& required) {
        return R"({"type":"object","properties":{)" + properties + R"(},"required":[)" + required +
               R"(],"additionalProperties":false})";
    };
    for (auto const& schema :
         {object("", ""), object(R"("a":{"type":"string","description":"d"})", R"("a")"),
          object(R"("a":{"type":["integer","null"],"minimum":1},"b":{"enum":["x","y"]})",
                 R"("b","a")"),
          object(R"("a":{"type":"array","items":{"type":"number"},"maxItems":3})", R"("a")"),
          object("\"a\":" +
                     object(R"("b":{"anyOf":[{"type":"string"},{"type":"boolean"}]})", R"("b")"),
                 R"("a")")}) {
        INFO(schema);
        CHECK(strict(schema) == schema);
    }
    // Bounds that strict mode does not know are left to the host.
    CHECK(strict(object(R"("a":{"type":"string","maxLength":9,"title":"t"})", R"("a")")) ==
          object(R"("a":{"type":"string"})", R"("a")"));
    std::string deep = R"({"type":"string"})", many, names;
    for (int i = 0; i < 5; ++i) deep = object("\"a\":" + deep, R"("a")");
    for (int i = 0; i < 101; ++i) {
        many += (i ? ",\"" : "\"") + std::to_string(i) + R"(":{"type":"string"})";
        names += (i ? ",\"" : "\"") + std::to_string(i) + "\"";
    }
    for (auto const& schema :
         {std::string("{}"), std::string("5"), std::string(R"({"type":"object"})"),
          std::string(R"({"type":"object","properties":{}})"),
          std::string(R"({"type":"object","properties":{},"additionalProperties":true})"),
          std::string(R"({"type":"array","items":{"type":"string"}})"),
          object(R"("a":{"type":"string"},"b":{"type":"string"})", R"("a")"),
          object(R"("a":{})", R"("a")"), object(R"("a":{"type":"array"})", R"("a")"),
          object(R"("a":{"type":"string","pattern":"^x$"})", R"("a")"),
          object(R"("a":{"type":"string","default":"x"})", R"("a")"),
          object(R"("a":{"$ref":"#/$defs/x"})", R"("a")"),
          object(R"("a":{"allOf":[{"type":"string"}]})", R"("a")"),
          object(R"("a":{"type":"object","properties":{}})", R"("a")"), deep,
          object(many, names)}) {
        INFO(schema);
        CHECK(strict(schema) == "no");
    }
}

// ---- Answers.

TEST_CASE("text leaves as it comes, and the end brings usage with its parts", "[responses]") {
    Chat chat;
    chat.host.http_head(chat.http(), 200, "[]");
    auto event = [&](std::string const& data) { chat.host.http_event(chat.http(), data); };
    event(R"({"type":"response.created","response":{"status":"in_progress","output":[]}})");
    event(R"({"type":"response.output_item.added","output_index":0,"item":{"type":"message"}})");
    event(text(0, "Hel"));
    CHECK(chat.call().text() == "Hel");
    event(text(0, "lo"));
    event(R"({"type":"response.something_new","delta":"x"})");
    event(done(0, message("Hello")));
    CHECK_FALSE(chat.call().ended());
    event(end());
    REQUIRE(chat.call().succeeded());
    CHECK(chat.call().text() == "Hello");
    CHECK(
        chat.only("usage").raw() ==
        R"({"type":"usage","input":1200,"output":30,"cache_read":1024,"cache_write":7,"reasoning":12})");
    CHECK(chat.stop() == "end");
    CHECK(chat.call().items("state").empty());
    CHECK_FALSE(chat.http().open);
    CHECK(chat.host.faults.empty());
}

TEST_CASE("calls come whole, byte for byte, by the names that were meant", "[responses]") {
    Chat chat(request(R"({"role":"user","text":"x"})",
                      R"(,"skills":[{"name":"org.x:y","description":"d","parameters":{}}])"));
    chat.play({delta("response.function_call_arguments.delta", 0, R"({"a")"),
               done(0, call("call_a", "org_x_y", R"({"a" : "é"})")),
               done(1, call("call_b", "shell", "")), end()});
    auto const calls = chat.call().items("call");
    REQUIRE(calls.size() == 2);
    CHECK(calls[0]["id"].text() == "call_a");
    CHECK(calls[0]["name"].text() == "org.x:y");
    CHECK(calls[0]["arguments"].text() == R"({"a" : "é"})");
    CHECK(calls[1]["arguments"].text() == "{}");
    CHECK(chat.stop() == "calls");
}

TEST_CASE("reasoning goes back as it came, with the calls that it led to", "[responses]") {
    Chat chat;
    auto const wanted = call("call_a", "shell", R"({"command":"ls"})");
    chat.play({delta("response.reasoning_summary_text.delta", 0, "hm"), done(0, reasoning),
               done(1, wanted), end()});
    CHECK(chat.call().text("reasoning") == "hm");
    auto const state = std::string(chat.only("state")["value"].text());
    CHECK(state == "[" + reasoning + "," + wanted + "]");

    auto const with = [&](std::string const& value) {
        Chat next(request(
            R"({"role":"user","text":"x"},)" +
            json_of("role", "assistant", "text", "", "calls",
                    parley::JsonRaw{
                        R"([{"id":"c-1","name":"shell","arguments":"{\"command\":\"ls\"}"}])"},
                    "state", parley::JsonRaw{json_of("value", value)}) +
            R"(,{"role":"skill","call":"c-1","name":"shell","content":"out","error":false})"));
        return std::string(next.body()["input"].raw());
    };
    std::string const user = R"([{"type":"message","role":"user","content":"x"},)";
    CHECK(with(state) ==
          user + reasoning + "," + wanted +
              R"(,{"type":"function_call_output","call_id":"call_a","output":"out"}])");
    // One that is not of this answer's calls is none of ours.
    auto const plain =
        user +
        R"({"type":"function_call","call_id":"c-1","name":"shell","arguments":"{\"command\":\"ls\"}"},)"
        R"({"type":"function_call_output","call_id":"c-1","output":"out"}])";
    CHECK(with("[" + reasoning + "]") == plain);
    CHECK(with("not json") == plain);
}

TEST_CASE("each end has its word", "[responses]") {
    struct Row {
        char const *status, *more, *reason;
        std::size_t calls;
    };
    Row const rows[] = {
        {"completed", "", "calls", 1},
        {"incomplete", R"(,"incomplete_details":{"reason":"max_output_tokens"})", "length", 1},
        {"incomplete", R"(,"incomplete_details":{"reason":"content_filter"})", "refusal", 0},
        {"incomplete", "", "length", 1}};
    for (auto const& row : rows) {
        INFO(row.status << row.more);
        Chat chat;
        chat.play({text(0, "x"), done(0, message("x")), done(1, call("a", "shell", "{}")),
                   end(row.status, row.more)});
        CHECK(chat.call().succeeded());
        CHECK(chat.stop() == row.reason);
        CHECK(chat.call().items("call").size() == row.calls);
        CHECK(chat.call().items("usage").size() == 1);
    }
    Chat half;
    half.play({done(0, reasoning), done(1, call("a", "shell", R"({"comm)", "incomplete")),
               end("incomplete", R"(,"incomplete_details":{"reason":"max_output_tokens"})")});
    CHECK(half.stop() == "length");
    CHECK(half.call().items("call").empty());
    CHECK(half.call().items("state").empty());
}

TEST_CASE("a refusal is said and final, and nothing of it is done", "[responses]") {
    Chat chat;
    chat.play({delta("response.refusal.delta", 0, "I won't."),
               done(0, R"({"type":"message","content":[{"type":"refusal","refusal":"I won't."}]})"),
               done(1, call("a", "shell", "{}")), end()});
    CHECK(chat.call().text() == "I won't.");
    CHECK(chat.stop() == "refusal");
    CHECK(chat.call().items("call").empty());
}

TEST_CASE("a server that sends items at the end alone, or does not stream, is understood",
          "[responses]") {
    auto const output =
        "[" + reasoning + "," + message("Hello") + "," + call("a", "shell", "{}") + "]";
    Chat late;
    late.play({end("completed", "", output)});
    CHECK(late.call().text() == "Hello");
    CHECK(late.call().text("reasoning") == "hm");
    CHECK(late.stop() == "calls");
    CHECK(late.only("state")["value"].text() == output);

    Json const event = Json::parse(end("completed", "", output));
    auto const whole = event["response"].raw();
    Chat one;
    one.host.http_head(one.http(), 200, R"([["content-type","application/json"]])");
    one.host.http_data(one.http(), whole.substr(0, 50));
    one.host.http_data(one.http(), whole.substr(50));
    one.host.http_done(one.http());
    CHECK(one.call().text() == "Hello");
    CHECK(one.only("usage")["output"].integer() == 30);
}

TEST_CASE("what fails inside the stream says whose matter it is, with what it cost",
          "[responses]") {
    struct Row {
        char const* data;
        char const* code;
        bool retryable;
    };
    auto failed = [](char const* code) {
        return end("failed", R"(,"error":{"code":")" + std::string(code) + R"(","message":"oh"})");
    };
    auto const server = failed("server_error"), rate = failed("rate_limit_exceeded"),
               prompt = failed("invalid_prompt"), money = failed("insufficient_quota");
    Row const rows[] = {
        {server.c_str(), "peer", true},
        {rate.c_str(), "rate", true},
        {prompt.c_str(), "invalid", false},
        {money.c_str(), "money", false},
        {R"({"type":"error","code":"server_is_overloaded","message":"oh","param":null})",
         "overloaded", true},
        {R"({"error":{"message":"oh","code":"insufficient_quota"}})", "money", false}};
    for (auto const& row : rows) {
        INFO(row.data);
        Chat chat;
        chat.play({text(0, "x"), row.data});
        CHECK(chat.answer()["code"].text() == row.code);
        CHECK(chat.answer()["retryable"].boolean() == row.retryable);
        CHECK(chat.answer()["message"].text().find("oh") != std::string_view::npos);
        bool const was_counted = std::string_view(row.data).find("usage") != std::string_view::npos;
        CHECK(chat.call().items("usage").size() == (was_counted ? 1u : 0u));
        CHECK(chat.call().items("stop").empty());
    }
}

TEST_CASE("an answer without its end is cut off, and garbage ends it", "[responses]") {
    Chat cut;
    cut.play({text(0, "half"), done(1, call("a", "shell", "{}"))});
    CHECK(cut.answer()["code"].text() == "cut_off");
    CHECK(cut.answer()["retryable"].boolean());
    CHECK(cut.call().items("call").empty());
    for (std::string const& odd :
         Lines{"{", "[]", "null", done(0, "5"), end("cancelled"),
               R"({"type":"response.completed","response":{}})", R"({"type":"response.completed"})",
               done(0, call("a", "", "{}")) + "\n"}) {
        INFO(odd);
        Chat chat;
        chat.play({text(0, "x"), odd, end()});
        CHECK(chat.call().ended());
        CHECK(
            (chat.answer()["code"].text() == "peer" || chat.answer()["code"].text() == "cut_off"));
        CHECK_FALSE(chat.http().open);
        CHECK(chat.call().items("call").empty());
    }
    Chat endless;
    endless.host.http_head(endless.http(), 200, "[]");
    auto const big = text(0, std::string(512 * 1024, 'x'));
    for (int i = 0; i < 40 && !endless.call().ended(); ++i)
        endless.host.http_event(endless.http(), big);
    CHECK(endless.answer()["code"].text() == "peer");
    CHECK(cut.host.faults.empty());
}

TEST_CASE("random events of this wire, too, end an answer or do not, and break nothing",
          "[responses]") {
    std::mt19937 random(11);
    Lines const events = {
        text(0, "x"),
        text(7, "y"),
        done(0, message("x")),
        done(0, reasoning),
        done(1, call("a", "n", "{")),
        done(-1, call("b", "m", "{}")),
        delta("response.refusal.delta", 2, "no"),
        end(),
        end("incomplete"),
        end("failed"),
        R"({"type":"response.output_item.done","output_index":"x","item":{}})",
        R"({"type":"response.output_text.delta"})",
        R"({"type":"response.completed","response":{"status":"completed","output":5}})",
        R"({"type":"response.completed","response":{"status":"completed","output":[null]}})",
        R"({"type":5})",
        "[DONE]",
        ""};
    for (int round = 0; round < 300; ++round) {
        Chat chat;
        chat.host.http_head(chat.http(), 200, "[]");
        for (auto left = random() % 12; left > 0 && chat.http().open; --left) {
            chat.host.http_event(chat.http(), events[random() % events.size()].substr(
                                                  0, random() % 20 ? std::string::npos : 30));
        }
        if (chat.http().open) chat.host.http_done(chat.http());
        CHECK(chat.call().ended());
        CHECK(chat.call().items("stop").size() == (chat.call().succeeded() ? 1u : 0u));
        CHECK(chat.host.faults.empty());
    }
}
