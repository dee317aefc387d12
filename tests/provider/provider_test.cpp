#include "provider/provider.hpp"

#include "base/limits.hpp"
#include "scripted_worker.hpp"

#include <chrono>

using namespace parley;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

// A provider over a scripted worker; what each request was told is kept.
struct Desk {
    struct Told {
        std::string text;  // on the way
        std::vector<Answer> answers;
        std::vector<AnswerFault> faults;
        bool is_open() const { return answers.empty() && faults.empty(); }
    };

    std::shared_ptr<ScriptedWorker> worker = std::make_shared<ScriptedWorker>();
    Provider provider;
    std::vector<std::unique_ptr<Told>> told;
    std::vector<std::uint64_t> handles;

    explicit Desk(int pending_most = 16) : provider(worker, pending_most) {}

    Told& ask(std::string request = "{}", Provider::Manner manner = Provider::Manner::usual) {
        auto& one = *told.emplace_back(std::make_unique<Told>());
        Provider::Sink sink;
        sink.on_text = [&one](std::string_view text) { one.text += text; };
        sink.on_answer = [&one](Answer answer) { one.answers.push_back(std::move(answer)); };
        sink.on_fault = [&one](AnswerFault fault) { one.faults.push_back(std::move(fault)); };
        handles.push_back(provider.generate(std::move(request), manner, std::move(sink)));
        return one;
    }
    Told& suspect() { return ask("{}", Provider::Manner::suspect); }
    void die(std::size_t index) { worker->fail(index, Fault::peer_gone, "killed by signal 11"); }
    std::size_t started() const { return worker->calls.size(); }
};

constexpr char stop[] = R"({"type":"stop","reason":"end"})";
constexpr char hello[] = R"({"type":"text","text":"hello"})";

// The answer that these chunks make, which must be one.
Answer answer_of(std::vector<std::string> const& chunks) {
    Desk desk;
    auto& told = desk.ask();
    for (auto const& chunk : chunks) desk.worker->emit(0, chunk);
    desk.worker->emit(0, stop);
    desk.worker->end(0, std::string());
    REQUIRE(told.faults.empty());
    REQUIRE(told.answers.size() == 1);
    return std::move(told.answers[0]);
}

AnswerFault fault_of(Fault fault, std::string what) {
    Desk desk;
    auto& told = desk.ask();
    desk.worker->fail(0, fault, std::move(what));
    REQUIRE(told.answers.empty());
    REQUIRE(told.faults.size() == 1);
    return std::move(told.faults[0]);
}

std::string call_chunk(std::string const& name, std::string const& arguments) {
    return R"({"type":"call","id":"same","name":")" + name + R"(","arguments":")" + arguments +
           "\"}";
}

}  // namespace

// ---- Answers ------------------------------------------------------------------------------------

TEST_CASE("a request goes to the plugin as it is, within a limit of time", "[provider]") {
    Desk desk;
    desk.ask("{ \"messages\" : [] }");
    REQUIRE(desk.started() == 1);
    REQUIRE(desk.worker->calls[0].verb == Verb::provider_generate);
    REQUIRE(desk.worker->calls[0].request == "{ \"messages\" : [] }");
    REQUIRE(desk.worker->calls[0].options.timeout == limits::model_call_time);
    REQUIRE_FALSE(desk.worker->calls[0].options.emits_are_durable);
}

TEST_CASE("an answer is what its chunks add up to", "[provider]") {
    auto answer =
        answer_of({R"({"type":"reasoning","text":"hm"})", hello, R"({"type":"text","text":" you"})",
                   R"({"type":"reasoning","text":"."})",
                   R"({"type":"call","name":"act","arguments":"{ \"a\" : 1.0 }"})",
                   R"({"type":"usage","input":10,"output":4,"cache_read":2,"cache_write":1})"});
    REQUIRE(answer.text == "hello you");
    REQUIRE(answer.reasoning == "hm.");
    REQUIRE(answer.calls.size() == 1);
    REQUIRE(answer.calls[0].name == "act");
    REQUIRE(answer.calls[0].arguments == "{ \"a\" : 1.0 }");
    REQUIRE(answer.input == 10);
    REQUIRE(answer.output == 4);
    REQUIRE(answer.cache_read == 2);
    REQUIRE(answer.cache_write == 1);
    REQUIRE(answer.stop == "end");
}

