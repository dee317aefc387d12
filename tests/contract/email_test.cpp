// The e-mail channel: mails as tables, servers as transcripts under a scripted host.
#include "test_host.hpp"

// The plain parts of the plugin, which its file does not export.
#include "../../plugins/channel_email/address.cpp"
#include "../../plugins/channel_email/body.cpp"
#include "../../plugins/channel_email/compose.hpp"
#include "../../plugins/channel_email/mail.cpp"

#include <catch2/catch.hpp>

using namespace contract;
using namespace std::chrono_literals;

namespace {

constexpr char plugin[] = PLUGIN_FOLDER "/channel_email.so";
constexpr char settings[] =
    R"({"address":"Bot@parley.example","user":"bot","imap_host":"imap.example","imap_port":993,)"
    R"("smtp_host":"smtp.example","smtp_port":465,"tls":true,"folder":"INBOX",)"
    R"("trusted_authserv":"mx.example"})";

std::string mail_from(std::string const& from, std::string const& more = "") {
    return "Authentication-Results: mx.example; dmarc=pass header.from=example.org\r\nFrom: " +
           from + "\r\nMessage-ID: <m@example.org>\r\nSubject: Hi\r\n" + more + "\r\nhello\r\n";
}

// A box that is open; `say` is the IMAP server, which answers the last command.
struct Box {
    explicit Box(std::string const& cursor = "") : host(plugin, settings) {
        run = host.start(Verb::channel_run,
                         cursor.empty() ? std::string(R"({"instance":"mail"})")
                                        : R"({"instance":"mail","cursor":")" + cursor + "\"}");
        REQUIRE(host.streams.size() == 1);
        host.stream_opened(imap());
    }
    StreamLink& imap() { return host.streams.front(); }
    void say(std::string const& line) {
        host.stream_data(imap(), line + "\r\n");
        host.settle();
    }
    std::string tag() const {
        auto const& last = host.streams.front().writes.back();
        return last.substr(0, last.find(' '));
    }
    std::string asked() const {
        auto const& last = host.streams.front().writes.back();
        auto const space = last.find(' ');
        return last.substr(space + 1, last.size() - space - 3);
    }
    void open(std::string const& validity = "9", std::string const& next = "5") {
        say("* OK ready");
        REQUIRE(asked() == "CAPABILITY");
        say("* CAPABILITY IMAP4rev1 IDLE SASL-IR AUTH=PLAIN");
        say(tag() + " OK done");
        REQUIRE(asked() == "AUTHENTICATE PLAIN {secret}");
        say(tag() + " OK in");
        REQUIRE(asked() == "SELECT \"INBOX\"");
        say("* OK [UIDVALIDITY " + validity + "] so");
        say("* OK [UIDNEXT " + next + "] so");
        say(tag() + " OK [READ-WRITE] open");
    }
    void give(std::string const& uid, std::string const& bytes, std::size_t size = 0) {
        say("* 1 FETCH (UID " + uid + " RFC822.SIZE " + std::to_string(size ? size : bytes.size()) +
            " BODY[]<0> {" + std::to_string(bytes.size()) + "}\r\n" + bytes + ")");
        say(tag() + " OK done");
    }
    std::vector<Json> messages() const { return host.call(run).items("message"); }

    TestHost host;
    parley_id run = 0;
};

std::vector<std::string> ids_of(Json const& message) {
    std::vector<std::string> out;
    for (Json const id : message["sender"]["ids"]) out.emplace_back(id.text());
    return out;
}

}  // namespace

// ---- Mails.

TEST_CASE("a sender is the one exact address of one From header, or nobody", "[email]") {
    auto of = [](std::string const& from) {
        return email::read_mail(mail_from(from), "").from.address;
    };
    CHECK(of("ann@example.org") == "ann@example.org");
    CHECK(of("Ann <Ann@Example.ORG>") == "ann@example.org");
    CHECK(of("\"eve@evil.example\" <ann@example.org>") == "ann@example.org");
    CHECK(of("(eve@evil.example) ann@example.org (\\) still a comment)") == "ann@example.org");
    for (std::string const wrong :
         {"", "ann", "@example.org", "ann@", "ann@example.org, eve@evil.example",
          "<ann@example.org", "ann@example.org <eve@evil.example> x", "a b@example.org",
          "ann@example.org)(", "a@b@c", "\"ann@example.org", "ann@ex\xc3\xa4mple.org"})
        CHECK(of(wrong).empty());
    CHECK(email::read_mail("From: a@example.org\r\nFrom: b@example.org\r\n\r\n", "")
              .from.address.empty());
}

