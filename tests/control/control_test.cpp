#include "control/control.hpp"

#include "base/json.hpp"
#include "kit.hpp"
#include "temp_ledger.hpp"

#include <boost/json/value.hpp>

#include <fstream>

using namespace parley;
using namespace std::string_literals;

namespace {

struct Heard final : EventWriter {
    std::string text;
    bool is_closed = false;
    bool write(std::string_view frame) override {
        text += frame;
        return true;
    }
    void close() override { is_closed = true; }
    void on_gone(std::function<void()>) override {}
};

struct Answered final : Reply {
    std::vector<Response> responses;
    std::shared_ptr<Heard> stream;
    void send(Response response) override { responses.push_back(std::move(response)); }
    std::shared_ptr<EventWriter> send_events() override {
        return stream = std::make_shared<Heard>();
    }
    std::shared_ptr<EventWriter> send_stream(std::string) override { return send_events(); }

    int status() const { return responses.size() == 1 ? responses[0].status : 0; }
    json::value body() const {
        REQUIRE(responses.size() == 1);
        auto value = parse_json(responses[0].body);
        REQUIRE(value);
        return std::move(*value);
    }
    std::string header(std::string_view name) const {
        for (auto const& [key, value] : responses.at(0).headers)
            if (key == name) return value;
        return {};
    }
};

// The doors of a host without agents: everything but the flow is real.
struct House : TempLedger {
    Keys keys;
    Sessions sessions{*ledger};
    Catalogue plugins;
    ControlDeps deps;
    std::unique_ptr<Control> control;

    House() {
        deps.loop = &loop;
        deps.ledger = ledger.get();
        deps.vault = keys.vault.get();
        deps.tokens = keys.tokens.get();
        deps.sessions = &sessions;
        deps.plugins = &plugins;
        deps.reload = [] { return ok(); };
        control = std::make_unique<Control>(deps);
        control->doorman().answers_to("127.0.0.1", 7420, "");
    }
    std::shared_ptr<Answered> ask(Request request) {
        auto answered = std::make_shared<Answered>();
        control->handle(std::move(request), answered);
        // What must be durable first is waited for.
        for (int i = 0; i < 100 && answered->responses.empty() && !answered->stream; ++i)
            loop.run_for(std::chrono::milliseconds(10));
        return answered;
    }
    std::shared_ptr<Answered> ask_as(std::string const& token, std::string method,
                                     std::string target, std::string body = "") {
        auto request = tcp_request(
            std::move(method), std::move(target),
            {{"Authorization", "Bearer " + token}, {"Content-Type", "application/json"}});
        request.body = std::move(body);
        return ask(std::move(request));
    }
    void record(std::string const& kind) {
        auto batch = ledger->begin();
        Draft draft;
        draft.kind = kind;
        batch.record(std::move(draft));
        commit(std::move(batch));
    }
};

std::string filled(std::string_view pattern) {
    std::string path;
    for (char c : pattern)
        if (c == '}')
            path += "-1";
        else if (c != '{')
            path += c;
    return path;
}

}  // namespace

// ---- Who may ----------------------------------------------------------------------------------

TEST_CASE("a stranger gets the open pages and nothing else", "[control]") {
    House house;
    for (auto const& route : routes()) {
        INFO(route.method << ' ' << route.path);
        auto answered = house.ask(tcp_request(std::string(route.method), filled(route.path)));
        REQUIRE(answered->status() == (route.access == Access::open ? 200 : 401));
    }
}

TEST_CASE("a stranger cannot tell a path that is there from one that is not", "[control]") {
    House house;
    auto unknown = house.ask(tcp_request("GET", "/no/such/path"));
    REQUIRE(unknown->status() == 401);
    REQUIRE(unknown->header("WWW-Authenticate") == "Bearer");
    for (auto const* target : {"/api/v1/status", "/api/v1/agents/x", "/api/v1/agents/%zz",
                               "/api/v1/secrets/a/b", "/api/v1/approvals?state=x&state=y"})
        for (auto const* method : {"GET", "POST", "PUT", "DELETE", "PATCH"}) {
            INFO(method << ' ' << target);
            auto answered = house.ask(tcp_request(method, target));
            REQUIRE(answered->status() == 401);
            REQUIRE(answered->responses[0].body == unknown->responses[0].body);
        }
}

TEST_CASE("the read token changes nothing and learns no name of a secret", "[control]") {
    House house;
    for (auto const& route : routes()) {
        if (route.access != Access::admin) continue;
        INFO(route.method << ' ' << route.path);
        REQUIRE(house.ask_as(house.keys.read, std::string(route.method), filled(route.path), "{}")
                    ->status() == 403);
    }
}

