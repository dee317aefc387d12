// The Slack channel: Slack's server as a script, its socket and its Web API.
#include "test_host.hpp"

// The plain parts of the plugin, which its file does not export.
#include "../../plugins/channel_slack/envelope.cpp"
#include "../../plugins/channel_slack/outgoing.cpp"
#include "../../plugins/channel_slack/pace.hpp"

#include "../../plugins/chat_text/markdown.hpp"

#include <catch2/catch.hpp>

using namespace contract;
using namespace std::chrono_literals;

namespace {

constexpr char plugin[] = PLUGIN_FOLDER "/channel_slack.so";

std::string config(std::string_view channels = "mention") {
    return json_of("api_url", "https://slack.example/api/", "channels", channels);
}

// Slack's side of one plugin.
struct Server {
    explicit Server(std::string const& settings = config()) : host(plugin, settings) {}

    std::string method(HttpExchange const& one) const {
        auto const url = one.request["url"].text();
        return std::string(url.substr(url.rfind('/') + 1));
    }
    HttpExchange* waiting(std::string_view name) {
        for (auto one = host.http.rbegin(); one != host.http.rend(); ++one)
            if (one->open && method(*one) == name) return &*one;
        return nullptr;
    }
    HttpExchange& asked(std::string_view name) {
        auto* const found = waiting(name);
        INFO(name);
        REQUIRE(found);
        return *found;
    }
    Json params(std::string_view name) { return Json::parse(asked(name).body); }
    void reply(std::string_view name, int status, std::string const& body,
               std::string_view headers = "[]") {
        auto& one = asked(name);
        host.http_head(one, status, headers);
        host.http_data(one, body);
        host.http_done(one);
    }
    void give(std::string_view name, std::string const& members) {
        reply(name, 200, R"({"ok":true)" + members + "}");
    }
    void refuse(std::string_view name, std::string_view error) {
        reply(name, 200, json_of("ok", false, "error", error));
    }

    // ---- What comes in.

    WsLink& socket() { return host.sockets.back(); }
    void open_socket() {
        give("apps.connections.open", R"(,"url":"wss://wss-primary.slack.example/link/?ticket=t")");
        host.ws_opened(socket());
        host.ws_text(socket(), R"({"type":"hello","num_connections":1})");
    }
    void open() {
        run = host.start(Verb::channel_run, R"({"instance":"chat"})");
        give("auth.test", R"(,"user":"parley","user_id":"U777","team":"T")");
        open_socket();
        told = host.call(run).emitted.size();
    }
    // An envelope with that event; what the host is told of it, or nothing.
    Json heard(std::string const& event, std::string const& id = "e-1") {
        host.ws_text(socket(), R"({"envelope_id":")" + id + R"(","type":"events_api","payload":)" +
                                   R"({"type":"event_callback","event_id":"Ev1","event":)" + event +
                                   "}}");
        return news();
    }
    Json news() {
        auto const all = host.call(run).emitted;
        auto const item = all.size() > told ? Json::parse(all.back()) : Json();
        told = all.size();
        return item;
    }
    std::vector<std::string> states() const {
        std::vector<std::string> out;
        for (Json const& item : host.call(run).items("state"))
            out.emplace_back(item["state"].text());
        return out;
    }
    Json end() const {
        REQUIRE(host.call(run).ended());
        return host.call(run).answer();
    }

    // ---- What goes out.

    parley_id send(std::string_view text, std::string_view more = "",
                   std::string_view conversation = "D1") {
        auto const request = json_of("id", "o-1", "conversation", conversation, "text", text);
        return host.start(Verb::channel_send,
                          request.substr(0, request.size() - 1) + std::string(more) + "}");
    }
    parley_id draft(std::string_view text, int number = 1) {
        return host.start(Verb::channel_draft,
                          json_of("conversation", "D1", "draft", number, "text", text));
    }
    Json outcome(parley_id call) const {
        REQUIRE(host.call(call).ended());
        return host.call(call).answer();
    }

    TestHost host;
    parley_id run = 0;
    std::size_t told = 0;
};

std::string direct(std::string const& text, std::string const& more = "") {
    return R"({"type":"message","channel":"D1","channel_type":"im","user":"U5","ts":"1700000000.000100","text":")" +
           text + "\"" + more + "}";
}
std::string in_channel(std::string const& text, std::string const& more = "") {
    return R"({"type":"message","channel":"C1","channel_type":"channel","user":"U5","ts":"1700000000.000200","text":")" +
           text + "\"" + more + "}";
}

