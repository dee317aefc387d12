#include "plugin/manifest.hpp"
#include "plugin/exact_text.hpp"
#include "rig.hpp"

#include <fstream>
#include <random>
#include <sstream>

namespace fs = std::filesystem;

namespace {

std::string read_text(fs::path const& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

std::string const base =
    R"({"manifest":1,"id":"org.example.weather","version":"1.4.0","abi":{"major":1,"minor":0},"roles":["parley.skill/1"]})";

// The base with one more member, or one replaced.
std::string with(std::string const& member) {
    auto text = base;
    auto key = member.substr(0, member.find(':'));
    if (auto at = text.find(key + ":"); at != text.npos) {
        auto end = text.find_first_of(
            ",}", text[at + key.size() + 1] == '{' || text[at + key.size() + 1] == '['
                      ? text.find_first_of("}]", at) + 1
                      : at);
        text.replace(at, end - at, member);
        return text;
    }
    return text.insert(text.size() - 1, "," + member);
}

std::string refusal(std::string const& text) {
    auto manifest = parse_manifest(text);
    return manifest ? "" : manifest.error().what;
}

}  // namespace

TEST_CASE("a manifest says what a plugin is and wants", "[manifest]") {
    auto text = read_text(fs::path(SOURCE_FOLDER) / "tests/plugin/zoo/zoo.json");
    auto manifest = parse_manifest(text);
    INFO(refusal(text));
    REQUIRE(manifest);
    CHECK(manifest->id == PluginId("zoo"));
    CHECK(manifest->has_role("parley.skill/1"));
    CHECK_FALSE(manifest->has_role("parley.channel/1"));
    CHECK(manifest->egress.size() == 5);
    CHECK(manifest->secret("token")->slots.size() == 5);
    CHECK(manifest->skills.at(0).uses_egress);
    CHECK(manifest->skills.at(0).approval == ApprovalNeed::never);
    CHECK(manifest->text == text);
    CHECK(manifest->digest == blake2b(text));
}

TEST_CASE("a skill's parameters are kept as their author wrote them", "[manifest]") {
    auto manifest =
        parse_manifest(read_text(fs::path(SOURCE_FOLDER) / "tests/plugin/zoo/zoo.json"));
    REQUIRE(manifest);
    CHECK(manifest->skills.at(0).parameters ==
          R"({"type":"object",  "properties":{"b":{"type":"number"},"a":{}}})");
    CHECK(exact_text(R"({"a" : [1, {"b\"":2, "c": "x]y" } ] })", {"a", "1", "c"}, "") ==
          R"("x]y")");
    CHECK(exact_text(R"({"a":1.50})", {"a"}, "") == "1.50");
    CHECK(exact_text(R"({"a":1})", {"b"}, "fallback") == "fallback");
}

TEST_CASE("every manifest of this repository is sound", "[manifest]") {
    for (auto const* folder : {"plugins", "sdk/templates"})
        if (fs::exists(fs::path(SOURCE_FOLDER) / folder))
            for (auto const& entry :
                 fs::recursive_directory_iterator(fs::path(SOURCE_FOLDER) / folder))
                if (entry.path().filename() == "plugin.json") {
                    INFO(entry.path() << " " << refusal(read_text(entry.path())));
                    CHECK(parse_manifest(read_text(entry.path())));
                }
}

TEST_CASE("an unknown key refuses a manifest at every level", "[manifest]") {
    using Catch::Matchers::Contains;
    CHECK(refusal(base).empty());
    CHECK_THAT(refusal(with(R"("egres":[])")), Contains("do you mean \"egress\"?"));
    CHECK_THAT(refusal(with(R"("abi":{"major":1,"minor":0,"patch":1})")), Contains("patch"));
    CHECK_THAT(refusal(with(R"("egress":[{"host":"a.example","prt":1}])")), Contains("egress[0]"));
    CHECK_THAT(refusal(with(R"("secrets":[{"name":"k","slot":["stream"]}])")),
               Contains("secrets[0]"));
    CHECK_THAT(refusal(with(R"("grants":[{"name":"g","acces":"read"}])")), Contains("grants[0]"));
    CHECK_THAT(refusal(with(R"("limits":{"memory":1})")), Contains("limits"));
    CHECK_THAT(
        refusal(with(
            R"("skills":[{"name":"a","summary":"s","parameters":{"type":"object"},"uses":{"egresses":true}}])")),
        Contains("skills[0].uses"));
}