TEST_CASE("an address is proven by the operator's own server alone, and for its own domain",
          "[email]") {
    struct Row {
        char const* headers;
        bool proven;
    };
    Row const rows[] = {
        {"Authentication-Results: mx.example; dmarc=pass header.from=example.org\r\n", true},
        {"Authentication-Results: MX.example 1; spf=fail;\r\n DMARC=Pass "
         "(p=none)\theader.from=Example.ORG\r\n",
         true},
        {"Authentication-Results: other.example; dmarc=pass header.from=example.org\r\n", false},
        {"Authentication-Results: mx.example; dmarc=fail header.from=example.org\r\n", false},
        {"Authentication-Results: mx.example; dmarc=pass header.from=evil.example\r\n", false},
        {"Authentication-Results: mx.example; dkim=pass header.d=example.org\r\n", false},
        {"Authentication-Results: mx.example; dmarc=none header.from=example.org dmarc=passed\r\n",
         false},
        {"Authentication-Results: mx.example (; dmarc=pass header.from=example.org\r\n", false},
        {"Authentication-Results: mx.example; dmarc=pass header.from=example.org; dmarc=fail "
         "header.from=example.org\r\n",
         false},
        // The topmost counts: what stands below may have come with the mail.
        {"Authentication-Results: mx.example; dmarc=fail header.from=example.org\r\n"
         "Authentication-Results: mx.example; dmarc=pass header.from=example.org\r\n",
         false},
        {"Authentication-Results: other.example; dmarc=fail\r\n"
         "Authentication-Results: mx.example; dmarc=pass header.from=example.org\r\n",
         true},
        {"", false},
    };
    for (auto const& row : rows) {
        INFO(row.headers);
        auto const bytes = std::string(row.headers) + "From: ann@example.org\r\n\r\nhello";
        CHECK(email::read_mail(bytes, "mx.example").is_proven == row.proven);
        CHECK_FALSE(email::read_mail(bytes, "").is_proven);
    }
}

TEST_CASE("what machines send is known as such", "[email]") {
    for (std::string const line :
         {"Auto-Submitted: auto-replied", "Auto-Submitted: auto-generated (x)", "Precedence: bulk",
          "List-Id: <a.example>", "Return-Path: <>"})
        CHECK(email::read_mail(line + "\r\nFrom: a@example.org\r\n\r\n", "").is_automatic);
    CHECK_FALSE(email::read_mail("Auto-Submitted: no\r\n\r\n", "").is_automatic);
}

TEST_CASE("text is found in parts, encodings and character sets", "[email]") {
    auto text = [](std::string const& rest) { return email::read_mail(rest, "").text; };
    CHECK(text("\r\nplain\r\n") == "plain");
    CHECK(text("Content-Transfer-Encoding: base64\r\n\r\nR3LDvMOfZQ==") ==
          "Gr\xc3\xbc\xc3\x9f"
          "e");
    CHECK(text("Content-Type: text/plain; charset=\"windows-1252\"\r\n"
               "Content-Transfer-Encoding: quoted-printable\r\n\r\n=80 5=\r\n0 =zz") ==
          "\xe2\x82\xac 50 =zz");
    CHECK(text("\r\nbroken \xff\xfe") == "broken \\xff\\xfe");
    CHECK(text("Content-Type: text/html\r\n\r\n<style>x</style><p>a&lt;b "
               "&#x41;&#66;&nope;</p><br>c") == "a<b AB&nope;\n\nc");
    CHECK(text("Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: "
               "text/html\r\n\r\n"
               "<p>html</p>\r\n--b\r\n\r\nplain\r\n--b--\r\n") == "plain");
    // Cut off in the middle of a part.
    CHECK(text("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nthe beginn") ==
          "the beginn");
}