std::string blocks_of(std::string_view markdown) {
    parley::JsonWriter out;
    slack::write_content(out.begin('{'), chat_text::styled_from(markdown), Json());
    return std::string(
        Json::parse(out.end('}').text())["blocks"].begin().operator*()["elements"].raw());
}

}  // namespace

// ---- Texts.

TEST_CASE("what people write in Slack's notation reads as they see it", "[slack]") {
    struct Row {
        char const *raw, *text;
    };
    for (auto const& row :
         {Row{"a &amp; b &lt;c&gt; &amp;lt;", "a & b <c> &lt;"},
          Row{"hi <@U6> and <@U7|ann>", "hi @U6 and @ann"}, Row{"<#C2|team> <#C3>", "#team #C3"},
          Row{"<!here> <!subteam^S1|@admins> <!date^1^{date}|noon>", "@here @admins noon"},
          Row{"<https://x.example/?a=1&amp;b=2>", "https://x.example/?a=1&b=2"},
          Row{"<https://x.example|here>", "here (https://x.example)"},
          Row{"<https://x.example|https://x.example>", "https://x.example"},
          Row{"<mailto:a@b.example|a@b.example>", "a@b.example"}, Row{"1 < 2 <", "1 < 2 <"},
          Row{"<>", ""}, Row{"", ""}})
        CHECK(slack::readable(row.raw) == row.text);
}

TEST_CASE("what agents write as Markdown becomes rich text, in which nothing is notation",
          "[slack]") {
    CHECK(blocks_of("plain *a* **b** ~~c~~ `d`") ==
          R"([{"type":"rich_text_section","elements":[{"type":"text","text":"plain "},)"
          R"({"type":"text","text":"a","style":{"italic":true}},{"type":"text","text":" "},)"
          R"({"type":"text","text":"b","style":{"bold":true}},{"type":"text","text":" "},)"
          R"({"type":"text","text":"c","style":{"strike":true}},{"type":"text","text":" "},)"
          R"({"type":"text","text":"d","style":{"code":true}}]}])");
    CHECK(
        blocks_of("[x](https://x.example) <!channel> &lt;") ==
        R"([{"type":"rich_text_section","elements":[{"type":"link","url":"https://x.example","text":"x"},)"
        R"({"type":"text","text":" <!channel> <"}]}])");
    CHECK(blocks_of("see\n```py\nx = 1\n```\n> so\n\nend") ==
          R"([{"type":"rich_text_section","elements":[{"type":"text","text":"see"}]},)"
          R"({"type":"rich_text_preformatted","elements":[{"type":"text","text":"x = 1"}]},)"
          R"({"type":"rich_text_quote","elements":[{"type":"text","text":"so"}]},)"
          R"({"type":"rich_text_section","elements":[{"type":"text","text":"\n"},)"
          R"({"type":"text","text":"end"}]}])");
}

TEST_CASE("a channel's messages leave a second apart", "[slack]") {
    slack::Pace pace;
    slack::Pace::Clock::time_point const now{};
    CHECK(pace.reserve("C1", 5s, now) == 0ms);
    CHECK(pace.reserve("C2", 5s, now) == 0ms);
    CHECK(pace.reserve("C1", 5s, now) == 1000ms);
    CHECK(pace.reserve("C1", 1s, now) == std::nullopt);
    pace.hold("C2", 7s, now);
    CHECK(pace.reserve("C2", 10s, now + 1s) == 6000ms);
}

// ---- The link.