TEST_CASE("a request under another name is turned away before its token is looked at",
          "[control]") {
    House house;
    auto request = tcp_request("GET", "/health", {{"Authorization", "Bearer " + house.keys.admin}});
    request.headers[0].second = "evil.example";
    REQUIRE(house.ask(request)->status() == 421);
}

TEST_CASE("the right token must wait too, after twenty wrong ones from its address", "[control]") {
    House house;
    auto wrong = make_token(Scope::admin);
    for (int i = 0; i < 20; ++i)
        REQUIRE(house.ask_as(wrong, "GET", "/api/v1/ledger/head")->status() == 401);
    REQUIRE(house.ask_as(wrong, "GET", "/api/v1/ledger/head")->status() == 429);
    REQUIRE(house.ask_as(house.keys.read, "GET", "/api/v1/ledger/head")->status() == 429);
    house.clock.advance_us(61'000'000);
    REQUIRE(house.ask_as(house.keys.read, "GET", "/api/v1/ledger/head")->status() == 200);
}

TEST_CASE("who shows no token is not guessing", "[control]") {
    House house;
    for (int i = 0; i < 50; ++i)
        REQUIRE(house.ask(tcp_request("GET", "/api/v1/status"))->status() == 401);
    REQUIRE(house.ask_as(house.keys.read, "GET", "/api/v1/ledger/head")->status() == 200);
}

TEST_CASE("wrong tokens are counted in one record a minute, however many they are", "[control]") {
    House house;
    auto wrong = make_token(Scope::admin);
    for (int i = 0; i < 5; ++i) house.ask_as(wrong, "GET", "/api/v1/status");
    house.clock.advance_us(61'000'000);
    house.ask_as(wrong, "GET", "/api/v1/status");
    house.record("turn.started");  // durable after all before it
    REQUIRE(house.kinds == std::vector{"auth.refused"s, "auth.refused"s, "turn.started"s});
    REQUIRE(house.ledger->record(1)->body == R"({"count":1})");
    REQUIRE(house.ledger->record(2)->body == R"({"count":5})");
}

// ---- What is asked ------------------------------------------------------------------------------

TEST_CASE("who may ask is told what there is not", "[control]") {
    House house;
    REQUIRE(house.ask_as(house.keys.read, "GET", "/no/such/path")->status() == 404);
    auto answered = house.ask_as(house.keys.read, "DELETE", "/api/v1/ledger/head");
    REQUIRE(answered->status() == 405);
    REQUIRE(answered->header("Allow") == "GET");
}

TEST_CASE("a path or query that is not text is refused as such", "[control]") {
    House house;
    for (auto const* target :
         {"/api/v1/agents/%zz", "/api/v1/ledger/head?a=%zz", "/api/v1/ledger/head?a=1&a=2"}) {
        INFO(target);
        REQUIRE(house.ask_as(house.keys.read, "GET", target)->status() == 400);
    }
}

TEST_CASE("a body is one JSON object, and says that it is JSON", "[control]") {
    House house;
    auto status = [&](std::string const& type, std::string const& body) {
        Headers headers{{"Authorization", "Bearer " + house.keys.admin}};
        if (!type.empty()) headers.emplace_back("Content-Type", type);
        auto request = tcp_request("PUT", "/api/v1/tokens/read", headers);
        request.body = body;
        return house.ask(std::move(request))->status();
    };
    auto hash = R"({"hash":")" + sha256_hex("x") + "\"}";
    // A form or a plain text is what a foreign page can send without asking.
    for (auto const* type :
         {"", "text/plain", "application/x-www-form-urlencoded", "application/jsonx",
          "multipart/form-data", "text/plain; application/json"}) {
        INFO(type);
        REQUIRE(status(type, hash) == 415);
    }
    for (auto const* body :
         {"{", "[]", "7", "null", R"({"hash":"a","hash":"b"})", "{}{}", "{\"hash\":\"\xff\"}"}) {
        INFO(body);
        REQUIRE(status("application/json", body) == 400);
    }
    REQUIRE(status("application/json; charset=utf-8", hash) == 200);
}

TEST_CASE("what a client wrote into a path cannot break out of the problem that names it",
          "[control]") {
    House house;
    auto answered =
        house.ask_as(house.keys.read, "GET", "/api/v1/plugins/%22%2C%22status%22%3A200%1b%0a");
    REQUIRE(answered->status() == 404);
    REQUIRE(answered->responses[0].content_type == "application/problem+json");
    auto problem = answered->body();
    REQUIRE(int_at(problem, "status") == 404);
    REQUIRE(text_at(problem, "detail") == "no plugin \",\"status\":200\x1b\n");
}