TEST_CASE("a manifest that makes no sense is refused with the place", "[manifest]") {
    using Catch::Matchers::Contains;
    for (
        auto const* member :
        {R"("manifest":2)",
         R"("id":"Bad Id")",
         R"("id":"")",
         R"("version":"1.0")",
         R"("version":"01.0.0")",
         R"("abi":{"major":2,"minor":0})",
         R"("abi":{"major":1,"minor":9})",
         R"("roles":[])",
         R"("roles":["parley.oracle/1"])",
         R"("roles":["parley.skill/1","parley.skill/1"])",
         R"("requires":["parley.host.teleport/1"])",
         R"("summary":7)",
         R"("egress":[{}])",
         R"("egress":[{"host":"a.example","from_config":"u"}])",
         R"("egress":[{"host":"Upper.Example"}])",
         R"("egress":[{"host":"a/b"}])",
         R"("egress":[{"host":"a.example","port":0}])",
         R"("egress":[{"host":"a.example","port":65536}])",
         R"("egress":[{"host":"a.example","methods":["get"]}])",
         R"("egress":[{"host":"a.example","stream":true}])",
         R"("egress":[{"host":"a.example","port":1,"stream":true,"ws":true}])",
         R"("egress":[{"host":"a.example","methods":["GET"],"ws":true}])",
         R"("egress":[{"host":"wss://a.example","ws":true}])",
         R"("secrets":[{"name":"k","slots":["cookie"]}])",
         R"("secrets":[{"name":"k","hosts":["*.example"]}])",
         R"("secrets":[{"name":"k","hosts":["from_config:x"]}])",
         R"("secrets":[{"name":"k"},{"name":"k"}])",
         R"("grants":[{"name":"command","access":"read"}])",
         R"("grants":[{"name":"x","access":"run"}])",
         R"("config_schema":{"type":"object","oneOfThese":[]})",
         R"("skills":[{"name":"a","summary":"s"}])",
         R"("skills":[{"name":"A","summary":"s","parameters":{}}])",
         R"("skills":[{"name":"a","summary":"s","parameters":{"type":"objekt"}}])",
         R"("skills":[{"name":"a","summary":"s","parameters":{"type":"object"},"effect":"maybe"}])",
         R"("skills":[{"name":"a","summary":"s","parameters":{"type":"object"},"uses":{"grants":["x"]}}])",
         R"("skills":[{"name":"a","summary":"s","parameters":{"type":"object"},"timeout_s":0}])"}) {
        INFO(member);
        CHECK_THAT(refusal(with(member)), Contains("the manifest: "));
    }
    CHECK_FALSE(parse_manifest(""));
    CHECK_FALSE(parse_manifest("[]"));
    CHECK_FALSE(parse_manifest(std::string(70'000, ' ') + base));
    CHECK_FALSE(parse_manifest(R"({"manifest":1,"manifest":1})"));
}

TEST_CASE("a channel names what it can do beyond text, and nobody else does", "[manifest]") {
    auto channel = [](std::string const& role, std::string const& features) {
        return R"({"manifest":1,"id":"org.example.chat","version":"1.0.0","abi":{"major":1,"minor":0},)"
               R"("roles":["parley.)" +
               role + R"(/1"],"channel":{"features":)" + features + "}}";
    };
    auto manifest = parse_manifest(channel("channel", R"(["buttons","edit"])"));
    REQUIRE(manifest);
    CHECK(manifest->channel.buttons);
    CHECK(manifest->channel.edit);
    CHECK_FALSE(manifest->channel.draft);
    CHECK(parse_manifest(channel("channel", R"(["files"])"))->channel.files);
    CHECK_FALSE(refusal(channel("channel", R"(["butons"])")).empty());
    CHECK_FALSE(refusal(channel("channel", R"(["edit","edit"])")).empty());
    CHECK_FALSE(refusal(channel("channel", R"("edit")")).empty());
    CHECK_FALSE(refusal(channel("provider", "[]")).empty());
    CHECK_FALSE(refusal(with(R"("channel":{"feature":[]})")).empty());
}

