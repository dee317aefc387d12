#include "channel/channel.hpp"

#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"
#include "scripted_worker.hpp"

#include <boost/json/value.hpp>

#include <chrono>

using namespace parley;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

// A channel over a scripted worker. What it hands on is kept; `taken` is the test's to call.
struct Line {
    Loop loop;
    std::shared_ptr<ScriptedWorker> worker = std::make_shared<ScriptedWorker>();
    std::string cursor;  // the last one that the host made durable
    std::vector<Inbound> messages;
    std::vector<std::function<void()>> taken;
    std::vector<std::pair<Channel::Link, std::string>> links;
    std::shared_ptr<Channel> channel;

    Line() {
        Channel::Sink sink;
        sink.on_message = [this](Inbound message, std::function<void()> when_taken) {
            messages.push_back(std::move(message));
            taken.push_back(std::move(when_taken));
        };
        sink.on_link = [this](Channel::Link link, std::string const& detail) {
            links.emplace_back(link, detail);
        };
        channel = Channel::open(
            loop, InstanceName("irc-main"), worker, [this] { return cursor; }, std::move(sink));
    }
    // Its first run is under way.
    void start() {
        loop.run_for(std::chrono::milliseconds(0));
        REQUIRE(worker->calls.size() == 1);
    }
    void say(std::string_view bytes) { worker->emit(worker->calls.size() - 1, bytes); }
    bool runs_again(std::chrono::milliseconds most = limits::worker_restart_first * 20) {
        auto before = worker->calls.size();
        for (auto waited = 0ms; worker->calls.size() == before && waited < most; waited += 10ms)
            loop.run_for(10ms);
        return worker->calls.size() > before;
    }
    // Long enough for the first restart, were there one.
    bool stays_down() { return !runs_again(limits::worker_restart_first * 3); }
    SendOutcome sent(Result<std::string> result) {
        std::vector<SendOutcome> outcomes;
        auto index = worker->calls.size();
        channel->send({OutboxId("o-1"), "#room", "hello"},
                      [&](SendOutcome outcome) { outcomes.push_back(std::move(outcome)); });
        worker->end(index, std::move(result));
        REQUIRE(outcomes.size() == 1);
        return outcomes[0];
    }
};

constexpr char plain[] =
    R"({"type":"message","conversation":"#room","sender":{"ids":["nick:ada"]},"text":"hello"})";

// The plain message with members put in place of its own, or beside them.
std::string message_with(std::string const& members) {
    auto over = parse_json('{' + members + '}');
    REQUIRE(over);
    auto message = *parse_json(plain);
    for (auto const& entry : over->get_object()) message.as_object()[entry.key()] = entry.value();
    return to_text(message);
}

std::string json_text(std::string_view text) {
    std::string out;
    append_quoted(out, text);
    return out;
}

std::string sized(std::size_t bytes) {
    return std::string(bytes, 'x');
}

}  // namespace

// ---- What comes in ------------------------------------------------------------------------------

TEST_CASE("a message arrives as the plugin said it", "[channel]") {
    Line line;
    line.start();
    line.say(R"({"type":"message","conversation":"#room","text":"hello","id":"m-1","private":true,
                 "sender":{"ids":["account:ada","nick:ada"],"name":"Ada"},"cursor":"42","later":[1]})");
    REQUIRE(line.messages.size() == 1);
    auto const& message = line.messages[0];
    REQUIRE(message.instance == InstanceName("irc-main"));
    REQUIRE(message.conversation == "#room");
    REQUIRE(message.sender_ids == std::vector{"account:ada"s, "nick:ada"s});
    REQUIRE(message.sender_name == "Ada");
    REQUIRE(message.text == "hello");
    REQUIRE(message.external_id == "m-1");
    REQUIRE(message.is_private);
    REQUIRE(message.cursor == "42");
}

