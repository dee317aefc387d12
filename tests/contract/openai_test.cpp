// The OpenAI provider: requests as the wire wants them, streams in every shape that servers send,
// errors as a table.
#include "test_host.hpp"

// The plain parts of the plugin, which its file does not export.
#include "../../plugins/model_wire/names.cpp"

#include <catch2/catch.hpp>

#include <random>

using namespace contract;
using namespace std::chrono_literals;

namespace {

constexpr char plugin[] = PLUGIN_FOLDER "/provider_openai.so";
using Lines = std::vector<std::string>;

std::string request(std::string_view more = "") {
    return R"({"model":"gpt-x","max_output_tokens":100,"system":"be kind",)"
           R"("messages":[{"role":"user","text":"Hello"}])" +
           std::string(more) + "}";
}

// A call whose request is under way.
struct Chat {
    explicit Chat(std::string const& text = request(), std::string const& config = "{}")
        : host(plugin, config), id(host.start(Verb::provider_generate, text)) {}

    HttpExchange& http() { return host.http.back(); }
    Json body() { return Json::parse(http().body); }
    void head(int status = 200, std::string_view headers = "[]") {
        host.http_head(http(), status, headers);
    }
    void event(std::string_view data) { host.http_event(http(), data); }
    void done() { host.http_done(http()); }
    void play(Lines const& events) {
        head();
        for (auto const& data : events) event(data);
        done();
    }
    CallRecord call() const { return host.call(id); }
    Json answer() const {
        REQUIRE(call().ended());
        return call().answer();
    }
    std::string stop() const {
        auto const stops = call().items("stop");
        return stops.size() == 1 ? std::string(stops[0]["reason"].text()) : "";
    }

    TestHost host;
    parley_id id;
};

std::string delta(std::string_view inside, std::string_view finish = "null") {
    return R"({"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{)" +
           std::string(inside) + R"(},"logprobs":null,"finish_reason":)" + std::string(finish) +
           "}]}";
}
std::string text(std::string_view words) {
    std::string out = "\"content\":";
    parley::append_quoted(out, words);
    return delta(out);
}
// A fragment of a tool call.
std::string call(int index, std::string_view id, std::string_view name,
                 std::string_view arguments) {
    parley::JsonWriter out;
    out.begin('{').pair("index", index);
    if (!id.empty()) out.pair("id", id).pair("type", "function");
    out.key("function").begin('{');
    if (!name.empty()) out.pair("name", name);
    out.pair("arguments", arguments).end('}').end('}');
    return R"("tool_calls":[)" + out.take() + "]";
}
std::string const stop_chunk = delta("", "\"stop\"");
std::string const calls_chunk = delta("", "\"tool_calls\"");
std::string const usage_chunk =
    R"({"id":"c","choices":[],"usage":{"prompt_tokens":1200,"completion_tokens":30,)"
    R"("total_tokens":1230,"prompt_tokens_details":{"cached_tokens":1024,"audio_tokens":0},)"
    R"("completion_tokens_details":{"reasoning_tokens":12}}})";

}  // namespace

// ---- Requests.

TEST_CASE("a request is what Chat Completions wants", "[openai]") {
    Chat chat(R"({"model":"gpt-x","max_output_tokens":100,"system":"be kind",
        "skills":[{"name":"shell","description":"Runs \"it\".","parameters":{"type": "object"}}],
        "messages":[{"role":"user","text":"Hi","name":"Al <x>"},
                    {"role":"assistant","text":"","calls":[{"id":"c-1","name":"shell","arguments":"{\"a\" : 1 }"}]},
                    {"role":"skill","call":"c-1","name":"shell","content":"out","error":false},
                    {"role":"assistant","text":"and","calls":[{"id":"c-2","name":"shell","arguments":"not json"}]},
                    {"role":"skill","call":"c-2","name":"shell","content":"bad","error":true},
                    {"role":"assistant","text":"done"}]})");
    Json const http = chat.http().request;
    CHECK(http["method"].text() == "POST");
    CHECK(http["url"].text() == "https://api.openai.com/v1/chat/completions");
    CHECK(http["framing"].text() == "sse");
    CHECK(http["timeout_ms"].integer() == 600000);
    Json const inject = *http["inject"].begin();
    CHECK(inject["slot"].text() == "header:Authorization");
    CHECK(inject["secret"].text() == "api_key");
    CHECK(inject["prefix"].text() == "Bearer ");
    CHECK(
        chat.http().body ==
        R"({"model":"gpt-x","stream":true,"stream_options":{"include_usage":true},"max_completion_tokens":100,)"
        R"("messages":[{"role":"system","content":"be kind"},{"role":"user","content":"Hi","name":"Al__x_"},)"
        R"({"role":"assistant","content":null,"tool_calls":[{"id":"c-1","type":"function","function":{"name":"shell","arguments":"{\"a\" : 1 }"}}]},)"
        R"({"role":"tool","tool_call_id":"c-1","content":"out"},)"
        R"({"role":"assistant","content":"and","tool_calls":[{"id":"c-2","type":"function","function":{"name":"shell","arguments":"not json"}}]},)"
        R"({"role":"tool","tool_call_id":"c-2","content":"[failed] bad"},)"
        R"({"role":"assistant","content":"done"}],)"
        R"("tools":[{"type":"function","function":{"name":"shell","description":"Runs \"it\".","parameters":{"type": "object"}}}]})");
    CHECK(chat.host.faults.empty());
}

