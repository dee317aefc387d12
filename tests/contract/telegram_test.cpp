// The Telegram channel: texts as tables, Telegram's server as a script.
#include "test_host.hpp"

// The plain parts of the plugin, which its file does not export.
#include "../../plugins/channel_telegram/html.cpp"
#include "../../plugins/channel_telegram/pace.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace contract;
using namespace std::chrono_literals;

namespace {

constexpr char plugin[] = PLUGIN_FOLDER "/channel_telegram.so";

std::string config(std::string_view more = "") {
    return R"({"base_url":"https://api.example","groups":"mention","take_over":false)" +
           std::string(more) + "}";
}

std::string html(std::string_view markdown) {
    return telegram::html_of(telegram::styled_from(markdown));
}

// Telegram's side of one plugin.
struct Server {
    explicit Server(std::string const& settings = config()) : host(plugin, settings) {}

    std::string method(HttpExchange const& one) const {
        auto const url = one.request["url"].text();
        return std::string(url.substr(url.rfind('/') + 1));
    }
    // The last request of that method that waits for its answer.
    HttpExchange* waiting(std::string_view name) {
        for (auto one = host.http.rbegin(); one != host.http.rend(); ++one) {
            if (one->open && method(*one) == name) return &*one;
        }
        return nullptr;
    }
    HttpExchange& asked(std::string_view name) {
        auto* const found = waiting(name);
        INFO(name);
        REQUIRE(found);
        return *found;
    }
    Json params(std::string_view name) { return Json::parse(asked(name).body); }
    std::size_t count(std::string_view name) const {
        std::size_t out = 0;
        for (auto const& one : host.http) out += method(one) == name ? 1 : 0;
        return out;
    }
    void reply(std::string_view name, int status, std::string const& body) {
        auto& one = asked(name);
        host.http_head(one, status);
        host.http_data(one, body);
        host.http_done(one);
    }
    void give(std::string_view name, std::string const& result) {
        reply(name, 200, R"({"ok":true,"result":)" + result + "}");
    }
    void refuse(std::string_view name, int code, std::string_view description,
                std::string_view parameters = "{}") {
        reply(name, code,
              json_of("ok", false, "error_code", code, "description", description, "parameters",
                      parley::JsonRaw{parameters}));
    }

    // ---- What comes in.

    void open() {
        run = host.start(Verb::channel_run, R"({"instance":"chat"})");
        give("getMe", R"({"id":777,"is_bot":true,"first_name":"P","username":"ParleyBot"})");
        give("setMyCommands", "true");
    }
    void update(std::string const& updates) { give("getUpdates", "[" + updates + "]"); }
    Json heard(std::string const& message) {
        update(R"({"update_id":)" + std::to_string(++number) + R"(,"message":)" + message + "}");
        auto const all = host.call(run).emitted;
        auto const item = all.size() > told ? Json::parse(all.back()) : Json();
        told = all.size();
        if (item.exists()) host.acknowledge(run, item["cursor"].text());
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
                   std::string_view conversation = "5") {
        auto const request = json_of("id", "o-1", "conversation", conversation, "text", text);
        return host.start(Verb::channel_send,
                          request.substr(0, request.size() - 1) + std::string(more) + "}");
    }
    Json outcome(parley_id call) const {
        REQUIRE(host.call(call).ended());
        return host.call(call).answer();
    }

    TestHost host;
    parley_id run = 0;
    int number = 100;
    std::size_t told = 2;  // connecting, connected
};

std::string in_private(std::string const& text, std::string const& more = "") {
    return R"({"message_id":9,"date":1,"chat":{"id":5,"type":"private","first_name":"Ann"},)"
           R"("from":{"id":5,"is_bot":false,"first_name":"Ann","last_name":"B"},"text":")" +
           text + "\"" + more + "}";
}
std::string in_group(std::string const& text, std::string const& more = "") {
    return R"({"message_id":9,"date":1,"chat":{"id":-100,"type":"supergroup","title":"T"},)"
           R"("from":{"id":5,"is_bot":false,"first_name":"Ann"},"text":")" +
           text + "\"" + more + "}";
}
std::string entity(std::string const& kind, int offset, int length) {
    return R"(,"entities":[{"type":")" + kind + R"(","offset":)" + std::to_string(offset) +
           R"(,"length":)" + std::to_string(length) + "}]";
}

}  // namespace

// ---- Texts.

TEST_CASE("what agents write as Markdown becomes Telegram's HTML", "[telegram]") {
    struct Row {
        char const *markdown, *html;
    };
    Row const rows[] = {
        {"plain", "plain"},
        {"a < b & c > \"d\"", "a &lt; b &amp; c &gt; &quot;d&quot;"},
        {"<b>no tag</b>", "&lt;b&gt;no tag&lt;/b&gt;"},
        {"**bold** *italic* ~~gone~~", "<b>bold</b> <i>italic</i> <s>gone</s>"},
        {"***both***", "<b><i>both</i></b>"},
        {"**a *b* c**", "<b>a <i>b</i> c</b>"},
        {"snake_case_name 2*3*4 ** x", "snake_case_name 2<i>3</i>4 ** x"},
        {"**open", "**open"},
        {"`a<b` ``x`y``", "<code>a&lt;b</code> <code>x`y</code>"},
        {"**`code`**", "<code>code</code>"},
        {"# Title\ntext", "<b>Title</b>\ntext"},
        {"- one\n- two\n  - three", "• one\n• two\n  • three"},
        {"1. one\n2. two", "1. one\n2. two"},
        {"> quoted\n> on", "<blockquote>quoted\non</blockquote>"},
        {"```c\nint *a;\n```", "<pre><code class=\"language-c\">int *a;</code></pre>"},
        {"```\n**x**", "<pre>**x**</pre>"},
        {"[page](https://a.example/?x=1&y=2)",
         "<a href=\"https://a.example/?x=1&amp;y=2\">page</a>"},
        {"[run](javascript:alert(1))", "[run](javascript:alert(1))"},
        {"[open](tg://resolve?domain=x)", "[open](tg://resolve?domain=x)"},
        {"[mail](mailto:a@b)", "[mail](mailto:a@b)"},
        {"[x](https://a\"><b>)", "[x](https://a&quot;&gt;&lt;b&gt;)"},
        {"\\*not\\*", "*not*"},
        {"one\n\ntwo", "one\n\ntwo"},
        {"", ""},
    };
    for (auto const& row : rows) {
        INFO(row.markdown);
        CHECK(html(row.markdown) == row.html);
    }
}

