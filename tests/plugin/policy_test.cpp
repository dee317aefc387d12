#include "../temp_folder.hpp"
#include "plugin/egress.hpp"
#include "plugin/inject.hpp"
#include "plugin/worker.hpp"
#include "rig.hpp"
#include "wire/websocket.hpp"

#include <boost/json/value.hpp>

namespace fs = std::filesystem;

namespace {

WorkerSpec spec_with(std::vector<EgressRule> rules) {
    WorkerSpec spec;
    spec.egress = std::move(rules);
    spec.own_port = 7420;
    return spec;
}

EgressRule rule(std::string host, std::uint16_t port = 0, std::vector<std::string> methods = {}) {
    EgressRule out;
    out.host = std::move(host);
    out.port = port;
    out.methods = std::move(methods);
    return out;
}

bool admitted(WorkerSpec const& spec, std::string const& url, std::string const& method = "GET") {
    auto parsed = parse_url(url);
    return parsed && admit_http(spec, *parsed, method);
}

EgressRule configured(std::string host, std::uint16_t port, bool plain) {
    auto out = rule(std::move(host), port);
    out.from_config = "base_url";
    out.plain = plain;
    return out;
}

}  // namespace

TEST_CASE("egress goes to exactly the declared host, port, scheme and method", "[egress]") {
    auto spec = spec_with({rule("api.example.org", 0, {"GET", "POST"}), rule("*.cdn.example")});
    CHECK(admitted(spec, "https://api.example.org/x"));
    CHECK(admitted(spec, "https://API.Example.org:443/x", "POST"));
    CHECK(admitted(spec, "https://a.cdn.example/x"));
    CHECK_FALSE(admitted(spec, "https://api.example.org/x", "DELETE"));
    CHECK_FALSE(admitted(spec, "http://api.example.org/x"));
    // In the open at the port of https, where the port alone would not tell.
    CHECK_FALSE(admitted(spec, "http://api.example.org:443/x"));
    CHECK_FALSE(admitted(spec, "https://api.example.org:8443/x"));
    CHECK_FALSE(admitted(spec, "https://evil.example/x"));
    CHECK_FALSE(admitted(spec, "https://api.example.org.evil.example/x"));
    CHECK_FALSE(admitted(spec, "https://xapi.example.org/x"));
    CHECK_FALSE(admitted(spec, "https://cdn.example/x"));
    CHECK_FALSE(admitted(spec, "https://evilcdn.example/x"));
    CHECK_FALSE(admitted(spec, "https://api.example.org@evil.example/"));
}

TEST_CASE("a WebSocket goes only where an entry for WebSockets lets it", "[egress]") {
    auto plain = configured("127.0.0.1", 8080, true), web = rule("api.example.org"),
         socket = rule("*.socket.example");
    plain.ws = socket.ws = true;
    auto spec = spec_with({web, plain, socket});
    auto may = [&spec](std::string const& url) {
        auto parsed = parse_ws_url(url);
        return parsed && admit_ws(spec, *parsed);
    };
    CHECK(may("wss://a.socket.example/x?y"));
    CHECK(may("ws://127.0.0.1:8080/"));
    CHECK_FALSE(may("ws://a.socket.example/"));
    CHECK_FALSE(may("ws://a.socket.example:443/"));
    CHECK_FALSE(may("wss://a.socket.example:8443/"));
    CHECK_FALSE(may("wss://socket.example/"));
    CHECK_FALSE(may("wss://127.0.0.1:8080/"));
    CHECK_FALSE(may("ws://127.0.0.1:8081/"));
    CHECK_FALSE(may("wss://api.example.org/"));
    CHECK_FALSE(may("wss://a.socket.example@evil.example/"));
    CHECK_FALSE(admitted(spec, "https://a.socket.example/"));
    CHECK_FALSE(admitted(spec, "http://127.0.0.1:8080/"));
}

