// The IRC channel: its lines as tables, its life as transcripts under a scripted host.
#include "test_host.hpp"

// The plain parts of the plugin, which its file does not export.
#include "../../plugins/channel_irc/line.cpp"
#include "../../plugins/channel_irc/split.cpp"

#include <catch2/catch.hpp>

#include <random>

using namespace contract;
using namespace std::chrono_literals;

namespace {

constexpr char plugin[] = PLUGIN_FOLDER "/channel_irc.so";

std::string config(std::string_view more = "") {
    return R"({"host":"irc.example","port":6697,"tls":true,"nick":"bot","channels":["#Ops"],)"
           R"("send_interval_ms":100)" +
           std::string(more) + "}";
}

// A bot whose connection stands; `say` is the server.
struct Bot {
    explicit Bot(std::string_view more = "") : host(plugin, config(more)) {
        run = host.start(Verb::channel_run, R"({"instance":"irc-main"})");
        REQUIRE(host.streams.size() == 1);
        host.stream_opened(stream());
    }
    StreamLink& stream() { return host.streams.back(); }
    void say(std::string const& line) { host.stream_data(stream(), line + "\r\n"); }
    void welcome(std::string const& nick = "bot") {
        say(":irc.example 001 " + nick + " :Welcome");
        say(":irc.example 005 " + nick +
            " CASEMAPPING=rfc1459 CHANTYPES=# STATUSMSG=@+ :are supported");
        say(":irc.example 422 " + nick + " :MOTD File is missing");
        say(":" + nick + "!~bot@host.example JOIN #Ops");
        stream().writes.clear();
    }
    // What was written since the last call, without line ends.
    std::vector<std::string> wrote() {
        std::vector<std::string> out;
        for (auto const& one : std::exchange(stream().writes, {})) {
            CHECK(one.ends_with("\r\n"));
            CHECK(one.find_first_of("\r\n") == one.size() - 2);
            CHECK(one.size() <= 512);
            out.push_back(one.substr(0, one.size() - 2));
        }
        return out;
    }
    std::vector<Json> messages() const { return host.call(run).items("message"); }
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
    parley_id send(std::string_view conversation, std::string_view text) {
        return host.start(Verb::channel_send,
                          json_of("id", "o-1", "conversation", conversation, "text", text));
    }

    TestHost host;
    parley_id run = 0;
};

using Lines = std::vector<std::string>;

std::vector<std::string> ids_of(Json const& message) {
    std::vector<std::string> out;
    for (Json const id : message["sender"]["ids"]) out.emplace_back(id.text());
    return out;
}

}  // namespace

// ---- Lines.

TEST_CASE("a line is read into tags, sender, command and parameters", "[irc]") {
    auto const line = irc::parse_line(
        "@time=2026-11-23T10:00:00.000Z;account=ali\\sce\\:\\\\;+x :alice!~al@host.example "
        "privmsg #ops :hello  there :)");
    REQUIRE(line);
    CHECK(line->tag("account") == "ali ce;\\");
    CHECK(line->tag("+x").empty());
    CHECK(line->nick == "alice");
    CHECK(line->user == "~al");
    CHECK(line->host == "host.example");
    CHECK(line->command == "PRIVMSG");
    CHECK(line->params == Lines{"#ops", "hello  there :)"});
}

TEST_CASE("short, odd and broken lines are read as far as they make sense", "[irc]") {
    struct Row {
        char const* text;
        char const* nick;
        char const* command;
        Lines params;
    };
    Row const rows[] = {
        {"PING", "", "PING", {}},
        {"PING :", "", "PING", {""}},
        {":irc.example 001 bot :Hi", "irc.example", "001", {"bot", "Hi"}},
        {":irc.example   372   bot   x  ", "irc.example", "372", {"bot", "x"}},
        {":a!b@c JOIN #x", "a", "JOIN", {"#x"}},
        {"@a=1 PING x", "", "PING", {"x"}},
        {"MODE #x +o :", "", "MODE", {"#x", "+o", ""}},
    };
    for (auto const& row : rows) {
        INFO(row.text);
        auto const line = irc::parse_line(row.text);
        REQUIRE(line);
        CHECK(line->nick == row.nick);
        CHECK(line->command == row.command);
        CHECK(line->params == row.params);
    }
    for (std::string_view const text : {"", ":", ":only.prefix", "@tag", "@tag :p", "   "}) {
        INFO(text);
        CHECK_FALSE(irc::parse_line(text));
    }
    CHECK_FALSE(irc::parse_line(std::string_view("PING\0x", 6)));
}