TEST_CASE("a run asks who it is, opens the socket that Slack names, and is connected at its hello",
          "[slack]") {
    Server server;
    server.run = server.host.start(Verb::channel_run, R"({"instance":"chat"})");
    auto const inject = [](HttpExchange const& one) {
        return std::string(one.request["inject"].raw());
    };
    CHECK(server.asked("auth.test").request["url"].text() == "https://slack.example/api/auth.test");
    CHECK(inject(server.asked("auth.test")).find("bot_token") != std::string::npos);
    server.give("auth.test", R"(,"user":"parley","user_id":"U777")");
    CHECK(inject(server.asked("apps.connections.open")).find("app_token") != std::string::npos);
    server.give("apps.connections.open", R"(,"url":"wss://w.slack.example/?ticket=t")");
    CHECK(server.socket().request["url"].text() == "wss://w.slack.example/?ticket=t");
    server.host.ws_opened(server.socket());
    CHECK(server.states() == std::vector<std::string>{"connecting"});
    server.host.ws_text(server.socket(), R"({"type":"hello"})");
    CHECK(server.states() == std::vector<std::string>{"connecting", "connected"});
    CHECK(server.host.call(server.run).items("state").back()["detail"].text() == "@parley");
}

TEST_CASE("a socket that says no hello, or ends, is begun again by the host", "[slack]") {
    Server quiet;
    quiet.run = quiet.host.start(Verb::channel_run, "{}");
    quiet.give("auth.test", R"(,"user":"p","user_id":"U777")");
    quiet.give("apps.connections.open", R"(,"url":"wss://w.slack.example/")");
    quiet.host.ws_opened(quiet.socket());
    quiet.host.advance(30s);
    CHECK(quiet.end()["retryable"].boolean());
    CHECK_FALSE(quiet.socket().open);
    Server cut;
    cut.open();
    cut.host.ws_failed(cut.socket(),
                       R"({"code":"peer","message":"reset","retryable":true,"sent":true})");
    CHECK(cut.end()["retryable"].boolean());
    CHECK(cut.states().back() == "disconnected");
    Server left;
    left.open();
    left.host.ws_closed(left.socket(), 1001, "bye");
    CHECK(left.end()["retryable"].boolean());
    CHECK(left.end()["message"].text() == "Slack closed the connection: 1001 bye");
    // Where nothing allows it, trying again does not help.
    Server barred;
    barred.run = barred.host.start(Verb::channel_run, "{}");
    barred.give("auth.test", R"(,"user":"p","user_id":"U777")");
    barred.give("apps.connections.open", R"(,"url":"wss://other.slack.example/")");
    barred.host.ws_failed(
        barred.socket(), R"({"code":"denied","message":"a WebSocket to other","retryable":false})");
    CHECK_FALSE(barred.end()["retryable"].boolean());
}

TEST_CASE("a token that Slack does not take is final, and anything else is tried again",
          "[slack]") {
    for (auto const* error : {"invalid_auth", "token_revoked", "missing_scope"}) {
        Server server;
        server.run = server.host.start(Verb::channel_run, "{}");
        server.refuse("auth.test", error);
        CHECK(server.end()["code"].text() == "auth");
        CHECK_FALSE(server.end()["retryable"].boolean());
        CHECK(server.end()["message"].text().find("bot_token") != std::string_view::npos);
    }
    Server limited;
    limited.run = limited.host.start(Verb::channel_run, "{}");
    limited.reply("auth.test", 429, R"({"ok":false,"error":"ratelimited"})",
                  R"([["Retry-After","7"]])");
    CHECK(limited.end()["code"].text() == "rate");
    CHECK(limited.end()["retry_after_ms"].integer() == 7000);
    for (auto const* body : {"<html>", R"({"a":1})"}) {
        Server odd;
        odd.run = odd.host.start(Verb::channel_run, "{}");
        odd.reply("auth.test", 200, body);
        CHECK(odd.end()["retryable"].boolean());
    }
}

TEST_CASE("before Slack ends a socket the next one is made, and the old one still acknowledges",
          "[slack]") {
    Server server;
    server.open();
    auto& old = server.socket();
    CHECK(server.heard(direct("one"))["text"].text() == "one");
    server.host.ws_text(old, R"({"type":"disconnect","reason":"refresh_requested"})");
    // Two sockets in a row are some seconds apart.
    CHECK_FALSE(server.waiting("apps.connections.open"));
    server.host.advance(10s);
    server.host.acknowledge(server.run, "e-1");
    CHECK(old.texts.back() == R"({"envelope_id":"e-1"})");
    server.open_socket();
    CHECK(server.host.sockets.size() == 2);
    server.host.ws_closed(old, 1000);
    CHECK_FALSE(server.host.call(server.run).ended());
    server.news();
    CHECK(server.heard(direct("two"), "e-2")["text"].text() == "two");
    server.host.acknowledge(server.run, "e-2");
    CHECK(server.socket().texts.back() == R"({"envelope_id":"e-2"})");

    Server off;
    off.open();
    off.host.ws_text(off.socket(), R"({"type":"disconnect","reason":"link_disabled"})");
    CHECK(off.end()["code"].text() == "denied");
    CHECK_FALSE(off.end()["retryable"].boolean());
}

TEST_CASE("a run on Slack can follow one that ended, and two at once cannot be", "[slack]") {
    Server server;
    server.open();
    CHECK(server.outcome(server.host.start(Verb::channel_run, "{}"))["code"].text() == "invalid");
    server.host.cancel(server.run);
    CHECK(server.end()["code"].text() == "cancelled");
    CHECK(server.host.sockets.at(0).code == 1000);
    server.open();
    CHECK(server.states().back() == "connected");
}

// ---- What comes in.

TEST_CASE("an envelope is acknowledged when its message is durable, and not before", "[slack]") {
    Server server;
    server.open();
    auto const item = server.heard(direct("hello"));
    CHECK(item["cursor"].text() == "e-1");
    CHECK(item["id"].text() == "D1/1700000000.000100");
    CHECK(item["private"].boolean());
    CHECK(item["sender"]["ids"].raw() == R"(["id:U5"])");
    CHECK(server.socket().texts.empty());
    // Slack sends it again: the same message in another envelope.
    CHECK(server.heard(direct("hello"), "e-2")["id"].text() == item["id"].text());
    CHECK(server.socket().texts.empty());
    server.host.acknowledge(server.run, "e-1");
    server.host.acknowledge(server.run, "e-2");
    CHECK(server.socket().texts ==
          std::vector<std::string>{R"({"envelope_id":"e-1"})", R"({"envelope_id":"e-2"})"});
}

TEST_CASE("what concerns nobody is acknowledged at once", "[slack]") {
    Server server;
    server.open();
    std::size_t count = 0;
    for (
        auto const& event :
        {direct("x", R"(,"bot_id":"B1")"), direct("x", R"(,"subtype":"message_changed")"),
         direct(""), in_channel("to everybody"), std::string(R"({"type":"reaction_added"})"),
         std::string(
             R"({"type":"message","channel":"D1","channel_type":"im","user":"U777","ts":"1.1","text":"own"})"),
         std::string(
             R"({"type":"message","channel":"../x","channel_type":"im","user":"U5","ts":"1.1","text":"a"})")}) {
        INFO(event);
        CHECK_FALSE(server.heard(event).exists());
        CHECK(server.socket().texts.size() == ++count);
    }
    for (auto const* text : {"no json", "[]", R"({"type":"unknown"})", R"({"envelope_id":7})"})
        server.host.ws_text(server.socket(), text);
    CHECK_FALSE(server.news().exists());
    CHECK(server.socket().texts.size() == count);
}

TEST_CASE("in a channel the app hears what names it, and answers in a thread", "[slack]") {
    Server server;
    server.open();
    auto const named = server.heard(in_channel("<@U777>  hello &amp; so on"));
    CHECK(named["text"].text() == "hello & so on");
    CHECK(named["conversation"].text() == "C1:1700000000.000200");
    CHECK_FALSE(named["private"].boolean(true));
    // Slack tells of it twice to an app that hears both kinds of event.
    auto const again = server.heard(
        R"({"type":"app_mention","channel":"C1","user":"U5","ts":"1700000000.000200","text":"<@U777> hello"})",
        "e-2");
    CHECK(again["id"].text() == named["id"].text());
    auto const below =
        server.heard(in_channel("and <@U777>?", R"(,"thread_ts":"1700000000.000100")"), "e-3");
    CHECK(below["conversation"].text() == "C1:1700000000.000100");
    CHECK(below["text"].text() == "and @U777?");

    Server all(config("all"));
    all.open();
    CHECK(all.heard(in_channel("to everybody"))["conversation"].text() == "C1");
    Server never(config("never"));
    never.open();
    CHECK_FALSE(never.heard(in_channel("<@U777> hello")).exists());
    CHECK(never.heard(direct("hello"), "e-2").exists());
}

TEST_CASE("files are named, and commands reach no model", "[slack]") {
    Server server;
    server.open();
    CHECK(server
              .heard(
                  direct("see", R"(,"subtype":"file_share","files":[{"name":"a[b].pdf"}])"))["text"]
              .text() == "see\n[file, not taken: a b .pdf]");
    auto const stop = server.heard(direct(" /stop"), "e-2");
    CHECK(stop["type"].text() == "command");
    CHECK(stop["command"].text() == "stop");
    CHECK(server.heard(direct("/say hello"), "e-3")["type"].text() == "message");
    auto slash = [&](std::string const& text, std::string const& id) {
        server.host.ws_text(server.socket(),
                            R"({"envelope_id":")" + id + R"(","type":"slash_commands","payload":)" +
                                R"({"command":"/parley","text":")" + text +
                                R"(","channel_id":"C1","user_id":"U5","trigger_id":"1.2.x"}})");
        return server.news();
    };
    auto const status = slash("status", "e-4");
    CHECK(status["command"].text() == "status");
    CHECK(status["conversation"].text() == "C1");
    CHECK_FALSE(status["private"].boolean(true));
    CHECK_FALSE(slash("dance", "e-5").exists());
    CHECK(Json::parse(server.socket().texts.back())["payload"]["text"].exists());
}

