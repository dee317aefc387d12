// Each shipped plugin has a scenario here, tagged with its folder's name; one without is a test
// that fails. Whoever writes one keeps it in step: the far side speaks only when it is spoken to.
#include "../wire/ws_kit.hpp"
#include "line_server.hpp"
#include "stage.hpp"

#include "base/hash.hpp"
#include "plugin/attachment.hpp"
#include "wire/server.hpp"

#include <boost/json/value.hpp>

#include <fstream>

using namespace parity;
using Catch::Matchers::Contains;

namespace {

std::string generate(std::string const& text) {
    return R"({"model":"m","max_output_tokens":100,"system":"be kind","skills":[],)"
           R"("messages":[{"role":"user","text":")" +
           text + R"("}]})";
}

}  // namespace

TEST_CASE("provider_rehearsal says the same in the process and in a worker",
          "[provider_rehearsal]") {
    same_both_ways("provider_rehearsal", [](Stage& stage) {
        for (auto const* text :
             {"hello", "/reason so\\n/say ok\\n/call shell {\\\"command\\\": \\\"ls\\\"}",
              "/stream 3 1 one two three", "/bytes 1000000", "/fail busy retryable", "/bad-utf8"})
            stage.call(Verb::provider_generate, generate(text));
        stage.call(Verb::provider_count_tokens, generate("hello"));
        stage.call(Verb::provider_list_models, "{}");
        Answer answer, other;
        auto call = stage.start(Verb::provider_generate, generate("/say first\\n/hang"), answer);
        stage.start(Verb::provider_generate, generate("/wait 5\\n/say between"), other);
        CHECK(stage.until([&] { return !answer.items.empty() && other.result; }));
        stage.cancel(call, answer);
    });
}

TEST_CASE("provider_openai says the same in the process and in a worker", "[provider_openai]") {
    same_both_ways("provider_openai", [](Stage& stage) {
        std::vector<std::shared_ptr<Reply>> held;
        HttpServer server(stage.loop, [&](Request request, std::shared_ptr<Reply> reply) {
            Response response;
            if (request.target == "/v1/models") {
                response.body = R"({"data":[{"id":"gpt-x"},{"id":"gpt-y"}]})";
            } else if (request.body.find("too often") != std::string::npos) {
                response.status = 429;
                response.headers = {{"Retry-After", "7"}};
                response.body = R"({"error":{"message":"slow down","type":"rate_limit"}})";
            } else if (request.body.find("wait") != std::string::npos) {
                return held.push_back(std::move(reply));
            } else {
                response.content_type = "text/event-stream";
                response.body =
                    "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n"
                    "data: {\"choices\":[{\"delta\":{\"content\":\"lo\"},"
                    "\"finish_reason\":\"stop\"}]}\n\n"
                    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,"
                    "\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
            }
            reply->send(std::move(response));
        });
        REQUIRE(server.listen_tcp("127.0.0.1", 0));
        auto base = "http://127.0.0.1:" + std::to_string(server.port());
        stage.transcript.name(base, "<server>");
        stage.configure(R"({"base_url":")" + base + R"(/v1"})");
        CHECK(stage.call(Verb::provider_generate, generate("hello")).items.size() == 4);
        CHECK_FALSE(*stage.call(Verb::provider_generate, generate("too often")).result);
        stage.call(Verb::provider_list_models, "{}");
        Answer answer;
        auto call = stage.start(Verb::provider_generate, generate("wait"), answer);
        CHECK(stage.until([&] { return !held.empty(); }));
        stage.cancel(call, answer);
        server.stop();
    });
}