TEST_CASE("whatever Markdown is given, the tags are balanced and no text is lost to them",
          "[telegram]") {
    std::mt19937 random(7);
    char const* const pieces[] = {"*",
                                  "**",
                                  "_",
                                  "`",
                                  "```",
                                  "\n",
                                  "\n\n",
                                  "[",
                                  "](",
                                  ")",
                                  "> ",
                                  "- ",
                                  "# ",
                                  "~~",
                                  "<",
                                  "&",
                                  "a ",
                                  "\\",
                                  "https://a.example",
                                  "|",
                                  "1. ",
                                  "word",
                                  "\xf0\x9f\x98\x80"};
    for (int round = 0; round < 2000; ++round) {
        std::string text;
        for (auto left = random() % 40; left > 0; --left)
            text += pieces[random() % std::size(pieces)];
        INFO(text);
        std::vector<std::string> open;
        auto const out = html(text);
        for (std::size_t at = 0; (at = out.find('<', at)) != out.npos;) {
            auto const end = out.find('>', at);
            REQUIRE(end != out.npos);
            auto const tag = out.substr(at + 1, end - at - 1);
            if (tag.front() == '/') {
                REQUIRE_FALSE(open.empty());
                CHECK(open.back() == tag.substr(1));
                open.pop_back();
            } else {
                open.push_back(tag.substr(0, tag.find(' ')));
            }
            at = end;
        }
        CHECK(open.empty());
    }
}

TEST_CASE("a text is cut after a paragraph, a line, a word, and never inside a character",
          "[telegram]") {
    auto parts = [](std::string const& text, std::size_t units) {
        std::vector<std::string> out;
        for (auto const& part : telegram::split({{text, {}}}, units))
            out.push_back(telegram::text_of(part));
        return out;
    };
    using Texts = std::vector<std::string>;
    CHECK(parts("aaaaa\n\nb\ncc dd", 10) == Texts{"aaaaa\n\n", "b\ncc dd"});
    CHECK(parts("aaaaa\nbb ccc", 10) == Texts{"aaaaa\n", "bb ccc"});
    CHECK(parts("aaaaa bb ccc", 10) == Texts{"aaaaa bb ", "ccc"});
    CHECK(parts("aaaaaaaaaaaa", 10) == Texts{"aaaaaaaaaa", "aa"});
    // Each of these is two UTF-16 units, of which half must not be left behind.
    std::string const face = "\xf0\x9f\x98\x80";
    CHECK(parts(face + face + face, 5) == Texts{face + face, face});
    CHECK(parts(" \n \n", 10).empty());
    CHECK(telegram::utf16_units("a\xc3\xa9\xe2\x82\xac" + face) == 5);
}

TEST_CASE("styles that are open where a text is cut are closed there and opened again",
          "[telegram]") {
    auto const parts = telegram::split(
        telegram::styled_from("```py\nfirst line\nsecond line\n```\n**bold and bold**"), 16);
    std::vector<std::string> out;
    for (auto const& part : parts) out.push_back(telegram::html_of(part));
    REQUIRE(out.size() == 3);
    CHECK(out[0] == "<pre><code class=\"language-py\">first line\n</code></pre>");
    CHECK(out[1] == "<pre><code class=\"language-py\">second line</code></pre>\n");
    CHECK(out[2] == "<b>bold and bold</b>");
}

TEST_CASE("messages to one chat are a second apart, to a group three, and all together paced",
          "[telegram]") {
    telegram::Pace pace;
    auto const now = telegram::Pace::Clock::time_point(1h);
    CHECK(pace.reserve(5, 30s, now) == 0ms);
    CHECK(pace.reserve(5, 30s, now) == 1000ms);
    CHECK(pace.reserve(5, 30s, now) == 2000ms);
    CHECK(pace.reserve(6, 30s, now) == 102ms);
    CHECK(pace.reserve(5, 30s, now + 10s) == 0ms);
    CHECK(pace.reserve(-7, 30s, now + 20s) == 0ms);
    CHECK(pace.reserve(-7, 30s, now + 20s) == 3000ms);
    pace.hold(6, 40s, now + 20s);
    CHECK_FALSE(pace.reserve(6, 30s, now + 20s));
    CHECK(pace.reserve(6, 30s, now + 35s) == 25s);
}

// ---- The start, and what goes wrong there.

