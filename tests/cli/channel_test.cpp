#include "config/config.hpp"
#include "kit.hpp"

#include "base/json.hpp"

#include <boost/json/value.hpp>

#include <sys/stat.h>

namespace fs = std::filesystem;
using namespace parley;
using Catch::Matchers::Contains;
using Words = std::vector<std::string>;

namespace {

struct Home : Shell {
    fs::path main = home / "parley.yaml", agent = home / "agents/assistant/agent.yaml";

    Home() {
        REQUIRE(at_home({"init"}).code == 0);
        for (auto const* name : {"channel_telegram.so", "channel_irc.so", "channel_webhook.so",
                                 "provider_rehearsal.so"}) {
            fs::copy_file(fs::path(BUILD_FOLDER) / "plugins" / name, programs.plugins / name);
            fs::permissions(programs.plugins / name, fs::perms::owner_all);
        }
    }
    json::value told(Words words) {
        words.emplace_back("--json");
        auto said = at_home(words);
        INFO(said.err);
        REQUIRE(said.code == 0);
        auto value = parse_json(said.out);
        REQUIRE(value);
        return std::move(*value);
    }
    std::vector<std::string> commands(json::value const& told) {
        std::vector<std::string> list;
        for (auto const& step : told.at("remaining").as_array())
            list.emplace_back(without_home(std::string(text_at(step, "command"))));
        return list;
    }
    // The home is not where commands look by themselves, so they name it.
    std::string without_home(std::string command) {
        auto named = " --home " + home.string();
        REQUIRE(command.ends_with(named));
        return command.substr(0, command.size() - named.size());
    }
    // Refused with these words, and no file is another.
    void refused(Words const& words, std::string const& why) {
        auto before = text_of_file(main) + text_of_file(agent);
        auto said = at_home(words);
        INFO(said.out + said.err);
        REQUIRE(said.code == 1);
        REQUIRE(said.out.empty());
        REQUIRE_THAT(said.err, Contains(why));
        REQUIRE(text_of_file(main) + text_of_file(agent) == before);
    }
    void write(fs::path const& file, std::string const& text) { std::ofstream(file) << text; }
    Config config() {
        auto read = load_config(home);
        INFO((read ? "" : read.error().what));
        REQUIRE(read);
        return std::move(*read);
    }
};

// `longer` is `text` with whole lines between.
bool has_lines_of(std::string const& longer, std::string const& text) {
    std::size_t at = 0;
    for (std::size_t begin = 0; begin < text.size();) {
        auto end = std::min(text.find('\n', begin), text.size() - 1) + 1;
        at = longer.find(text.substr(begin, end - begin), at);
        if (at == longer.npos) return false;
        at += end - begin;
        begin = end;
    }
    return true;
}

std::string const irc_config = R"({"host":"127.0.0.1","port":6667,"tls":false,"nick":"bot"})";

}  // namespace

TEST_CASE("a channel is added to the operator's file, and what remains to be done is told",
          "[channel]") {
    Home home;
    auto before = text_of_file(home.main);
    REQUIRE(chmod(home.main.c_str(), 0640) == 0);
    auto told = home.told({"channel", "add", "chat", "telegram"});
    REQUIRE(told.at("changed").as_bool());
    REQUIRE(home.commands(told) == Words{"parley secret set telegram/chat",
                                         "parley channel allow chat SENDER", "parley run"});
    REQUIRE(has_lines_of(text_of_file(home.main), before));
    struct stat facts {};
    REQUIRE(stat(home.main.c_str(), &facts) == 0);
    REQUIRE((facts.st_mode & 07777) == 0640);
    auto config = home.config();
    auto const& channel = config.channels.at(InstanceName("chat"));
    REQUIRE(channel.plugin.text == "telegram");
    REQUIRE(channel.agent.text == "assistant");
    REQUIRE(channel.secrets.at("token").text() == "telegram/chat");
    REQUIRE(config.plugins.at(PluginId("telegram")).enabled);

    // Once more is no mistake, and changes nothing.
    auto once = text_of_file(home.main);
    REQUIRE(home.at_home({"secret", "set", "telegram/chat"}, "123456:abcdefghijklmnop\n").code ==
            0);
    told = home.told({"channel", "add", "chat", "telegram"});
    REQUIRE_FALSE(told.at("changed").as_bool());
    REQUIRE(home.commands(told) == Words{"parley channel allow chat SENDER", "parley run"});
    REQUIRE(text_of_file(home.main) == once);
    home.refused({"channel", "add", "chat", "irc", "--config", irc_config},
                 "with the plugin telegram");

    home.refused({"channel", "add", "chat", "telegram", "--secret", "token=telegram/other"},
                 "with the secret token telegram/chat");
    home.refused({"channel", "add", "chat", "telegram", "--secret", "key=a/b"},
                 "with the secret key not bound");
    REQUIRE_FALSE(
        home.told({"channel", "add", "chat", "telegram", "--secret", "token=telegram/chat"})
            .at("changed")
            .as_bool());

    // A second one stands behind the first.
    told = home.told({"channel", "add", "room", "irc", "--config", irc_config});
    REQUIRE(has_lines_of(text_of_file(home.main), once));
    REQUIRE_THAT(home.config().channels.at(InstanceName("room")).config, Contains("\"port\":6667"));
    REQUIRE_FALSE(home.told({"channel", "add", "room", "irc", "--config", irc_config})
                      .at("changed")
                      .as_bool());
}