TEST_CASE("provider_openai says the same on its other wire", "[provider_openai]") {
    same_both_ways("provider_openai", [](Stage& stage) {
        HttpServer server(stage.loop, [&](Request request, std::shared_ptr<Reply> reply) {
            Response response;
            response.content_type = "text/event-stream";
            response.body =
                R"(data: {"type":"response.output_text.delta","output_index":1,"delta":"Hello"})"
                "\n\n"
                R"(data: {"type":"response.completed","response":{"status":"completed","output":[)"
                R"({"type":"reasoning","summary":[],"encrypted_content":"s"},{"type":"message",)"
                R"("content":[{"type":"output_text","text":"Hello"}]}],)"
                R"("usage":{"input_tokens":9,"output_tokens":2}}})"
                "\n\n";
            if (request.target != "/v1/responses") response.status = 404;
            reply->send(std::move(response));
        });
        REQUIRE(server.listen_tcp("127.0.0.1", 0));
        auto base = "http://127.0.0.1:" + std::to_string(server.port());
        stage.transcript.name(base, "<server>");
        stage.configure(R"({"api":"responses","base_url":")" + base + R"(/v1"})");
        CHECK(stage.call(Verb::provider_generate, generate("hello")).items.size() == 4);
        server.stop();
    });
}

TEST_CASE("provider_gemini says the same in the process and in a worker", "[provider_gemini]") {
    same_both_ways("provider_gemini", [](Stage& stage) {
        std::vector<std::shared_ptr<Reply>> held;
        HttpServer server(stage.loop, [&](Request request, std::shared_ptr<Reply> reply) {
            Response response;
            if (request.target != "/models/m:streamGenerateContent?alt=sse" ||
                request.body.find("unheard of") != std::string::npos) {
                response.status = 404;
                response.body = R"({"error":{"code":404,"message":"no such model"}})";
            } else if (request.body.find("wait") != std::string::npos) {
                return held.push_back(std::move(reply));
            } else {
                response.content_type = "text/event-stream";
                response.body =
                    R"(data: {"candidates":[{"content":{"parts":[{"text":"Hello",)"
                    R"("thoughtSignature":"s"}]},"finishReason":"STOP"}],)"
                    R"("usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":2}})"
                    "\n\n";
            }
            reply->send(std::move(response));
        });
        REQUIRE(server.listen_tcp("127.0.0.1", 0));
        auto base = "http://127.0.0.1:" + std::to_string(server.port());
        stage.transcript.name(base, "<server>");
        stage.configure(R"({"base_url":")" + base + "\"}");
        CHECK(stage.call(Verb::provider_generate, generate("hello")).items.size() == 4);
        CHECK_FALSE(*stage.call(Verb::provider_generate, generate("unheard of")).result);
        Answer answer;
        auto call = stage.start(Verb::provider_generate, generate("wait"), answer);
        CHECK(stage.until([&] { return !held.empty(); }));
        stage.cancel(call, answer);
        server.stop();
    });
}

TEST_CASE("provider_ollama says the same in the process and in a worker", "[provider_ollama]") {
    same_both_ways("provider_ollama", [](Stage& stage) {
        std::vector<std::shared_ptr<Reply>> held;
        HttpServer server(stage.loop, [&](Request request, std::shared_ptr<Reply> reply) {
            Response response;
            if (request.target == "/v1/models") {
                response.body = R"({"data":[{"id":"qwen3:8b"}]})";
            } else if (request.body.find("unheard of") != std::string::npos) {
                response.status = 404;
                response.body = R"({"error":"model not found"})";
            } else if (request.body.find("wait") != std::string::npos) {
                return held.push_back(std::move(reply));
            } else {
                response.content_type = "application/x-ndjson";
                response.body =
                    "{\"message\":{\"content\":\"\",\"thinking\":\"hm\"},\"done\":false}\n"
                    "{\"message\":{\"content\":\"Hello\"},\"done\":false}\n"
                    "{\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\","
                    "\"prompt_eval_count\":9,\"eval_count\":2}\n";
            }
            reply->send(std::move(response));
        });
        REQUIRE(server.listen_tcp("127.0.0.1", 0));
        auto base = "http://127.0.0.1:" + std::to_string(server.port());
        stage.transcript.name(base, "<server>");
        stage.configure(R"({"base_url":")" + base + "\"}");
        CHECK(stage.call(Verb::provider_generate, generate("hello")).items.size() == 4);
        CHECK_FALSE(*stage.call(Verb::provider_generate, generate("unheard of")).result);
        stage.call(Verb::provider_list_models, "{}");
        Answer answer;
        auto call = stage.start(Verb::provider_generate, generate("wait"), answer);
        CHECK(stage.until([&] { return !held.empty(); }));
        stage.cancel(call, answer);
        server.stop();
    });
}