TEST_CASE("text is told on its way, in order; reasoning and calls are not", "[provider]") {
    Desk desk;
    auto& told = desk.ask();
    desk.worker->emit(0, hello);
    REQUIRE(told.text == "hello");
    desk.worker->emit(0, R"({"type":"reasoning","text":"hm"})");
    desk.worker->emit(0, call_chunk("act", "{}"));
    desk.worker->emit(0, R"({"type":"text","text":""})");
    desk.worker->emit(0, R"({"type":"text","text":"\u00e9\u0000"})");
    REQUIRE(told.text == "hello\u00e9\0"s);
}

TEST_CASE("an answer keeps every byte of a strange text", "[provider]") {
    REQUIRE(answer_of({R"({"type":"text","text":"\u0000\u202e\"\\ \ud83d\udc26"})"}).text ==
            "\0\u202e\"\\ \U0001f426"s);
}

TEST_CASE("a listener is not needed", "[provider]") {
    Desk desk;
    int answers = 0;
    Provider::Sink sink;
    sink.on_answer = [&](Answer) { ++answers; };
    desk.provider.generate("{}", Provider::Manner::usual, std::move(sink));
    desk.worker->emit(0, hello);
    desk.worker->emit(0, stop);
    desk.worker->end(0, std::string());
    REQUIRE(answers == 1);
}

TEST_CASE("chunks of a kind that the host does not know count their bytes and add nothing",
          "[provider]") {
    std::vector<std::string> odd{R"({"type":"surprise","text":"boo"})",
                                 "{}",
                                 "null",
                                 "7",
                                 "[]",
                                 R"({"type":7})",
                                 R"({"type":["text"],"text":"boo"})",
                                 R"({"text":"boo"})",
                                 R"({"type":"text"})",
                                 R"({"type":"text","text":7})",
                                 R"({"type":"Text","text":"boo"})"};
    std::int64_t bytes = sizeof stop - 1;
    for (auto const& chunk : odd) bytes += static_cast<std::int64_t>(chunk.size());
    auto answer = answer_of(odd);
    REQUIRE(answer.text.empty());
    REQUIRE(answer.bytes == bytes);
}

TEST_CASE(
    "a chunk that is nonsense spoils the answer: it is cancelled, and nothing after it counts",
    "[provider]") {
    auto chunk = GENERATE(
        ""s, "{"s, "hello"s, std::string(hello) + "x", std::string(hello) + hello,
        "{\"type\":\"text\",\"text\":\"\xff\"}"s, "{\"type\":\"text\",\"text\":\"\xed\xa0\x80\"}"s,
        R"({"type":"text","text":"\ud800"})"s, R"({"type":"text","type":"call"})"s,
        "{\"type\":\"text\",\"text\":\"line\nbreak\"}"s,
        std::string(100, '[') + std::string(100, ']'), "\0"s);
    Desk desk;
    auto& told = desk.ask();
    desk.worker->emit(0, chunk);
    desk.worker->emit(0, chunk);
    desk.worker->emit(0, hello);
    desk.worker->emit(0, stop);
    REQUIRE(desk.worker->cancelled == std::vector{desk.worker->calls[0].id});
    REQUIRE(told.text.empty());
    desk.worker->end(0, std::string());
    REQUIRE(told.answers.empty());
    REQUIRE(told.faults.size() == 1);
    REQUIRE(told.faults[0].fault == Fault::peer_failed);
    REQUIRE(told.faults[0].code == "peer");
    REQUIRE_FALSE(told.faults[0].retryable);
}