TEST_CASE("it says who it is, sets its commands and listens, with a token that it never sees",
          "[telegram]") {
    Server server;
    server.open();
    CHECK(server.states() == std::vector<std::string>{"connecting", "connected"});
    CHECK(server.host.call(server.run).item(1)["detail"].text() == "@ParleyBot");
    auto const params = server.params("getUpdates");
    CHECK(params["timeout"].integer() <= 50);
    CHECK_FALSE(params["offset"].exists());
    CHECK(params["allowed_updates"].raw() == R"(["message","callback_query"])");
    for (auto const& one : server.host.http) {
        CHECK(one.request["url"].text().starts_with("https://api.example/bot-token-here/"));
        Json const inject = *one.request["inject"].begin();
        CHECK(inject["slot"].text() == "path:bot-token-here");
        CHECK(inject["secret"].text() == "token");
        CHECK(inject["prefix"].text() == "bot");
    }
    CHECK(server.host.faults.empty());
}

TEST_CASE("a wrong token is final, and everything else is tried again when Telegram says so",
          "[telegram]") {
    struct Row {
        int status;
        char const* code;
        bool retryable;
        int wait_ms;
    };
    for (auto const& row :
         {Row{401, "auth", false, 0}, Row{404, "auth", false, 0}, Row{400, "invalid", true, 0},
          Row{429, "rate", true, 7000}, Row{502, "peer", true, 0}}) {
        Server server;
        server.open();
        server.refuse("getUpdates", row.status, "no", R"({"retry_after":7})");
        CHECK(server.end()["code"].text() == row.code);
        CHECK(server.end()["retryable"].boolean() == row.retryable);
        CHECK(server.end()["retry_after_ms"].integer() == row.wait_ms);
        CHECK(server.states().back() == "disconnected");
    }
    Server cut;
    cut.open();
    cut.host.http_failed(cut.asked("getUpdates"),
                         R"({"code":"peer","message":"gone","retryable":true,"sent":true})");
    CHECK(cut.end()["retryable"].boolean());
    Server other;
    other.open();
    other.reply("getUpdates", 200, "<html>a login page</html>");
    CHECK(other.end()["code"].text() == "peer");
}

TEST_CASE("another reader of the updates is waited out, longer each time, and never given up on",
          "[telegram]") {
    Server server;
    server.open();
    for (auto const wait : {10s, 20s, 40s, 60s, 60s}) {
        server.refuse("getUpdates", 409, "Conflict: terminated by other getUpdates request");
        CHECK(server.states().back() == "disconnected");
        server.host.advance(wait - 1s);
        CHECK_FALSE(server.waiting("getUpdates"));
        server.host.advance(1s);
        CHECK(server.waiting("getUpdates"));
    }
    server.update("");
    CHECK(server.states().back() == "connected");
    server.refuse("getUpdates", 409, "Conflict: terminated by other getUpdates request");
    server.host.advance(10s);
    CHECK(server.waiting("getUpdates"));
}