TEST_CASE("a press brings its code and a command its name, and nothing else is either", "[channel]") {
    Line line;
    line.start();
    line.say(message_with(R"("type":"press","data":"abc_-9","private":true)"));
    line.say(message_with(R"("type":"command","command":"stop")"));
    REQUIRE(line.messages.size() == 2);
    REQUIRE(line.messages[0].kind == Inbound::Kind::press);
    REQUIRE(line.messages[0].text == "abc_-9");
    REQUIRE(line.messages[0].is_private);
    REQUIRE(line.messages[1].kind == Inbound::Kind::command);
    REQUIRE(line.messages[1].text == "stop");
    for (auto const* bad :
         {R"("type":"press")", R"("type":"press","data":"")", R"("type":"press","data":"a b")",
          R"("type":"press","data":"0123456789012345678901234567890123456789012345678")",
          R"("type":"command","command":"halt")", R"("type":"command","data":"stop")"})
        line.say(message_with(bad));
    REQUIRE(line.messages.size() == 2);
}

TEST_CASE("buttons, the host's own words and the ids of what was sent", "[channel]") {
    Line line;
    line.start();
    SendOutcome outcome;
    line.channel->send({OutboxId("o-1"), "#room", "card", true, false, {{"Yes", "a"}, {"No", "b"}}},
                       [&](SendOutcome sent) { outcome = std::move(sent); });
    REQUIRE(line.worker->calls[1].request ==
            R"({"id":"o-1","conversation":"#room","text":"card","notice":true,)"
            R"("buttons":[[{"text":"Yes","data":"a"},{"text":"No","data":"b"}]]})");
    line.worker->end(1, R"({"ids":["m1",7,"m2"],"parts":2})"s);
    REQUIRE(outcome.delivered);
    REQUIRE(outcome.ids == std::vector{"m1"s, "m2"s});
    line.channel->edit("#room", "m2", "over", [](auto const&) {});
    REQUIRE(line.worker->calls[2].verb == Verb::channel_edit);
    REQUIRE(line.worker->calls[2].request == R"({"conversation":"#room","id":"m2","text":"over"})");
}

TEST_CASE("files come with a message and leave with one, under plain names", "[channel]") {
    Line line;
    line.start();
    auto blob = "b-" + std::string(64, '7');
    line.say(
        message_with(R"("attachments":[{"blob":")" + blob +
                     R"(","name":"../a.pdf","type":"application/pdf","bytes":9},{"blob":"x"}])"));
    REQUIRE(line.messages.size() == 1);
    auto const files = line.messages[0].attachments;
    REQUIRE(files.size() == 1);
    REQUIRE(files[0].blob == blob);
    REQUIRE(files[0].name == "a.pdf");
    line.say(
        message_with(R"("type":"press","data":"abc","attachments":[{"blob":")" + blob + "\"}]"));
    REQUIRE(line.messages[1].attachments.empty());

    Outbound out{OutboxId("o-1"), "#room", "", false, false, {}, files};
    line.channel->send(out, [](SendOutcome const&) {});
    REQUIRE(line.worker->calls[1].request ==
            R"({"id":"o-1","conversation":"#room","text":"","attachments":[{"blob":")" + blob +
                R"(","name":"a.pdf","type":"application/pdf","bytes":9}]})");
}

TEST_CASE("what a message does not say is not made up", "[channel]") {
    Line line;
    line.start();
    line.say(plain);
    REQUIRE(line.messages.size() == 1);
    REQUIRE(line.messages[0].sender_name.empty());
    REQUIRE(line.messages[0].external_id.empty());
    REQUIRE(line.messages[0].cursor.empty());
    REQUIRE_FALSE(line.messages[0].is_private);
}

TEST_CASE("a message keeps every byte of a strange text", "[channel]") {
    Line line;
    line.start();
    auto text = "\x01\x7f \u202e \0 \" \\ \r\n \U0001f426"s;
    line.say(message_with("\"text\":" + json_text(text)));
    REQUIRE(line.messages.size() == 1);
    REQUIRE(line.messages[0].text == text);
}