TEST_CASE("a press says who pressed which button", "[slack]") {
    Server server;
    server.open();
    auto press = [&](std::string const& value) {
        server.host.ws_text(
            server.socket(),
            R"({"envelope_id":"e-9","type":"interactive","payload":{"type":"block_actions",)"
            R"("user":{"id":"U5","name":"ann"},"container":{"channel_id":"D1","message_ts":"1700000000.000300"},)"
            R"("actions":[{"type":"button","action_id":"button-1","action_ts":"1700000001.5","value":")" +
                value + R"("}]}})");
        return server.news();
    };
    auto const item = press("yes-1");
    CHECK(item["type"].text() == "press");
    CHECK(item["data"].text() == "yes-1");
    CHECK(item["message"].text() == "1700000000.000300");
    CHECK(item["sender"]["ids"].raw() == R"(["id:U5"])");
    CHECK(item["private"].boolean());
    CHECK_FALSE(press("not our own data").exists());
}

TEST_CASE("while the host takes no more, the rest waits, and not without an end", "[slack]") {
    Server server;
    server.open();
    server.host.set_emit_answer(server.run, PARLEY_PAUSE);
    server.heard(direct("one"));
    CHECK_FALSE(server.heard(direct("two"), "e-2").exists());
    server.host.resume(server.run);
    CHECK(server.news()["text"].text() == "two");
    server.host.set_emit_answer(server.run, PARLEY_PAUSE);
    for (int i = 0; i < 1010 && !server.host.call(server.run).ended(); ++i)
        server.heard(direct("x"), "e-x" + std::to_string(i));
    CHECK(server.end()["code"].text() == "limit");
    CHECK(server.end()["retryable"].boolean());
}