TEST_CASE("a mail of parts in parts without an end is read to a bound", "[email]") {
    std::string deep = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    for (int i = 0; i < 1000; ++i)
        deep += "--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n";
    auto const mail = email::read_mail(deep, "");
    CHECK(mail.attachments.size() <= 100);
    std::string many = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    for (int i = 0; i < 5000; ++i) many += "--b\r\nContent-Type: image/png\r\n\r\nx\r\n";
    CHECK(email::read_mail(many, "").attachments.size() <= 100);
}

TEST_CASE("the mail that an answer quotes below is left out, an answer between its lines is not",
          "[email]") {
    CHECK(email::without_quote("yes\n\nOn Monday, Bot wrote:\n> do it?\n> now?\n") == "yes");
    CHECK(email::without_quote("> do it?\nyes\n> now?\nno") == "> do it?\nyes\n> now?\nno");
    CHECK(email::without_quote("> only a quote\n") == "> only a quote");
    CHECK(email::without_quote("see:\n\nthis") == "see:\n\nthis");
    CHECK(email::without_quote("") == "");
}

TEST_CASE("encoded words of a subject are read, and its line stays one", "[email]") {
    CHECK(email::decoded_words("=?utf-8?B?R3LDvA==?= =?iso-8859-1?Q?=DFe_x?= end") ==
          "Gr\xc3\xbc\xc3\x9f"
          "e x end");
    CHECK(email::decoded_words("=?utf-8?B?x") == "=?utf-8?B?x");
    std::string const marks = "=" + std::string(5, '?') + "=";
    CHECK(email::decoded_words(marks) == marks);
    auto const mail =
        email::read_mail("Subject: =?utf-8?Q?a=0D=0ABcc:_eve@evil.example?=\r\n\r\n", "");
    CHECK(mail.subject == "a  Bcc: eve@evil.example");
}

TEST_CASE("only ids that mean nothing else in a header are taken over", "[email]") {
    auto const mail =
        email::read_mail("Message-ID: <a b@x>\r\nReferences: <1@x> junk <2@x\r\n <3@x> <" +
                             std::string(500, 'y') + "@x>\r\n\r\n",
                         "");
    CHECK(mail.id.empty());
    CHECK(mail.references == std::vector<std::string>{"<1@x>", "<3@x>"});
}

// ---- The mailbox.

TEST_CASE("the first run begins with what comes from now on", "[email]") {
    Box box;
    box.open("9", "5");
    CHECK(box.asked() == "IDLE");
    box.say("+ idling");
    box.say("* 7 EXISTS");
    CHECK(box.imap().writes.back() == "DONE\r\n");
    box.imap().writes.push_back("p5 x\r\n");  // the tag under which IDLE was asked
    box.say("p4 OK idle over");
    CHECK(box.asked() == "UID SEARCH UID 5:*");
}

TEST_CASE("mail is read in order, acknowledged one by one, and seen only when it is durable",
          "[email]") {
    Box box("9:4");
    box.open("9", "8");
    REQUIRE(box.asked() == "UID SEARCH UID 5:*");
    // The last mail that is known is named although it is not new.
    box.say("* SEARCH 7 4 5");
    box.say(box.tag() + " OK done");
    REQUIRE(box.asked().starts_with("UID FETCH 5 "));
    box.give("5", mail_from("Ann <ann@example.org>"));
    REQUIRE(box.messages().size() == 1);
    auto const message = box.messages()[0];
    CHECK(message["conversation"].text() == "ann@example.org <m@example.org>");
    CHECK(message["cursor"].text() == "9:5");
    CHECK(message["text"].text() == "hello\n\n[subject: Hi]");
    CHECK(message["private"].boolean());
    CHECK(ids_of(message) ==
          std::vector<std::string>{"account:ann@example.org", "nick:ann@example.org"});
    REQUIRE(box.asked().starts_with("UID FETCH 7 "));
    box.host.acknowledge(box.run, "9:5");
    box.give("7", mail_from("Ann <ann@example.org>"));
    CHECK(box.asked() == "UID STORE 5 +FLAGS.SILENT (\\Seen)");
    for (auto const& write : box.imap().writes) CHECK(write.find("STORE 7") == write.npos);
}