TEST_CASE("provider_anthropic says the same in the process and in a worker",
          "[provider_anthropic]") {
    same_both_ways("provider_anthropic", [](Stage& stage) {
        std::vector<std::shared_ptr<Reply>> held;
        HttpServer server(stage.loop, [&](Request request, std::shared_ptr<Reply> reply) {
            Response response;
            if (request.target == "/v1/models?limit=1000") {
                response.body = R"({"data":[{"id":"claude-x","max_tokens":64000}]})";
            } else if (request.target == "/v1/messages/count_tokens") {
                response.body = R"({"input_tokens":7})";
            } else if (request.body.find("too often") != std::string::npos) {
                response.status = 529;
                response.headers = {{"Retry-After", "7"}};
                response.body =
                    R"({"type":"error","error":{"type":"overloaded_error","message":"later"}})";
            } else if (request.body.find("wait") != std::string::npos) {
                return held.push_back(std::move(reply));
            } else {
                response.content_type = "text/event-stream";
                for (auto const* event :
                     {R"({"type":"message_start","message":{"usage":{"input_tokens":9}}})",
                      R"({"type":"content_block_start","index":0,"content_block":)"
                      R"({"type":"thinking","thinking":"hm","signature":"s"}})",
                      R"({"type":"content_block_start","index":1,"content_block":)"
                      R"({"type":"text","text":"Hello"}})",
                      R"({"type":"message_delta","delta":{"stop_reason":"end_turn"},)"
                      R"("usage":{"output_tokens":2}})",
                      R"({"type":"message_stop"})"})
                    response.body += "data: " + std::string(event) + "\n\n";
            }
            reply->send(std::move(response));
        });
        REQUIRE(server.listen_tcp("127.0.0.1", 0));
        auto base = "http://127.0.0.1:" + std::to_string(server.port());
        stage.transcript.name(base, "<server>");
        stage.configure(R"({"base_url":")" + base + "\"}");
        CHECK(stage.call(Verb::provider_generate, generate("hello")).items.size() == 5);
        CHECK_FALSE(*stage.call(Verb::provider_generate, generate("too often")).result);
        stage.call(Verb::provider_count_tokens, generate("hello"));
        stage.call(Verb::provider_list_models, "{}");
        Answer answer;
        auto call = stage.start(Verb::provider_generate, generate("wait"), answer);
        CHECK(stage.until([&] { return !held.empty(); }));
        stage.cancel(call, answer);
        server.stop();
    });
}