// ---- What goes out.

TEST_CASE("a message leaves with its place, its text and its buttons", "[slack]") {
    Server server;
    auto const call = server.send(
        "a <b> & *c*", R"(,"buttons":[[{"text":"Yes","data":"y-1"},{"text":"No","data":"n-1"}]])",
        "C1:1700000000.000100");
    auto const params = server.params("chat.postMessage");
    CHECK(params["channel"].text() == "C1");
    CHECK(params["thread_ts"].text() == "1700000000.000100");
    CHECK(params["text"].text() == "a &lt;b&gt; &amp; *c*");
    CHECK_FALSE(params["unfurl_links"].boolean(true));
    CHECK(params["blocks"].raw().find(R"({"type":"text","text":"a <b> & *c*"})") !=
          std::string_view::npos);
    CHECK(params["blocks"].raw().find(R"("value":"y-1")") != std::string_view::npos);
    CHECK(params["blocks"].size() == 2);
    server.give("chat.postMessage", R"(,"ts":"1700000009.000100")");
    CHECK(server.outcome(call).raw() == R"({"parts":1,"ids":["1700000009.000100"]})");

    auto const edit = server.host.start(
        Verb::channel_edit,
        json_of("conversation", "C1:1700000000.000100", "id", "1700000009.000100", "text", "over"));
    server.host.advance(10s);
    auto const update = server.params("chat.update");
    CHECK(update["ts"].text() == "1700000009.000100");
    CHECK(update["blocks"].size() == 1);
    server.give("chat.update", R"(,"ts":"1700000009.000100")");
    CHECK(server.host.call(edit).succeeded());
}