TEST_CASE("a webhook is the operator's, and removed only where they say so", "[telegram]") {
    constexpr auto words = "Conflict: can't use getUpdates method while webhook is active";
    Server server;
    server.open();
    server.refuse("getUpdates", 409, words);
    auto const told = server.host.call(server.run).items("state").back();
    CHECK(told["detail"].text().find("take_over") != std::string_view::npos);
    CHECK(server.count("deleteWebhook") == 0);

    Server taker(R"({"base_url":"https://api.example","take_over":true})");
    taker.open();
    taker.refuse("getUpdates", 409, words);
    taker.give("deleteWebhook", "true");
    CHECK(taker.waiting("getUpdates"));
    CHECK(taker.states().back() == "connected");
    // Whoever sets it again at once is not fought.
    taker.refuse("getUpdates", 409, words);
    CHECK(taker.count("deleteWebhook") == 1);
    CHECK_FALSE(taker.waiting("getUpdates"));
}

TEST_CASE("a run can follow a run that ended, and two at once cannot be", "[telegram]") {
    Server server;
    server.open();
    CHECK(server.outcome(server.host.start(Verb::channel_run, "{}"))["code"].text() == "invalid");
    server.host.cancel(server.run);
    CHECK(server.end()["code"].text() == "cancelled");
    CHECK_FALSE(server.waiting("getUpdates"));
    server.open();
    CHECK(server.waiting("getUpdates"));
}

// ---- Updates.

TEST_CASE("what is not durable is not confirmed, and what concerns nobody holds nothing up",
          "[telegram]") {
    Server server;
    server.open();
    server.update(R"({"update_id":7,"message":)" + in_private("one") +
                  R"(},{"update_id":8,"poll":{}},)" + R"({"update_id":9,"message":)" +
                  in_private("two") + R"(},{"update_id":10,"poll":{}})");
    CHECK(server.host.call(server.run).items("message").size() == 2);
    CHECK_FALSE(server.waiting("getUpdates"));
    server.host.acknowledge(server.run, "10");
    CHECK_FALSE(server.waiting("getUpdates"));
    server.host.acknowledge(server.run, "8");
    CHECK(server.params("getUpdates")["offset"].integer() == 11);
    // Once that is answered there is nothing left to confirm.
    server.update("");
    CHECK_FALSE(server.params("getUpdates")["offset"].exists());
    server.update(R"({"update_id":11,"edited_message":{}})");
    CHECK(server.params("getUpdates")["offset"].integer() == 12);
}

TEST_CASE("a host that takes nothing for two minutes is told so, and gets it again", "[telegram]") {
    Server server;
    server.open();
    server.update(R"({"update_id":7,"message":)" + in_private("one") + "}");
    server.host.advance(119s);
    CHECK_FALSE(server.host.call(server.run).ended());
    server.host.advance(1s);
    CHECK(server.end()["retryable"].boolean());
    server.open();
    CHECK_FALSE(server.params("getUpdates")["offset"].exists());
}

TEST_CASE("while the host takes no more, the rest waits", "[telegram]") {
    Server server;
    server.open();
    server.host.set_emit_answer(server.run, PARLEY_PAUSE);
    server.update(R"({"update_id":7,"message":)" + in_private("one") +
                  R"(},{"update_id":8,"message":)" + in_private("two") + "}");
    CHECK(server.host.call(server.run).items("message").size() == 1);
    server.host.acknowledge(server.run, "8");
    CHECK_FALSE(server.waiting("getUpdates"));
    server.host.resume(server.run);
    CHECK(server.host.call(server.run).items("message").size() == 2);
    server.host.acknowledge(server.run, "9");
    CHECK(server.params("getUpdates")["offset"].integer() == 9);
}

TEST_CASE("a private message says who wrote what, where", "[telegram]") {
    Server server;
    server.open();
    auto const item = server.heard(in_private("hello"));
    CHECK(item.raw() == R"({"type":"message","conversation":"5","sender":{"ids":["id:5"],)"
                        R"("name":"Ann B"},"text":"hello","id":"5/9","private":true,)"
                        R"("cursor":"102"})");
    auto const topic =
        server.heard(in_private("x", R"(,"is_topic_message":true,"message_thread_id":3)"));
    CHECK(topic["conversation"].text() == "5:3");
}

TEST_CASE("in a group only what is meant for the bot is heard", "[telegram]") {
    struct Row {
        std::string message;
        char const* text;  // empty: not heard
    };
    auto const reply = [](char const* whose, std::string const& more = "") {
        return std::string(R"(,"reply_to_message":{"message_id":1,"from":{"id":)") + whose + "}" +
               more + "}";
    };
    Row const rows[] = {
        {in_group("hello"), ""},
        {in_group("@parleybot hello", entity("mention", 0, 10)), "hello"},
        {in_group("hello @ParleyBot", entity("mention", 6, 10)), "hello @ParleyBot"},
        {in_group("@parleybot", entity("mention", 0, 10)), "@parleybot"},
        {in_group("@parleybotx hello", entity("mention", 0, 11)), ""},
        {in_group("@parleybot hello"), ""},
        {in_group("yes", reply("777")), "yes"},
        {in_group("yes", reply("6")), ""},
        {in_group("in a topic", reply("777", R"(,"forum_topic_created":{})")), ""},
        {in_group("/say hi", entity("bot_command", 0, 4)), ""},
        {in_group("/say@ParleyBot hi", entity("bot_command", 0, 14)), "/say hi"},
        {in_group("/say@other_bot hi", entity("bot_command", 0, 14)), ""},
        // Numbers that point nowhere.
        {in_group("x", entity("mention", -1, 99999)), ""},
        {in_group("x", entity("bot_command", 0, 99999)), ""},
    };
    Server server;
    server.open();
    for (auto const& row : rows) {
        INFO(row.message);
        auto const item = server.heard(row.message);
        CHECK(item["text"].text() == row.text);
        if (item.exists()) CHECK_FALSE(item["private"].boolean(true));
    }
    Server all(R"({"base_url":"https://api.example","groups":"all"})");
    all.open();
    CHECK(all.heard(in_group("hello"))["text"].text() == "hello");
    CHECK_FALSE(all.heard(in_group("/x@other_bot", entity("bot_command", 0, 12))).exists());
    Server never(R"({"base_url":"https://api.example","groups":"never"})");
    never.open();
    CHECK_FALSE(never.heard(in_group("@parleybot x", entity("mention", 0, 10))).exists());
    CHECK(never.heard(in_private("hello")).exists());
}

TEST_CASE("who hides behind a chat is that chat and nobody else; a bot is nobody", "[telegram]") {
    Server server(R"({"base_url":"https://api.example","groups":"all"})");
    server.open();
    auto const hidden = server.heard(
        in_group("hello", R"(,"sender_chat":{"id":-100,"type":"supergroup","title":"T"})"));
    CHECK(hidden["sender"]["ids"].raw() == R"(["chat:-100"])");
    CHECK_FALSE(server
                    .heard(R"({"message_id":9,"chat":{"id":-100,"type":"group"},"text":"x",)"
                           R"("from":{"id":8,"is_bot":true}})")
                    .exists());
    CHECK_FALSE(
        server.heard(R"({"message_id":9,"chat":{"id":-100,"type":"group"},"text":"x"})").exists());
    CHECK_FALSE(server.heard(in_private("x", R"(,"business_connection_id":"b")")).exists());
}

TEST_CASE("what cannot be taken is named in the text, and so is who wrote what is handed on",
          "[telegram]") {
    auto const with = [](std::string const& more) {
        return R"({"message_id":9,"chat":{"id":5,"type":"private"},"from":{"id":5},)" + more + "}";
    };
    Server server;
    server.open();
    CHECK(server.heard(with(R"("caption":"look","photo":[])"))["text"].text() ==
          "look\n[photo, not taken]");
    CHECK(server.heard(with(R"("document":{"file_name":"a]\n.pdf"})"))["text"].text() ==
          "[file, not taken: a  .pdf]");
    CHECK(server
              .heard(in_private(
                  "x", R"(,"forward_origin":{"sender_user":{"first_name":"Eve"}})"))["text"]
              .text() == "[forwarded from Eve]\nx");
    CHECK_FALSE(server.heard(with(R"("new_chat_title":"x")")).exists());
}

TEST_CASE("the three commands reach the host, also with the bot's name, and others the agent",
          "[telegram]") {
    struct Row {
        char const *text, *command;
    };
    Server server;
    server.open();
    for (auto const& row : {Row{"/status", "status"}, Row{"/stop", "stop"}, Row{"/new", "new"},
                            Row{"/start", "status"}, Row{"/new@ParleyBot", "new"},
                            Row{"/other", ""}, Row{"/newer", ""}}) {
        INFO(row.text);
        auto const item = server.heard(in_private(
            row.text, entity("bot_command", 0, static_cast<int>(std::strlen(row.text)))));
        CHECK(item["type"].text() == (*row.command ? "command" : "message"));
        CHECK(item["command"].text() == row.command);
        CHECK(item["id"].text() == "5/9");
    }
    // Somebody else's command is a text.
    auto const forwarded = in_private(
        "/stop", R"(,"forward_origin":{"sender_user_name":"Eve"})" + entity("bot_command", 0, 5));
    CHECK(server.heard(forwarded)["type"].text() == "message");
}

TEST_CASE("a pressed button is answered at once, and told to the host", "[telegram]") {
    auto const press = [](int number, std::string const& data) {
        return R"({"update_id":)" + std::to_string(number) + R"(,"callback_query":{"id":"q)" +
               std::to_string(number) + R"(","from":{"id":5,"first_name":"Ann"},"data":")" + data +
               R"(","message":{"message_id":44,"date":1,"chat":{"id":5,"type":"private"}}}})";
    };
    Server server;
    server.open();
    server.update(press(7, "yes-1"));
    CHECK(server.host.call(server.run).items("press").at(0).raw() ==
          R"({"type":"press","conversation":"5","sender":{"ids":["id:5"],"name":"Ann"},)"
          R"("private":true,"data":"yes-1","message":"44","id":"press/q7","cursor":"8"})");
    CHECK(server.params("answerCallbackQuery")["callback_query_id"].text() == "q7");
    auto const logs = server.host.logs.size();
    server.refuse("answerCallbackQuery", 400, "Bad Request: query is too old and so on");
    CHECK(server.host.logs.size() == logs);
    server.host.acknowledge(server.run, "8");
    // No button of ours has such data; it is answered all the same, and holds nothing up.
    server.update(press(8, "no button of ours"));
    CHECK(server.host.call(server.run).items("press").size() == 1);
    CHECK(server.count("answerCallbackQuery") == 2);
    CHECK(server.params("getUpdates")["offset"].integer() == 9);
}

