#include "inbound/webhooks.hpp"

#include "base/hash.hpp"
#include "base/text.hpp"

#include <catch2/catch.hpp>

#include <filesystem>

using namespace parley;

namespace {

constexpr std::int64_t second = 1'000'000;
constexpr std::string_view key = "a-secret-of-the-tests";

// A plugin that listens, as the host has it.
struct Listener final : InboundListener {
    explicit Listener(std::string const& plugin) {
        auto path = std::filesystem::path(BUILD_FOLDER) / "offers" / (plugin + ".so");
        auto file = PluginFile::read(path);
        REQUIRE(file);
        spec.name = "door";
        spec.file = *file;
        spec.secrets["secret"] = {"test", "door"};
        spec.inbound = "";
    }
    WorkerSpec const& worker() const override { return spec; }
    Result<> ask(InboundRequest request, std::function<void(Result<InboundAnswer>)> done) override {
        if (is_full) return Error(Fault::unavailable, "full");
        heard.push_back(std::move(request));
        waiting.push_back(std::move(done));
        return ok();
    }
    void answer(InboundAnswer answer) { std::exchange(waiting.back(), {})(std::move(answer)); }

    WorkerSpec spec;
    bool is_full = false;
    std::vector<InboundRequest> heard;
    std::vector<std::function<void(Result<InboundAnswer>)>> waiting;
};

struct Told final : Reply {
    explicit Told(std::optional<Response>& out) : out(out) {}
    void send(Response response) override { out = std::move(response); }
    std::shared_ptr<EventWriter> send_events() override { return nullptr; }
    std::shared_ptr<EventWriter> send_stream(std::string) override { return nullptr; }
    std::optional<Response>& out;
};

struct House {
    explicit House(std::string const& plugin = "org.test.hear-body")
        : listener(std::make_shared<Listener>(plugin)) {
        WebhookDeps deps;
        deps.desk = desk;
        deps.now_us = [this] { return now_us; };
        deps.secret = [](SecretName const&) { return Secret::from(key); };
        deps.find_secret = [](std::string_view text) {
            return std::string(text.find("hunter2") == text.npos ? "" : "test/hunter");
        };
        deps.check_origin = [](Request const& head) -> std::optional<HttpRefusal> {
            if (head.header("host") == "parley.example") return {};
            return HttpRefusal{421, "elsewhere"};
        };
        deps.refused = [this](InstanceName const& instance, std::string const& why) {
            ++refused[instance.text + " " + why];
        };
        webhooks = std::make_unique<Webhooks>(std::move(deps));
        auto config = std::make_shared<Config>();
        config->channels[InstanceName("door")].inbound = true;
        config->channels[InstanceName("quiet")];
        config->channels[InstanceName("asleep")].inbound = true;
        webhooks->use(config);
        REQUIRE(desk->open("door", listener));
        REQUIRE(desk->open("quiet", listener));
    }

    Request request(std::string body, std::string instance = "door") const {
        Request request;
        request.method = "POST";
        request.target = "/hooks/" + instance;
        request.peer.address = "192.0.2.7";
        request.body = std::move(body);
        auto digest = hmac_sha256(key, {request.body});
        request.headers = {{"Host", "parley.example"},
                           {"Content-Type", "application/json"},
                           {"X-Hub-Signature-256", "sha256=" + hex(digest)}};
        return request;
    }
    // What the header alone is told; 0: its body may come.
    int admitted(Request const& request) {
        auto head = request;
        head.body.clear();
        auto terms = webhooks->admit(head);
        if (!terms.refusal) return 0;
        headers = terms.refusal->headers;
        CHECK((terms.refusal->detail.empty() || terms.refusal->status == 421));
        return terms.refusal->status;
    }
    // Both steps; 0: it waits for the plugin.
    int status(Request request) {
        if (auto refused = admitted(request)) return refused;
        answer.reset();
        webhooks->handle(std::move(request), std::make_shared<Told>(answer));
        return answer ? answer->status : 0;
    }

    std::int64_t now_us = 1'700'000'000 * second;
    std::shared_ptr<InboundDesk> desk = make_inbound_desk();
    std::shared_ptr<Listener> listener;
    std::unique_ptr<Webhooks> webhooks;
    std::optional<Response> answer;
    std::vector<std::pair<std::string, std::string>> headers;
    std::map<std::string, int> refused;
};

}  // namespace