TEST_CASE("channel_irc says the same in the process and in a worker", "[channel_irc]") {
    same_both_ways("channel_irc", [](Stage& stage) {
        LineServer server(
            stage.loop,
            {{"USER", ":irc.test CAP * LS :account-tag\r\n"},
             {"CAP REQ", ":irc.test CAP bot ACK :account-tag\r\n"},
             {"CAP END",
              ":irc.test 001 bot :Welcome\r\n:irc.test 005 bot CHANTYPES=# :are "
              "supported\r\n:irc.test 422 bot :no motd\r\n"},
             {"JOIN",
              ":bot!~bot@here JOIN #ops\r\n@account=ann :ann!~a@there PRIVMSG #ops :bot: "
              "hi\r\n:irc.test PING :x\r\n"}});
        stage.transcript.name(server.port(), "<port>");
        stage.configure(R"({"host":"127.0.0.1","port":)" + server.port() +
                        R"(,"tls":false,"nick":"bot","channels":["#ops"],)"
                        R"("send_interval_ms":10000})");
        Answer run;
        auto call = stage.start(Verb::channel_run, R"({"instance":"irc"})", run);
        CHECK(stage.carried("account:ann"));
        CHECK_THAT(
            stage
                .call(Verb::channel_send, R"({"id":"o-1","conversation":"#ops","text":"one\ntwo"})")
                .text(),
            Contains("\"parts\":2"));
        CHECK_FALSE(
            *stage.call(Verb::channel_send, R"({"id":"o-2","conversation":"not one","text":"x"})")
                 .result);
        stage.call(Verb::channel_typing, R"({"conversation":"#ops"})");
        stage.cancel(call, run);
    });
}

TEST_CASE("channel_email says the same in the process and in a worker", "[channel_email]") {
    same_both_ways("channel_email", [](Stage& stage) {
        std::string const mail =
            "From: Ann <ann@example.org>\r\nTo: bot@parley.example\r\nSubject: lunch\r\n"
            "Message-ID: <m1@example.org>\r\n\r\nAt noon?\r\n";
        auto const size = std::to_string(mail.size());
        LineServer imap(
            stage.loop,
            {{"p1 CAPABILITY", "* CAPABILITY IMAP4rev1 IDLE SASL-IR AUTH=PLAIN\r\np1 OK done\r\n"},
             {"p2 AUTHENTICATE PLAIN ", "p2 OK in\r\n"},
             {"p3 SELECT", "* OK [UIDVALIDITY 5]\r\n* OK [UIDNEXT 9]\r\np3 OK done\r\n"},
             {"p4 UID SEARCH UID 8:*", "* SEARCH 8\r\np4 OK done\r\n"},
             {"p5 UID FETCH 8", "* 1 FETCH (UID 8 RFC822.SIZE " + size + " BODY[]<0> {" + size +
                                    "}\r\n" + mail + ")\r\np5 OK done\r\n"},
             {"p6 IDLE", "+ idling\r\n"},
             {"DONE", "p6 OK done\r\n"},
             {"p7 UID STORE 8", "p7 OK done\r\n"},
             {"p8 IDLE", "+ idling\r\n"}},
            "* OK ready\r\n");
        LineServer smtp(stage.loop,
                        {{"EHLO", "250-here\r\n250 AUTH PLAIN\r\n"},
                         {"AUTH PLAIN ", "235 in\r\n"},
                         {"MAIL FROM", "250 ok\r\n"},
                         {"RCPT TO", "250 ok\r\n"},
                         {"DATA", "354 go on\r\n"},
                         {".", "250 taken\r\n"}},
                        "220 ready\r\n");
        stage.transcript.name(imap.port(), "<imap>");
        stage.transcript.name(smtp.port(), "<smtp>");
        stage.transcript.time_between("Date: ", "\\x0d");
        stage.configure(R"({"address":"bot@parley.example","tls":false,)"
                        R"("imap_host":"127.0.0.1","smtp_host":"127.0.0.1","imap_port":)" +
                        imap.port() + R"(,"smtp_port":)" + smtp.port() + "}");
        Answer run;
        auto call = stage.start(Verb::channel_run, R"({"instance":"mail","cursor":"5:7"})", run);
        CHECK(stage.carried("At noon?"));
        CHECK(stage.carried("+ idling"));
        stage.worker->acknowledge(call, "5:8", 100);
        CHECK(stage.carried("+ idling", 2));
        CHECK_THAT(stage
                       .call(Verb::channel_send,
                             R"({"id":"o-1","conversation":"ann@example.org <m1@example.org>",)"
                             R"("text":"At one."})")
                       .text(),
                   Contains("\"parts\":1"));
        stage.cancel(call, run);
    });
}

TEST_CASE("channel_telegram says the same in the process and in a worker", "[channel_telegram]") {
    same_both_ways("channel_telegram", [](Stage& stage) {
        int polls = 0;
        std::vector<std::shared_ptr<Reply>> held;
        HttpServer server(stage.loop, [&](Request request, std::shared_ptr<Reply> reply) {
            auto const method = request.target.substr(request.target.rfind('/') + 1);
            std::string result = "true";
            if (method == "getMe")
                result = R"({"id":7,"is_bot":true,"first_name":"B","username":"bot"})";
            if (method == "sendDocument") result = R"({"message_id":32})";
            if (method == "getFile") result = R"({"file_id":"F","file_path":"x/y.ogg"})";
            if (method == "getUpdates") {
                if (++polls > 1) return held.push_back(std::move(reply));
                result =
                    R"([{"update_id":40,"message":{"message_id":9,"date":1,"text":"At noon?",)"
                    R"("chat":{"id":5,"type":"private"},"from":{"id":5,"first_name":"Ann"}}},)"
                    R"({"update_id":41,"message":{"message_id":10,"date":1,)"
                    R"("voice":{"file_id":"F","duration":1},)"
                    R"("chat":{"id":5,"type":"private"},"from":{"id":5,"first_name":"Ann"}}}])";
            }
            Response response;
            if (request.target.starts_with("/file/")) {
                response.body = "what was spoken";
                return reply->send(std::move(response));
            }
            response.body = R"({"ok":true,"result":)" + result + "}";
            reply->send(std::move(response));
        });
        REQUIRE(server.listen_tcp("127.0.0.1", 0));
        auto base = "http://127.0.0.1:" + std::to_string(server.port());
        stage.transcript.name(base, "<server>");
        stage.configure(R"({"base_url":")" + base + R"("})");
        stage.lend_blobs();
        Answer run;
        auto call = stage.start(Verb::channel_run, R"({"instance":"chat"})", run);
        CHECK(stage.carried("voice-10.ogg"));
        stage.worker->acknowledge(call, "41", 100);
        stage.worker->acknowledge(call, "42", 100);
        CHECK(stage.until([&] { return !held.empty(); }));
        // The one message that goes out: a second would wait as long as the clock says.
        auto const items = parley::parse_json(run.items.back());
        REQUIRE(items);
        auto const files = parley::attachments_in(*items, "attachments");
        REQUIRE(files.size() == 1);
        CHECK_THAT(stage
                       .call(Verb::channel_send, R"({"id":"o-1","conversation":"5","text":"**At** )"
                                                 R"(one.","markdown":true,)"
                                                 R"("attachments":[{"blob":")" +
                                                     files[0].blob +
                                                     R"(","name":"v.ogg","type":"audio/ogg",)"
                                                     R"("bytes":15}]})")
                       .text(),
                   Contains("\"ids\":[\"32\"]"));
        CHECK_FALSE(
            *stage.call(Verb::channel_send, R"({"id":"o-2","conversation":"no chat","text":"x"})")
                 .result);
        stage.call(Verb::channel_typing, R"({"conversation":"5"})");
        stage.cancel(call, run);
        server.stop();
    });
}