// ---- What goes out.

TEST_CASE("a message is sent as it is, and its ids come back", "[telegram]") {
    Server server;
    auto const call = server.send("a *b* <c>", "", "-100:7");
    CHECK(Json::parse(server.asked("sendMessage").body).raw() ==
          R"({"chat_id":-100,"message_thread_id":7,"text":"a *b* <c>",)"
          R"("link_preview_options":{"is_disabled":true}})");
    server.give("sendMessage", R"({"message_id":31})");
    CHECK(server.outcome(call).raw() == R"({"parts":1,"ids":["31"]})");
}

TEST_CASE("Markdown is sent with styles, and without when Telegram cannot read them",
          "[telegram]") {
    Server server;
    auto const call = server.send("**a** <c>", R"(,"markdown":true)");
    CHECK(server.params("sendMessage")["text"].text() == "<b>a</b> &lt;c&gt;");
    CHECK(server.params("sendMessage")["parse_mode"].text() == "HTML");
    server.refuse("sendMessage", 400, "Bad Request: can't parse entities: so");
    CHECK(server.params("sendMessage")["text"].text() == "a <c>");
    CHECK_FALSE(server.params("sendMessage")["parse_mode"].exists());
    server.give("sendMessage", R"({"message_id":31})");
    CHECK(server.host.call(call).succeeded());
}

TEST_CASE("a long message goes part by part, with the buttons below the last", "[telegram]") {
    Server server;
    auto const call =
        server.send(std::string(5000, 'x'), R"(,"buttons":[[{"text":"Yes","data":"y-1"}]])");
    CHECK(server.params("sendMessage")["text"].text().size() == 4096);
    CHECK_FALSE(server.params("sendMessage")["reply_markup"].exists());
    server.give("sendMessage", R"({"message_id":31})");
    CHECK_FALSE(server.waiting("sendMessage"));
    server.host.advance(1s);
    CHECK(server.params("sendMessage")["text"].text().size() == 904);
    CHECK(server.params("sendMessage")["reply_markup"].raw() ==
          R"({"inline_keyboard":[[{"text":"Yes","callback_data":"y-1"}]]})");
    server.give("sendMessage", R"({"message_id":32})");
    CHECK(server.outcome(call).raw() == R"({"parts":2,"ids":["31","32"]})");
}

TEST_CASE("a message of which a part arrived is never one that may come again", "[telegram]") {
    Server server;
    auto const call = server.send(std::string(5000, 'x'));
    server.host.takes_timers = false;
    server.give("sendMessage", R"({"message_id":31})");
    CHECK(server.outcome(call)["code"].text() == "limit");
    CHECK(server.outcome(call)["sent"].boolean());
}

TEST_CASE("a text without an end is cut, and says so", "[telegram]") {
    Server server;
    auto const call = server.send(std::string(4096 * 40, 'x'));
    std::string last;
    for (int part = 0; part < 17; ++part) {
        last = server.params("sendMessage")["text"].text();
        server.give("sendMessage", R"({"message_id":31})");
        server.host.advance(20s);
    }
    CHECK(last.find("cut") != std::string::npos);
    CHECK(server.outcome(call)["parts"].integer() == 17);
}