TEST_CASE("a record is asked for by its number and nothing like it", "[control]") {
    House house;
    house.record("turn.started");
    REQUIRE(text_at(house.ask_as(house.keys.read, "GET", "/api/v1/ledger/1")->body(), "kind") ==
            "turn.started");
    for (auto const* seq : {"0", "2", "-1", "+1", "%201", "1%20", "1e0", "0x1", "one",
                            "18446744073709551617", "99999999999999999999999999"}) {
        INFO(seq);
        REQUIRE(house.ask_as(house.keys.read, "GET", "/api/v1/ledger/"s + seq)->status() == 404);
    }
}

TEST_CASE("what is shown is durable: an answer waits for what was queued before it", "[control]") {
    House house;
    auto batch = house.ledger->begin();
    Draft draft;
    draft.kind = "turn.started";
    batch.record(std::move(draft));
    house.ledger->commit(std::move(batch));
    auto answered = std::make_shared<Answered>();
    house.control->handle(
        tcp_request("GET", "/api/v1/ledger/head", {{"Authorization", "Bearer " + house.keys.read}}),
        answered);
    REQUIRE(answered->responses.empty());
    for (int i = 0; i < 100 && answered->responses.empty(); ++i)
        house.loop.run_for(std::chrono::milliseconds(10));
    REQUIRE(int_at(answered->body(), "seq") == 1);
}

// ---- Secrets and tokens -------------------------------------------------------------------------

TEST_CASE("a secret is set and removed, its name is shown, and its value nowhere", "[control]") {
    House house;
    auto value = "correct horse battery staple"s;
    REQUIRE(house
                .ask_as(house.keys.admin, "PUT", "/api/v1/secrets/openai/default",
                        R"({"value":")" + value + "\"}")
                ->status() == 200);
    REQUIRE(house.keys.vault->get("openai", "default")->equals(value));
    auto listed = house.ask_as(house.keys.admin, "GET", "/api/v1/secrets");
    REQUIRE(text_at(member(listed->body(), "items")->at(0), "name") == "openai/default");
    REQUIRE(listed->responses[0].body.find(value) == std::string::npos);
    REQUIRE(to_json(*house.ledger->record(1)).find(value) == std::string::npos);
    REQUIRE(house.ask_as(house.keys.admin, "DELETE", "/api/v1/secrets/openai/default")->status() ==
            200);
    REQUIRE_FALSE(house.keys.vault->has("openai", "default"));
    REQUIRE(house.kinds == std::vector{"secret.set"s, "secret.removed"s});
}

TEST_CASE("a secret's name is two plain words, however its path is written", "[control]") {
    House house;
    for (auto const* name :
         {"a%2Fb/c", "a/b%2Fc", "../x", "..%2F../x", "a/%2e%2e", "A/b", "a/b%20", "a%22/b"}) {
        INFO(name);
        auto answered = house.ask_as(house.keys.admin, "PUT", "/api/v1/secrets/"s + name,
                                     R"({"value":"correct horse battery staple"})");
        REQUIRE(answered->status() == 400);
    }
    REQUIRE(house.keys.vault->list().empty());
}

TEST_CASE("a value that is no text, or too short to be masked, is not kept", "[control]") {
    House house;
    for (auto const* body : {"", "{}", R"({"value":7})", R"({"value":null})", R"({"value":""})",
                             R"({"value":"short"})"}) {
        INFO(body);
        REQUIRE(house.ask_as(house.keys.admin, "PUT", "/api/v1/secrets/a/b", body)->status() ==
                400);
    }
    REQUIRE(house.keys.vault->list().empty());
}

TEST_CASE("a rotated token works at once, and the old one no more", "[control]") {
    House house;
    auto fresh = make_token(Scope::read);
    REQUIRE(house
                .ask_as(house.keys.admin, "PUT", "/api/v1/tokens/read",
                        R"({"hash":")" + sha256_hex(fresh) + "\"}")
                ->status() == 200);
    REQUIRE(house.ask_as(house.keys.read, "GET", "/api/v1/ledger/head")->status() == 401);
    REQUIRE(house.ask_as(fresh, "GET", "/api/v1/ledger/head")->status() == 200);
    REQUIRE(house
                .ask_as(house.keys.admin, "PUT", "/api/v1/tokens/root",
                        R"({"hash":")" + sha256_hex(fresh) + "\"}")
                ->status() == 404);
}

TEST_CASE("streams that were opened with a token end with it, and no others", "[control]") {
    House house;
    auto read = house.ask_as(house.keys.read, "GET", "/api/v1/events");
    auto admin = house.ask_as(house.keys.admin, "GET", "/api/v1/events");
    auto local = socket_request(true);
    local.target = "/api/v1/events";
    auto trusted = house.ask(local);
    auto hash = sha256_hex(make_token(Scope::read));
    REQUIRE(
        house.ask_as(house.keys.admin, "PUT", "/api/v1/tokens/read", R"({"hash":")" + hash + "\"}")
            ->status() == 200);
    REQUIRE(read->stream->is_closed);
    REQUIRE_FALSE(admin->stream->is_closed);
    REQUIRE_FALSE(trusted->stream->is_closed);
}