TEST_CASE("a channel that could not run is not added", "[channel]") {
    Home home;
    home.refused({"channel", "add", "x", "nonsense"}, "there are: irc, telegram, webhook");
    home.refused({"channel", "add", "x", "irc", "--inbound", "--config", irc_config},
                 "hears no webhooks");
    home.refused(
        {"channel", "add", "x", "webhook", "--config", R"({"reply_url":"http://127.0.0.1:1/x"})"},
        "let it with --inbound");
    home.refused({"channel", "add", "x", "rehearsal"}, "no plugin for a channel");
    home.refused({"channel", "add", "X y", "telegram"}, "is not a name");
    home.refused({"channel", "add", "api", "telegram"}, "is not a name");
    home.refused({"channel", "add", "x", "telegram", "--agent", "nobody"}, "no agent nobody");
    home.refused({"channel", "add", "x", "irc"}, "does not fit plugin irc");
    home.refused({"channel", "add", "x", "irc", "--config", R"({"host":"h","nick":"n","prot":1})"},
                 "does not fit plugin irc");
    home.refused({"channel", "add", "x", "irc", "--config", "["}, "--config");
    home.refused({"channel", "add", "x", "irc", "--config", "[]"}, "a JSON object");
    home.refused({"channel", "add", "x", "telegram", "--secret", "token"}, "FIELD=SCOPE/KEY");
    home.refused({"channel", "add", "x", "telegram", "--secret", "key=a/b"},
                 "no secret field 'key'");
    home.refused({"channel", "add", "x", "telegram", "--config",
                  R"({"base_url":"123456789:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQ"})"},
                 "looks like a secret");
    home.write(home.main, text_of_file(home.main) + "nonsense: 1\n");
    home.refused({"channel", "add", "x", "telegram"}, "unknown key 'nonsense'");
}

TEST_CASE("a channel that hears requests from outside is let to by its operator's word",
          "[channel]") {
    Home home;
    auto told = home.told({"channel", "add", "desk", "webhook", "--inbound", "--config",
                           R"({"reply_url":"http://127.0.0.1:1/x"})"});
    REQUIRE(home.commands(told).front() == "parley secret set webhook/desk");
    REQUIRE(home.config().channels.at(InstanceName("desk")).inbound);
}

TEST_CASE("where nothing can be added safely it is said what to add", "[channel]") {
    Home home;
    home.write(home.main, text_of_file(home.main) + "channels: ~\n");
    home.refused({"channel", "add", "chat", "telegram"}, "Add this yourself");
    auto said = home.at_home({"channel", "add", "chat", "telegram"});
    REQUIRE_THAT(said.err,
                 Contains("channels:\n  chat:\n    plugin: telegram\n    agent: assistant\n"
                          "    secrets: {token: telegram/chat}\n"));
}

TEST_CASE("senders and approvers are let in by typed ids, once, and the rest of the file stays",
          "[channel]") {
    Home home;
    home.told({"channel", "add", "chat", "telegram"});
    auto before = text_of_file(home.agent), main = text_of_file(home.main);
    REQUIRE(home.told({"channel", "allow", "chat", "id:1"}).at("changed").as_bool());
    home.told({"channel", "allow", "chat", "id:2", "id:1", "id:2", "mask:ada!a@host"});
    REQUIRE(has_lines_of(text_of_file(home.agent), before));
    REQUIRE(home.config()
                .agents.at(AgentName("assistant"))
                .authorized_senders.at(InstanceName("chat")) ==
            Words{"id:1", "id:2", "mask:ada!a@host"});
    REQUIRE(text_of_file(home.main) == main);
    auto once = text_of_file(home.agent);
    REQUIRE_FALSE(home.told({"channel", "allow", "chat", "id:1"}).at("changed").as_bool());
    REQUIRE(text_of_file(home.agent) == once);

    home.told({"channel", "allow", "--approver", "chat", "id:7"});
    home.told({"channel", "allow", "--approver", "chat", "account:boss"});
    REQUIRE(home.config().channels.at(InstanceName("chat")).approvers ==
            Words{"id:7", "account:boss"});
    REQUIRE(text_of_file(home.agent) == once);
    REQUIRE(has_lines_of(text_of_file(home.main), main));

    auto said = home.at_home({"channel", "allow", "chat", "nick:ada"});
    REQUIRE(said.code == 0);
    REQUIRE_THAT(said.err, Contains("careful: nick:ada"));
    home.refused({"channel", "allow", "--approver", "chat", "nick:ada"}, "never an approver");
    for (auto const* wrong :
         {"ada", "1", "", ":", "id:", ":1", "ID:1", "id:*", "mask:*!*@host", "id:1?", "id:1 2",
          "id:\xe2\x80\xae", "id:\xff", "decision:id:1", "others"}) {
        INFO(wrong);
        home.refused({"channel", "allow", "chat", wrong}, "'");
        home.refused({"channel", "allow", "chat", "id:9", wrong}, "'");
    }
    home.refused({"channel", "allow", "other", "id:1"}, "parley channel add other PLUGIN");
}

TEST_CASE("a list in lines gets a line, and a file behind a link stays there", "[channel]") {
    Home home;
    home.told({"channel", "add", "chat", "telegram"});
    auto real = home.folder.path / "agent.yaml";
    home.write(real,
               "model: default\nchannels:\n  chat:\n    authorized_senders:\n      - id:1   # "
               "me\n\n# the end\n");
    fs::permissions(real, fs::perms::owner_read | fs::perms::owner_write);
    fs::remove(home.agent);
    fs::create_symlink(real, home.agent);
    home.told({"channel", "allow", "chat", "id:2"});
    REQUIRE(fs::is_symlink(home.agent));
    REQUIRE(text_of_file(real) ==
            "model: default\nchannels:\n  chat:\n    authorized_senders:\n      - id:1   # me\n"
            "      - \"id:2\"\n\n# the end\n");
}

TEST_CASE("without a host a channel is shown as the files have it, and what is not known is said",
          "[channel]") {
    Home home;
    home.told({"channel", "add", "chat", "telegram"});
    home.told({"channel", "allow", "chat", "id:1"});
    auto said = home.at_home({"channel", "show", "chat"});
    REQUIRE(said.code == 0);
    REQUIRE_THAT(said.out, Contains("no host is running") && Contains("may speak: id:1") &&
                               Contains("telegram/chat, NOT SET") &&
                               Contains("known to a running host alone"));
    auto told = home.told({"channel", "show", "chat"});
    REQUIRE_FALSE(told.at("running").as_bool());
    REQUIRE(told.at("secrets").at(0).at("set").as_bool() == false);
    REQUIRE_FALSE(told.as_object().contains("link"));
    REQUIRE(home.at_home({"channel", "show", "other"}).code == 1);
}

TEST_CASE("files of this machine are not changed for a host elsewhere", "[channel]") {
    Home home;
    setenv("PARLEY_URL", "http://127.0.0.1:1", 1);
    home.refused({"channel", "add", "chat", "telegram"}, "PARLEY_URL");
    home.refused({"channel", "allow", "chat", "id:1"}, "PARLEY_URL");
    unsetenv("PARLEY_URL");
}