TEST_CASE("while the host takes no more, no further mail is read", "[email]") {
    Box box("9:4");
    box.open("9", "8");
    box.say("* SEARCH 5 6");
    box.say(box.tag() + " OK done");
    box.host.set_emit_answer(box.run, PARLEY_PAUSE);
    box.give("5", mail_from("ann@example.org"));
    CHECK(box.asked().starts_with("UID FETCH 5 "));
    box.host.resume(box.run);
    CHECK(box.asked().starts_with("UID FETCH 6 "));
}

TEST_CASE("a folder that is numbered anew is begun at its end, and the operator is told",
          "[email]") {
    Box box("8:4000");
    box.open("9", "5");
    CHECK(box.asked() == "IDLE");
    REQUIRE_FALSE(box.host.logs.empty());
    CHECK(box.host.logs.back().find("numbered the folder anew") != std::string::npos);
}

TEST_CASE("a mail of a hundred megabytes is read at its beginning only, and says so", "[email]") {
    Box box("9:4");
    box.open("9", "6");
    box.say("* SEARCH 5");
    box.say(box.tag() + " OK done");
    CHECK(box.asked().find("BODY.PEEK[]<0.1048576>") != std::string::npos);
    box.give("5", mail_from("ann@example.org"), 100'000'000);
    REQUIRE(box.messages().size() == 1);
    CHECK(box.messages()[0]["text"].text().find("the mail is larger") != std::string_view::npos);
}