TEST_CASE("private addresses are refused but for what the operator wrote", "[egress]") {
    auto spec = spec_with({});
    auto declared = rule("api.example.org");
    CHECK(may_connect(spec, declared, "api.example.org", "93.184.216.34", 443));
    for (auto const* address : {"127.0.0.1", "10.1.2.3", "192.168.1.1", "169.254.169.254", "::1",
                                "fd00::1", "::ffff:10.0.0.1", "0.0.0.0", "100.64.0.1"}) {
        INFO(address);
        CHECK_FALSE(may_connect(spec, declared, "api.example.org", address, 443));
        auto named = configured("ollama.lan", 11434, true);
        CHECK_FALSE(may_connect(spec, named, "ollama.lan", address, 11434));
        auto allowed = spec;
        allowed.allow_private = true;
        CHECK(may_connect(allowed, named, "ollama.lan", address, 11434));
        CHECK_FALSE(may_connect(allowed, declared, "api.example.org", address, 443));
    }
    CHECK(may_connect(spec, configured("192.168.1.5", 80, true), "192.168.1.5", "192.168.1.5", 80));
    CHECK(may_connect(spec, configured("localhost", 11434, true), "localhost", "127.0.0.1", 11434));
    CHECK_FALSE(
        may_connect(spec, configured("localhost", 11434, true), "localhost", "10.0.0.1", 11434));
}

TEST_CASE(
    "a stream goes to exactly the declared host and port, and in the open only by the operator",
    "[egress]") {
    auto declared = rule("irc.example", 6697);
    declared.stream = true;
    auto own = configured("irc.lan", 6667, false);
    own.stream = true;
    auto spec = spec_with({declared, own, rule("web.example", 6697)});
    CHECK(admit_stream(spec, "irc.example", 6697, true));
    CHECK_FALSE(admit_stream(spec, "irc.example", 6697, false));
    CHECK_FALSE(admit_stream(spec, "irc.example", 25, true));
    CHECK_FALSE(admit_stream(spec, "evil.example", 6697, true));
    CHECK_FALSE(admit_stream(spec, "web.example", 6697, true));
    CHECK(admit_stream(spec, "irc.lan", 6667, false));
}

TEST_CASE("a secret goes to the hosts that it is bound to and to no other", "[egress]") {
    SecretField field;
    field.hosts = {"api.example.org", "from_config:base_url"};
    CHECK(may_receive(field, rule("api.example.org"), "api.example.org"));
    CHECK(may_receive(field, configured("my.lan", 443, false), "my.lan"));
    CHECK_FALSE(may_receive(field, rule("b.example.org"), "b.example.org"));
    CHECK_FALSE(may_receive(field, rule("*.example.org"), "x.api.example.org"));
    auto other = configured("my.lan", 443, false);
    other.from_config = "proxy_url";
    CHECK_FALSE(may_receive(field, other, "my.lan"));
}

TEST_CASE("a name that moves between checks is held at the address that it has now", "[egress]") {
    // A rebinding name: allowed by its name, public the first time, our network the next.
    auto spec = spec_with({rule("rebind.example")});
    auto url = parse_url("https://rebind.example/");
    REQUIRE(url);
    auto admitted_rule = admit_http(spec, *url, "GET");
    REQUIRE(admitted_rule);
    CHECK(may_connect(spec, *admitted_rule, url->host, "93.184.216.34", 443));
    for (auto const* address : {"127.0.0.1", "10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1"})
        CHECK_FALSE(may_connect(spec, *admitted_rule, url->host, address, 443));
}

TEST_CASE("the host's own listener is never a destination", "[egress]") {
    auto spec = spec_with({});
    spec.allow_private = true;
    for (auto const* address : {"127.0.0.1", "127.0.0.2", "::1", "0.0.0.0"})
        CHECK_FALSE(
            may_connect(spec, configured("127.0.0.1", 7420, true), "127.0.0.1", address, 7420));
}

TEST_CASE("a redirect's target is read as a browser would", "[egress]") {
    auto base = parse_url("https://a.example/one/two?q=1");
    REQUIRE(base);
    auto to = [&](char const* location) {
        auto url = redirect_target(*base, location);
        return url ? url->origin() + url->path_and_query : "none";
    };
    CHECK(to("/three") == "https://a.example:443/three");
    CHECK(to("three") == "https://a.example:443/one/three");
    CHECK(to("?q=2") == "https://a.example:443/one/two?q=2");
    CHECK(to("//b.example/x") == "https://b.example:443/x");
    CHECK(to("https://b.example/x#frag") == "https://b.example:443/x");
    CHECK(to("file:///etc/passwd") == "none");
    CHECK(to("") == "none");
}