TEST_CASE("a verified request reaches the plugin, and its answer the sender", "[webhooks]") {
    House house;
    auto request = house.request(R"({"a":1})");
    request.headers.emplace_back("X-EVENT", "push");
    request.headers.emplace_back("Authorization", "Bearer parley-admin");
    REQUIRE(house.status(request) == 0);
    REQUIRE(house.listener->heard.size() == 1);
    auto const& heard = house.listener->heard[0];
    CHECK(heard.body == R"({"a":1})");
    CHECK(heard.headers == std::vector<std::pair<std::string, std::string>>{{"x-event", "push"}});
    house.listener->answer({202, "text/plain", "taken", 3});
    CHECK(house.answer->status == 202);
    CHECK(house.answer->body == "taken");
    CHECK(house.answer->headers ==
          std::vector<std::pair<std::string, std::string>>{{"Retry-After", "3"}});
}

TEST_CASE("an instance that nobody switched on is not there", "[webhooks]") {
    House house;
    CHECK(house.status(house.request("{}", "quiet")) == 404);
    CHECK(house.status(house.request("{}", "nobody")) == 404);
    CHECK(house.status(house.request("{}", "")) == 404);
    CHECK(house.status(house.request("{}", "door/more")) == 404);
    CHECK(house.status(house.request("{}", "door?x=1")) == 404);
    CHECK(house.status(house.request("{}", "%64oor")) == 404);
    CHECK(house.listener->heard.empty());
    CHECK(house.refused.empty());
}

TEST_CASE("an instance that is not running asks the sender to come again", "[webhooks]") {
    House house;
    CHECK(house.status(house.request("{}", "asleep")) == 503);
    CHECK(house.headers.at(0).first == "Retry-After");
    house.listener->is_full = true;
    CHECK(house.status(house.request("{}")) == 503);
    house.listener->is_full = false;
    REQUIRE(house.status(house.request("{}")) == 0);
    std::exchange(house.listener->waiting.back(), {})(Error(Fault::unavailable, "it died"));
    CHECK(house.answer->status == 503);
    house.desk->close("door");
    CHECK(house.status(house.request("{}")) == 503);
}

TEST_CASE("what is not signed is refused before its body is read, and counted", "[webhooks]") {
    House house;
    auto unsigned_one = house.request("{}");
    unsigned_one.headers.pop_back();
    CHECK(house.admitted(unsigned_one) == 401);
    auto forged = house.request("{}");
    forged.headers.back().second.back() ^= 1;
    CHECK(house.admitted(forged) == 0);
    CHECK(house.status(forged) == 401);
    CHECK(house.answer->body == R"({"type":"about:blank","status":401})");
    auto other = house.request("{}");
    other.body = "{ }";
    CHECK(house.status(other) == 401);
    CHECK(house.listener->heard.empty());
    CHECK(house.refused == std::map<std::string, int>{{"door webhook:signature", 3}});
}

TEST_CASE("another method, another name of the host and another type are refused", "[webhooks]") {
    House house;
    auto get = house.request("{}");
    get.method = "GET";
    CHECK(house.admitted(get) == 405);
    CHECK(house.headers.at(0) == std::pair<std::string, std::string>("Allow", "POST"));
    auto elsewhere = house.request("{}");
    elsewhere.headers[0].second = "rebound.example";
    CHECK(house.admitted(elsewhere) == 421);
    auto form = house.request("{}");
    form.headers[1].second = "application/x-www-form-urlencoded";
    CHECK(house.admitted(form) == 415);
    auto packed = house.request("{}");
    packed.headers.emplace_back("Content-Encoding", "gzip");
    CHECK(house.admitted(packed) == 415);
    CHECK(house.listener->heard.empty());
}

TEST_CASE("a body is bounded, and holds text and no secret", "[webhooks]") {
    House house;
    auto head = house.request("");
    CHECK(house.webhooks->admit(head).bytes_most == limits::inbound_body_bytes);
    CHECK(house.status(house.request("\xff")) == 400);
    CHECK(house.status(house.request("my password is hunter2")) == 422);
    CHECK(house.listener->heard.empty());
}

TEST_CASE("one instance takes so many requests, and no more", "[webhooks]") {
    House house;
    for (std::int64_t i = 0; i < limits::inbound_burst; ++i) {
        REQUIRE(house.status(house.request("{}")) == 0);
        house.listener->answer({});
    }
    CHECK(house.status(house.request("{}")) == 429);
    CHECK(house.headers.at(0).first == "Retry-After");
    house.now_us += second;
    CHECK(house.status(house.request("{}")) == 0);
}