TEST_CASE("an answer that grows beyond its limit is refused, whatever it is made of",
          "[provider]") {
    auto kind = GENERATE("text"s, "reasoning"s, "surprise"s);
    Desk desk;
    auto& told = desk.ask();
    auto chunk = R"({"type":")" + kind + R"(","text":")" + std::string(1 << 20, 'x') + "\"}";
    for (int i = 0; i < 3; ++i) desk.worker->emit(0, chunk);
    REQUIRE(desk.worker->cancelled.empty());
    desk.worker->emit(0, chunk);
    REQUIRE(desk.worker->cancelled.size() == 1);
    desk.worker->end(0, std::string());
    REQUIRE(told.faults.size() == 1);
    REQUIRE(told.faults[0].message.find("larger than") != std::string::npos);
}

TEST_CASE("an answer without a stop is cut off, and may be asked for again", "[provider]") {
    auto last = GENERATE(std::string(hello), R"({"type":"stop"})"s,
                         R"({"type":"stop","reason":""})"s, R"({"type":"stop","reason":7})"s);
    INFO(last);
    Desk desk;
    auto& told = desk.ask();
    desk.worker->emit(0, last);
    desk.worker->end(0, std::string());
    REQUIRE(told.answers.empty());
    REQUIRE(told.faults.size() == 1);
    REQUIRE(told.faults[0].code == "cut_off");
    REQUIRE(told.faults[0].retryable);
}

TEST_CASE("the reason of a stop is a word, not a text", "[provider]") {
    Desk desk;
    auto& told = desk.ask();
    desk.worker->emit(0, R"({"type":"stop","reason":")" + std::string(1 << 20, 'x') + "\"}");
    desk.worker->end(0, std::string());
    REQUIRE(told.answers.size() == 1);
    REQUIRE(told.answers[0].stop.size() <= 64);
}

// ---- Calls --------------------------------------------------------------------------------------

TEST_CASE("calls keep their order, and the vendor's ids for them mean nothing", "[provider]") {
    auto answer =
        answer_of({call_chunk("one", "{}"), call_chunk("two", ""), call_chunk("one", "{}")});
    REQUIRE(answer.calls.size() == 3);
    REQUIRE(answer.calls[0].name == "one");
    REQUIRE(answer.calls[1].name == "two");
    REQUIRE(answer.calls[2].name == "one");
}

TEST_CASE("arguments that are not JSON are kept as the model wrote them", "[provider]") {
    REQUIRE(answer_of({call_chunk("act", "{not json")}).calls[0].arguments == "{not json");
}

TEST_CASE("a call is refused when its name cannot be one", "[provider]") {
    auto name = GENERATE(R"("")"s, "7"s, "null"s, R"(["act"])"s,
                         '"' + std::string(limits::call_name_bytes + 1, 'x') + '"');
    INFO(name);
    Desk desk;
    desk.ask();
    desk.worker->emit(0, R"({"type":"call","name":)" + name + R"(,"arguments":"{}"})");
    REQUIRE(desk.worker->cancelled.size() == 1);
}

TEST_CASE("a call whose arguments are no text is refused, not run without them", "[provider]") {
    auto members = GENERATE(""s, R"(,"arguments":{"path":"a"})"s, R"(,"arguments":null)"s,
                            R"(,"arguments":7)"s);
    INFO(members);
    Desk desk;
    desk.ask();
    desk.worker->emit(0, R"({"type":"call","name":"act")" + members + '}');
    REQUIRE(desk.worker->cancelled.size() == 1);
}

TEST_CASE("a call's arguments are taken up to their limit, and not beyond", "[provider]") {
    std::string most(limits::skill_arguments_bytes, 'x');
    REQUIRE(answer_of({call_chunk("act", most)}).calls.size() == 1);
    Desk desk;
    desk.ask();
    desk.worker->emit(0, call_chunk("act", most + 'x'));
    REQUIRE(desk.worker->cancelled.size() == 1);
}