// ---- Streams and lists --------------------------------------------------------------------------

TEST_CASE("a stream begins after the record that its reader had last", "[control]") {
    House house;
    for (int i = 0; i < 3; ++i) house.record("turn.started");
    auto request =
        tcp_request("GET", "/api/v1/events?after=0",
                    {{"Authorization", "Bearer " + house.keys.read}, {"Last-Event-ID", "2"}});
    auto answered = house.ask(request);
    REQUIRE(answered->stream->text.starts_with("id: 3\ndata: {\"seq\":3,"));
    REQUIRE(answered->stream->text.ends_with("}\n\n"));
}

TEST_CASE("a stream from a place that is none begins with what is new", "[control]") {
    House house;
    house.record("turn.started");
    for (auto const* after : {"", "x", "-1", "99999999999999999999", "1000"}) {
        INFO(after);
        auto answered = house.ask_as(house.keys.read, "GET", "/api/v1/events?after="s + after);
        REQUIRE(answered->stream->text.empty());
    }
}

TEST_CASE("a reader of one session hears of no other", "[control]") {
    House house;
    auto answered = house.ask_as(house.keys.read, "GET", "/api/v1/events?session=s-1&deltas=1");
    auto record = std::make_shared<Record>();
    record->seq = 1;
    record->kind = "turn.started";
    record->session = SessionId("s-10");
    house.control->recorded(record);
    Session other;
    other.id = SessionId("s-10");
    house.control->delta(other, "not yours");
    REQUIRE(answered->stream->text.empty());
    other.id = SessionId("s-1");
    house.control->delta(other, "line\nbreak");
    REQUIRE(
        answered->stream->text ==
        "event: delta\ndata: {\"session\":\"s-1\",\"agent\":\"\",\"text\":\"line\\nbreak\"}\n\n");
}

TEST_CASE("a list goes on where its last page ended, until there is no next", "[control]") {
    House house;
    auto next_of = [](json::value const& page) { return std::string(text_at(page, "next")); };

    SECTION("plugins, even refused ones") {
        TempFolder install;
        for (auto const* name : {"c.so", "a.so", "b.so"})
            std::ofstream(install.path / name) << "no library";
        house.plugins.scan(install.path, Config{});
        std::vector<std::string> ids;
        std::string after;
        for (int page = 0; page < 3; ++page) {
            auto body =
                house.ask_as(house.keys.read, "GET", "/api/v1/plugins?limit=1" + after)->body();
            ids.emplace_back(text_at(member(body, "items")->at(0), "id"));
            after = "&after=" + next_of(body);
        }
        REQUIRE(after == "&after=");
        REQUIRE(ids == std::vector{"a.so"s, "b.so"s, "c.so"s});
    }
    SECTION("sessions") {
        auto batch = house.ledger->begin();
        for (auto const* id : {"s-1", "s-2"}) {
            Session session;
            session.id = SessionId(id);
            house.sessions.save(batch, session);
        }
        house.commit(std::move(batch));
        auto first = house.ask_as(house.keys.read, "GET", "/api/v1/sessions?limit=1")->body();
        REQUIRE(next_of(first) == "s-1");
        auto second =
            house.ask_as(house.keys.read, "GET", "/api/v1/sessions?limit=1&after=s-1")->body();
        REQUIRE(text_at(member(second, "items")->at(0), "id") == "s-2");
        REQUIRE(next_of(second).empty());
    }
}

TEST_CASE("a limit that makes no sense is the usual one, and none is beyond the most",
          "[control]") {
    House house;
    auto batch = house.ledger->begin();
    for (std::size_t i = 0; i < limits::list_items + 1; ++i) {
        Session session;
        session.id = SessionId("s-" + std::to_string(i));
        house.sessions.save(batch, session);
    }
    house.commit(std::move(batch));
    auto count = [&](std::string const& limit) {
        auto body = house.ask_as(house.keys.read, "GET", "/api/v1/sessions?limit=" + limit)->body();
        return member(body, "items")->get_array().size();
    };
    for (auto const* odd : {"", "x", "-1", "1.5", "99999999999999999999"})
        REQUIRE(count(odd) == 100);
    REQUIRE(count("0") == 1);
    REQUIRE(count("1000000") == limits::list_items);
}

TEST_CASE("a state that is none is said to be none", "[control]") {
    House house;
    REQUIRE(house.ask_as(house.keys.read, "GET", "/api/v1/sessions?state=running")->status() ==
            400);
    REQUIRE(house.ask_as(house.keys.read, "GET", "/api/v1/sessions?state=Running")->status() ==
            200);
}