TEST_CASE("a skill that sends files says of which argument, and that it cannot be undone",
          "[manifest]") {
    using Catch::Matchers::Contains;
    auto skill = [](std::string const& more) {
        return with(R"("grants":[{"name":"workspace","access":"read"}],)"
                    R"("skills":[{"name":"send","summary":"s","parameters":{"type":"object"},)"
                    R"("uses":{"grants":["workspace"],"files":true})" +
                    more + "}]");
    };
    auto manifest = parse_manifest(skill(R"(,"target":"path")"));
    REQUIRE(manifest);
    CHECK(manifest->skills.at(0).sends_files);
    CHECK_THAT(refusal(skill("")), Contains("uses.files"));
    CHECK_THAT(refusal(skill(R"(,"target":"path","effect":"idempotent")")), Contains("uses.files"));
}

TEST_CASE("a hook names its points once each, and fails closed unless it says otherwise",
          "[manifest]") {
    auto hook = [](std::string const& hooks) {
        return R"({"manifest":1,"id":"org.example.filter","version":"1.0.0","abi":{"major":1,"minor":0},)"
               R"("roles":["parley.hook/1"],"hooks":)" +
               hooks + "}";
    };
    auto manifest =
        parse_manifest(hook(R"([{"point":"message.in"},{"point":"skill.after","fail":"open"}])"));
    REQUIRE(manifest);
    CHECK_FALSE(manifest->hooks.at(0).fails_open);
    CHECK(manifest->hooks.at(1).fails_open);
    CHECK(manifest->hooks.at(1).point == HookPoint::skill_after);
    CHECK_FALSE(refusal(hook("[]")).empty());
    CHECK_FALSE(refusal(hook(R"([{"point":"message.in"},{"point":"message.in"}])")).empty());
    CHECK_FALSE(refusal(hook(R"([{"point":"turn.start"}])")).empty());
    CHECK_FALSE(refusal(hook(R"([{"point":"message.in","fail":"softly"}])")).empty());
    CHECK_FALSE(refusal(with(R"("hooks":[{"point":"message.in"}])")).empty());
}

TEST_CASE("approval never is believed of pure skills only", "[manifest]") {
    auto skill = [](std::string const& effect) {
        auto manifest = parse_manifest(with(
            R"("skills":[{"name":"a","summary":"s","parameters":{"type":"object"},"approval":"never")" +
            effect + "}]"));
        REQUIRE(manifest);
        return manifest->skills.at(0).approval;
    };
    CHECK(skill(R"(,"effect":"pure")") == ApprovalNeed::never);
    CHECK(skill(R"(,"effect":"idempotent")") == ApprovalNeed::policy);
    CHECK(skill("") == ApprovalNeed::policy);
    auto silent = parse_manifest(
        with(R"("skills":[{"name":"a","summary":"s","parameters":{"type":"object"}}])"));
    REQUIRE(silent);
    CHECK(silent->skills.at(0).approval == ApprovalNeed::always);
    CHECK(silent->skills.at(0).effect == EffectClass::irreversible);
}

TEST_CASE("the note is read from a real library, and a library without one is told apart",
          "[elf]") {
    auto bytes = read_text(zoo("zoo"));
    auto note = read_note(bytes);
    REQUIRE(note);
    CHECK(parse_manifest(*note));
    CHECK(check_elf(bytes));
    auto silent = read_note(read_text(zoo("silent")));
    REQUIRE_FALSE(silent);
    CHECK(silent.error().fault == Fault::not_found);
    CHECK(check_elf(read_text(zoo("silent"))).error().what.find("zoo_silent") != std::string::npos);
    CHECK_FALSE(check_elf(read_text("/proc/self/exe")));
    CHECK_FALSE(read_note(""));
    CHECK_FALSE(
        read_note("\x7f"
                  "ELF"));
}

TEST_CASE("a library that needs more than the worker has is refused by name", "[elf]") {
    auto bytes = read_text(zoo("zoo"));
    auto at = bytes.find("libc.so.6");
    REQUIRE(at != bytes.npos);
    bytes.replace(at, 9, "libz.so.1");
    auto checked = check_elf(bytes);
    REQUIRE_FALSE(checked);
    CHECK(checked.error().what.find("libz.so.1") != std::string::npos);
}