TEST_CASE("an answer with too many calls is refused whole", "[provider]") {
    Desk desk;
    auto& told = desk.ask();
    for (std::size_t i = 0; i < limits::calls_per_answer; ++i)
        desk.worker->emit(0, call_chunk("act", "{}"));
    REQUIRE(desk.worker->cancelled.empty());
    desk.worker->emit(0, call_chunk("act", "{}"));
    REQUIRE(desk.worker->cancelled.size() == 1);
    desk.worker->emit(0, stop);
    desk.worker->end(0, std::string());
    REQUIRE(told.answers.empty());
}

// ---- Usage --------------------------------------------------------------------------------------

TEST_CASE("a usage that nobody can have is no usage", "[provider]") {
    auto number = GENERATE("-1"s, "1099511627777"s, "9223372036854775807"s, "9223372036854775808"s,
                           "18446744073709551616"s, "-9223372036854775808"s, "1e3"s, "10.0"s,
                           "\"10\""s, "null"s, "[10]"s, "true"s);
    INFO(number);
    auto answer = answer_of({R"({"type":"usage","input":)" + number + R"(,"output":)" + number +
                             R"(,"cache_read":)" + number + R"(,"cache_write":)" + number + '}'});
    REQUIRE_FALSE(answer.input);
    REQUIRE_FALSE(answer.output);
    REQUIRE_FALSE(answer.cache_read);
    REQUIRE_FALSE(answer.cache_write);
}

TEST_CASE("no usage is not the same as a usage of nothing", "[provider]") {
    REQUIRE_FALSE(answer_of({hello}).input);
    REQUIRE(answer_of({R"({"type":"usage","input":0,"output":0})"}).input == 0);
}

TEST_CASE("a usage said twice counts as it was said last", "[provider]") {
    auto answer = answer_of({R"({"type":"usage","input":1,"output":1,"cache_read":1})",
                             R"({"type":"usage","input":1099511627776,"output":7})"});
    REQUIRE(answer.input == 1099511627776);
    REQUIRE(answer.output == 7);
    REQUIRE_FALSE(answer.cache_read);
}

// ---- Failures -----------------------------------------------------------------------------------

TEST_CASE("a plugin's failure says what, for whom, and whether to try again", "[provider]") {
    auto fault =
        fault_of(Fault::peer_failed,
                 R"({"code":"rate","message":"slow down","retryable":true,"retry_after_ms":1500})");
    REQUIRE(fault.fault == Fault::peer_failed);
    REQUIRE(fault.code == "rate");
    REQUIRE(fault.message == "slow down");
    REQUIRE(fault.retryable);
    REQUIRE(fault.retry_after == 1500ms);
}

TEST_CASE("a failure in a plugin's own words is told in them, and not tried again", "[provider]") {
    auto fault = fault_of(Fault::peer_failed, "boom");
    REQUIRE(fault.code == name_of(Fault::peer_failed));
    REQUIRE(fault.message == "boom");
    REQUIRE_FALSE(fault.retryable);
}

TEST_CASE("members of a failure that are of another kind are as if they were not there",
          "[provider]") {
    auto what = R"({"code":7,"message":null,"retryable":"yes","retry_after_ms":"soon"})"s;
    auto fault = fault_of(Fault::timed_out, what);
    REQUIRE(fault.code == name_of(Fault::timed_out));
    REQUIRE(fault.message == what);
    REQUIRE_FALSE(fault.retryable);
    REQUIRE(fault.retry_after == 0ms);
}

TEST_CASE("nobody is made to wait longer than an hour, or less than not at all", "[provider]") {
    auto wait = [](std::string const& number) {
        return fault_of(Fault::peer_failed, R"({"retry_after_ms":)" + number + '}').retry_after;
    };
    REQUIRE(wait("3600001") == 1h);
    REQUIRE(wait("9223372036854775807") == 1h);
    REQUIRE(wait("-5") == 0ms);
    REQUIRE(wait("1e9") == 0ms);
}

TEST_CASE("the code of a failure is a word, not a text", "[provider]") {
    auto fault = fault_of(Fault::peer_failed, R"({"code":")" + std::string(1 << 20, 'x') + "\"}");
    REQUIRE(fault.code.size() <= 64);
}