TEST_CASE("bytes that are no message are dropped, and their credit goes back", "[channel]") {
    auto bytes = GENERATE(
        ""s, "null"s, "[]"s, "7"s, "{}"s, "{"s, "hello"s, R"({"type":7})"s,
        R"({"type":"surprise"})"s, R"([{"type":"message"}])"s, std::string(plain) + "x",
        std::string(plain) + plain, R"({"type":"message","type":"state"})"s,
        R"({"type":"message","text":"\ud800"})"s,
        "{\"type\":\"message\",\"conversation\":\"\xff\",\"sender\":{\"ids\":[\"nick:ada\"]}}"s,
        std::string(100'000, '['), sized(1 << 20), "\0"s);
    INFO(visible(bytes.substr(0, 200)));
    Line line;
    line.start();
    line.say(bytes);
    REQUIRE(line.messages.empty());
    REQUIRE(line.worker->acknowledged.size() == 1);
    REQUIRE(line.worker->acknowledged[0].call == line.worker->calls[0].id);
    REQUIRE(line.worker->acknowledged[0].bytes == bytes.size());
}

TEST_CASE("a message that lacks what it needs is refused, and its cursor is not confirmed",
          "[channel]") {
    auto members =
        GENERATE(R"("conversation":"")"s, R"("conversation":7)"s, R"("conversation":null)"s,
                 R"("conversation":["#room"])"s, R"("sender":null)"s, R"("sender":"nick:ada")"s,
                 R"("sender":{})"s, R"("sender":{"ids":[]})"s, R"("sender":{"ids":"nick:ada"})"s,
                 R"("sender":{"ids":[7,null,{}]})"s, R"("sender":{"ids":{"0":"nick:ada"}})"s,
                 R"("sender":{"name":"ada"})"s);
    INFO(members);
    Line line;
    line.start();
    line.say(message_with(members + R"(,"cursor":"42")"));
    REQUIRE(line.messages.empty());
    REQUIRE(line.worker->acknowledged.size() == 1);
    REQUIRE(line.worker->acknowledged[0].cursor.empty());
}

TEST_CASE("ids and cursors are taken up to their limits, and not beyond", "[channel]") {
    auto [key, most] = GENERATE(std::pair("conversation"s, limits::sender_id_bytes),
                                std::pair("id"s, limits::sender_id_bytes),
                                std::pair("cursor"s, limits::cursor_bytes));
    INFO(key);
    Line line;
    line.start();
    line.say(message_with('"' + key + "\":\"" + sized(most) + '"'));
    REQUIRE(line.messages.size() == 1);
    line.say(message_with('"' + key + "\":\"" + sized(most + 1) + '"'));
    REQUIRE(line.messages.size() == 1);
}

TEST_CASE("a sender's ids keep their order; those that cannot be ids are left out", "[channel]") {
    Line line;
    line.start();
    line.say(message_with(R"("sender":{"ids":[7,"account:ada",")" +
                          sized(limits::sender_id_bytes + 1) + R"(",null,"nick:ada"]})"));
    REQUIRE(line.messages.size() == 1);
    REQUIRE(line.messages[0].sender_ids == std::vector{"account:ada"s, "nick:ada"s});
}

TEST_CASE("no message brings more than eight ids", "[channel]") {
    Line line;
    line.start();
    std::string ids;
    for (int i = 0; i < 10'000; ++i) ids += (i ? ",\"id:" : "\"id:") + std::to_string(i) + '"';
    line.say(message_with(R"("sender":{"ids":[)" + ids + "]}"));
    REQUIRE(line.messages.size() == 1);
    REQUIRE(line.messages[0].sender_ids.size() == 8);
    REQUIRE(line.messages[0].sender_ids[0] == "id:0");
}

TEST_CASE("a text that is too long is cut, never inside a character", "[channel]") {
    Line line;
    line.start();
    line.say(message_with("\"text\":\"" + sized(limits::message_text_bytes - 1) + "\u00e9\""));
    REQUIRE(line.messages.size() == 1);
    REQUIRE(line.messages[0].text == sized(limits::message_text_bytes - 1));
}

TEST_CASE("a name that is too long is cut, never inside a character", "[channel]") {
    Line line;
    line.start();
    line.say(
        message_with(R"("sender":{"ids":["nick:ada"],"name":")" + sized(127) + "\U0001f426\"}"));
    REQUIRE(line.messages.size() == 1);
    REQUIRE(line.messages[0].sender_name == sized(127));
}

TEST_CASE("only the word true makes a conversation private", "[channel]") {
    auto word = GENERATE("1"s, "\"true\""s, "null"s, "{}"s, "false"s);
    INFO(word);
    Line line;
    line.start();
    line.say(message_with("\"private\":" + word));
    REQUIRE(line.messages.size() == 1);
    REQUIRE_FALSE(line.messages[0].is_private);
}

// ---- Cursors ------------------------------------------------------------------------------------

TEST_CASE("a cursor is confirmed when its message was taken, and not a moment before",
          "[channel]") {
    Line line;
    line.start();
    auto bytes = message_with(R"("cursor":"42")");
    line.say(bytes);
    REQUIRE(line.worker->acknowledged.empty());
    line.taken[0]();
    REQUIRE(line.worker->acknowledged.size() == 1);
    REQUIRE(line.worker->acknowledged[0].call == line.worker->calls[0].id);
    REQUIRE(line.worker->acknowledged[0].cursor == "42");
    REQUIRE(line.worker->acknowledged[0].bytes == bytes.size());
}

TEST_CASE("cursors are confirmed in the order in which their messages were taken", "[channel]") {
    Line line;
    line.start();
    for (auto const* cursor : {"1", "2", "3"})
        line.say(message_with("\"cursor\":\""s + cursor + '"'));
    for (auto index : {0, 2, 1}) line.taken[index]();
    std::string order;
    for (auto const& word : line.worker->acknowledged) order += word.cursor;
    REQUIRE(order == "132");
}

TEST_CASE("a run begins after the last durable cursor, and each later run asks again",
          "[channel]") {
    Line line;
    line.start();
    auto first = parse_json(line.worker->calls[0].request);
    REQUIRE(line.worker->calls[0].verb == Verb::channel_run);
    REQUIRE(text_at(*first, "instance") == "irc-main");
    REQUIRE_FALSE(member(*first, "cursor"));
    line.cursor = "\"42\"\\\n";
    line.worker->end(0, std::string());
    REQUIRE(line.runs_again());
    REQUIRE(text_at(*parse_json(line.worker->calls[1].request), "cursor") == line.cursor);
}

TEST_CASE("what a run emits is durable before its credit goes back, and a run has no time limit",
          "[channel]") {
    Line line;
    line.start();
    REQUIRE(line.worker->calls[0].options.emits_are_durable);
    REQUIRE(line.worker->calls[0].options.timeout.count() == 0);
}

TEST_CASE("a message that is taken after its channel has gone confirms nothing", "[channel]") {
    Line line;
    line.start();
    line.say(message_with(R"("cursor":"42")"));
    line.channel.reset();
    line.taken[0]();
    REQUIRE(line.worker->acknowledged.empty());
}

// ---- The link -----------------------------------------------------------------------------------

TEST_CASE("a link is as its plugin says, and in doubt it is down", "[channel]") {
    Line line;
    line.start();
    REQUIRE(line.channel->link() == Channel::Link::connecting);
    line.say(R"({"type":"state","state":"connected","detail":"as parley"})");
    REQUIRE(line.channel->link() == Channel::Link::connected);
    REQUIRE(line.channel->detail() == "as parley");
    line.say(R"({"type":"state","state":"connecting"})");
    REQUIRE(line.channel->link() == Channel::Link::connecting);
    for (auto const* odd :
         {R"("disconnected")", R"("Connected")", R"("")", "7", "null", R"("failed")"}) {
        line.say(R"({"type":"state","state":"connected"})");
        line.say(R"({"type":"state","state":)"s + odd + '}');
        REQUIRE(line.channel->link() == Channel::Link::disconnected);
    }
}

TEST_CASE("the same state said twice is told once", "[channel]") {
    Line line;
    line.start();
    auto before = line.links.size();
    for (int i = 0; i < 100; ++i) line.say(R"({"type":"state","state":"connected","detail":"d"})");
    REQUIRE(line.links.size() == before + 1);
    REQUIRE(line.worker->acknowledged.size() == 100);
}

TEST_CASE("a link's detail is bounded, whoever says it", "[channel]") {
    Line line;
    line.start();
    auto lengthy = sized(511) + "\u00e9" + sized(100'000);

    SECTION("the plugin as a state") {
        line.say(R"({"type":"state","state":"disconnected","detail":")" + lengthy + "\"}");
    }
    SECTION("the plugin as the failure of its run") {
        line.worker->fail(0, Fault::peer_failed, R"({"code":"peer","message":")" + lengthy + "\"}");
    }
    SECTION("the plugin in words of its own") {
        line.worker->fail(0, Fault::peer_failed, lengthy);
    }
    // Not shown on failure: it may be long.
    bool is_cut = line.channel->detail() == sized(511);
    REQUIRE(is_cut);
}