TEST_CASE("a message that did not go out says whether anything left", "[telegram]") {
    struct Row {
        int status;
        char const* code;
        bool retryable;
        char const* sent;  // raw; empty: nobody knows
    };
    for (auto const& row : {Row{400, "invalid", false, "false"}, Row{403, "denied", false, "false"},
                            Row{429, "rate", true, "false"}, Row{401, "auth", false, "false"},
                            Row{500, "peer", true, ""}, Row{200, "peer", true, ""}}) {
        INFO(row.status);
        Server server;
        auto const call = server.send("x");
        if (row.status == 200)
            server.reply("sendMessage", 200, "garbage");
        else
            server.refuse("sendMessage", row.status, "no", R"({"retry_after":3})");
        auto const end = server.outcome(call);
        CHECK(end["code"].text() == row.code);
        CHECK(end["retryable"].boolean() == row.retryable);
        CHECK(end["sent"].raw() == row.sent);
        if (row.status == 429) CHECK(end["retry_after_ms"].integer() == 3000);
    }
    for (auto const* const sent : {"true", "false"}) {
        Server server;
        auto const call = server.send("x");
        server.host.http_failed(server.asked("sendMessage"),
                                std::string(R"({"code":"timeout","message":"slow",)") +
                                    R"("retryable":true,"sent":)" + sent + "}");
        CHECK(server.outcome(call)["sent"].raw() == sent);
    }
    Server half;
    auto const call = half.send(std::string(5000, 'x'));
    half.give("sendMessage", R"({"message_id":31})");
    half.host.advance(1s);
    half.refuse("sendMessage", 400, "no");
    CHECK(half.outcome(call)["sent"].boolean());
}

TEST_CASE("a message that is cancelled before its turn has not left, one on its way may have",
          "[telegram]") {
    Server server;
    auto const first = server.send("x"), second = server.send("y");
    CHECK(server.count("sendMessage") == 1);
    server.host.cancel(second);
    CHECK_FALSE(server.outcome(second)["sent"].boolean(true));
    server.host.cancel(first);
    CHECK(server.outcome(first)["sent"].boolean());
    server.host.advance(10s);
    CHECK(server.count("sendMessage") == 1);
}

TEST_CASE("messages to one chat leave in the order in which they were given", "[telegram]") {
    Server server;
    for (auto const* const text : {"one", "two", "three"}) server.send(text);
    server.send("elsewhere", "", "6");
    server.host.advance(10s);
    std::string order;
    for (auto const& one : server.host.http) {
        auto const params = Json::parse(one.body);
        if (params["chat_id"].integer() == 5) order += std::string(params["text"].text()) + " ";
    }
    CHECK(order == "one two three ");
    CHECK(server.count("sendMessage") == 4);
}

TEST_CASE("Telegram's pause is kept: half a message sits it out, the next one waits for it",
          "[telegram]") {
    Server server;
    auto const call = server.send(std::string(5000, 'x'));
    server.give("sendMessage", R"({"message_id":31})");
    server.host.advance(1s);
    server.refuse("sendMessage", 429, "Too Many Requests", R"({"retry_after":9})");
    CHECK_FALSE(server.host.call(call).ended());
    server.host.advance(8s);
    CHECK_FALSE(server.waiting("sendMessage"));
    server.host.advance(1s);
    server.give("sendMessage", R"({"message_id":32})");
    CHECK(server.host.call(call).succeeded());

    Server held;
    held.send("x");
    held.refuse("sendMessage", 429, "Too Many Requests", R"({"retry_after":300})");
    auto const next = held.send("y");
    CHECK(held.outcome(next)["code"].text() == "rate");
    CHECK_FALSE(held.outcome(next)["sent"].boolean(true));
    CHECK(held.count("sendMessage") == 1);
}

TEST_CASE("a group that moved is found again, by this message and those after it", "[telegram]") {
    Server server;
    auto const call = server.send("x", "", "-5");
    server.refuse("sendMessage", 400, "Bad Request: group chat was upgraded",
                  R"({"migrate_to_chat_id":-1005})");
    CHECK(server.params("sendMessage")["chat_id"].integer() == -1005);
    server.give("sendMessage", R"({"message_id":31})");
    CHECK(server.host.call(call).succeeded());
    server.send("y", "", "-5");
    server.host.advance(3s);
    CHECK(server.params("sendMessage")["chat_id"].integer() == -1005);
}

TEST_CASE("what is no chat or no text is refused without asking Telegram", "[telegram]") {
    Server server;
    for (auto const* const where : {"x", "0", "5:", "5:x", "5:-1", "5:7:8", "../5", "5 "}) {
        CHECK_FALSE(server.outcome(server.send("x", "", where))["sent"].boolean(true));
    }
    CHECK_FALSE(server.outcome(server.send(" \n"))["sent"].boolean(true));
    CHECK(server.host.http.empty());
}

TEST_CASE("an edit replaces text and buttons, and changing nothing is no failure", "[telegram]") {
    Server server;
    auto const edit = [&](std::string_view id) {
        return server.host.start(Verb::channel_edit,
                                 json_of("conversation", "5:3", "id", id, "text", "done"));
    };
    auto const call = edit("31");
    CHECK(Json::parse(server.asked("editMessageText").body).raw() ==
          R"({"chat_id":5,"message_id":31,"text":"done",)"
          R"("link_preview_options":{"is_disabled":true}})");
    server.refuse("editMessageText", 400, "Bad Request: message is not modified: same");
    CHECK(server.host.call(call).succeeded());
    CHECK(server.outcome(edit("x"))["code"].text() == "invalid");
    // The new text begins with what is new; the message keeps one part.
    server.host.start(Verb::channel_edit, json_of("conversation", "6", "id", "31", "text",
                                                  "done " + std::string(5000, 'x')));
    server.host.advance(1s);
    auto const text = std::string(server.params("editMessageText")["text"].text());
    CHECK(text.starts_with("done x"));
    CHECK(text.ends_with("(cut, the text is longer)"));
    CHECK(telegram::utf16_units(text) <= 4096);
}

