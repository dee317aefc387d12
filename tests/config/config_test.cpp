#include "config/config.hpp"

#include "temp_folder.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

using namespace parley;

namespace {

struct Home : TempFolder {
    std::filesystem::path home = path / "home";
    Home() { REQUIRE(make_home({home, "127.0.0.1:7420"})); }

    std::string read(char const* name) const {
        std::ostringstream out;
        out << std::ifstream(home / name).rdbuf();
        return out.str();
    }
    void write(char const* name, std::string const& text) const {
        std::filesystem::create_directories((home / name).parent_path());
        std::ofstream(home / name) << text;
    }
    void edit(char const* name, std::string const& old, std::string const& now) const {
        auto text = read(name);
        auto at = text.find(old);
        REQUIRE(at != std::string::npos);
        write(name, text.replace(at, old.size(), now));
    }
    std::string error() const {
        auto config = load_config(home);
        return config ? "" : config.error().what;
    }
};

bool has(std::string const& text, std::string const& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("the home that init makes is good as it is", "[config]") {
    Home home;
    REQUIRE(check_home(home.home));
    auto config = load_config(home.home);
    REQUIRE(config);
    auto const& agent = config->agents.at(AgentName("assistant"));
    REQUIRE(config->plugins.at(PluginId("shell")).enabled);
    REQUIRE(agent.approval.at("shell") == ApprovalRule::always);
    REQUIRE(agent.authorized_senders.empty());
    REQUIRE(agent.workspace.is_absolute());
    REQUIRE(config->models.at("default").price->input == 0);
    REQUIRE(config->global_budget->limit_nano_usd == 20'000'000'000);
    REQUIRE_FALSE(make_home({home.home, "127.0.0.1:7420"}));
}

TEST_CASE("a mistake names its file, line and column, and what would be right", "[config]") {
    struct Row {
        char const *old, *now, *expected;
    };
    Row const rows[] = {
        {"plugins:", "plugin:", "parley.yaml:4:1: unknown key 'plugin'; did you mean 'plugins'?"},
        {"{enabled: true}  # an", "{enable: true}  # an", "unknown key 'enable'; did you mean 'enabled'?"},
        {"{enabled: true}  # an", "{enabled: yes}  # an", "enabled must be one of true, false"},
        {"listen: 127.0.0.1:7420", "listen: 7420", "listen must be ADDRESS:PORT"},
        {"listen: 127.0.0.1:7420", "listen: 127.0.0.1:99999", "listen must be ADDRESS:PORT"},
        {"listen: 127.0.0.1:7420", "listen: 0.0.0.0:7420", "unsafe_listen"},
        {"listen: 127.0.0.1:7420", "listen: 127.evil.example:7420", "unsafe_listen"},
        {"listen:", "listen: 127.0.0.1:1\nlisten:", "stands twice"},
        {"models:", "models: [", "parley.yaml:"},
        {"provider: rehearsal", "provider: nowhere", "not under plugins:"},
        {"price: {input: 0, output: 0}", "price: {input: 0}", "a price has input and output"},
        {"price: {input: 0, output: 0}", "price: {input: -1, output: 0}", "must be an amount of USD"},
        {"price: {input: 0, output: 0}", "max_output_tokens: 4.5", "must be a whole number"},
        {"price: {input: 0, output: 0}", "context_tokens: 1000", "must be larger than max_output_tokens"},
        {"expire_after: 24h", "expire_after: soon", "a time such as 15m"},
        {"limit_usd: 20", "limit_usd: lots", "must be an amount of USD"},
        {"per: month", "per: week", "per must be one of day, month, total"},
        {"on_limit: refuse", "on_limit: stop", "on_limit must be one of warn, refuse"},
        {"per: month", "per: month, timezone: Mars/Base", "no time zone"},
        {"approvals:", "approvals: 5\nxapprovals:", "a mapping is needed"},
        {"# channels:", "channels: {api: {plugin: rehearsal, agent: assistant}}\n# channels:", "built-in instance"},
        {"# channels:", "channels: {x: {plugin: irc, agent: nobody}}\n# channels:", "no agents/nobody"},
        {"# channels:", "channels: {x: {plugin: rehearsal, agent: assistant, approvers: [\"nick:ada\"]}}\n# channels:", "as strongly as the channel can"},
        {"# channels:", "channels: {X/..: {}}\n# channels:", "is not a name"},
    };
    for (auto const& row : rows) {
        Home home;
        home.edit("parley.yaml", row.old, row.now);
        INFO(row.now << "\n" << home.error());
        REQUIRE(has(home.error(), row.expected));
    }
}

TEST_CASE("a secret that stands in YAML is refused wherever it stands", "[config]") {
    for (auto const* config : {R"({api_key: "abcdefghijkl"})", R"({x: {auth_token: abcdefgh}})", R"({x: "sk-abcdefghijklmnopqrstuv"})",
                               R"({x: "123456789:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQ"})", R"({list: [a, "ghp_abcdefghijklmnopqrst"]})"}) {
        Home home;
        home.edit("parley.yaml", "rehearsal: {enabled: true}", std::string("rehearsal: {enabled: true, config: ") + config + "}");
        INFO(config);
        REQUIRE(has(home.error(), "parley secret set"));
    }
    Home home;
    home.edit("parley.yaml", "rehearsal: {enabled: true}", "rehearsal: {enabled: true, secrets: {api_key: \"sk-abcdefghijklmnopqrstuv\"}}");
    REQUIRE(has(home.error(), "parley secret set"));
}

TEST_CASE("a model falls back to others in their order, each followed by its own", "[config]") {
    Home home;
    auto models = [&](std::string const& text) {
        auto yaml = home.read("parley.yaml");
        auto from = yaml.find("models:"), to = yaml.find("\n\n", from);
        home.write("parley.yaml", yaml.replace(from, to - from, "models:\n" + text));
    };
    std::string const plain = ": {provider: rehearsal, model: m";
    models("  default" + plain + ", fallbacks: [a, c]}\n  a" + plain + ", fallbacks: [b]}\n  b" + plain +
           ", fallbacks: [c]}\n  c" + plain + "}\n");
    auto config = load_config(home.home);
    REQUIRE(config);
    REQUIRE(models_in_order(*config, "default") == std::vector<std::string>{"default", "a", "b", "c"});
    REQUIRE(models_in_order(*config, "b") == std::vector<std::string>{"b", "c"});
    REQUIRE(models_in_order(*config, "none").empty());

    SECTION("but never back to where it began") {
        home.edit("parley.yaml", "  c" + plain, "  c" + plain + ", fallbacks: [a]");
        REQUIRE(has(home.error(), "fallbacks lead back to where they began: a, b, c, a"));
        REQUIRE(has(home.error(), "parley.yaml:"));
        home.edit("parley.yaml", "fallbacks: [a]}", "fallbacks: [c]}");
        REQUIRE(has(home.error(), "fallbacks lead back to where they began: c, c"));
    }
    SECTION("nor to one that is not there") {
        home.edit("parley.yaml", "fallbacks: [a, c]", "fallbacks: [a, cc]");
        REQUIRE(has(home.error(), "parley.yaml:"));
        REQUIRE(has(home.error(), "'cc' is no model"));
    }
    SECTION("nor to more than a call can try") {
        std::string list, more;
        for (char name = 'e'; name < 'n'; ++name) {
            list += std::string(name == 'e' ? "" : ", ") + name;
            more += std::string("  ") + name + plain + "}\n";
        }
        home.edit("parley.yaml", "  c" + plain + "}\n", "  c" + plain + "}\n" + more);
        home.edit("parley.yaml", "fallbacks: [a, c]", "fallbacks: [" + list + "]");
        REQUIRE(has(home.error(), "more than 8 fallbacks"));
    }
}

TEST_CASE("agents are read with their persona, and nobody is authorized by a pattern", "[config]") {
    Home home;
    home.write("agents/ops/agent.yaml", "model: default\nbudget: {limit_usd: 2.50, per: day}\n");
    home.write("agents/ops/soul.md", "kind");
    auto config = load_config(home.home);
    REQUIRE(config);
    REQUIRE(config->agents.at(AgentName("ops")).soul == "kind");
    REQUIRE(config->agents.at(AgentName("ops")).budget->limit_nano_usd == 2'500'000'000);
    for (auto const* sender : {"*", "id:*", "ada", "mask:*!*@*"}) {
        home.edit("parley.yaml", "# channels:", "channels: {x: {plugin: rehearsal, agent: ops}}\n# channels:");
        home.write("agents/ops/agent.yaml", std::string("channels: {x: {authorized_senders: [\"") + sender + "\"]}}\n");
        INFO(sender);
        REQUIRE(has(home.error(), "is not a sender id"));
        home.edit("parley.yaml", "channels: {x: {plugin: rehearsal, agent: ops}}\n", "");
    }
}

TEST_CASE("a bomb of aliases, a giant and bytes that are not text end with an error", "[config]") {
    Home home;
    std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
    for (char c = 'b'; c < 'j'; ++c) {
        std::string before(1, static_cast<char>(c - 1));
        bomb += std::string(1, c) + ": &" + c + " [";
        for (int i = 0; i < 10; ++i) bomb += (i ? ",*" : "*") + before;
        bomb += "]\n";
    }
    home.write("parley.yaml", bomb);
    REQUIRE(has(home.error(), "too many entries"));
    home.write("parley.yaml", "listen: \"" + std::string(2'000'000, 'x') + "\"");
    REQUIRE(has(home.error(), "large"));
    home.write("parley.yaml", "listen: \xff\xfe");
    REQUIRE(has(home.error(), "UTF-8"));
}

TEST_CASE("what the API changed is laid over the operator's file, and nothing else can be", "[config]") {
    Home home;
    REQUIRE(write_override(home.home, "plugins/shell/enabled", "false"));
    REQUIRE(write_override(home.home, "budgets/global", R"({"limit_usd": 7, "per": "day"})"));
    auto config = load_config(home.home);
    REQUIRE(config);
    REQUIRE_FALSE(config->plugins.at(PluginId("shell")).enabled);
    REQUIRE(config->global_budget->limit_nano_usd == 7'000'000'000);
    REQUIRE(config->overrides.size() == 2);
    REQUIRE(write_override(home.home, "plugins/shell/config", "{}"));
    REQUIRE(has(home.error(), "overrides.yaml"));
}

TEST_CASE("a home that others could change is refused with the word that mends it", "[config]") {
    using std::filesystem::perms;
    Home home;
    std::filesystem::permissions(home.home, perms::others_exec, std::filesystem::perm_options::add);
    REQUIRE(has(check_home(home.home).error().what, "chmod 700"));
    std::filesystem::permissions(home.home, perms::owner_all);
    std::filesystem::permissions(home.home / "plugins", perms::group_write, std::filesystem::perm_options::add);
    REQUIRE(has(check_home(home.home).error().what, "chmod go-w"));
}

TEST_CASE("a home has one user at a time", "[config]") {
    Home home;
    {
        auto first = HomeLock::take(home.home);
        REQUIRE(first);
        REQUIRE_FALSE(HomeLock::take(home.home));
    }
    REQUIRE(HomeLock::take(home.home));
}

TEST_CASE("a home is free again soon after its host was killed", "[config]") {
    Home home;
    auto first = HomeLock::take(home.home);
    REQUIRE(first);
    // As a child that was made just before, and has not begun its own program yet.
    std::thread child([kept = std::move(*first)]() mutable {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        HomeLock gone = std::move(kept);
    });
    CHECK(HomeLock::take(home.home));
    child.join();
}

TEST_CASE("an agent speaks first only where its operator says, on a channel where it answers", "[config]") {
    Home home;
    home.edit("parley.yaml", "# channels:", "channels: {x: {plugin: rehearsal, agent: ops}, y: {plugin: rehearsal, agent: assistant}}\n# channels:");
    home.write("agents/ops/agent.yaml", "reach: {ada: {channel: x, conversation: \"5\"}}\n");
    auto config = load_config(home.home);
    REQUIRE(config);
    auto const& reach = config->agents.at(AgentName("ops")).reach.at("ada");
    REQUIRE(reach.channel.text == "x");
    REQUIRE(reach.conversation == "5");
    REQUIRE(config->agents.at(AgentName("assistant")).reach.empty());
    struct Row {
        char const *reach, *expected;
    };
    for (auto const& row : {Row{"{ada: {channel: y, conversation: a}}", "on which this agent does not answer"},
                            Row{"{ada: {channel: api, conversation: a}}", "on which this agent does not answer"},
                            Row{"{ada: {channel: x}}", "parley channel show"},
                            Row{"{ada: {conversation: a}}", "parley channel show"},
                            Row{"{ada: {channel: x, conversation: a, any: true}}", "unknown key 'any'"},
                            Row{"{\"*\": {channel: x, conversation: a}}", "is not a name"}, Row{"[ada]", "must be a mapping"}}) {
        home.write("agents/ops/agent.yaml", std::string("reach: ") + row.reach + "\n");
        INFO(row.reach << "\n" << home.error());
        REQUIRE(has(home.error(), row.expected));
    }
}

TEST_CASE("a text that is to replace a file can be read before it does", "[config]") {
    Home home;
    auto text = home.read("parley.yaml");
    REQUIRE(load_config(home.home, {{"parley.yaml", text + "listen: x\n"}}).error().fault == Fault::bad_input);
    auto other = load_config(home.home, {{"agents/assistant/agent.yaml", "skills: {allow: [read_file]}\n"}});
    REQUIRE(other);
    REQUIRE(other->agents.at(AgentName("assistant")).skills_allow == std::vector<std::string>{"read_file"});
    REQUIRE(other->digest != load_config(home.home)->digest);
}