TEST_CASE("a run that ends is started again, after a while", "[channel]") {
    auto how = GENERATE(""s, "not JSON"s, "null"s, "7"s, R"({"retryable":true})"s,
                        R"({"code":"peer"})"s, R"({"retryable":"no"})"s);
    INFO(how);
    Line line;
    line.start();
    auto before = std::chrono::steady_clock::now();
    line.worker->fail(0, Fault::peer_gone, how);
    REQUIRE(line.channel->link() == Channel::Link::disconnected);
    REQUIRE(line.runs_again());
    REQUIRE(std::chrono::steady_clock::now() - before >= limits::worker_restart_first);
}

TEST_CASE("a run that ends well is started again too: a run has no good end", "[channel]") {
    Line line;
    line.start();
    line.worker->end(0, std::string("{}"));
    REQUIRE(line.channel->link() == Channel::Link::disconnected);
    REQUIRE(line.runs_again());
}

TEST_CASE("each run that fails waits longer than the one before, until one stands for a while",
          "[channel]") {
    Line line;
    line.start();
    line.worker->fail(0, Fault::peer_failed, "");
    REQUIRE(line.runs_again());
    auto before = std::chrono::steady_clock::now();
    line.worker->fail(1, Fault::peer_failed, "");
    REQUIRE(line.runs_again());
    REQUIRE(std::chrono::steady_clock::now() - before >= 2 * limits::worker_restart_first);
    line.say(R"({"type":"state","state":"connected"})");

    SECTION("one that is thrown out at once has not") {
        before = std::chrono::steady_clock::now();
        line.worker->fail(2, Fault::peer_failed, "");
        REQUIRE(line.runs_again());
        REQUIRE(std::chrono::steady_clock::now() - before >= 4 * limits::worker_restart_first);
    }
    SECTION("one that stood many times the pause begins with the shortest again") {
        before = std::chrono::steady_clock::now();
        auto steady = limits::link_steady_waits * 4 * limits::worker_restart_first;
        while (std::chrono::steady_clock::now() - before < steady) line.loop.run_for(50ms);
        line.worker->fail(2, Fault::peer_failed, "");
        REQUIRE(line.runs_again());
        // Twice the shortest comes next, not eight times.
        line.worker->fail(3, Fault::peer_failed, "");
        REQUIRE(line.runs_again(limits::worker_restart_first * 7));
    }
}