TEST_CASE("requests that wait for the plugin are bounded", "[webhooks]") {
    House house;
    for (std::size_t i = 0; i < limits::inbound_open; ++i)
        REQUIRE(house.status(house.request("{}")) == 0);
    CHECK(house.status(house.request("{}")) == 503);
    house.listener->answer({});
    CHECK(house.status(house.request("{}")) == 0);
}

TEST_CASE("bodies that are on their way are bounded, for each address and for all", "[webhooks]") {
    House house;
    auto request = house.request("{}");
    for (std::size_t i = 0; i < limits::inbound_reading_of_peer; ++i)
        REQUIRE(house.admitted(request) == 0);
    CHECK(house.admitted(request) == 503);
    request.peer.address = "192.0.2.8";
    CHECK(house.admitted(request) == 0);
    for (int i = 10; i < 400 && house.admitted(request) == 0; ++i)
        request.peer.address = "192.0.2." + std::to_string(i);
    request.peer.address = "198.51.100.1";
    CHECK(house.admitted(request) == 503);

    SECTION("one that came makes room for another") {
        house.webhooks->handle(house.request("{}"), std::make_shared<Told>(house.answer));
        CHECK(house.admitted(request) == 0);
    }
    SECTION("and so does one that never comes") {
        house.now_us += std::chrono::microseconds(limits::inbound_body_time).count() + 1;
        CHECK(house.admitted(request) == 0);
    }
}

TEST_CASE("an address that floods or guesses waits, and others do not", "[webhooks]") {
    House house;
    auto forged = house.request("{}");
    forged.headers.back().second = "sha256=no";
    int refused = 0;
    while (house.admitted(forged) == 401 && refused < 1000) ++refused;
    CHECK(refused <= limits::inbound_peer_burst / limits::inbound_refusal_cost + 1);
    CHECK(house.admitted(forged) == 429);
    CHECK(house.admitted(house.request("{}")) == 429);
    auto other = house.request("{}");
    other.peer.address = "192.0.2.8";
    CHECK(house.admitted(other) == 0);
    house.now_us += 60 * second;
    CHECK(house.admitted(house.request("{}")) == 0);
    // What guesses at an instance does not use up what is its own.
    CHECK(house.status(other) == 0);
}

TEST_CASE("within its window a signature is taken once", "[webhooks]") {
    House house("org.test.hear-time");
    auto request = [&](std::int64_t at) {
        auto made = house.request("{}");
        auto stamp = std::to_string(at);
        made.headers.pop_back();
        made.headers.emplace_back("X-Slack-Request-Timestamp", stamp);
        made.headers.emplace_back("X-Slack-Signature",
                                  "v0=" + hex(hmac_sha256(key, {"v0:", stamp, ":", made.body})));
        return made;
    };
    auto now = house.now_us / second;
    REQUIRE(house.status(request(now)) == 0);

    SECTION("while it is under way, and when it was taken") {
        CHECK(house.status(request(now)) == 409);
        house.listener->answer({});
        CHECK(house.status(request(now)) == 409);
        house.now_us += 299 * second;
        CHECK(house.status(request(now)) == 409);
        house.now_us += 2 * second;
        CHECK(house.status(request(now)) == 401);
        CHECK(house.listener->heard.size() == 1);
        CHECK(house.refused["door webhook:replay"] == 3);
    }
    SECTION("but again when it was not taken") {
        house.listener->answer({503, "", "", 0});
        CHECK(house.status(request(now)) == 0);
    }
    SECTION("and another time is another signature") {
        CHECK(house.status(request(now + 1)) == 0);
    }
}

TEST_CASE("a token is judged before the body is read", "[webhooks]") {
    House house("org.test.hear-token");
    auto request = house.request("{}");
    request.headers.back() = {"X-Secret-Token", std::string(key)};
    CHECK(house.admitted(request) == 0);
    CHECK(house.status(request) == 0);
    request.headers.back().second += "x";
    CHECK(house.admitted(request) == 401);
}

TEST_CASE("the control socket has no webhooks, and no other path is one", "[webhooks]") {
    House house;
    auto request = house.request("{}");
    CHECK(Webhooks::is_for(request));
    request.peer.local_socket = true;
    CHECK_FALSE(Webhooks::is_for(request));
    request.peer.local_socket = false;
    for (auto const* path : {"/api/v1/status", "/hooks", "/HOOKS/door", "//hooks/door", "/"}) {
        request.target = path;
        CHECK_FALSE(Webhooks::is_for(request));
    }
}