TEST_CASE("the operator's list narrows the egress and never widens it", "[policy]") {
    Manifest manifest;
    manifest.egress = {rule("api.example.org"), rule("*.slack.example")};
    EgressRule own;
    own.from_config = "base_url";
    manifest.egress.push_back(own);
    auto config = R"({"base_url":"http://127.0.0.1:11434/v1"})";
    auto open = resolve_egress(manifest, config, {});
    REQUIRE(open);
    REQUIRE(open->size() == 2);  // the whole domain needs the operator's word
    CHECK(open->at(1).host == "127.0.0.1");
    CHECK(open->at(1).port == 11434);
    CHECK(open->at(1).plain);
    auto narrowed =
        resolve_egress(manifest, config, std::vector<std::string>{"hooks.slack.example"});
    REQUIRE(narrowed);
    REQUIRE(narrowed->size() == 2);
    CHECK(narrowed->at(0).host == "hooks.slack.example");
    for (auto const* wide : {"evil.example", "*.example.org", "*", "api.example.org:8443"})
        CHECK_FALSE(resolve_egress(manifest, config, std::vector<std::string>{wide}));
    CHECK(resolve_egress(manifest, "{}", {})->size() == 1);
    CHECK_FALSE(resolve_egress(manifest, R"({"base_url":"ftp://x"})", {}));
    CHECK_FALSE(resolve_egress(manifest, R"({"base_url":"wss://x"})", {}));
    CHECK_FALSE(resolve_egress(manifest, R"({"base_url":"http://user:pw@x/"})", {}));
}

TEST_CASE("config gets its defaults and is held against the schema", "[policy]") {
    Manifest manifest;
    manifest.config_schema =
        R"({"type":"object","additionalProperties":false,"properties":{"units":{"enum":["metric","imperial"],"default":"metric"}}})";
    CHECK(*resolve_config(manifest, "{}") == R"({"units":"metric"})");
    CHECK_FALSE(resolve_config(manifest, R"({"units":"ells"})"));
    CHECK_FALSE(resolve_config(manifest, R"({"unit":"metric"})"));
    CHECK_FALSE(resolve_config(manifest, "[]"));
    CHECK(*lay_over(R"({"a":1,"b":2})", R"({"b":3})") == R"({"a":1,"b":3})");
}

TEST_CASE("no grant may contain, equal or lie inside the home or the key's folder", "[policy]") {
    TempFolder folder;
    Config config;
    config.home = folder.path / "home";
    auto key = folder.path / "keys/vault.key";
    auto workspace = config.home / "agents/ops/workspace";
    for (auto const& path : {workspace, config.home / "ledger", key.parent_path(),
                             folder.path / "reports", folder.path / "install/plugins"})
        fs::create_directories(path);
    config.agents[AgentName("ops")].workspace = workspace;
    auto check = [&](fs::path const& path, GrantNeed::Access access = GrantNeed::Access::write) {
        return check_grant({"g", path, access}, config, key, {folder.path / "install/plugins"});
    };
    CHECK(check(folder.path / "reports"));
    CHECK(check(workspace));
    fs::create_directory_symlink(config.home, folder.path / "link");
    for (auto const& path :
         {folder.path, config.home, config.home / "ledger", key.parent_path(), folder.path / "link",
          folder.path / "reports/../home", config.home / "agents"}) {
        INFO(path);
        CHECK_FALSE(check(path));
    }
    CHECK_FALSE(check(folder.path / "missing"));
    // Our own programs may be read, and written by no plugin.
    for (auto const* path : {"install", "install/plugins", "install/plugins/deep"}) {
        fs::create_directories(folder.path / path);
        CHECK_FALSE(check(folder.path / path));
        CHECK_FALSE(check(folder.path / path, GrantNeed::Access::run));
        CHECK(check(folder.path / path, GrantNeed::Access::read));
    }
}

TEST_CASE("a secret is placed only where its slot is declared", "[inject]") {
    Manifest manifest;
    SecretField field;
    field.name = "token";
    field.slots = {"header:Authorization", "path:TOKEN", "query:key", "body:/auth/token", "stream"};
    manifest.secrets = {field};
    auto read = [&](std::string const& json) {
        auto value = parse_json(json);
        REQUIRE(value);
        return read_placements(&*value, manifest);
    };
    CHECK(read(R"([{"slot":"header:authorization","secret":"token","prefix":"Bearer "}])"));
    CHECK(read(R"([{"slot":"stream:TOKEN","secret":"token"}])"));
    for (auto const* wrong :
         {R"([{"slot":"header:X-Leak","secret":"token"}])",
          R"([{"slot":"query:q","secret":"token"}])", R"([{"slot":"path:OTHER","secret":"token"}])",
          R"([{"slot":"body:/x","secret":"token"}])",
          R"([{"slot":"header:Authorization","secret":"another"}])",
          R"([{"slot":"cookie","secret":"token"}])", R"([{"slot":"header:Authorization"}])",
          R"([{"slot":"header:Authorization","secret":"token","encode":"rot13"}])", R"({})",
          R"("x")", R"([7])"}) {
        INFO(wrong);
        CHECK_FALSE(read(wrong));
    }
}

TEST_CASE("each slot is filled in its own way, and text that looks like one is only text",
          "[inject]") {
    auto place = [](Placement::Kind kind, std::string where, std::string path,
                    std::string body = "", std::string prefix = "",
                    Placement::Encode encode = Placement::Encode::none) {
        Outgoing out{"GET",
                     "https://a.example:443",
                     std::move(path),
                     {{"Authorization", "old"}, {"X", "TOKEN"}},
                     std::move(body)};
        Placement placement{kind, std::move(where), "token", std::move(prefix), "", encode};
        auto placed = place_secret(out, placement, "s3:cr/t");
        if (!placed) return std::string("refused");
        std::string text = out.path_and_query + "|" + out.body;
        for (auto const& [name, value] : out.headers) text += "|" + name + "=" + value;
        return text;
    };
    using Kind = Placement::Kind;
    CHECK(place(Kind::header, "Authorization", "/", "", "Bearer ") ==
          "/||X=TOKEN|Authorization=Bearer s3:cr/t");
    CHECK(place(Kind::header, "Authorization", "/", "", "u:", Placement::Encode::base64) ==
          "/||X=TOKEN|Authorization=dTpzMzpjci90");
    CHECK(place(Kind::path, "TOKEN", "/TOKEN/send?x=TOKEN", "", "bot") ==
          "/bots3:cr%2Ft/send?x=TOKEN||Authorization=old|X=TOKEN");
    CHECK(place(Kind::path, "TOKEN", "/TOKEN/TOKEN") == "refused");
    CHECK(place(Kind::path, "TOKEN", "/x/TOKENS") == "refused");
    CHECK(place(Kind::query, "key", "/p?a=1") ==
          "/p?a=1&key=s3%3Acr%2Ft||Authorization=old|X=TOKEN");
    CHECK(place(Kind::query, "key", "/p?key=1") == "refused");
    CHECK(place(Kind::body, "/auth/token", "/", R"({"auth":{"a":"TOKEN"}})") ==
          R"(/|{"auth":{"a":"TOKEN","token":"s3:cr/t"}}|Authorization=old|X=TOKEN)");
    CHECK(place(Kind::body, "/auth/token", "/", R"({"no":1})") == "refused");
    CHECK(place(Kind::body, "/auth/token", "/", "not json") == "refused");
    CHECK(place(Kind::stream, "TOKEN", "/") == "refused");
    std::string line = "PASS TOKEN TOKEN\r\n";
    CHECK(place_in_stream(line, {Kind::stream, "TOKEN", "token", "", "", {}}, "abc"));
    CHECK(line == "PASS abc TOKEN\r\n");
    CHECK_FALSE(place_in_stream(line, {Kind::stream, "TOKEN", "token", "", "", {}}, "a\r\nQUIT"));
    Outgoing out{"GET", "https://a.example:443", "/", {}, ""};
    CHECK_FALSE(place_secret(out, {Kind::header, "X", "token", "", "", {}}, "a\r\nHost: evil"));
    CHECK_FALSE(place_in_stream(line, {Kind::stream, "MISSING", "token", "", "", {}}, "abc"));
}