TEST_CASE("a failure tells whether anything may have left, and what had come", "[provider]") {
    Desk desk;
    auto& told = desk.ask();
    desk.worker->calls[0].sink.egress(+1);

    SECTION("a request that provably did not leave") {
        desk.worker->calls[0].sink.egress(-1);
        desk.worker->fail(0, Fault::peer_failed, "no route");
        REQUIRE_FALSE(told.faults.at(0).left);
        REQUIRE(told.faults[0].bytes == 0);
    }
    SECTION("a request that may have left") {
        desk.worker->emit(0, R"({"type":"usage","input":10,"output":1})");
        desk.worker->emit(0, hello);
        desk.worker->fail(0, Fault::peer_failed, "reset");
        REQUIRE(told.faults.at(0).left);
        REQUIRE(told.faults[0].input == 10);
        REQUIRE(told.faults[0].bytes > std::int64_t(sizeof hello));
    }
    SECTION("one try that did not leave, and one that may have") {
        desk.worker->calls[0].sink.egress(-1);
        desk.worker->calls[0].sink.egress(+1);
        desk.worker->fail(0, Fault::timed_out, "the call took longer than its timeout");
        REQUIRE(told.faults.at(0).left);
    }
}

// ---- Many at once -------------------------------------------------------------------------------

TEST_CASE("no more requests are open than the plugin bears; others wait their turn", "[provider]") {
    Desk desk(2);
    for (auto const* request : {"1", "2", "3", "4"}) desk.ask(request);
    REQUIRE(desk.started() == 2);
    desk.worker->fail(1, Fault::peer_failed, "boom");
    REQUIRE(desk.started() == 3);
    REQUIRE(desk.worker->calls[2].request == "3");
    desk.worker->fail(0, Fault::peer_failed, "boom");
    REQUIRE(desk.worker->calls.at(3).request == "4");
}

TEST_CASE("a request that is made while an answer is told takes its turn like any other",
          "[provider]") {
    Desk desk(1);
    Provider::Sink sink;
    sink.on_fault = [&](AnswerFault) { desk.ask("second"); };
    desk.provider.generate("first", Provider::Manner::usual, std::move(sink));
    desk.worker->fail(0, Fault::peer_failed, "boom");
    REQUIRE(desk.started() == 2);
    REQUIRE(desk.worker->calls[1].request == "second");
}

TEST_CASE("a request that is cancelled while it waits is never asked", "[provider]") {
    Desk desk(1);
    desk.ask("1");
    auto& told = desk.ask("2");
    desk.ask("3");
    desk.provider.cancel(desk.handles[1]);
    REQUIRE(told.faults.size() == 1);
    REQUIRE(told.faults[0].fault == Fault::cancelled);
    REQUIRE_FALSE(told.faults[0].left);
    desk.worker->fail(0, Fault::peer_failed, "boom");
    REQUIRE(desk.worker->calls.at(1).request == "3");
}

TEST_CASE("a request that is cancelled while it is open ends when its worker says so",
          "[provider]") {
    Desk desk;
    desk.ask();
    auto& told = desk.ask();
    desk.provider.cancel(desk.handles[1]);
    REQUIRE(desk.worker->cancelled == std::vector{desk.worker->calls[1].id});
    REQUIRE(told.is_open());
    desk.worker->fail(1, Fault::cancelled, "the call was cancelled");
    REQUIRE(told.faults.at(0).fault == Fault::cancelled);
}

TEST_CASE("cancelling what has ended or never was does nothing", "[provider]") {
    Desk desk;
    auto& told = desk.ask();
    desk.worker->fail(0, Fault::peer_failed, "boom");
    desk.provider.cancel(desk.handles[0]);
    desk.provider.cancel(12345);
    REQUIRE(desk.worker->cancelled.empty());
    REQUIRE(told.faults.size() == 1);
}

// ---- Who was to blame ---------------------------------------------------------------------------