TEST_CASE("typing is shown where the answer will stand", "[telegram]") {
    Server server;
    auto const call = server.host.start(Verb::channel_typing, R"({"conversation":"-100:7"})");
    CHECK(Json::parse(server.asked("sendChatAction").body).raw() ==
          R"({"chat_id":-100,"message_thread_id":7,"action":"typing"})");
    server.give("sendChatAction", "true");
    CHECK(server.host.call(call).succeeded());
}

TEST_CASE("a draft shows the end of the reply so far in private chats, and nothing elsewhere",
          "[telegram]") {
    Server server;
    auto const draft = [&](std::string_view conversation, std::string_view text) {
        return server.host.start(Verb::channel_draft,
                                 json_of("conversation", conversation, "draft", 7, "text", text));
    };
    auto const call = draft("5:3", "so **far");
    CHECK(Json::parse(server.asked("sendMessageDraft").body).raw() ==
          R"({"chat_id":5,"message_thread_id":3,"draft_id":7,"text":"so **far"})");
    server.give("sendMessageDraft", "true");
    CHECK(server.host.call(call).succeeded());
    draft("5", std::string(4096, 'x') + "end");
    CHECK(server.params("sendMessageDraft")["text"].text() == "end");
    auto const asked = server.host.http.size();
    CHECK(server.host.call(draft("-100", "so far")).succeeded());
    CHECK(server.host.call(draft("5", "")).succeeded());
    CHECK(server.host.http.size() == asked);
}

// ---- Files.

namespace {

std::string with_file(std::string const& media, std::string const& more = "") {
    return R"({"message_id":9,"date":1,"chat":{"id":5,"type":"private","first_name":"Ann"},)"
           R"("from":{"id":5,"is_bot":false,"first_name":"Ann"},)" +
           media + more + "}";
}
std::string document(std::string const& more = "") {
    return with_file(
        R"("document":{"file_id":"F1","file_unique_id":"u","file_name":"my report.pdf",)"
        R"("mime_type":"application/pdf","file_size":9)" +
        more + "}");
}

// The item that the last update became, by now.
Json last_item(Server const& server) {
    auto const all = server.host.call(server.run).emitted;
    return all.empty() ? Json() : Json::parse(all.back());
}

// Telegram gives the file.
std::string give_file(Server& server, std::string const& path, std::string const& content) {
    server.give("getFile", R"({"file_id":"F1","file_unique_id":"u","file_path":")" + path + "\"}");
    auto& get = server.host.http.back();
    server.host.http_head(get, 200);
    return server.host.http_blob(get, content);
}

}  // namespace

TEST_CASE("a file is fetched into a blob, with a token that is never seen, and then told",
          "[telegram]") {
    Server server;
    server.open();
    CHECK_FALSE(server.heard(document()).exists());
    CHECK(server.params("getFile")["file_id"].text() == "F1");
    auto const blob = give_file(server, "documents/file 1.pdf", "the bytes");
    auto const& get = server.host.http.back();
    CHECK(get.request["method"].text() == "GET");
    CHECK(get.request["url"].text() ==
          "https://api.example/file/bot-token-here/documents/file%201.pdf");
    CHECK(get.request["to_blob"].boolean());
    CHECK((*get.request["inject"].begin())["slot"].text() == "path:bot-token-here");
    auto const item = last_item(server);
    CHECK(item["text"].text().empty());
    CHECK(item["attachments"].raw() == R"([{"blob":")" + blob +
                                           R"(","name":"my report.pdf","type":"application/pdf",)"
                                           R"("bytes":9}])");
    // Not confirmed before the host says so.
    CHECK_FALSE(server.waiting("getUpdates"));
    server.host.acknowledge(server.run, item["cursor"].text());
    CHECK(server.waiting("getUpdates"));
    CHECK(server.host.faults.empty());
}

TEST_CASE("each kind of file has a name and a type, and a caption is its text", "[telegram]") {
    struct Row {
        char const *media, *name, *type;
    };
    Row const rows[] = {
        {R"("voice":{"file_id":"F","file_unique_id":"u","duration":1})", "voice-9.ogg",
         "audio/ogg"},
        {R"("audio":{"file_id":"F","file_unique_id":"u","file_name":"song.mp3"})", "song.mp3",
         "audio/mpeg"},
        {R"("video":{"file_id":"F","file_unique_id":"u","mime_type":"video/webm"})", "video-9.mp4",
         "video/webm"},
        {R"("photo":[{"file_id":"F","file_unique_id":"u","width":9,"height":9}])", "photo-9.jpg",
         "image/jpeg"},
    };
    for (auto const& row : rows) {
        INFO(row.media);
        Server server;
        server.open();
        server.heard(with_file(row.media, R"(,"caption":"look")"));
        give_file(server, "x/y", "bytes");
        auto const item = last_item(server);
        CHECK(item["text"].text() == "look");
        auto const file = *item["attachments"].begin();
        CHECK(file["name"].text() == row.name);
        CHECK(file["type"].text() == row.type);
    }
}

TEST_CASE("of a photo the largest size is fetched that Telegram gives to bots", "[telegram]") {
    Server server;
    server.open();
    server.heard(with_file(R"("photo":[{"file_id":"S","width":90,"height":90,"file_size":1000},)"
                           R"({"file_id":"M","width":800,"height":600,"file_size":20971520},)"
                           R"({"file_id":"L","width":9000,"height":9000,"file_size":20971521}])"));
    CHECK(server.params("getFile")["file_id"].text() == "M");
}