TEST_CASE("a service that asks for a pause gets it", "[channel]") {
    Line line;
    line.start();
    auto before = std::chrono::steady_clock::now();
    line.worker->fail(0, Fault::peer_failed, R"({"retryable":true,"retry_after_ms":400})");
    REQUIRE(line.runs_again());
    REQUIRE(std::chrono::steady_clock::now() - before >= 400ms);
}

TEST_CASE("a plugin that says that trying again is useless is believed, in its words",
          "[channel]") {
    Line line;
    line.start();
    line.worker->fail(0, Fault::peer_failed,
                      R"({"code":"auth","message":"wrong password","retryable":false})");
    REQUIRE(line.channel->link() == Channel::Link::failed);
    REQUIRE(line.channel->detail() == "wrong password");
    REQUIRE(line.stays_down());
}

TEST_CASE("a channel that was stopped stops its worker, starts nothing and says nothing",
          "[channel]") {
    Line line;
    line.start();
    line.channel->stop();
    auto before = line.links.size();
    line.worker->fail(0, Fault::cancelled, "the worker was stopped");
    REQUIRE(line.worker->stopped);
    REQUIRE(line.stays_down());
    REQUIRE(line.links.size() == before);
}

TEST_CASE("a channel that goes while it waits to start again is not missed", "[channel]") {
    Line line;
    line.start();
    line.worker->fail(0, Fault::peer_gone, "");
    line.channel.reset();
    REQUIRE(line.stays_down());
}

// ---- What goes out ------------------------------------------------------------------------------