TEST_CASE("a server that sends more than was asked for is left", "[email]") {
    auto const what = GENERATE(as<std::string>(), "* 1 FETCH (UID 5 BODY[]<0> {99999999}\r\n",
                               std::string(300'000, 'x'));
    Box box("9:4");
    box.open("9", "6");
    box.host.stream_data(box.imap(), what);
    REQUIRE(box.host.call(box.run).ended());
    CHECK(box.host.call(box.run).answer()["retryable"].boolean());
}

TEST_CASE("a login that is refused is final, one that is only unavailable is not", "[email]") {
    auto const is_for_now = GENERATE(false, true);
    Box box;
    box.say("* OK ready");
    box.say("* CAPABILITY IMAP4rev1 AUTH=PLAIN");
    box.say(box.tag() + " OK done");
    // Without SASL-IR the password waits until the server asks.
    REQUIRE(box.asked() == "AUTHENTICATE PLAIN");
    auto const tag = box.tag();
    box.say("+ ");
    CHECK(box.imap().writes.back() == "{secret}\r\n");
    box.say(tag + (is_for_now ? " NO [UNAVAILABLE] later" : " NO wrong password"));
    REQUIRE(box.host.call(box.run).ended());
    CHECK(box.host.call(box.run).answer()["retryable"].boolean() == is_for_now);
    CHECK(box.host.call(box.run).answer()["code"].text() == (is_for_now ? "peer" : "auth"));
}

TEST_CASE("what no person sent, or nobody could answer, is passed over", "[email]") {
    Box box("9:4");
    box.open("9", "9");
    box.say("* SEARCH 5 6 7 8");
    box.say(box.tag() + " OK done");
    box.give("5", mail_from("ann@example.org", "Auto-Submitted: auto-replied\r\n"));
    box.give("6", mail_from("bot@parley.example"));
    box.give("7", mail_from("a@x.example, b@x.example"));
    CHECK(box.messages().empty());
    box.give("8", mail_from("ann@example.org"));
    CHECK(box.messages().size() == 1);
}

// ---- Answers.

namespace {

struct Sending {
    explicit Sending(std::string const& conversation = "ann@example.org <m@example.org>",
                     std::string const& text = "Hello\n.\nbye")
        : host(plugin, settings) {
        host.store[conversation] =
            R"({"subject":"Hi\u00fc","references":["<r@x>","<m@example.org>"]})";
        call = host.start(Verb::channel_send,
                          json_of("id", "o-1", "conversation", conversation, "text", text));
        host.settle();
    }
    StreamLink& smtp() { return host.streams.front(); }
    std::string say(std::string const& line) {
        host.stream_data(smtp(), line + "\r\n");
        return smtp().writes.empty() ? "" : smtp().writes.back();
    }
    void up_to_data() {
        CHECK(say("220 ready") == "EHLO parley.example\r\n");
        CHECK(say("250-smtp.example\r\n250-SIZE 1000\r\n250 AUTH LOGIN PLAIN") ==
              "AUTH PLAIN {secret}\r\n");
        CHECK(say("235 in") == "MAIL FROM:<bot@parley.example>\r\n");
        CHECK(say("250 ok") == "RCPT TO:<ann@example.org>\r\n");
        CHECK(say("250 ok") == "DATA\r\n");
    }
    Json end() {
        REQUIRE(host.call(call).ended());
        return host.call(call).answer();
    }
    TestHost host;
    parley_id call = 0;
};

}  // namespace

TEST_CASE("an answer is a mail in its thread, and delivered when the server has taken it",
          "[email]") {
    Sending sending;
    sending.up_to_data();
    auto const mail = sending.say("354 go on");
    CHECK(mail.ends_with("\r\n.\r\n"));
    CHECK(mail.find("From: bot@parley.example\r\nTo: ann@example.org\r\n"
                    "Subject: =?utf-8?B?UmU6IEhpw7w=?=\r\n") == 0);
    CHECK(mail.find("Message-ID: <o-1@parley.example>\r\nIn-Reply-To: <m@example.org>\r\n"
                    "References: <r@x>\r\n <m@example.org>\r\n") != std::string::npos);
    CHECK_FALSE(sending.host.call(sending.call).ended());
    sending.say("250 taken");
    CHECK(sending.host.call(sending.call).status == PARLEY_OK);
    CHECK(sending.smtp().writes.back() == "QUIT\r\n");
}

TEST_CASE("a mail that was not handed over is known not to have left", "[email]") {
    struct Row {
        char const* line;
        bool retryable;
    };
    for (auto const& row : {Row{"421 busy", true}, Row{"550 no such person", false}}) {
        Sending sending;
        sending.say("220 ready");
        sending.say("250 AUTH PLAIN");
        sending.say("235 in");
        sending.say(row.line);
        auto const end = sending.end();
        CHECK_FALSE(end["sent"].boolean(true));
        CHECK(end["retryable"].boolean() == row.retryable);
    }
}

TEST_CASE("between the last byte of a mail and its answer nobody knows", "[email]") {
    Sending sending;
    sending.up_to_data();
    sending.say("354 go on");
    auto const how = GENERATE(0, 1);
    if (how == 0)
        sending.host.stream_closed(sending.smtp(), R"({"code":"peer","message":"gone"})");
    else
        sending.host.cancel(sending.call);
    auto const end = sending.end();
    CHECK(end["sent"].boolean(false));
    CHECK_FALSE(end["retryable"].boolean());
}

TEST_CASE("nothing goes to what is no address, and no text ends its mail early", "[email]") {
    Sending wrong("ann@example.org>\r\nDATA\r\n.\r\n <m@x>");
    CHECK(wrong.host.streams.empty());
    CHECK_FALSE(wrong.end()["sent"].boolean(true));

    Sending dots("ann@example.org <m@example.org>", "a\r\n.\r\nMAIL FROM:<eve@evil.example>");
    dots.up_to_data();
    auto const mail = dots.say("354 go on");
    CHECK(mail.find("\r\n.\r\n") == mail.size() - 5);
}

TEST_CASE("a password is never sent where it could be read on the way", "[email]") {
    auto without_tls = [](char const* host) {
        return std::string(R"({"address":"a@b.example","imap_host":")") + host +
               R"(","smtp_host":"127.0.0.1","tls":false})";
    };
    CHECK_THROWS(TestHost(plugin, without_tls("imap.example")));
    CHECK_NOTHROW(TestHost(plugin, without_tls("127.0.0.1")));
}