TEST_CASE("a file that cannot be had is named in the text, and nothing else is lost",
          "[telegram]") {
    Server server;
    server.open();
    CHECK(server
              .heard(with_file(R"("document":{"file_id":"F","file_name":"a.iso",)"
                               R"("file_size":20971521},"caption":"look")"))["text"]
              .text() == "look\n[file, not taken: a.iso (it is larger than 20 MiB)]");
    CHECK(server.count("getFile") == 0);

    server.heard(document());
    server.refuse("getFile", 400, "Bad Request: file is too big");
    CHECK(last_item(server)["text"].text() ==
          "[file, not taken: my report.pdf (Telegram answers 400: Bad Request: file is too big)]");
    server.host.acknowledge(server.run, last_item(server)["cursor"].text());

    server.heard(document());
    server.give("getFile", R"({"file_id":"F1","file_path":"/var/lib/file_1"})");
    CHECK(std::string(last_item(server)["text"].text()).find("names no path") != std::string::npos);
    CHECK_FALSE(last_item(server)["attachments"].exists());
}

TEST_CASE("a file is asked for three times before its message goes without it", "[telegram]") {
    Server server;
    server.open();
    server.heard(document());
    for (int i = 0; i < 3; ++i) {
        CHECK(server.count("getFile") == static_cast<std::size_t>(i) + 1);
        server.refuse("getFile", 500, "Internal Server Error");
        server.host.advance(2s);
    }
    CHECK(server.count("getFile") == 3);
    CHECK(
        std::string(last_item(server)["text"].text()).find("my report.pdf (Telegram answers 500") !=
        std::string::npos);
}

TEST_CASE("what was written behind a file waits for it, and keeps its place", "[telegram]") {
    Server server;
    server.open();
    server.update(R"({"update_id":7,"message":)" + in_private("before") +
                  R"(},{"update_id":8,"message":)" + document() + R"(},{"update_id":9,"message":)" +
                  in_private("behind") + "}");
    auto const texts = [&] {
        std::string out;
        for (Json const& item : server.host.call(server.run).items("message"))
            out +=
                std::string(item["text"].text()) + (item["attachments"].exists() ? "+" : "") + " ";
        return out;
    };
    CHECK(texts() == "before ");
    server.host.acknowledge(server.run, "8");
    CHECK_FALSE(server.waiting("getUpdates"));
    give_file(server, "x/y", "bytes");
    CHECK(texts() == "before + behind ");
}

TEST_CASE("a host without blobs is told that there was a file", "[telegram]") {
    TestHost host(plugin, config(), PARLEY_HOST_BLOB);
    auto const run = host.start(Verb::channel_run, R"({"instance":"chat"})");
    auto const give = [&](std::string const& result) {
        auto& one = host.http.back();
        host.http_head(one, 200);
        host.http_data(one, R"({"ok":true,"result":)" + result + "}");
        host.http_done(one);
    };
    give(R"({"id":777,"is_bot":true,"first_name":"P","username":"ParleyBot"})");
    give("true");
    give(R"([{"update_id":7,"message":)" + document() + "}]");
    CHECK(host.call(run).items("message").at(0)["text"].text() ==
          "[file, not taken: my report.pdf]");
}

TEST_CASE("a file leaves as a form, with a short text under it and the buttons below",
          "[telegram]") {
    Server server;
    auto const call =
        server.send("**the** report",
                    R"(,"markdown":true,"buttons":[[{"text":"Yes","data":"d"}]],"attachments":[)"
                    R"({"blob":"b-1","name":"a.pdf","type":"application/pdf","bytes":3}])",
                    "-100:7");
    Json const parts = server.asked("sendDocument").request["parts"];
    CHECK(parts.raw() ==
          R"([{"name":"chat_id","value":"-100"},{"name":"message_thread_id","value":"7"},)"
          R"({"name":"caption","value":"<b>the</b> report"},{"name":"parse_mode","value":"HTML"},)"
          R"({"name":"reply_markup","value":"{\"inline_keyboard\":[[{\"text\":\"Yes\",)"
          R"(\"callback_data\":\"d\"}]]}"},)"
          R"({"name":"document","blob":"b-1","filename":"a.pdf","type":"application/pdf"}])");
    server.give("sendDocument", R"({"message_id":31})");
    CHECK(server.host.call(call).result == R"({"parts":1,"ids":["31"]})");
    CHECK(server.count("sendMessage") == 0);
}

TEST_CASE("a text that is too long for a caption goes before its files", "[telegram]") {
    Server server;
    auto const two = R"(,"attachments":[{"blob":"b-1","name":"a","type":"t/a","bytes":3},)"
                     R"({"blob":"b-2","name":"b","type":"t/b","bytes":3}])";
    auto const call = server.send(std::string(1025, 'x'), two);
    server.give("sendMessage", R"({"message_id":31})");
    server.host.advance(5s);
    CHECK((*server.asked("sendDocument").request["parts"].begin())["name"].text() == "chat_id");
    server.give("sendDocument", R"({"message_id":32})");
    server.host.advance(5s);
    server.give("sendDocument", R"({"message_id":33})");
    CHECK(server.host.call(call).result == R"({"parts":3,"ids":["31","32","33"]})");

    server.send("", two, "6");
    server.host.advance(5s);
    auto const form = std::string(server.asked("sendDocument").request["parts"].raw());
    CHECK(form.find("caption") == std::string::npos);
}