TEST_CASE("no truncation and no damage of a library makes the reader crash or hang", "[elf]") {
    auto const whole = read_text(zoo("third"));
    int sound = 0;
    // Every length where headers and tables lie, and a sample of the rest.
    for (std::size_t size = 0; size < whole.size(); size += size < 8192 ? 1 : 97) {
        auto part = std::string_view(whole).substr(0, size);
        sound += bool(read_note(part)) + bool(check_elf(part));
    }
    auto seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937 random(seed);
    for (int i = 0; i < 10'000; ++i) {
        auto damaged = whole;
        for (int flips = 1 + static_cast<int>(random() % 8); flips > 0; --flips) {
            // Headers and tables lie in front; half of the damage goes there.
            auto range =
                random() % 2 ? std::min<std::size_t>(4096, damaged.size()) : damaged.size();
            damaged[random() % range] = static_cast<char>(random());
        }
        sound += bool(check_elf(damaged));
        if (auto note = read_note(damaged)) parse_manifest(*note) ? ++sound : sound;
    }
    CHECK(sound > 0);
}

TEST_CASE("webhooks are declared with a proof of their sender, or refused", "[manifest]") {
    auto manifest = [](std::string const& inbound,
                       std::string const& services = R"("parley.host.inbound/1")") {
        return R"({"manifest":1,"id":"org.example.door","version":"1.0.0","abi":{"major":1,"minor":0},)"
               R"("roles":["parley.channel/1"],"requires":[)" +
               services +
               R"(],"secrets":[{"name":"signer","tier":"compute"},{"name":"token"},{"name":"open","tier":"reveal"}])" +
               (inbound.empty() ? "" : ",\"inbound\":" + inbound) + "}";
    };
    auto verify = [](std::string const& members) { return "{\"verify\":{" + members + "}}"; };
    std::string const hmac = R"("scheme":"hmac-sha256","secret":"signer","header":"x-sig")";
    std::string const token = R"("scheme":"token","secret":"token","header":"x-token")";
    auto good = parse_manifest(manifest(verify(hmac)));
    REQUIRE(good);
    CHECK(good->inbound->content_types == std::vector<std::string>{"application/json"});
    CHECK(good->inbound->signed_text.pieces.empty());
    CHECK(refusal(manifest(verify(token))).empty());
    CHECK(refusal(manifest(
                      verify(hmac + R"(,"signed":"{x-t}.{body}","timestamp":"x-t","window_s":60)")))
              .empty());

    for (auto const& [members, why] : std::vector<std::pair<std::string, std::string>>{
             {R"("scheme":"none","secret":"signer","header":"x")", "scheme"},
             {R"("secret":"signer","header":"x")", "scheme"},
             {R"("scheme":"hmac-sha256","header":"x")", "secret"},
             {R"("scheme":"hmac-sha256","secret":"nobody","header":"x")", "not declared"},
             {R"("scheme":"hmac-sha256","secret":"token","header":"x")", "tier compute"},
             {R"("scheme":"token","secret":"open","header":"x")", "may read"},
             {R"("scheme":"hmac-sha256","secret":"signer","header":"X-Sig")", "lower case"},
             {hmac + R"(,"prefix":"a b")", "space"},
             {hmac + R"(,"signed":"{x}{body}")", "signed"},
             {hmac + R"(,"timestamp":"x-t")", "not signed"},
             {hmac + R"(,"window_s":60)", "timestamp"},
             {hmac + R"(,"signed":"{x-t}.{body}","timestamp":"x-t","window_s":601)", "window_s"},
             {hmac + R"(,"algorithm":"md5")", "unknown key"},
             {token + R"(,"prefix":"x")", "token"}}) {
        INFO(members);
        CHECK_THAT(refusal(manifest(verify(members))), Catch::Matchers::Contains(why));
    }
    for (auto const& more :
         {R"("headers":["x-sig"])", R"("headers":["authorization"])", R"("headers":["cookie"])",
          R"("headers":["X"])", R"("content_types":[])", R"("content_types":["json"])",
          R"("methods":["GET"])"}) {
        INFO(more);
        CHECK_FALSE(refusal(manifest("{\"verify\":{" + hmac + "}," + more + "}")).empty());
    }
    CHECK_FALSE(refusal(manifest("{}")).empty());
    CHECK_THAT(refusal(manifest("")), Catch::Matchers::Contains("belong together"));
    CHECK_THAT(refusal(manifest(verify(hmac), "")), Catch::Matchers::Contains("belong together"));
    auto skill = manifest(verify(hmac));
    skill.replace(skill.find("parley.channel/1"), 16, "parley.skill/1");
    CHECK_THAT(refusal(skill), Catch::Matchers::Contains("role"));
    CHECK_FALSE(
        refusal(with(R"("secrets":[{"name":"s","tier":"compute","slots":["query:x"]}])")).empty());
}