TEST_CASE("any bytes are a line or none, and never more than one", "[irc]") {
    std::mt19937 random(7);
    std::string const alphabet = std::string("@:;=\\ \r\n\t!,#aZ09\xff\xc3\xa9\x01\x03", 21) + '\0';
    for (int round = 0; round < 20000; ++round) {
        std::string text;
        for (auto left = random() % 40; left > 0; --left)
            text += alphabet[random() % alphabet.size()];
        auto const line = irc::parse_line(text);
        if (!line) continue;
        CHECK_FALSE(line->command.empty());
        for (auto const& param : line->params) CHECK(param.find('\n') == param.npos);
        CHECK(parley::is_utf8(irc::without_formatting(irc::decoded(line->last()))));
    }
}

TEST_CASE("lines may arrive in any pieces", "[irc]") {
    std::string const bytes = "PING :a\r\n\r\nPING :b\nPING :c\rPING :d";
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
        irc::LineReader reader;
        Lines lines;
        for (auto const& piece : {bytes.substr(0, cut), bytes.substr(cut)}) {
            reader.add(piece);
            while (auto line = reader.next()) lines.push_back(*line);
        }
        CHECK(lines == Lines{"PING :a", "PING :b", "PING :c"});
    }
    irc::LineReader reader;
    reader.add(std::string(irc::LineReader::line_bytes, 'x'));
    CHECK_FALSE(reader.next());
    CHECK_FALSE(reader.is_flooded());
    reader.add("x");
    CHECK(reader.is_flooded());
}

TEST_CASE("names are folded as the server folds them", "[irc]") {
    using irc::CaseMapping;
    std::string const name = "#Foo[\\]^~{|}\xc3\x89";
    CHECK(irc::folded(name, CaseMapping::ascii) == "#foo[\\]^~{|}\xc3\x89");
    CHECK(irc::folded(name, CaseMapping::strict_rfc1459) == "#foo{|}^~{|}\xc3\x89");
    CHECK(irc::folded(name, CaseMapping::rfc1459) == "#foo{|}~~{|}\xc3\x89");
    CHECK(irc::casemapping_named("rfc1459") == CaseMapping::rfc1459);
    CHECK(irc::casemapping_named("strict-rfc1459") == CaseMapping::strict_rfc1459);
    CHECK(irc::casemapping_named("ascii") == CaseMapping::ascii);
    CHECK(irc::casemapping_named("rfc7613") == CaseMapping::ascii);
}

TEST_CASE("formatting goes and text stays", "[irc]") {
    struct Row {
        char const *raw, *text;
    };
    Row const rows[] = {
        {"plain \xc3\xa9", "plain \xc3\xa9"},
        {"\x02"
         "bold\x02 \x1d"
         "it\x1d \x1f"
         "un\x1f \x1e"
         "st\x1e \x11"
         "mo\x11 \x16"
         "re\x0f",
         "bold it un st mo re"},
        {"\x03"
         "04red\x03 \x03"
         "4,12both\x03",
         "red both"},
        {"\x03"
         "4,no",
         ",no"},
        {"\x03"
         "123",
         "3"},
        {"\x04"
         "ff0000hex\x04"
         "ff0000,00ff00two",
         "hextwo"},
        {"\x03", ""},
        {"a\tb\x07"
         "c\x1b[31m\x7f",
         "a\tbc[31m"},
    };
    for (auto const& row : rows) CHECK(irc::without_formatting(row.raw) == row.text);
}

TEST_CASE("bytes that are not UTF-8 are read as Latin-1, one by one", "[irc]") {
    CHECK(irc::decoded("caf\xe9 \xc3\xa9") == "caf\xc3\xa9 \xc3\xa9");
    CHECK(irc::decoded("\x80\xff") == "\xef\xbf\xbd\xc3\xbf");
    CHECK(irc::decoded("\xed\xa0\x80") == "\xc3\xad\xc2\xa0\xef\xbf\xbd");
}

// ---- Splitting.

TEST_CASE("text is cut at line breaks, then after spaces, then between characters", "[irc]") {
    CHECK(irc::split_text("one\ntwo\r\n\r\n  \nthree\r", 100) == Lines{"one", "two", "three"});
    CHECK(irc::split_text("aaaa bbbb cccc", 10) == Lines{"aaaa bbbb ", "cccc"});
    CHECK(irc::split_text("aaaaaaaaaaaaaaa", 10) == Lines{"aaaaaaaaaa", "aaaaa"});
    CHECK(irc::split_text("a bbbbbbbbbbbbbbb", 10) == Lines{"a bbbbbbbb", "bbbbbbb"});
    CHECK(irc::split_text("\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac", 10) ==
          Lines{"\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac", "\xe2\x82\xac"});
    CHECK(irc::split_text(std::string_view("\x01VERSION\x01 \0x", 12), 100) == Lines{"VERSION x"});
    CHECK(irc::split_text("", 10).empty());
    CHECK(irc::split_text(" \n\t\n", 10).empty());
}