TEST_CASE("a request that killed its worker alone is not tried again", "[provider]") {
    Desk desk;
    auto& told = desk.ask();
    desk.die(0);
    REQUIRE(told.faults.at(0).fault == Fault::peer_gone);
    REQUIRE_FALSE(told.faults[0].retryable);
}

TEST_CASE("of requests that died together each may be tried again", "[provider]") {
    Desk desk;
    for (int i = 0; i < 3; ++i) desk.ask();
    for (int i = 0; i < 3; ++i) desk.die(i);
    for (auto const& told : desk.told) REQUIRE(told->faults.at(0).retryable);
}

TEST_CASE("who ended before the death was not in its company", "[provider]") {
    Desk desk;
    desk.ask();
    auto& told = desk.ask();
    desk.worker->fail(0, Fault::peer_failed, "boom");
    desk.die(1);
    REQUIRE_FALSE(told.faults.at(0).retryable);
}

TEST_CASE("who began after the death was not in its company", "[provider]") {
    Desk desk(2);
    desk.ask();
    desk.ask();
    auto& later = desk.ask();
    desk.die(0);
    REQUIRE(desk.started() == 3);
    desk.die(1);
    desk.die(2);
    REQUIRE_FALSE(later.faults.at(0).retryable);
}

TEST_CASE("two suspects are never open at once", "[provider]") {
    Desk desk;
    desk.suspect();
    desk.suspect();
    REQUIRE(desk.started() == 1);
    desk.worker->fail(0, Fault::peer_failed, "boom");
    REQUIRE(desk.started() == 2);
}

TEST_CASE("a suspect that waits for another holds up nobody else", "[provider]") {
    Desk desk(2);
    desk.suspect();
    desk.suspect();
    desk.ask("usual");
    REQUIRE(desk.started() == 2);
    REQUIRE(desk.worker->calls[1].request == "usual");
}

TEST_CASE("a suspect that is cancelled while it waits lets the next one go", "[provider]") {
    Desk desk;
    desk.suspect();
    desk.suspect();
    desk.ask("last", Provider::Manner::suspect);
    desk.provider.cancel(desk.handles[1]);
    desk.die(0);
    REQUIRE(desk.worker->calls.at(1).request == "last");
}

// ---- What a provider wants back -----------------------------------------------------------------

TEST_CASE("a state is kept apart from what the model said, and counts for nothing", "[provider]") {
    auto const bare = answer_of({hello});
    auto const answer = answer_of({hello, R"({"type":"state","value":"[1, 2]"})"});
    REQUIRE(answer.state == "[1, 2]");
    REQUIRE(answer.text == "hello");
    REQUIRE(answer.bytes == bare.bytes);
}

TEST_CASE("two states, or one beyond the limit, end the answer", "[provider]") {
    auto state = [](std::size_t size) {
        return R"({"type":"state","value":")" + std::string(size, 'x') + "\"}";
    };
    REQUIRE(answer_of({state(limits::answer_state_bytes)}).state.size() ==
            limits::answer_state_bytes);
    for (auto const& chunks :
         {std::vector{state(limits::answer_state_bytes + 1)}, std::vector{state(1), state(1)}}) {
        Desk desk;
        auto& told = desk.ask();
        for (auto const& chunk : chunks) desk.worker->emit(0, chunk);
        desk.worker->end(0, std::string());
        REQUIRE(told.answers.empty());
        REQUIRE(told.faults.size() == 1);
        REQUIRE(told.faults[0].code == "peer");
        REQUIRE_FALSE(told.faults[0].retryable);
    }
}

TEST_CASE("a refusal says why, within a limit", "[provider]") {
    Desk desk;
    auto& told = desk.ask();
    desk.worker->emit(0, R"({"type":"stop","reason":"refusal","detail":")" +
                             std::string(limits::answer_detail_bytes + 9, 'x') + "\"}");
    desk.worker->end(0, std::string());
    REQUIRE(told.answers.size() == 1);
    REQUIRE(told.answers[0].stop == "refusal");
    REQUIRE(told.answers[0].detail == std::string(limits::answer_detail_bytes, 'x'));
}