TEST_CASE("a message goes out as it is, with its id, within a limit of time", "[channel]") {
    Line line;
    line.start();
    auto text = "\" \\ \0 \r\n\u202e"s;
    line.channel->send({OutboxId("o-1"), "#ro\"om", text}, [](SendOutcome) {});
    auto const& call = line.worker->calls.back();
    REQUIRE(call.verb == Verb::channel_send);
    REQUIRE(call.options.timeout == limits::send_time);
    auto request = parse_json(call.request);
    REQUIRE(request);
    REQUIRE(text_at(*request, "id") == "o-1");
    REQUIRE(text_at(*request, "conversation") == "#ro\"om");
    REQUIRE(text_at(*request, "text") == text);
}

TEST_CASE("a send that ends well is delivered, whatever else it says", "[channel]") {
    Line line;
    line.start();
    for (auto const* result : {"", "{}", R"({"sent":false})", "\xff"})
        REQUIRE(line.sent(std::string(result)).delivered);
}

TEST_CASE("a failed send may have left, unless the plugin says that it did not", "[channel]") {
    auto what =
        GENERATE(R"({"code":"peer","message":"m"})"s, R"({"sent":true})"s, R"({"sent":"false"})"s,
                 R"({"sent":0})"s, R"({"sent":null,"retryable":true})"s, R"([{"sent":false}])"s,
                 R"({"sent":false,"sent":true})"s, R"({"sent":false)"s, "false"s, ""s);
    INFO(what);
    Line line;
    line.start();
    auto outcome = line.sent(Error(Fault::peer_failed, what));
    REQUIRE_FALSE(outcome.delivered);
    REQUIRE(outcome.left);
}

TEST_CASE("a send of which nothing left may be tried again if the plugin says so", "[channel]") {
    Line line;
    line.start();
    auto again = line.sent(
        Error(Fault::peer_failed, R"({"message":"not joined","sent":false,"retryable":true})"));
    REQUIRE_FALSE(again.left);
    REQUIRE(again.retryable);
    REQUIRE(again.detail == "not joined");
    auto final = line.sent(Error(Fault::peer_failed, R"({"sent":false})"));
    REQUIRE_FALSE(final.left);
    REQUIRE_FALSE(final.retryable);
}

TEST_CASE("how long a failed send asks to wait is a time within reason", "[channel]") {
    struct Row {
        char const* asked;
        std::chrono::milliseconds heard;
    };
    for (auto const& [asked, heard] :
         {Row{"1500", 1500ms}, Row{"0", 0ms}, Row{"-1", 0ms}, Row{"\"9\"", 0ms}, Row{"null", 0ms},
          Row{"9223372036854775807", limits::send_asked_most}, Row{"1e300", 0ms}}) {
        INFO(asked);
        Line line;
        line.start();
        auto outcome = line.sent(
            Error(Fault::peer_failed,
                  R"({"sent":false,"retryable":true,"retry_after_ms":)" + std::string(asked) + "}"));
        REQUIRE(outcome.retry_after == heard);
    }
}

TEST_CASE("a send that never reached a worker did not leave, and may be tried again", "[channel]") {
    Line line;
    line.start();
    auto outcome = line.sent(Error(Fault::unavailable, "the worker did not start in time"));
    REQUIRE_FALSE(outcome.left);
    REQUIRE(outcome.retryable);
}

TEST_CASE("of a send that was cut off nobody knows whether it left", "[channel]") {
    auto fault = GENERATE(Fault::peer_gone, Fault::timed_out, Fault::cancelled, Fault::internal);
    Line line;
    line.start();
    auto outcome = line.sent(Error(fault, "killed by signal 9"));
    REQUIRE(outcome.left);
    REQUIRE(outcome.detail == "killed by signal 9");
}

TEST_CASE("a send tells its end even when its channel has gone meanwhile", "[channel]") {
    Line line;
    line.start();
    int told = 0;
    line.channel->send({OutboxId("o-1"), "#room", "hello"}, [&](SendOutcome) { ++told; });
    line.channel.reset();
    line.worker->fail(1, Fault::cancelled, "the worker was stopped");
    REQUIRE(told == 1);
}

TEST_CASE("a link that flaps is told so often and no more", "[channel]") {
    Line line;
    line.start();
    for (int i = 0; i < 5000; ++i)
        line.say(i % 2 ? R"({"type":"state","state":"connected"})"
                       : R"({"type":"state","state":"disconnected"})");
    CHECK(line.links.size() <= static_cast<std::size_t>(limits::link_changes));
    CHECK(line.channel->link() == Channel::Link::connected);
}