TEST_CASE("pieces put together are the text, and each fits", "[irc]") {
    std::mt19937 random(11);
    Lines const letters = {"a", "b", " ", " ", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    for (int round = 0; round < 300; ++round) {
        std::size_t const room = 32 + random() % 440;
        std::string text = "x";
        for (auto left = random() % 3000; left > 0; --left)
            text += letters[random() % letters.size()];
        std::string joined;
        for (auto const& piece : irc::split_text(text, room)) {
            CHECK(piece.size() <= room);
            CHECK(parley::is_utf8(piece));
            joined += piece;
        }
        CHECK(joined == text);
    }
}

TEST_CASE("a message of more than forty lines ends with how many were cut", "[irc]") {
    std::string text;
    for (int i = 0; i < 45; ++i) text += "line\n";
    auto const lines = irc::lines_to_send(text, 400);
    REQUIRE(lines.size() == 41);
    CHECK(lines.back() == "… (cut, 5 more lines)");
    CHECK(irc::lines_to_send(text.substr(0, 40 * 5), 400).size() == 40);
}

TEST_CASE("only what names one place is a target", "[irc]") {
    for (auto const good : {"#ops", "alice", "@#ops", "[x]", "#\xc3\xa9"})
        CHECK(irc::is_target(good));
    for (std::string_view const bad : {"", ":x", "a b", "a\r\nQUIT", "a,b", "$*.org", "a\tb"}) {
        CHECK_FALSE(irc::is_target(bad));
    }
    CHECK_FALSE(irc::is_target(std::string_view("a\0b", 3)));
    CHECK(irc::room_for_text(100, "#ops") > 350);
    CHECK(irc::room_for_text(100, std::string(400, 'x')) == 0);
}

// ---- Registration.

TEST_CASE("it registers, joins after the welcome, and tells each state", "[irc]") {
    Bot bot;
    CHECK(bot.stream().request["host"].text() == "irc.example");
    CHECK(bot.stream().request["port"].integer() == 6697);
    CHECK(bot.stream().request["tls"].boolean());
    CHECK(bot.wrote() == Lines{"CAP LS 302", "NICK bot", "USER bot 0 * :bot"});
    CHECK(bot.states() == Lines{"connecting"});
    bot.say(":irc.example CAP * LS * :multi-prefix sasl=PLAIN,EXTERNAL server-time");
    CHECK(bot.wrote().empty());
    bot.say(":irc.example CAP * LS :account-tag chghost message-tags batch");
    CHECK(bot.wrote() == Lines{"CAP REQ :server-time message-tags account-tag multi-prefix"});
    bot.say(":irc.example CAP bot ACK :server-time message-tags account-tag multi-prefix");
    CHECK(bot.wrote() == Lines{"CAP END"});
    bot.say(":irc.example 001 bot :Welcome");
    CHECK(bot.wrote().empty());
    bot.say(":irc.example 376 bot :End of /MOTD command.");
    CHECK(bot.wrote() == Lines{"JOIN #Ops"});
    CHECK(bot.states() == Lines{"connecting", "connected"});
    CHECK(bot.host.faults.empty());
}

TEST_CASE("a server without capabilities, or that refuses them, is no obstacle", "[irc]") {
    SECTION("it does not know the command") {
        Bot bot;
        bot.say(":irc.example 421 * CAP :Unknown command");
        bot.welcome();
        CHECK(bot.states() == Lines{"connecting", "connected"});
    }
    SECTION("it offers nothing of use") {
        Bot bot;
        bot.wrote();
        bot.say("CAP * LS :");
        CHECK(bot.wrote() == Lines{"CAP END"});
    }
    SECTION("it says no") {
        Bot bot;
        bot.say("CAP * LS :server-time");
        bot.wrote();
        bot.say("CAP * NAK :server-time");
        CHECK(bot.wrote() == Lines{"CAP END"});
    }
}

TEST_CASE("a taken nick gets a tail, and is asked for again later", "[irc]") {
    Bot bot;
    bot.wrote();
    bot.say(":irc.example 433 * bot :Nickname is already in use.");
    CHECK(bot.wrote() == Lines{"NICK bot_"});
    bot.say(":irc.example 433 * bot_ :Nickname is already in use.");
    CHECK(bot.wrote() == Lines{"NICK bot__"});
    bot.welcome("bot__");
    bot.say(":alice!a@h PRIVMSG #ops :bot__: hello");
    bot.say(":alice!a@h PRIVMSG #ops :bot: not me");
    REQUIRE(bot.messages().size() == 1);
    bot.host.advance(60s);
    CHECK(bot.wrote() == Lines{"PING :parley", "NICK bot"});
    bot.say(":irc.example 433 bot__ bot :Nickname is already in use.");
    CHECK(bot.wrote().empty());
    bot.say(":bot__!~bot@h NICK :bot");
    bot.say(":alice!a@h PRIVMSG #ops :bot: now me");
    CHECK(bot.messages().size() == 2);

    Bot unlucky;
    for (int i = 0; i < 9; ++i) unlucky.say(":irc.example 433 * x :Nickname is already in use.");
    CHECK(unlucky.end()["code"].text() == "peer");
    CHECK(unlucky.end()["retryable"].boolean());
}

TEST_CASE("a wrong password, a ban and a refused nick are final", "[irc]") {
    struct Row {
        char const *line, *code;
    };
    for (auto const& row : {Row{":s 464 * :Password incorrect", "auth"},
                            Row{"ERROR :Access denied: Bad password?", "auth"},
                            Row{":s 465 * :You are banned from this server", "denied"},
                            Row{":s 432 * b :Erroneous nickname", "invalid"}}) {
        Bot bot;
        bot.say(row.line);
        CHECK(bot.end()["code"].text() == row.code);
        CHECK_FALSE(bot.end()["retryable"].boolean(true));
        CHECK_FALSE(bot.stream().open);
        CHECK(bot.states().back() == "disconnected");
    }
}

TEST_CASE("the server's ERROR and the end of the connection may be tried again", "[irc]") {
    Bot bot;
    bot.welcome();
    bot.say("ERROR :Closing link: (ping timeout)");
    CHECK(bot.end()["message"].text().find("ping timeout") != std::string_view::npos);
    CHECK(bot.end()["retryable"].boolean());

    Bot closed;
    closed.host.stream_closed(closed.stream());
    CHECK(closed.end()["code"].text() == "peer");
    CHECK(closed.end()["retryable"].boolean());

    Bot refused;
    refused.host.stream_closed(refused.stream(),
                               R"({"code":"denied","message":"not allowed","retryable":false})");
    CHECK(refused.end()["code"].text() == "denied");
    CHECK_FALSE(refused.end()["retryable"].boolean(true));

    CHECK(closed.host.faults.empty());
}

TEST_CASE("a run can follow a run that ended", "[irc]") {
    Bot bot;
    bot.welcome();
    bot.host.stream_closed(bot.stream());
    bot.run = bot.host.start(Verb::channel_run, R"({"instance":"irc-main"})");
    REQUIRE(bot.host.streams.size() == 2);
    bot.host.stream_opened(bot.stream());
    bot.welcome();
    bot.say(":alice!a@h PRIVMSG bot :again");
    CHECK(bot.messages().size() == 1);
    CHECK(bot.host.call(bot.host.start(Verb::channel_run, R"({"instance":"x"})"))
              .answer()["code"]
              .text() == "invalid");
}

TEST_CASE("the password of the server goes first, and only the host knows it", "[irc]") {
    Bot bot(R"(,"server_password":true)");
    CHECK(bot.stream().writes.at(0) == "PASS :{secret}\r\n");
    Json const inject = bot.stream().injects.at(0);
    REQUIRE(inject.size() == 1);
    Json const one = *inject.begin();
    CHECK(one["slot"].text() == "stream:{secret}");
    CHECK(one["secret"].text() == "server_password");
    CHECK_FALSE(bot.stream().injects.at(1).exists());
}

TEST_CASE("SASL PLAIN is asked for, and its answer is made by the host", "[irc]") {
    Bot bot(R"(,"sasl":true,"account":"agent")");
    bot.wrote();
    bot.say("CAP * LS :sasl=EXTERNAL,PLAIN account-tag");
    CHECK(bot.wrote() == Lines{"CAP REQ :account-tag sasl"});
    bot.say("CAP * ACK :account-tag sasl");
    CHECK(bot.wrote() == Lines{"AUTHENTICATE PLAIN"});
    bot.say("AUTHENTICATE +");
    CHECK(bot.wrote() == Lines{"AUTHENTICATE {secret}"});
    Json const one = *bot.stream().injects.back().begin();
    CHECK(one["secret"].text() == "sasl_password");
    CHECK(one["encode"].text() == "base64");
    CHECK(one["prefix"].text() == std::string_view("\0agent\0", 7));
    bot.say("AUTHENTICATE +");
    CHECK(bot.wrote().empty());
    bot.say(":s 900 bot bot!b@h agent :You are now logged in");
    bot.say(":s 903 bot :SASL authentication successful");
    CHECK(bot.wrote() == Lines{"CAP END"});
    bot.welcome();
    CHECK(bot.states() == Lines{"connecting", "connected"});
}

TEST_CASE("without its SASL login the bot does not come in", "[irc]") {
    auto start = [](Bot& bot) {
        bot.say("CAP * LS :sasl");
        bot.say("CAP * ACK :sasl");
        bot.say("AUTHENTICATE +");
    };
    SECTION("a wrong password is final") {
        Bot bot(R"(,"sasl":true)");
        start(bot);
        bot.say(":s 904 bot :SASL authentication failed");
        CHECK(bot.end()["code"].text() == "auth");
        CHECK_FALSE(bot.end()["retryable"].boolean(true));
    }
    SECTION("a server that lets it in without is left") {
        Bot bot(R"(,"sasl":true)");
        bot.say(":s 001 bot :Welcome");
        CHECK(bot.end()["code"].text() == "auth");
    }
    SECTION("a success that was not asked for is none") {
        Bot bot(R"(,"sasl":true)");
        bot.say(":s 903 bot :fine");
        bot.say(":s 001 bot :Welcome");
        CHECK(bot.end()["code"].text() == "auth");
    }
    SECTION("services that are away may come back") {
        Bot bot(R"(,"sasl":true)");
        bot.say("CAP * LS :server-time");
        CHECK(bot.end()["retryable"].boolean());
    }
    SECTION("other mechanisms do not help") {
        Bot bot(R"(,"sasl":true)");
        bot.say("CAP * LS :sasl=EXTERNAL");
        CHECK(bot.end()["code"].text() == "auth");
    }
}

TEST_CASE("a config that would not be safe makes no plugin", "[irc]") {
    auto refuse = [](std::string const& text) {
        INFO(text);
        CHECK_THROWS_AS(TestHost(plugin, text), std::runtime_error);
    };
    refuse(R"({"nick":"bot"})");
    refuse(R"({"host":"h","nick":"b t"})");
    refuse(R"({"host":"h","nick":"bot\r\nQUIT"})");
    refuse(R"({"host":"h","nick":"bot","tls":false,"sasl":true})");
    refuse(R"({"host":"h","nick":"bot","channels":["#a,0"]})");
    refuse(R"({"host":"h","nick":"bot","channels":["#a key"]})");
    refuse(R"({"host":"h","nick":"bot","realname":"x\nQUIT"})");
    TestHost plain(plugin, R"({"host":"h","nick":"bot","tls":false})");
    plain.start(Verb::channel_run, "{}");
    CHECK(plain.streams.at(0).request["port"].integer() == 6667);
}

// ---- Life.

TEST_CASE("it answers a ping, asks itself once a minute, and gives up on silence", "[irc]") {
    Bot bot;
    bot.welcome();
    bot.say("PING :abc def");
    CHECK(bot.wrote() == Lines{"PONG :abc def"});
    bot.host.advance(60s);
    CHECK(bot.wrote() == Lines{"PING :parley"});
    bot.say(":irc.example PONG irc.example :parley");
    bot.host.advance(60s);
    CHECK(bot.wrote() == Lines{"PING :parley"});
    CHECK_FALSE(bot.host.call(bot.run).ended());
    bot.host.advance(60s);
    CHECK(bot.end()["code"].text() == "timeout");
    CHECK(bot.end()["retryable"].boolean());

    Bot mute;
    mute.host.advance(60s);
    CHECK(mute.end()["code"].text() == "timeout");
}

TEST_CASE("in a channel only what begins with the nick is a message", "[irc]") {
    Bot bot;
    bot.welcome();
    for (auto const text : {"bot: one", "bot, two", "BOT:three", "hello bot", "bot four",
                            "bots: five", "bot:", "bot: \x02\x02",
                            "\x02"
                            "bot\x02: six"}) {
        bot.say(std::string(":alice!~al@h.example PRIVMSG #OPS :") + text);
    }
    auto const messages = bot.messages();
    REQUIRE(messages.size() == 4);
    CHECK(messages[0]["text"].text() == "one");
    CHECK(messages[1]["text"].text() == "two");
    CHECK(messages[2]["text"].text() == "three");
    CHECK(messages[3]["text"].text() == "six");
    CHECK(messages[0]["conversation"].text() == "#ops");
    CHECK_FALSE(messages[0]["private"].boolean(true));
    CHECK(messages[0]["sender"]["name"].text() == "alice");
    CHECK(ids_of(messages[0]) == Lines{"mask:alice!~al@h.example", "nick:alice"});
    CHECK_FALSE(messages[0]["id"].exists());
    CHECK_FALSE(messages[0]["cursor"].exists());
    CHECK(bot.wrote().empty());
}

TEST_CASE("with mention always every line of a channel is a message", "[irc]") {
    Bot bot(R"(,"mention":"always")");
    bot.welcome();
    bot.say(":alice!a@h PRIVMSG #ops :hello all");
    bot.say(":alice!a@h PRIVMSG #ops :bot: and you");
    REQUIRE(bot.messages().size() == 2);
    CHECK(bot.messages()[0]["text"].text() == "hello all");
    CHECK(bot.messages()[1]["text"].text() == "and you");
}

TEST_CASE("a private line is a message as it stands, with its id", "[irc]") {
    Bot bot;
    bot.welcome();
    bot.say(
        "@msgid=abc~1 :Alice!a@h PRIVMSG bot :bot: \x03"
        "04h\xe9llo\x03");
    REQUIRE(bot.messages().size() == 1);
    Json const message = bot.messages()[0];
    CHECK(message["text"].text() == "bot: h\xc3\xa9llo");
    CHECK(message["conversation"].text() == "Alice");
    CHECK(message["private"].boolean());
    CHECK(message["id"].text() == "abc~1");
}

TEST_CASE("notices, CTCP, servers, itself and what is not said to it are not heard", "[irc]") {
    Bot bot(R"(,"mention":"always")");
    bot.say(":alice!a@h PRIVMSG bot :before the welcome");
    bot.welcome();
    for (auto const line :
         {":alice!a@h NOTICE bot :psst", ":alice!a@h PRIVMSG bot :\x01VERSION\x01",
          ":alice!a@h PRIVMSG #ops :\x01"
          "ACTION waves\x01",
          ":irc.example PRIVMSG bot :x", ":bot!~bot@h PRIVMSG #ops :me",
          ":alice!a@h PRIVMSG $*.example :all", ":alice!a@h PRIVMSG bot",
          ":alice!a@h PRIVMSG bot :  ",
          ":al\xff!a@h PRIVMSG bot :no nick that could be answered"}) {
        bot.say(line);
    }
    CHECK(bot.messages().empty());
    CHECK(bot.wrote().empty());
}

TEST_CASE("an account is believed when the server says it with the message", "[irc]") {
    Bot bot;
    bot.say("CAP * LS :account-tag message-tags extended-join account-notify");
    bot.say("CAP * ACK :message-tags account-tag extended-join account-notify");
    bot.welcome();
    bot.say("@account=alice.acc :alice!a@h PRIVMSG bot :in");
    bot.say(":alice!a@h JOIN #ops other :real name");
    bot.say(":alice!a@h PRIVMSG bot :out");
    bot.say("@account=* :alice!a@h PRIVMSG bot :star");
    bot.say("@account=\xff :alice!a@h PRIVMSG bot :no text");
    REQUIRE(bot.messages().size() == 4);
    CHECK(ids_of(bot.messages()[0]) == Lines{"account:alice.acc", "mask:alice!a@h", "nick:alice"});
    for (std::size_t i = 1; i < 4; ++i)
        CHECK(ids_of(bot.messages()[i]).front() == "mask:alice!a@h");
}

TEST_CASE("a tag that was not agreed upon proves nothing", "[irc]") {
    Bot bot;
    bot.welcome();
    bot.say("@account=root :alice!a@h PRIVMSG bot :hi");
    bot.say(":alice!a@h JOIN #ops root :real name");
    bot.say(":alice!a@h ACCOUNT root");
    bot.say(":alice!a@h PRIVMSG bot :hi");
    for (auto const& message : bot.messages()) CHECK(ids_of(message).front() == "mask:alice!a@h");
}

TEST_CASE("an account that was learnt is forgotten with every change of its owner", "[irc]") {
    auto first_id = [](Lines const& events) {
        Bot bot;
        bot.say("CAP * LS :extended-join account-notify");
        bot.say("CAP * ACK :extended-join account-notify");
        bot.welcome();
        bot.say(":Alice!a@h JOIN #ops acc :real name");
        for (auto const& event : events) bot.say(event);
        bot.say(":alice!a@h PRIVMSG bot :hi");
        return ids_of(bot.messages().at(0)).front();
    };
    CHECK(first_id({}) == "account:acc");
    CHECK(first_id({":alice!a@h ACCOUNT other"}) == "account:other");
    for (auto const event :
         {":alice!a@h ACCOUNT *", ":alice!a@h PART #ops", ":alice!a@h QUIT :bye",
          ":alice!a@h NICK bob", ":op!o@h KICK #ops alice :out", ":op!o@h KICK #ops bot :out",
          ":bot!~bot@h PART #ops", ":s CAP bot DEL :account-notify",
          ":alice!a@h JOIN #ops * :real name"}) {
        INFO(event);
        CHECK(first_id({event}) == "mask:alice!a@h");
    }
    CHECK(first_id({":alice!a@h NICK bob", ":eve!e@h NICK alice"}) == "mask:alice!a@h");
}

TEST_CASE("an account of another host is not that of the nick", "[irc]") {
    Bot bot;
    bot.say("CAP * LS :extended-join account-notify");
    bot.say("CAP * ACK :extended-join account-notify");
    bot.welcome();
    bot.say(":alice!a@h JOIN #ops acc :real name");
    bot.say(":alice!a@elsewhere PRIVMSG bot :hi");
    CHECK(ids_of(bot.messages().at(0)).front() == "mask:alice!a@elsewhere");
}

TEST_CASE("a channel that was lost or refuses is asked for again each minute, and told once",
          "[irc]") {
    Bot bot;
    bot.welcome();
    bot.say(":op!o@h KICK #ops bot :out");
    CHECK(bot.host.logs.back().find("kicked from #ops") != std::string::npos);
    bot.host.advance(60s);
    CHECK(bot.wrote() == Lines{"PING :parley", "JOIN #Ops"});
    auto const lines = bot.host.logs.size();
    bot.say(":s 474 bot #Ops :Cannot join channel (+b)");
    bot.say(":s 474 bot #Ops :Cannot join channel (+b)");
    CHECK(bot.host.logs.size() == lines + 1);
    bot.say(":bot!~bot@h JOIN #Ops");
    bot.host.advance(60s);
    CHECK(bot.wrote() == Lines{"PING :parley"});
}

// ---- Sending.

TEST_CASE("a send writes its lines: five at once, then one for each interval", "[irc]") {
    Bot bot;
    bot.welcome();
    auto const id = bot.send("#ops", "1\n2\n\n3\r\n4\n5\n6\n7");
    CHECK(bot.wrote() == Lines{"PRIVMSG #ops :1", "PRIVMSG #ops :2", "PRIVMSG #ops :3",
                               "PRIVMSG #ops :4", "PRIVMSG #ops :5"});
    bot.host.advance(99ms);
    CHECK(bot.wrote().empty());
    bot.host.advance(1ms);
    CHECK(bot.wrote() == Lines{"PRIVMSG #ops :6"});
    CHECK_FALSE(bot.host.call(id).ended());
    bot.host.advance(100ms);
    CHECK(bot.wrote() == Lines{"PRIVMSG #ops :7"});
    REQUIRE(bot.host.call(id).succeeded());
    CHECK(bot.host.call(id).answer()["parts"].integer() == 7);
    bot.host.advance(500ms);
    bot.send("#ops", "a\nb\nc\nd\ne\nf");
    CHECK(bot.wrote().size() == 5);
}

TEST_CASE("a long message does not keep a short one waiting", "[irc]") {
    Bot bot;
    bot.welcome();
    std::string text;
    for (int i = 0; i < 20; ++i) text += "long\n";
    auto const slow = bot.send("#ops", text);
    auto const fast = bot.send("alice", "short");
    bot.host.advance(200ms);
    CHECK(bot.host.call(fast).succeeded());
    CHECK_FALSE(bot.host.call(slow).ended());
}

TEST_CASE("every line fits with the mask that the server puts before it", "[irc]") {
    Bot bot;
    bot.welcome();
    std::string const mask = "bot!~bot@" + std::string(63, 'h');
    std::string text, joined;
    for (int i = 0; i < 1200; ++i) text += i % 9 == 8 ? " " : "\xe2\x82\xac";
    auto const id = bot.send("#ops", text);
    bot.host.advance(10s);
    CHECK(bot.host.call(id).succeeded());
    for (auto const& line : bot.wrote()) {
        CHECK((":" + mask + " " + line).size() <= 510);
        CHECK(parley::is_utf8(line));
        joined += line.substr(std::string("PRIVMSG #ops :").size());
    }
    CHECK(joined == text);
}

TEST_CASE("nothing in a message becomes a command", "[irc]") {
    Bot bot;
    bot.welcome();
    bot.send("#ops", "hi\r\nQUIT :x\nPRIVMSG #a :b");
    CHECK(bot.wrote() ==
          Lines{"PRIVMSG #ops :hi", "PRIVMSG #ops :QUIT :x", "PRIVMSG #ops :PRIVMSG #a :b"});
    for (auto const target : {"", ":x", "a b", "a\r\nQUIT :x", "#a,#b", "$*"}) {
        auto const call = bot.host.call(bot.send(target, "hi"));
        REQUIRE(call.ended());
        CHECK(call.answer()["code"].text() == "invalid");
        CHECK_FALSE(call.answer()["sent"].boolean(true));
    }
    CHECK(bot.host.call(bot.send("#ops", " \n")).answer()["code"].text() == "invalid");
    CHECK(bot.host.call(bot.send(std::string(490, 'x'), "hi")).answer()["code"].text() ==
          "invalid");
    CHECK(bot.wrote().empty());
}

TEST_CASE("a send that cannot leave says so, and one that broke off says that too", "[irc]") {
    TestHost idle(plugin, config());
    auto const early =
        idle.run(Verb::channel_send, R"({"id":"o","conversation":"#ops","text":"x"})");
    CHECK(early.answer()["code"].text() == "peer");
    CHECK(early.answer()["retryable"].boolean());
    CHECK_FALSE(early.answer()["sent"].boolean(true));

    Bot bot;
    bot.welcome();
    auto const half = bot.send("#ops", "1\n2\n3\n4\n5\n6\n7");
    auto const none = bot.send("alice", "x");
    bot.host.stream_closed(bot.stream());
    CHECK(bot.host.call(half).answer()["sent"].boolean());
    CHECK_FALSE(bot.host.call(half).answer()["retryable"].boolean(true));
    CHECK_FALSE(bot.host.call(none).answer()["sent"].boolean(true));
    CHECK(bot.host.call(none).answer()["retryable"].boolean());
    CHECK(bot.end()["retryable"].boolean());

    Bot broken;
    broken.welcome();
    broken.stream().write_answer = PARLEY_E_STALE;
    auto const call = broken.host.call(broken.send("#ops", "x"));
    CHECK_FALSE(call.answer()["sent"].boolean(true));
    CHECK(broken.end()["code"].text() == "peer");
}

TEST_CASE("a cancelled send stops where it is", "[irc]") {
    Bot bot;
    bot.welcome();
    auto const id = bot.send("#ops", "1\n2\n3\n4\n5\n6\n7");
    bot.wrote();
    bot.host.cancel(id);
    CHECK(bot.host.call(id).answer()["code"].text() == "cancelled");
    CHECK(bot.host.call(id).answer()["sent"].boolean());
    bot.host.advance(5s);
    CHECK(bot.wrote().empty());
    CHECK_FALSE(bot.host.call(bot.run).ended());
}

TEST_CASE("typing is nothing and succeeds", "[irc]") {
    Bot bot;
    bot.welcome();
    auto const call = bot.host.run(Verb::channel_typing, R"({"conversation":"#ops"})");
    CHECK(call.succeeded());
    CHECK(bot.wrote().empty());
}

// ---- Back-pressure and the end.

TEST_CASE("while the host takes no more, messages wait, and the server is still answered",
          "[irc]") {
    Bot bot;
    bot.welcome();
    bot.host.set_emit_answer(bot.run, PARLEY_PAUSE);
    for (int i = 0; i < 100; ++i) bot.say(":a!a@h PRIVMSG bot :" + std::to_string(i));
    CHECK(bot.messages().size() == 1);
    bot.say("PING :x");
    CHECK(bot.wrote() == Lines{"PONG :x"});
    bot.host.resume(bot.run);
    REQUIRE(bot.messages().size() == 100);
    CHECK(bot.messages().back()["text"].text() == "99");
}

TEST_CASE("when too much waits the connection is left, and what was heard is still told", "[irc]") {
    Bot bot;
    bot.welcome();
    bot.host.set_emit_answer(bot.run, PARLEY_PAUSE);
    for (int i = 0; i < 400; ++i) bot.say(":a!a@h PRIVMSG bot :" + std::to_string(i));
    CHECK_FALSE(bot.stream().open);
    CHECK_FALSE(bot.host.call(bot.run).ended());
    bot.host.resume(bot.run);
    CHECK(bot.messages().size() == 258);
    CHECK(bot.end()["code"].text() == "limit");
    CHECK(bot.end()["retryable"].boolean());
    CHECK(bot.states().back() == "disconnected");
}

TEST_CASE("a line without an end is not collected for ever", "[irc]") {
    Bot bot;
    bot.host.stream_data(bot.stream(), std::string(9000, 'x'));
    CHECK(bot.end()["code"].text() == "peer");
}

TEST_CASE("a cancelled run says goodbye and ends at once, even while the host is busy", "[irc]") {
    Bot bot;
    bot.welcome();
    auto const id = bot.send("#ops", "1\n2\n3\n4\n5\n6\n7");
    bot.wrote();
    bot.host.set_emit_answer(bot.run, PARLEY_PAUSE);
    for (int i = 0; i < 5; ++i) bot.say(":a!a@h PRIVMSG bot :x");
    bot.host.cancel(bot.run);
    CHECK(bot.wrote() == Lines{"QUIT :leaving"});
    CHECK(bot.host.call(bot.run).status == PARLEY_E_CANCELLED);
    CHECK(bot.host.call(id).ended());
    CHECK(bot.host.faults.empty());
}

TEST_CASE("random lines of a server never break the bot or make it write more than a line",
          "[irc]") {
    std::mt19937 random(3);
    Lines const words = {"CAP",    "LS",       "ACK",  "JOIN",         "PRIVMSG", "bot",
                         "#ops",   "*",        ":x y", "001",          "005",     "376",
                         "433",    "NICK",     "KICK", "PING",         "PART",    "@account=a",
                         ":a!b@c", ":bot!x@y", "sasl", "AUTHENTICATE", "+",       "CHANTYPES=",
                         "\xff",   ""};
    for (int round = 0; round < 200; ++round) {
        Bot bot(round % 2 ? R"(,"sasl":true)" : "");
        for (int i = 0; i < 60 && bot.stream().open; ++i) {
            std::string line;
            for (auto left = 1 + random() % 6; left > 0; --left)
                line += words[random() % words.size()] + " ";
            bot.say(line);
            bot.wrote();
        }
        CHECK(bot.host.faults.empty());
    }
}