TEST_CASE("a long message leaves in parts, in order", "[slack]") {
    Server server;
    auto const call = server.send(std::string(8000, 'x'), R"(,"markdown":true)");
    for (int part = 0; part < 3; ++part) {
        server.give("chat.postMessage", R"(,"ts":"1.)" + std::to_string(part) + "\"");
        server.host.advance(10s);
    }
    CHECK(server.outcome(call)["ids"].raw() == R"(["1.0","1.1","1.2"])");
    Server half;
    auto const broken = half.send(std::string(8000, 'x'));
    half.give("chat.postMessage", R"(,"ts":"1.1")");
    half.host.advance(10s);
    half.refuse("chat.postMessage", "is_archived");
    CHECK(half.outcome(broken)["sent"].boolean());
}

TEST_CASE("what a refusal means for a message", "[slack]") {
    struct Row {
        int status;
        char const *error, *code;
        bool retryable, not_sent;
    };
    for (auto const& row :
         {Row{200, "not_in_channel", "denied", false, true},
          Row{200, "invalid_blocks", "invalid", false, true},
          Row{200, "invalid_auth", "auth", false, true},
          Row{429, "ratelimited", "rate", true, true},
          Row{200, "internal_error", "peer", true, false}, Row{503, "", "peer", true, false}}) {
        Server server;
        auto const call = server.send("x");
        server.reply("chat.postMessage", row.status, json_of("ok", false, "error", row.error));
        auto const why = server.outcome(call);
        INFO(row.error);
        CHECK(why["code"].text() == row.code);
        CHECK(why["retryable"].boolean() == row.retryable);
        CHECK((why["sent"].exists() && !why["sent"].boolean()) == row.not_sent);
    }
    Server server;
    CHECK_FALSE(server.outcome(server.send("x", "", "no channel"))["sent"].boolean(true));
    CHECK_FALSE(server.outcome(server.send(" \n"))["sent"].boolean(true));
}

// ---- Drafts.

TEST_CASE("a draft is a message that grows and becomes the reply", "[slack]") {
    Server server;
    // A short reply needs none.
    CHECK(server.host.call(server.draft("H")).succeeded());
    CHECK_FALSE(server.waiting("chat.postMessage"));
    auto const first = server.draft("He");
    CHECK(server.params("chat.postMessage")["text"].text() == "He");
    // While one is under way the next is left out.
    CHECK(server.host.call(server.draft("Hel")).succeeded());
    server.give("chat.postMessage", R"(,"ts":"1700000009.000100")");
    CHECK(server.host.call(first).succeeded());
    auto const reply = server.send("Hello", R"(,"markdown":true)");
    CHECK(server.params("chat.update")["ts"].text() == "1700000009.000100");
    server.give("chat.update", R"(,"ts":"1700000009.000100")");
    CHECK(server.outcome(reply)["ids"].raw() == R"(["1700000009.000100"])");
    // The next reply has a message of its own.
    server.send("More", R"(,"markdown":true)");
    server.host.advance(10s);
    CHECK(server.waiting("chat.postMessage"));
}

TEST_CASE("a reply waits for a draft that is on its way, and does without one that is gone",
          "[slack]") {
    Server server;
    server.draft("H");
    server.draft("He");
    auto const reply = server.send("Hello", R"(,"markdown":true)");
    server.give("chat.postMessage", R"(,"ts":"1.5")");
    server.host.advance(10s);
    CHECK(server.params("chat.update")["ts"].text() == "1.5");
    server.refuse("chat.update", "message_not_found");
    server.host.advance(10s);
    server.give("chat.postMessage", R"(,"ts":"1.6")");
    CHECK(server.outcome(reply)["ids"].raw() == R"(["1.6"])");
}

TEST_CASE("a notice leaves what was shown of a reply alone", "[slack]") {
    Server server;
    server.draft("H");
    server.draft("He");
    server.give("chat.postMessage", R"(,"ts":"1.5")");
    server.send("approve?", R"(,"buttons":[[{"text":"Yes","data":"y"}]])");
    server.host.advance(10s);
    CHECK(server.waiting("chat.postMessage"));
    CHECK_FALSE(server.waiting("chat.update"));
}