TEST_CASE("channel_slack says the same in the process and in a worker", "[channel_slack]") {
    same_both_ways("channel_slack", [](Stage& stage) {
        kit::Outlet outlet;
        auto const socket = "ws://127.0.0.1:" + std::to_string(outlet.port);
        HttpServer server(stage.loop, [&](Request request, std::shared_ptr<Reply> reply) {
            auto const method = request.target.substr(request.target.rfind('/') + 1);
            std::string more;
            if (method == "auth.test") more = R"(,"user":"bot","user_id":"U7")";
            if (method == "apps.connections.open") more = R"(,"url":")" + socket + R"(/link")";
            if (method == "chat.postMessage") more = R"(,"ts":"1700000001.000100")";
            Response response;
            response.body = R"({"ok":true)" + more + "}";
            reply->send(std::move(response));
        });
        REQUIRE(server.listen_tcp("127.0.0.1", 0));
        auto base = "http://127.0.0.1:" + std::to_string(server.port());
        stage.transcript.name(base, "<server>");
        stage.transcript.name(socket, "<socket>");
        stage.transcript.name("127.0.0.1:" + std::to_string(outlet.port), "<peer>");
        stage.configure(R"({"api_url":")" + base + R"(","socket_url":")" + socket + R"("})");
        Answer run;
        auto call = stage.start(Verb::channel_run, R"({"instance":"chat"})", run);
        kit::WsPeer slack(stage.loop, outlet);
        slack.agree();
        slack.say(kit::frame(kit::text, R"({"type":"hello"})"));
        CHECK(stage.carried("@bot"));
        slack.say(kit::frame(
            kit::text,
            R"({"envelope_id":"e1","type":"events_api","payload":{"event":{"type":"message",)"
            R"("channel":"D5","channel_type":"im","user":"U5","ts":"1700000000.000100","text":"At noon?"}}})"));
        CHECK(stage.carried("id:U5"));
        stage.worker->acknowledge(call, "e1", 100);
        CHECK(slack.next_said().payload == R"({"envelope_id":"e1"})");
        CHECK_THAT(
            stage
                .call(Verb::channel_send, R"({"id":"o-1","conversation":"D5","text":"**At** )"
                                          R"(one.","markdown":true})")
                .text(),
            Contains("\"parts\":1"));
        CHECK_FALSE(
            *stage.call(Verb::channel_send, R"({"id":"o-2","conversation":"no one","text":"x"})")
                 .result);
        stage.cancel(call, run);
        CHECK(slack.next_said().code() == 1000);
        server.stop();
    });
}