TEST_CASE("an older server's name for the limit and its place come from the config", "[openai]") {
    Chat chat(
        request(),
        R"({"base_url":"http://127.0.0.1:8080/v1/","max_tokens_field":"max_tokens","timeout_s":5})");
    CHECK(chat.body()["max_tokens"].integer() == 100);
    CHECK_FALSE(chat.body()["max_completion_tokens"].exists());
    CHECK_FALSE(chat.body()["tools"].exists());
    CHECK(chat.http().request["url"].text() == "http://127.0.0.1:8080/v1/chat/completions");
    CHECK(chat.http().request["timeout_ms"].integer() == 5000);
    CHECK_THROWS_AS(TestHost(plugin, R"({"base_url":"ftp://x"})"), std::runtime_error);
    CHECK_THROWS_AS(TestHost(plugin, R"({"base_url":"https://x/v1?a=b"})"), std::runtime_error);
}

TEST_CASE("a request that makes no sense or is too large is not sent", "[openai]") {
    TestHost host(plugin);
    auto code = [&](std::string const& text) {
        return std::string(host.run(Verb::provider_generate, text).answer()["code"].text());
    };
    CHECK(code(R"({"model":"","messages":[{"role":"user","text":"x"}]})") == "invalid");
    CHECK(code(R"({"model":"m","messages":[]})") == "invalid");
    CHECK(code(json_of(
              "model", "m", "messages",
              parley::JsonRaw{"[" + json_of("role", "user", "text", std::string(17u << 20, 'x')) +
                              "]"})) == "limit");
    CHECK(host.http.empty());
}

TEST_CASE("names get stand-ins that fit, differ, and lead back", "[openai]") {
    std::string const longer(100, 'x');
    std::vector<std::string> const all = {
        "org.a:run",  "org_a_run",        "org:a.run", "shell",    "shell", longer + "1",
        longer + "2", "x" + longer + "2", "",          "\xc3\xa9", "a b"};
    model_wire::Names const names(all);
    std::map<std::string, std::string> seen;
    for (auto const& name : all) {
        std::string const wire(names.on_wire(name));
        INFO(name << " is " << wire);
        CHECK(wire.size() >= 1);
        CHECK(wire.size() <= 64);
        CHECK(wire.find_first_not_of(
                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == wire.npos);
        CHECK(names.meant_by(wire) == name);
        auto const [at, fresh] = seen.emplace(wire, name);
        CHECK((fresh || at->second == name));
    }
    CHECK(names.on_wire("org_a_run") == "org_a_run");
    CHECK(names.on_wire("shell") == "shell");
    CHECK(names.meant_by("never_sent") == "never_sent");
}

TEST_CASE("a third party's skill is called by its stand-in and answered by its name", "[openai]") {
    Chat chat(
        R"({"model":"m","max_output_tokens":9,"skills":[{"name":"org.example.weather:now","description":"d","parameters":{}}],
        "messages":[{"role":"user","text":"x"},{"role":"assistant","text":"","calls":[{"id":"c","name":"org.example.weather:now","arguments":"{}"}]},
                    {"role":"skill","call":"c","name":"org.example.weather:now","content":"sun","error":false}]})");
    Json const tool = *chat.body()["tools"].begin();
    CHECK(tool["function"]["name"].text() == "org_example_weather_now");
    CHECK(chat.http().body.find("org.example") == std::string::npos);
    chat.play({delta(call(0, "id", "org_example_weather_now", "{}")), calls_chunk, "[DONE]"});
    CHECK(chat.call().items("call").at(0)["name"].text() == "org.example.weather:now");
}

// ---- Answers.

TEST_CASE("text leaves as it comes, and the end brings usage and stop", "[openai]") {
    Chat chat;
    chat.head();
    chat.event(delta(R"("role":"assistant","content":"")"));
    CHECK(chat.call().emitted.empty());
    chat.event(text("Hel"));
    CHECK(chat.call().text() == "Hel");
    chat.event(text("lo \xf0\x9f\x98\x80"));
    chat.event(stop_chunk);
    CHECK_FALSE(chat.call().ended());
    chat.event(usage_chunk);
    chat.event("[DONE]");
    REQUIRE(chat.call().succeeded());
    CHECK(chat.call().text() == "Hello \xf0\x9f\x98\x80");
    Json const usage = chat.call().items("usage").at(0);
    CHECK(usage["input"].integer() == 1200);
    CHECK(usage["output"].integer() == 30);
    CHECK(usage["cache_read"].integer() == 1024);
    CHECK_FALSE(usage["cache_write"].exists());
    CHECK(chat.stop() == "end");
    CHECK(parley::Json::parse(chat.call().emitted.back())["type"].text() == "stop");
    CHECK_FALSE(chat.http().open);
    CHECK(chat.host.faults.empty());
}

TEST_CASE("arguments are joined by index, however they are cut", "[openai]") {
    std::string const first = R"({"command": "ls \"x\" é"})", second = R"({"path":"a\\b"})";
    for (std::size_t cut = 0; cut <= first.size(); ++cut) {
        if (!parley::is_utf8(first.substr(0, cut))) continue;
        Chat chat;
        chat.play(
            {delta(call(0, "call_a", "shell", "")), delta(call(0, "", "", first.substr(0, cut))),
             delta(call(1, "call_b", "read_file", "")), delta(call(1, "", "", second.substr(0, 3))),
             delta(call(0, "", "", first.substr(cut))), delta(call(1, "", "", second.substr(3))),
             calls_chunk, usage_chunk, "[DONE]"});
        REQUIRE(chat.call().succeeded());
        auto const calls = chat.call().items("call");
        REQUIRE(calls.size() == 2);
        CHECK(calls[0]["id"].text() == "call_a");
        CHECK(calls[0]["name"].text() == "shell");
        CHECK(calls[0]["arguments"].text() == first);
        CHECK(calls[1]["name"].text() == "read_file");
        CHECK(calls[1]["arguments"].text() == second);
        CHECK(chat.stop() == "calls");
    }
}

TEST_CASE("any cutting of the same answer gives the same items", "[openai]") {
    std::string const words = "Grüße, 世界! 😀 and more",
                      arguments = R"({"a":"b","n":[1,2,3],"é":"世"})";
    std::mt19937 random(5);
    auto pieces = [&](std::string_view whole) {
        Lines out;
        while (!whole.empty()) {
            std::size_t size = 1 + random() % 6;
            auto piece = parley::utf8_cut(whole, size);
            if (piece.empty()) piece = whole.substr(0, parley::utf8_length(whole, 0));
            out.emplace_back(piece);
            whole.remove_prefix(piece.size());
        }
        return out;
    };
    for (int round = 0; round < 100; ++round) {
        Chat chat;
        Lines events;
        for (auto const& piece : pieces(words)) events.push_back(text(piece));
        bool first = true;
        for (auto const& piece : pieces(arguments)) {
            events.push_back(delta(call(0, first ? "id" : "", first ? "shell" : "", piece)));
            first = false;
        }
        events.insert(events.end(), {calls_chunk, usage_chunk, "[DONE]"});
        chat.play(events);
        CHECK(chat.call().text() == words);
        CHECK(chat.call().items("call").at(0)["arguments"].text() == arguments);
        CHECK(chat.host.faults.empty());
    }
}

TEST_CASE("calls of servers that number them loosely are kept apart", "[openai]") {
    SECTION("one index for all") {
        Chat chat;
        chat.play({delta(call(0, "a", "one", "{\"x\":")), delta(call(0, "", "", "1}")),
                   delta(call(0, "b", "two", "{}")), stop_chunk, "[DONE]"});
        auto const calls = chat.call().items("call");
        REQUIRE(calls.size() == 2);
        CHECK(calls[0]["arguments"].text() == "{\"x\":1}");
        CHECK(calls[1]["name"].text() == "two");
        CHECK(chat.stop() == "calls");
    }
    SECTION("no index, whole calls at once, arguments as an object or not at all") {
        Chat chat;
        chat.play(
            {delta(
                 R"("tool_calls":[{"id":"a","function":{"name":"one","arguments":{"x": 1}}},{"id":"b","function":{"name":"two"}}])"),
             stop_chunk, "[DONE]"});
        auto const calls = chat.call().items("call");
        REQUIRE(calls.size() == 2);
        CHECK(calls[0]["arguments"].text() == "{\"x\": 1}");
        CHECK(calls[1]["arguments"].text() == "{}");
    }
    SECTION("the first fragment's name and id stay") {
        Chat chat;
        chat.play({delta(call(3, "a", "one", "{")), delta(call(3, "a", "one", "}")), calls_chunk,
                   "[DONE]"});
        auto const calls = chat.call().items("call");
        REQUIRE(calls.size() == 1);
        CHECK(calls[0]["name"].text() == "one");
        CHECK(calls[0]["arguments"].text() == "{}");
    }
}

TEST_CASE("each reason to stop has its word", "[openai]") {
    struct Row {
        char const *finish, *reason;
        bool calls;
        std::size_t calls_told;
    };
    Row const rows[] = {{"stop", "end", false, 0},
                        {"stop", "calls", true, 1},
                        {"length", "length", false, 0},
                        {"length", "length", true, 1},
                        {"tool_calls", "calls", true, 1},
                        {"tool_calls", "end", false, 0},
                        {"content_filter", "refusal", false, 0},
                        {"content_filter", "refusal", true, 0},
                        {"something_new", "end", false, 0}};
    for (auto const& row : rows) {
        INFO(row.finish << (row.calls ? " with a call" : ""));
        Chat chat;
        Lines events{text("x")};
        if (row.calls) events.push_back(delta(call(0, "a", "shell", "{}")));
        events.insert(events.end(), {delta("", "\"" + std::string(row.finish) + "\""), "[DONE]"});
        chat.play(events);
        CHECK(chat.call().succeeded());
        CHECK(chat.stop() == row.reason);
        CHECK(chat.call().items("call").size() == row.calls_told);
    }
}

TEST_CASE("a refusal in words is text and a refusal", "[openai]") {
    Chat chat;
    chat.play({delta(R"("refusal":"I ")"), delta(R"("refusal":"won't.")"), stop_chunk, "[DONE]"});
    CHECK(chat.call().text() == "I won't.");
    CHECK(chat.stop() == "refusal");
}

TEST_CASE("reasoning is told apart, under either of its names", "[openai]") {
    Chat chat;
    chat.play({delta(R"("reasoning_content":"hm ")"), delta(R"("reasoning":"well ")"),
               delta(R"("reasoning":"so","reasoning_content":"so")"), text("ok"), stop_chunk,
               "[DONE]"});
    CHECK(chat.call().text("reasoning") == "hm well so");
    CHECK(chat.call().text() == "ok");
}

TEST_CASE("usage that is missing or makes no sense is not told", "[openai]") {
    for (auto const* chunk :
         {R"({"choices":[],"usage":null})", R"({"choices":[],"usage":{}})",
          R"({"choices":[],"usage":{"prompt_tokens":-1,"completion_tokens":3}})",
          R"({"choices":[],"usage":{"prompt_tokens":"5","completion_tokens":3}})",
          R"({"choices":[]})"}) {
        Chat chat;
        chat.play({text("x"), stop_chunk, chunk, "[DONE]"});
        CHECK(chat.call().succeeded());
        CHECK(chat.call().items("usage").empty());
    }
    Chat written;
    written.play(
        {text("x"), stop_chunk,
         R"({"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":3,"prompt_tokens_details":{"cache_write_tokens":4}}})",
         "[DONE]"});
    CHECK(written.call().items("usage").at(0)["cache_write"].integer() == 4);
    CHECK_FALSE(written.call().items("usage").at(0)["cache_read"].exists());
}

TEST_CASE("an answer is whole with a finish reason, whatever comes or does not come after",
          "[openai]") {
    SECTION("the connection ends in order") {
        Chat chat;
        chat.play({text("x"), stop_chunk});
        CHECK(chat.stop() == "end");
    }
    SECTION("the connection breaks") {
        Chat chat;
        chat.head();
        chat.event(text("x"));
        chat.event(stop_chunk);
        chat.host.http_failed(chat.http(),
                              R"({"code":"peer","message":"reset","retryable":true,"sent":true})");
        CHECK(chat.call().succeeded());
        CHECK(chat.stop() == "end");
    }
    SECTION("more follows the mark") {
        Chat chat;
        chat.play({text("x"), stop_chunk, "[DONE]", text("y"), "{garbage"});
        CHECK(chat.call().text() == "x");
        CHECK(chat.call().succeeded());
    }
}

TEST_CASE("an answer that breaks off is cut off, may be tried again, and keeps its usage",
          "[openai]") {
    SECTION("in order, without an end") {
        Chat chat;
        chat.play(
            {text("x"), R"({"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":3}})"});
        CHECK(chat.answer()["code"].text() == "cut_off");
        CHECK(chat.answer()["retryable"].boolean());
        CHECK(chat.call().items("usage").size() == 1);
        CHECK(chat.call().items("stop").empty());
    }
    SECTION("while it counts as it goes, which is no count of the whole") {
        Chat chat;
        chat.play(
            {R"({"choices":[{"index":0,"delta":{"content":"x"}}],"usage":{"prompt_tokens":5,"completion_tokens":1}})"});
        CHECK(chat.answer()["code"].text() == "cut_off");
        CHECK(chat.call().items("usage").empty());
    }
    SECTION("by a broken connection, in the middle of a call") {
        Chat chat;
        chat.head();
        chat.event(delta(call(0, "a", "shell", "{\"comm")));
        chat.host.http_failed(chat.http(),
                              R"({"code":"peer","message":"reset","retryable":true,"sent":true})");
        CHECK(chat.answer()["code"].text() == "cut_off");
        CHECK(chat.call().items("call").empty());
    }
    SECTION("before anything") {
        Chat chat;
        chat.play({});
        CHECK(chat.answer()["code"].text() == "cut_off");
    }
}

TEST_CASE("garbage in a chunk ends the answer", "[openai]") {
    for (std::string const& chunk :
         Lines{"{", "[]", "null", "not json",
               R"({"choices":[{"index":0,"delta":{"tool_calls":["x"]}}]})", R"({"a":1,"a":2})"}) {
        INFO(chunk);
        Chat chat;
        chat.play({text("x"), chunk, stop_chunk, "[DONE]"});
        CHECK(chat.answer()["code"].text() == "peer");
        CHECK_FALSE(chat.answer()["retryable"].boolean(true));
        CHECK_FALSE(chat.http().open);
    }
    Chat nameless;
    nameless.play({delta(call(0, "a", "", "{}")), calls_chunk, "[DONE]"});
    CHECK(nameless.answer()["code"].text() == "peer");
    Chat many;
    many.head();
    for (int i = 0; i < 200; ++i) many.event(delta(call(i, "id" + std::to_string(i), "x", "{}")));
    CHECK(many.answer()["code"].text() == "peer");
}

TEST_CASE("an endless answer is ended", "[openai]") {
    Chat chat;
    chat.head();
    std::string const big = text(std::string(512 * 1024, 'x'));
    for (int i = 0; i < 40 && !chat.call().ended(); ++i) chat.event(big);
    CHECK(chat.answer()["code"].text() == "peer");
}

TEST_CASE("an error inside the stream is an error", "[openai]") {
    struct Row {
        char const *data, *code;
        bool retryable;
    };
    Row const rows[] = {
        {R"({"error":{"message":"The server had an error","type":"server_error"}})", "peer", true},
        {R"({"error":{"message":"slow down","code":429}})", "rate", true},
        {R"({"error":{"message":"slow down","type":"rate_limit_error"}})", "rate", true},
        {R"({"error":{"message":"busy","code":503},"choices":[{"index":0,"delta":{},"finish_reason":"error"}]})",
         "overloaded", true},
        {R"({"error":{"message":"pay","code":"insufficient_quota"}})", "money", false},
        {R"({"error":{"message":"no","type":"invalid_request_error"}})", "invalid", false},
        {R"({"error":"out of memory"})", "peer", true},
    };
    for (auto const& row : rows) {
        INFO(row.data);
        Chat chat;
        chat.play({text("x"), row.data});
        CHECK(chat.answer()["code"].text() == row.code);
        CHECK(chat.answer()["retryable"].boolean() == row.retryable);
    }
    Chat named;
    named.head();
    named.host.http_event(named.http(), R"({"message":"oh","type":"server_error"})", "error");
    CHECK(named.answer()["message"].text().find("oh") != std::string_view::npos);
}

TEST_CASE("a server that does not stream is understood, however its bytes arrive", "[openai]") {
    std::string const whole =
        R"({"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Grüße",)"
        R"("refusal":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"shell","arguments":"{\"x\":1}"}}]},)"
        R"("finish_reason":"tool_calls"}],"usage":{"prompt_tokens":7,"completion_tokens":2}})";
    for (std::size_t cut = 0; cut <= whole.size(); cut += 1) {
        Chat chat;
        chat.head(200, R"([["content-type","application/json"]])");
        chat.host.http_data(chat.http(), whole.substr(0, cut));
        chat.host.http_data(chat.http(), whole.substr(cut));
        CHECK_FALSE(chat.call().ended());
        chat.done();
        REQUIRE(chat.call().succeeded());
        CHECK(chat.call().text() == "Grüße");
        CHECK(chat.call().items("call").at(0)["arguments"].text() == "{\"x\":1}");
        CHECK(chat.call().items("usage").at(0)["input"].integer() == 7);
        CHECK(chat.stop() == "calls");
    }
    Chat page;
    page.head(200, R"([["content-type","text/html"]])");
    page.host.http_data(page.http(), "<html>Please log in</html>");
    page.done();
    CHECK(page.answer()["code"].text() == "peer");
}

// ---- Errors.

TEST_CASE("each status has its code, and says whether to try again", "[openai]") {
    struct Row {
        int status;
        char const *headers, *body, *code;
        bool retryable;
        int retry_after_ms;
    };
    std::string const date = R"(["Date","Sun, 06 Nov 1994 08:49:37 GMT"])";
    std::string const later = "[" + date + R"(,["Retry-After","Sun, 06 Nov 1994 08:50:07 GMT"]])";
    std::string const earlier = "[" + date + R"(,["Retry-After","Sun, 06 Nov 1994 08:40:00 GMT"]])";
    Row const rows[] = {
        {400, "[]", R"({"error":{"message":"bad","type":"invalid_request_error"}})", "invalid",
         false, 0},
        {401, "[]", R"({"error":{"message":"Incorrect API key"}})", "auth", false, 0},
        {402, "[]", "{}", "money", false, 0},
        {403, "[]", "", "auth", false, 0},
        {404, "[]", R"({"error":{"message":"no such model"}})", "peer", false, 0},
        {410, "[]", "", "peer", false, 0},
        {413, "[]", "", "limit", false, 0},
        {422, "[]", "", "invalid", false, 0},
        {301, R"([["Location","https://elsewhere.example"]])", "", "invalid", false, 0},
        {408, "[]", "", "peer", true, 0},
        {409, "[]", "", "peer", true, 0},
        {429, "[]", R"({"error":{"message":"slow down","code":"rate_limit_exceeded"}})", "rate",
         true, 0},
        {429, R"([["retry-after","2"]])", "", "rate", true, 2000},
        {429, R"([["Retry-After","0.5"]])", "", "rate", true, 500},
        {429, R"([["retry-after","9"],["Retry-After-Ms","250"]])", "", "rate", true, 250},
        {429, R"([["retry-after-ms","1.6"]])", "", "rate", true, 2},
        {429, R"([["retry-after","soon"]])", "", "rate", true, 0},
        {429, R"([["retry-after","-5"]])", "", "rate", true, 0},
        {429, R"([["retry-after","1e30"]])", "", "rate", true, 3600000},
        {429, R"([["retry-after","nan"]])", "", "rate", true, 0},
        {429, later.c_str(), "", "rate", true, 30000},
        {429, earlier.c_str(), "", "rate", true, 0},
        {429, R"([["retry-after","Sun, 06 Nov 1994 08:50:07 GMT"]])", "", "rate", true, 0},
        {429, R"([["retry-after","5"]])",
         R"({"error":{"message":"pay","code":"insufficient_quota"}})", "money", false, 0},
        {429, R"([["x-should-retry","true"]])", R"({"error":{"type":"insufficient_quota"}})",
         "money", false, 0},
        {429, "[]", R"({"error":{"code":"credit_balance_exhausted"}})", "money", false, 0},
        {429, "[]", R"({"error":{"code":"project_spend_limit_reached"}})", "money", false, 0},
        {429, R"([["x-ratelimit-remaining-requests","0"],["x-ratelimit-reset-requests","6m0s"]])",
         "", "rate", true, 360000},
        {429, R"([["x-ratelimit-remaining-tokens","0"],["x-ratelimit-reset-tokens","1.5s"]])", "",
         "rate", true, 1500},
        {429, R"([["x-ratelimit-remaining-tokens","0"],["x-ratelimit-reset-tokens","20ms"]])", "",
         "rate", true, 20},
        {429,
         R"([["x-ratelimit-remaining-requests","0"],["x-ratelimit-reset-requests","20ms"],)"
         R"(["x-ratelimit-remaining-tokens","0"],["x-ratelimit-reset-tokens","1m2.25s"]])",
         "", "rate", true, 62250},
        {429, R"([["x-ratelimit-remaining-tokens","9"],["x-ratelimit-reset-tokens","1m"]])", "",
         "rate", true, 0},
        {429, R"([["x-ratelimit-remaining-tokens","0"],["x-ratelimit-reset-tokens","900h"]])", "",
         "rate", true, 3600000},
        {429,
         R"([["retry-after","2"],["x-ratelimit-remaining-tokens","0"],["x-ratelimit-reset-tokens","1m"]])",
         "", "rate", true, 2000},
        {429, R"([["x-ratelimit-remaining-tokens","0"],["x-ratelimit-reset-tokens","soon"]])", "",
         "rate", true, 0},
        {429, R"([["x-ratelimit-remaining-tokens","0"],["x-ratelimit-reset-tokens","5"]])", "",
         "rate", true, 0},
        {429, R"([["x-ratelimit-remaining-tokens","0"],["x-ratelimit-reset-tokens","-1s"]])", "",
         "rate", true, 0},
        {429, R"([["x-should-retry","false"],["retry-after","5"]])", "", "rate", false, 0},
        {400, R"([["X-Should-Retry","true"],["retry-after","1"]])", "", "invalid", true, 1000},
        {500, "[]", "oops", "peer", true, 0},
        {502, "[]", "<html>bad gateway</html>", "peer", true, 0},
        {503, R"([["retry-after","1"]])", "", "overloaded", true, 1000},
        {529, "[]", "", "overloaded", true, 0},
    };
    for (auto const& row : rows) {
        INFO(row.status << " " << row.headers << " " << row.body);
        Chat chat;
        chat.head(row.status, row.headers);
        chat.host.http_data(chat.http(), row.body);
        chat.done();
        CHECK(chat.answer()["code"].text() == row.code);
        CHECK(chat.answer()["retryable"].boolean() == row.retryable);
        CHECK(chat.answer()["retry_after_ms"].integer() == row.retry_after_ms);
        CHECK(chat.answer()["message"].text().starts_with("HTTP " + std::to_string(row.status)));
        CHECK(chat.host.http.size() == 1);
        CHECK(chat.host.faults.empty());
    }
}

TEST_CASE("of an error's text only the beginning is shown, and as text", "[openai]") {
    auto message = [](std::string const& body) {
        Chat chat;
        chat.head(500);
        for (std::size_t at = 0; at < body.size(); at += 700)
            chat.host.http_data(chat.http(), body.substr(at, 700));
        chat.done();
        return std::string(chat.answer()["message"].text());
    };
    CHECK(message(R"({"error":{"message":"it broke"}})") == "HTTP 500: it broke");
    CHECK(message(R"({"error":"it broke"})") == "HTTP 500: it broke");
    CHECK(message(R"({"detail":"it broke"})") == "HTTP 500: it broke");
    CHECK(message(std::string(100'000, 'x')) == "HTTP 500: " + std::string(500, 'x'));
    CHECK(message("\xff\xfe") == "HTTP 500: \\xff\\xfe");
    std::string const wide = message(R"({"error":{"message":"x)" + [] {
        std::string out;
        for (int i = 0; i < 400; ++i) out += "é";
        return out;
    }() + "\"}}");
    CHECK(parley::is_utf8(wide));
    CHECK(wide.size() <= 510);
}

TEST_CASE("a request that did not get through fails as the host says", "[openai]") {
    Chat chat;
    chat.host.http_failed(chat.http(),
                          R"({"code":"peer","message":"refused","retryable":true,"sent":false})");
    CHECK(chat.answer()["code"].text() == "peer");
    CHECK(chat.answer()["retryable"].boolean());
    CHECK(chat.host.http.size() == 1);

    Chat slow;
    slow.head();
    slow.event(text("x"));
    slow.host.http_failed(
        slow.http(),
        R"({"code":"timeout","message":"took too long","retryable":true,"sent":true})");
    CHECK(slow.answer()["code"].text() == "timeout");

    Chat half;
    half.head(503, R"([["retry-after","1"]])");
    half.host.http_failed(half.http(),
                          R"({"code":"peer","message":"reset","retryable":true,"sent":true})");
    CHECK(half.answer()["code"].text() == "overloaded");
}

TEST_CASE("where no key is bound the request goes without one", "[openai]") {
    constexpr auto denied =
        R"({"code":"denied","message":"the secret api_key is not bound","retryable":false,"sent":false})";
    Chat chat;
    CHECK(chat.http().request["inject"].exists());
    chat.host.http_failed(chat.http(), denied);
    REQUIRE(chat.host.http.size() == 2);
    CHECK_FALSE(chat.http().request["inject"].exists());
    CHECK(chat.body()["model"].text() == "gpt-x");
    chat.play({text("x"), stop_chunk, "[DONE]"});
    CHECK(chat.call().succeeded());

    SECTION("and so do those after it") {
        auto const next = chat.host.start(Verb::provider_generate, request());
        REQUIRE(chat.host.http.size() == 3);
        CHECK_FALSE(chat.http().request["inject"].exists());
        chat.head(401);
        chat.done();
        CHECK(chat.host.call(next).answer()["message"].text().find("no secret api_key is bound") !=
              std::string_view::npos);
    }
    SECTION("but a place that is not allowed stays so") {
        Chat other;
        other.host.http_failed(other.http(), denied);
        other.host.http_failed(
            other.http(), R"({"code":"denied","message":"egress","retryable":false,"sent":false})");
        CHECK(other.answer()["message"].text() == "egress");
        CHECK(other.host.http.size() == 2);
    }
    SECTION("and what may have left is not sent again") {
        Chat other;
        other.host.http_failed(other.http(),
                               R"({"code":"denied","message":"x","retryable":false,"sent":true})");
        CHECK(other.host.http.size() == 1);
        CHECK(other.answer()["code"].text() == "denied");
    }
}

// ---- The host's pace, and lists.

TEST_CASE("while the host takes no more, the answer waits", "[openai]") {
    Chat chat;
    chat.head();
    chat.host.set_emit_answer(chat.id, PARLEY_PAUSE);
    for (auto const* word : {"a", "b", "c"}) chat.event(text(word));
    chat.event(stop_chunk);
    chat.event("[DONE]");
    CHECK(chat.call().text() == "a");
    CHECK_FALSE(chat.call().ended());
    chat.host.resume(chat.id);
    CHECK(chat.call().text() == "abc");
    CHECK(chat.call().succeeded());
}

TEST_CASE("a cancelled answer ends at once", "[openai]") {
    Chat chat;
    chat.head();
    chat.event(text("x"));
    chat.host.cancel(chat.id);
    CHECK(chat.call().status == PARLEY_E_CANCELLED);
    CHECK_FALSE(chat.http().open);
}

TEST_CASE("models are listed", "[openai]") {
    TestHost host(plugin, R"({"base_url":"http://localhost:8080/v1"})");
    auto start = [&] { return host.start(Verb::provider_list_models, "{}"); };
    auto const id = start();
    CHECK(host.http.back().request["method"].text() == "GET");
    CHECK(host.http.back().request["url"].text() == "http://localhost:8080/v1/models");
    host.http_head(host.http.back(), 200);
    host.http_data(host.http.back(), R"({"object":"list","data":[{"id":"b","object":"model"},)");
    host.http_data(host.http.back(), R"({"id":"a","max_model_len":8192},{"no":"id"}]})");
    host.http_done(host.http.back());
    CHECK(host.call(id).result == R"({"models":[{"id":"b"},{"id":"a","context_tokens":8192}]})");

    auto const refused = start();
    host.http_head(host.http.back(), 401);
    host.http_done(host.http.back());
    CHECK(host.call(refused).answer()["code"].text() == "auth");

    auto const odd = start();
    host.http_head(host.http.back(), 200);
    host.http_data(host.http.back(), "[]");
    host.http_done(host.http.back());
    CHECK(host.call(odd).answer()["code"].text() == "peer");
    CHECK(host.faults.empty());
}

TEST_CASE("random chunks end an answer or do not, and never break the plugin", "[openai]") {
    std::mt19937 random(9);
    Lines const chunks = {text("x"),
                          stop_chunk,
                          calls_chunk,
                          usage_chunk,
                          delta(call(0, "a", "n", "{")),
                          delta(call(1, "", "", "}")),
                          delta(R"("content":[{"type":"text","text":"p"},5])"),
                          R"({"choices":5})",
                          R"({"choices":[5,null,{}]})",
                          R"({"choices":[{"index":1,"delta":{"content":"z"}}]})",
                          R"({})",
                          "",
                          delta(R"("content":null,"tool_calls":null)"),
                          R"({"error":null})",
                          delta(R"("tool_calls":[{"index":1e9,"function":null}])")};
    for (int round = 0; round < 300; ++round) {
        Chat chat;
        chat.head();
        for (auto left = random() % 12; left > 0; --left) {
            chat.event(
                chunks[random() % chunks.size()].substr(0, random() % 20 ? std::string::npos : 30));
        }
        chat.done();
        CHECK(chat.call().ended());
        CHECK(chat.call().items("stop").size() == (chat.call().succeeded() ? 1u : 0u));
        CHECK(chat.host.faults.empty());
    }
}