TEST_CASE("channel_webhook says the same in the process and in a worker", "[channel_webhook]") {
    same_both_ways("channel_webhook", [](Stage& stage) {
        int asked = 0;
        HttpServer server(stage.loop, [&](Request, std::shared_ptr<Reply> reply) {
            Response response;
            response.status = ++asked == 2 ? 503 : 204;
            reply->send(std::move(response));
        });
        REQUIRE(server.listen_tcp("127.0.0.1", 0));
        auto base = "http://127.0.0.1:" + std::to_string(server.port());
        stage.transcript.name(base, "<server>");
        stage.transcript.time_between(R"("webhook-timestamp",")", "\"");
        stage.configure(R"({"reply_url":")" + base + R"(/in"})");
        stage.hear_webhooks();
        stage.deps.secret = [](SecretName const&) {
            return Secret::from("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX");
        };
        Answer run;
        auto call = stage.start(Verb::channel_run, R"({"instance":"desk"})", run);
        auto listener = stage.listener();
        std::vector<int> told;
        auto hear = [&](std::string body) {
            CHECK(listener->ask({{{"webhook-id", "msg_1"}}, std::move(body)}, [&](auto answer) {
                told.push_back(answer ? answer->status : 0);
            }));
        };
        hear(R"({"conversation":"c","sender":"ann","text":"At noon?"})");
        CHECK(stage.carried("id:ann"));
        hear(R"({"conversation":"c"})");
        CHECK(stage.until([&] { return told.size() == 1; }));
        stage.worker->acknowledge(call, "1", 100);
        CHECK(stage.until([&] { return told.size() == 2; }));
        CHECK(told == std::vector<int>{400, 200});
        auto const message = R"({"id":"o-1","conversation":"c","text":"At one."})";
        CHECK(*stage.call(Verb::channel_send, message).result);
        CHECK_FALSE(*stage.call(Verb::channel_send, message).result);
        hear(R"({"conversation":"c","sender":"ann","text":"And then?"})");
        CHECK(stage.carried("id:ann", 2));
        stage.cancel(call, run);
        CHECK(stage.until([&] { return told.size() == 3; }));
        server.stop();
    });
}

TEST_CASE("skill_files says the same in the process and in a worker", "[skill_files]") {
    same_both_ways("skill_files", [](Stage& stage) {
        stage.grant_all();
        stage.lend_blobs();
        std::ofstream(stage.granted("workspace") / "notes") << "one\ntwo\nthree\n";
        // Of one with bytes in it, credit comes back at any moment.
        std::ofstream(stage.granted("workspace") / "empty.png");
        for (auto const& [skill, arguments] : std::vector<std::pair<char const*, char const*>>{
                 {"write_file", R"({"path":"folder/new","content":"four\nfive\n"})"},
                 {"edit_file", R"({"path":"notes","old":"two","new":"2"})"},
                 {"read_file", R"({"path":"notes","start_line":2})"},
                 {"list_files", "{}"},
                 {"search_files", R"({"pattern":"f[io]"})"},
                 {"read_file", R"({"path":"../outside"})"},
                 {"read_file", R"({"path":"missing"})"}})
            CHECK(stage.invoke(skill, arguments).result);
        auto const expect = R"({"empty.png":")" + parley::hex(parley::blake2b("")) + "\"}";
        CHECK_THAT(stage.invoke("send_file", R"({"path":"empty.png"})", expect).text(),
                   Contains(R"("type":"image/png","bytes":0)"));
        stage.invoke("send_file", R"({"path":"notes"})", expect);
    });
}

TEST_CASE("skill_shell says the same in the process and in a worker", "[skill_shell]") {
    same_both_ways("skill_shell", [](Stage& stage) {
        stage.grant_all();
        CHECK_THAT(
            stage.invoke("shell", R"({"command":"echo one; pwd; echo two > made; ls; exit 3"})")
                .text(),
            Contains("one") && Contains("made") && Contains("exit status 3"));
    });
}
