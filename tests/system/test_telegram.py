"""Telegram through a strict double of its server: who is heard, that no update is lost or answered
twice, and what happens when Telegram refuses."""
import concurrent.futures
import http.client
import json
import shutil
import unittest

from parley import BUILD, Host, wait_for
from telegram_double import Double, Refused

TOKEN = "123456:test-token-0123456789abcdefghij"
HOOK_TOKEN = "hook-token_0123456789"
SETUP = """
channels:
  chat:
    plugin: telegram
    agent: assistant
    secrets: {token: telegram/bot}
    config: {base_url: "http://127.0.0.1:%d"%s}
    approvers: %s
"""


class TheDouble(unittest.TestCase):
    """What a client must not get away with."""

    def setUp(self):
        self.double = Double(TOKEN)
        self.addCleanup(self.double.close)
        self.ann = self.double.person(5, "Ann")

    def ask(self, method, token=TOKEN, **params):
        connection = http.client.HTTPConnection("127.0.0.1", self.double.port, timeout=30)
        self.addCleanup(connection.close)
        connection.request("POST", f"/bot{token}/{method}", json.dumps(params), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        told = json.loads(answer.read())
        self.assertEqual(told["ok"], answer.status == 200)
        return told["result"] if told["ok"] else (answer.status, told["description"])

    def refused(self, code, words, method, **params):
        status, description = self.ask(method, **params)
        self.assertEqual(status, code, description)
        self.assertIn(words, description)

    def test_what_the_declarations_do_not_know_is_refused(self):
        self.refused(404, "unknown", "sendNothing")
        self.refused(400, "unknown nope", "sendMessage", chat_id=5, text="x", nope=1)
        self.refused(400, "lacks text", "sendMessage", chat_id=5)
        self.refused(400, "no string", "sendMessage", chat_id=5, text="x", reply_markup={"inline_keyboard": [[{"text": 1, "callback_data": "d"}]]})
        self.refused(401, "Unauthorized", "getMe", token="1:wrong")
        self.double.push("message", {"text": "without a chat"})
        self.assertTrue(any("lacks chat" in problem for problem in self.double.problems))

    def test_texts_are_as_long_as_telegram_counts_and_styled_as_it_reads(self):
        self.assertEqual(self.ask("sendMessage", chat_id=5, text="<b>" + "😀" * 2048 + "</b>", parse_mode="HTML")["entities"][0]["length"], 4096)
        self.refused(400, "too long", "sendMessage", chat_id=5, text="😀" * 2049)
        self.refused(400, "empty", "sendMessage", chat_id=5, text=" \n")
        for wrong in ("<b>", "</b>", "<b><i></b></i>", "a < b", "<p>x</p>", "&nbsp;", "<b><code>x</code></b>", "<a>x</a>"):
            self.refused(400, "can't parse entities", "sendMessage", chat_id=5, text=wrong + "x", parse_mode="HTML")

    def test_places_buttons_and_presses_are_checked(self):
        self.refused(400, "chat not found", "sendMessage", chat_id=6, text="x")
        group = self.double.group(-100, "Team", topics=[7])
        self.refused(400, "thread not found", "sendMessage", chat_id=-100, message_thread_id=8, text="x")
        self.refused(400, "PEER_ID_INVALID", "sendMessageDraft", chat_id=-100, draft_id=1, text="x")
        button = {"text": "Yes", "callback_data": "d" * 64}
        message = self.ask("sendMessage", chat_id=5, text="x", reply_markup={"inline_keyboard": [[button]]})
        self.refused(400, "BUTTON_DATA_INVALID", "sendMessage", chat_id=5, text="x",
                     reply_markup={"inline_keyboard": [[button | {"callback_data": "d" * 65}]]})
        query = self.double.press(self.ann, message, "Yes")
        self.assertTrue(self.ask("answerCallbackQuery", callback_query_id=query))
        self.refused(400, "query is too old", "answerCallbackQuery", callback_query_id=query)
        edit = {"chat_id": 5, "message_id": message["message_id"], "text": "y"}
        self.assertNotIn("reply_markup", self.ask("editMessageText", **edit))
        self.refused(400, "not modified", "editMessageText", **edit)
        self.assertEqual(self.ask("sendMessage", chat_id=group["id"], message_thread_id=7, text="x")["message_thread_id"], 7)
        self.assertEqual(self.double.problems, [])

    def post(self, method, boundary, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.double.port, timeout=30)
        self.addCleanup(connection.close)
        connection.request("POST", f"/bot{TOKEN}/{method}", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    def test_a_form_is_whole_and_a_file_is_given_by_its_path_alone(self):
        field = lambda name, value: f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        file = ('--b\r\nContent-Disposition: form-data; name="document"; filename="a.txt"\r\n'
                "Content-Type: text/plain\r\n\r\nhello\r\n")
        status, told = self.post("sendDocument", "b", field("chat_id", 5) + field("caption", "look") + file + "--b--\r\n")
        self.assertEqual((status, told["result"]["caption"]), (200, "look"))
        self.assertEqual(told["result"]["document"]["file_name"], "a.txt")
        for body in (field("chat_id", 5) + file, field("chat_id", 5) + file.replace("form-data", "data") + "--b--\r\n",
                     field("chat_id", 5) + field("chat_id", 5) + file + "--b--\r\n", field("chat_id", 5) + "--b--\r\n",
                     field("chat_id", 5) + file.replace("hello", "") + "--b--\r\n",
                     field("chat_id", 5) + field("caption", "x" * 1025) + file + "--b--\r\n"):
            self.assertEqual(self.post("sendDocument", "b", body)[0], 400, body)
        self.double.problems.clear()
        found = self.ask("getFile", file_id=told["result"]["document"]["file_id"])
        connection = http.client.HTTPConnection("127.0.0.1", self.double.port, timeout=30)
        self.addCleanup(connection.close)
        for token, path, status in ((TOKEN, found["file_path"].replace(" ", "%20"), 200), ("1:wrong", found["file_path"].replace(" ", "%20"), 404),
                                    (TOKEN, "documents/file%2099.bin", 404)):
            connection.request("GET", f"/file/bot{token}/{path}")
            answer = connection.getresponse()
            self.assertEqual((answer.status, answer.read() == b"hello"), (status, status == 200))
        self.assertEqual(len(self.double.problems), 2)
        self.refused(400, "wrong file_id", "getFile", file_id="nope")

    def test_updates_come_until_they_are_confirmed_also_after_a_restart_and_to_one_reader(self):
        kinds = {"allowed_updates": ["message"]}
        numbers = lambda **more: [update["update_id"] for update in self.ask("getUpdates", **kinds, **more)]
        self.double.say(self.ann, "one")
        self.double.say(self.ann, "two")
        self.assertEqual(numbers(), [1000, 1001])
        self.double.close()
        self.double.open()
        self.assertEqual(numbers(), [1000, 1001])
        self.assertEqual(numbers(offset=1001), [1001])
        self.assertEqual(numbers(offset=1002), [])
        with concurrent.futures.ThreadPoolExecutor() as pool:
            held = pool.submit(self.ask, "getUpdates", timeout=50, **kinds)
            wait_for("a held poll", lambda: len(self.double.asked("getUpdates")) == 5)
            self.assertEqual(numbers(), [])
            self.assertEqual(held.result()[0], 409)
            held = pool.submit(numbers, timeout=50)
            self.double.say(self.ann, "three")
            self.assertEqual(held.result(), [1002])
        self.double.webhook = "https://bot.example/"
        self.refused(409, "webhook", "getUpdates", **kinds)
        self.assertEqual(self.double.problems, [])


class Telegram(unittest.TestCase):
    def setUp(self):
        self.double = Double(TOKEN)
        self.addCleanup(self.double.close)
        self.host = Host()
        self.addCleanup(self.host.close)
        self.ann = self.double.person(5, "Ann")

    def start(self, config="", token=TOKEN, connected=True, approvers="[]", webhook=False):
        host, self.token = self.host, token
        done = host.cli("secret", "set", "telegram/bot", stdin=token + "\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        host.edit("parley.yaml", "  rehearsal: {enabled: true}", "  rehearsal: {enabled: true}\n  telegram: {enabled: true}")
        setup = SETUP % (self.double.port, config, approvers)
        if webhook:
            host.cli("secret", "set", "telegram/hook", stdin=HOOK_TOKEN + "\n")
            self.double.hook_port = host.port
            setup = setup.replace("telegram/bot}", "telegram/bot, webhook_token: telegram/hook}\n    inbound: true")
            host.edit("parley.yaml", "listen:", 'public_url: "https://agent.example"\nlisten:')
        host.write("parley.yaml", host.file("parley.yaml").read_text() + setup)
        agent = host.file("agents/assistant/agent.yaml").read_text()
        host.write("agents/assistant/agent.yaml", agent + 'channels:\n  chat: {authorized_senders: ["id:5"]}\n')
        host.start()
        if connected:
            self.wait_link("connected")

    def tearDown(self):
        self.assertEqual(self.double.problems, [])
        if self.host.process:
            everything = self.host.cli("ledger", "export").stdout + self.host.log
            self.assertNotIn(self.token, everything)
            self.host.verify()

    def link(self):
        return self.host.api("GET", "/api/v1/channels/chat").json

    def wait_link(self, state):
        wait_for(f"the link to be {state}", lambda: self.link()["link"] == state, 40)

    def texts(self, count, chat=None):
        """What the bot said, when it said at least so much."""
        def found():
            said = [message["text"] for message in self.double.said(chat)]
            return said if len(said) >= count else None
        return wait_for(f"{count} answers", found, 60)

    def records(self, kind):
        return [record for record in self.host.ledger() if record["kind"] == kind]

    def outbox(self):
        return self.host.api("GET", "/api/v1/outbox").json["items"]

    def wait_stage(self, stage):
        return wait_for(f"a message that is {stage}",
                        lambda: [entry for entry in self.outbox() if entry["state"] == stage], 40)

    def test_a_listed_person_is_answered_where_they_wrote_and_a_stranger_gets_silence(self):
        self.start()
        self.assertEqual([command["command"] for command in self.double.menu], ["status", "stop", "new"])
        self.assertEqual(self.link()["detail"], "@parley_test_bot")
        self.double.say(self.double.person(6, "Eve"), "/say to a stranger")
        self.double.say(self.ann, "/say Grüße 😀 <b>")
        self.assertEqual(self.texts(1), ["Grüße 😀 <b>"])
        self.assertEqual(self.double.said()[0]["chat"]["id"], 5)
        received = self.records("message.received")
        self.assertEqual([record["actor"]["sender"] for record in received], ["id:5"])
        wait_for("all to be confirmed", lambda: not self.double.updates)
        self.assertEqual(len(self.double.said()), 1)

    def test_a_long_answer_comes_in_parts_in_order(self):
        self.start()
        self.double.say(self.ann, "/bytes 9000")
        self.double.say(self.ann, "/say after it")
        said = self.texts(4)
        self.assertEqual([len(text) for text in said], [4096, 4096, 808, 8])
        delivered = wait_for("both to be delivered", lambda: self.records("message.delivered")[1:], 40)
        self.assertEqual(len(delivered), 1)

    def test_in_a_group_the_bot_hears_what_is_meant_for_it(self):
        group = self.double.group(-1001, "Team", topics=[7])
        self.start()
        say = self.double.say
        say(self.ann, "/say to everybody", chat=group)
        say(self.ann, "/say@another_bot to another", chat=group)
        say(self.ann, "@parley_test_bot /say by name", chat=group)
        self.texts(1)
        say(self.ann, "/say in answer", chat=group, reply_to_message=self.double.said()[0])
        say(self.ann, "/say@Parley_Test_Bot in a topic", chat=group, topic=7)
        admin = {"id": 1087968824, "is_bot": True, "first_name": "Group", "username": "GroupAnonymousBot"}
        say(admin, "@parley_test_bot /say hidden", chat=group, sender_chat=group)
        self.assertEqual(sorted(self.texts(3)), ["by name", "in a topic", "in answer"])
        self.assertEqual([message.get("message_thread_id") for message in self.double.said()
                          if message["text"] == "in a topic"], [7])
        wait_for("all to be confirmed", lambda: not self.double.updates)
        self.assertEqual(len(self.double.said()), 3)

    def test_neither_a_kill_of_the_host_nor_an_absent_server_loses_an_update_or_answers_one_twice(self):
        self.start()
        self.double.say(self.ann, "/say first")
        self.texts(1)
        self.host.kill()
        for number in range(5):
            self.double.say(self.ann, f"@parley_test_bot /say while away {number}", chat=self.double.group(-10 - number, "Team"))
        # Kinds that nobody asked for, or that say nothing, hold nothing up.
        chat = self.double.chats[5]["chat"]
        self.double.push("edited_message", {"message_id": 1, "date": 1, "edit_date": 2, "chat": chat, "from": self.ann, "text": "/say edited"})
        self.double.push("message", {"message_id": 90, "date": 1, "chat": chat, "from": self.ann, "new_chat_title": "x"})
        self.host.start()
        self.texts(2)
        # In the midst of it, with updates taken and not confirmed.
        self.host.kill()
        self.double.close()
        self.double.open()
        self.host.start()
        self.double.say(self.ann, "/say last")
        wait_for("all to be confirmed", lambda: not self.double.updates, 40)
        self.assertEqual(len(self.records("message.received")), 7)
        # A message that was on its way when the host died may be unknown; none is sent again.
        said = [message["text"] for message in self.double.said()]
        self.assertEqual(len(said), len(set(said)))
        wanted = {"first", "last"} | {f"while away {number}" for number in range(5)}
        wait_for("each to be said or unknown", lambda: wanted == {m["text"] for m in self.double.said()} |
                 {entry["text"] for entry in self.outbox() if entry["state"] == "unknown"}, 60)

    def test_another_reader_of_the_updates_is_told_of_and_waited_out(self):
        self.double.other_pollers = 1
        self.start(connected=False)
        wait_for("the conflict to be told", lambda: "another program" in self.link().get("detail", ""))
        self.double.say(self.ann, "/say after the conflict")
        self.assertEqual(self.texts(1), ["after the conflict"])
        self.assertEqual(self.link()["link"], "connected")

    def test_by_webhook_each_update_is_answered_once_it_is_durable_also_over_a_kill(self):
        self.start(", webhook: true", webhook=True)
        self.assertEqual((self.double.webhook, self.double.webhook_secret), ("https://agent.example/hooks/chat", HOOK_TOKEN))
        self.assertEqual(self.link()["detail"], "@parley_test_bot by webhook")
        self.double.say(self.ann, "/say by webhook")
        self.double.say(self.double.person(6, "Eve"), "/say to a stranger")
        self.assertEqual(self.texts(1), ["by webhook"])
        wait_for("both to be taken", lambda: not self.double.updates)
        self.host.kill()
        self.double.say(self.ann, "/say while away")
        wait_for("a try in vain", lambda: self.double.delivered[-1][1] == 0)
        self.host.start()
        self.wait_link("connected")
        self.assertEqual(self.texts(2)[1], "while away")
        wait_for("it to be taken", lambda: not self.double.updates)
        self.assertEqual(len(self.records("message.received")), 2)
        self.assertEqual(self.double.asked("getUpdates"), [])
        self.assertNotIn(HOOK_TOKEN, self.host.cli("ledger", "export").stdout + self.host.log)

    def test_by_webhook_files_come_too_and_are_answered_when_they_are_there(self):
        self.start(", webhook: true", webhook=True)
        self.double.attach(self.ann, b"one", caption="look", file_name="report.txt", mime_type="text/plain")
        self.double.say(self.ann, "/say and then")
        self.assertIn("look\n[attached file: inbox/report.txt (text/plain, 3 bytes)]", self.texts(2)[0])
        self.assertEqual(self.texts(2)[1], "and then")
        wait_for("both to be taken", lambda: not self.double.updates)
        self.assertEqual([status for _, status in self.double.delivered], [200, 200])

    def test_a_webhook_with_another_token_is_not_heard(self):
        self.start(", webhook: true", webhook=True)
        self.double.webhook_secret = "another_0123456789"
        self.double.say(self.ann, "/say forged")
        wait_for("it to be refused", lambda: 401 in [status for _, status in self.double.delivered])
        self.assertEqual(self.records("message.received"), [])
        self.double.webhook_secret = HOOK_TOKEN
        self.assertEqual(self.texts(1), ["forged"])

    def test_back_at_polling_the_own_webhook_is_removed(self):
        self.start(", webhook: true", webhook=True)
        self.host.edit("parley.yaml", ", webhook: true", "")
        self.host.process.send_signal(1)
        wait_for("the bot to poll", lambda: self.double.asked("getUpdates"), 30)
        self.assertEqual(self.double.webhook, "")
        self.double.say(self.ann, "/say by polling")
        self.assertEqual(self.texts(1), ["by polling"])

    def test_a_webhook_is_told_of_and_left_alone(self):
        self.double.webhook = "https://bot.example/"
        self.start(connected=False)
        wait_for("the webhook to be told", lambda: "take_over" in self.link().get("detail", ""))
        self.assertEqual(self.double.asked("deleteWebhook"), [])

    def test_a_webhook_is_removed_where_the_operator_says_so(self):
        self.double.webhook = "https://bot.example/"
        self.start(", take_over: true")
        self.double.say(self.ann, "/say taken over")
        self.assertEqual(self.texts(1), ["taken over"])

    def test_a_message_that_is_sent_too_early_waits_and_is_sent_once(self):
        self.start()
        self.double.refuse = [("sendMessage", Refused(429, "Too Many Requests: retry after 1", retry_after=1))]
        self.double.say(self.ann, "/say patience")
        self.assertEqual(self.texts(1), ["patience"])
        wait_for("it to be delivered", lambda: self.records("message.delivered"))
        self.assertEqual(self.outbox(), [])

    def test_a_refusal_is_final_and_an_error_of_the_server_leaves_the_message_unknown(self):
        self.start()
        self.double.refuse = [("sendMessage", Refused(500, "Internal Server Error"))]
        self.double.say(self.ann, "/say perhaps")
        self.wait_stage("unknown")
        self.double.chats[5]["blocked"] = True
        self.double.say(self.ann, "/say blocked")
        self.assertIn("blocked by the user", self.wait_stage("failed")[0]["detail"])
        self.assertEqual(len(self.double.asked("sendMessage")), 2)

    def test_a_group_that_became_a_supergroup_is_answered_there(self):
        self.double.group(-50, "Old")
        self.double.group(-1002, "New")
        self.start()
        self.double.chats[-50]["moved"] = -1002
        self.double.say(self.ann, "@parley_test_bot /say moved", chat=self.double.chats[-50]["chat"])
        self.assertEqual(self.texts(1, -1002), ["moved"])

    def test_commands_are_answered_by_the_host_and_reach_no_model(self):
        group = self.double.group(-1001, "Team")
        self.start()
        self.double.say(self.ann, "/start")
        self.assertIn("Nothing is under way", self.texts(1)[0])
        self.double.say(self.ann, "/say one")
        self.texts(2)
        self.double.say(self.ann, "/new")
        self.texts(3)
        self.double.say(self.ann, "/say two")
        self.assertEqual(self.texts(4)[3], "two")
        self.double.say(self.ann, "/status", chat=group)
        self.double.say(self.double.person(6, "Eve"), "/status")
        self.double.say(self.ann, "/status@parley_test_bot", chat=group)
        self.texts(1, -1001)
        self.double.say(self.ann, "/hang", chat=self.double.chats[5]["chat"])
        wait_for("the model to hang", lambda: len(self.records("turn.started")) == 3)
        self.double.say(self.ann, "/stop")
        self.texts(6)
        wait_for("all to be confirmed", lambda: not self.double.updates)
        self.assertEqual([record["body"]["text"] for record in self.records("message.received")], ["/say one", "/say two", "/hang"])
        sessions = [record["session"] for record in self.records("message.received")]
        self.assertEqual(len(set(sessions[:2])), 2)
        self.assertEqual(self.double.said(6), [])

    def test_an_approval_is_decided_by_a_button_once_and_by_its_person_alone(self):
        self.start(approvers='["id:5"]')
        self.double.say(self.ann, "hello")
        self.texts(1)
        self.double.say(self.ann, """/call shell {"command":"echo ran >> count; echo '<done>'"}""")
        card = wait_for("a card", lambda: [message for message in self.double.said(5) if message.get("reply_markup")])[0]
        self.assertIn("echo '<done>'", card["text"])
        self.double.press(self.double.person(6, "Eve"), card, "Approve")
        query = self.double.press(self.ann, card, "Approve")
        wait_for("the card to be closed", lambda: "approved by id:5" in card["text"])
        self.assertNotIn("reply_markup", card)
        wait_for("the command to run", lambda: any(text.startswith("shell: <done>") for text in self.texts(3)))
        self.assertEqual((self.host.workspace / "count").read_text(), "ran\n")
        answered = [params["callback_query_id"] for params in self.double.asked("answerCallbackQuery")]
        self.assertEqual(answered.count(query), 1)
        self.assertEqual(len(answered), 2)
        self.assertEqual(self.double.queries, {})

    def inbox(self):
        folder = self.host.workspace / "inbox"
        return {file.name: file.read_bytes() for file in folder.iterdir()} if folder.exists() else {}

    def test_files_come_into_the_workspace_and_the_agent_is_told_of_each(self):
        self.start()
        self.double.attach(self.ann, b"one", caption="look", file_name="../report.txt", mime_type="text/plain")
        self.assertIn("look\n[attached file: inbox/report.txt (text/plain, 3 bytes)]", self.texts(1)[0])
        self.double.attach(self.ann, b"three", file_name="report.txt")
        self.assertIn("[attached file: inbox/report-2.txt (application/octet-stream, 5 bytes)]", self.texts(2)[1])
        photo = bytes(range(256)) * 4000
        self.double.attach(self.ann, photo, kind="photo")
        self.assertIn("image/jpeg, 1024000 bytes", self.texts(3)[2])
        kept = self.inbox()
        name = next(name for name in kept if name.startswith("photo-"))
        self.assertEqual(kept, {"report.txt": b"one", "report-2.txt": b"three", name: photo})
        first, _, third = [record["body"]["attachments"] for record in self.records("message.received")]
        self.assertEqual([first[0][key] for key in ("name", "type", "bytes", "path")], ["report.txt", "text/plain", 3, "inbox/report.txt"])
        self.assertRegex(first[0]["digest"], "^b-[0-9a-f]{64}$")
        self.assertNotEqual(first[0]["digest"], third[0]["digest"])
        wait_for("all to be confirmed", lambda: not self.double.updates)

    def test_a_stranger_puts_nothing_into_the_workspace(self):
        self.start()
        self.double.attach(self.double.person(6, "Eve"), b"planted", file_name="evil.sh")
        self.double.say(self.ann, "/say after it")
        self.texts(1)
        wait_for("all to be confirmed", lambda: not self.double.updates)
        self.assertEqual(self.inbox(), {})
        self.assertEqual(len(self.records("message.received")), 1)

    def test_a_file_that_is_too_large_costs_no_word_of_the_message(self):
        self.start()
        self.double.attach(self.ann, b"x" * (20 << 20) + b"x", caption="too much", file_name="a.iso")
        self.assertIn("too much\n[file, not taken: a.iso (it is larger than 20 MiB)]", self.texts(1)[0])
        # The largest that is taken.
        self.double.attach(self.ann, b"y" * (20 << 20), file_name="b.iso")
        self.assertIn("inbox/b.iso (application/octet-stream, 20971520 bytes)", self.texts(2)[1])
        self.assertEqual(len(self.inbox()["b.iso"]), 20 << 20)

    def test_a_kill_while_files_come_loses_none_and_makes_none_twice(self):
        self.start()
        for number in range(4):
            self.double.attach(self.ann, b"%d" % number * 100000, file_name="part.bin")
        wait_for("a first file", self.inbox)
        self.host.kill()
        self.host.start()
        wait_for("all to be confirmed", lambda: not self.double.updates, 40)
        kept = {name: content for name, content in self.inbox().items() if not name.startswith(".")}
        self.assertEqual(sorted(kept.values()), [b"%d" % number * 100000 for number in range(4)])
        self.assertEqual(len(self.records("message.received")), 4)

    def ask_to_send(self, content, count=1, name="out.txt"):
        """Ann has her agent send a file of its workspace; the card that asks for it."""
        (self.host.workspace / name).write_bytes(content)
        self.double.say(self.ann, f'/call send_file {{"path":"{name}"}}')
        cards = lambda: [message for message in self.double.said(5) if "Approval" in message.get("text", "")]
        return wait_for("a card", lambda: len(cards()) == count and cards())[-1]

    def documents(self):
        return [message for message in self.double.said() if "document" in message]

    def test_a_file_leaves_when_a_person_says_yes_and_it_is_what_they_said_yes_to(self):
        self.start(approvers='["id:5"]')
        self.double.say(self.ann, "hello")
        self.texts(1)
        card = self.ask_to_send(b"the result")
        for part in ("send_file", "out.txt", "conversation 5 of channel chat"):
            self.assertIn(part, card["text"])
        self.assertEqual(self.documents(), [])
        self.double.press(self.ann, card, "Approve")
        sent = wait_for("the file", self.documents)[0]
        self.assertEqual(sent["chat"]["id"], 5)
        self.assertEqual(sent["document"]["file_name"], "out.txt")
        self.assertEqual(self.double.files[sent["document"]["file_id"]], b"the result")
        queued = [record for record in self.records("message.queued") if "attachments" in record["body"]]
        self.assertEqual([one["name"] for one in queued[0]["body"]["attachments"]], ["out.txt"])
        wait_for("it to be delivered", lambda: queued[0]["body"]["id"] in
                 [record["body"]["id"] for record in self.records("message.delivered")])

        # What changed after the question is not what was approved.
        card = self.ask_to_send(b"harmless", 2)
        (self.host.workspace / "out.txt").write_bytes(b"harmful")
        self.double.press(self.ann, card, "Approve")
        wait_for("the approval to be void", lambda: self.records("approval.superseded"))
        self.assertEqual(len(self.documents()), 1)

    def test_a_file_that_may_have_left_is_unknown_and_is_sent_again_by_the_operator_alone(self):
        self.start(approvers='["id:5"]')
        self.double.say(self.ann, "hello")
        self.texts(1)
        self.double.refuse = [("sendDocument", Refused(429, "Too Many Requests: retry after 1", retry_after=1)),
                              ("sendDocument", Refused(500, "Internal Server Error"))]
        self.double.press(self.ann, self.ask_to_send(b"the result"), "Approve")
        entry = self.wait_stage("unknown")[0]
        self.assertEqual([file["name"] for file in entry["attachments"]], ["out.txt"])
        self.assertEqual(self.documents(), [])
        wait_for("the rest to be said", lambda: self.double.said()[-1].get("text", "").startswith("send_file: Queued")
                 and len(self.outbox()) == 1)
        self.host.kill()
        self.host.start()
        self.wait_link("connected")
        done = self.host.cli("outbox", "retry", entry["id"])
        self.assertEqual(done.returncode, 0, done.stderr)
        sent = wait_for("the file", self.documents)
        self.assertEqual(self.double.files[sent[0]["document"]["file_id"]], b"the result")
        wait_for("the outbox to be empty", lambda: not self.outbox())

    def test_a_hook_keeps_files_out_and_in_by_the_message_and_the_result_that_they_belong_to(self):
        (self.host.home / "plugins").mkdir(mode=0o700, exist_ok=True)
        shutil.copy(BUILD / "offers" / "censor.so", self.host.home / "plugins" / "censor.so")
        self.host.edit("parley.yaml", "  rehearsal: {enabled: true}", "  org.test.censor: {enabled: true}\n  rehearsal: {enabled: true}")
        self.host.write("parley.yaml", self.host.file("parley.yaml").read_text() + "hooks: [org.test.censor]\n")
        locked = self.host.cli("plugin", "lock", "org.test.censor", "--yes")
        self.assertEqual(locked.returncode, 0, locked.stderr)
        self.start(approvers='["id:5"]')
        self.double.attach(self.ann, b"one", caption="ban-message.in", file_name="banned.txt")
        self.assertIn("was not taken", self.texts(1)[0])
        self.double.attach(self.ann, b"two", caption="swap-message.in", file_name="taken.txt")
        self.texts(2)
        self.assertEqual(self.inbox(), {"taken.txt": b"two"})
        for count, (name, sent) in enumerate((("ban-skill.after.txt", 0), ("swap-skill.after.txt", 1)), 1):
            self.double.press(self.ann, self.ask_to_send(name.encode(), count, name), "Approve")
            wait_for("the result", lambda: len(self.records("skill.finished")) == count)
            wait_for("the answer", lambda: "withheld" in self.double.said()[-1].get("text", "") or
                     "swapped-skill.after" in self.double.said()[-1].get("text", ""))
            self.assertEqual([message["document"]["file_name"] for message in self.documents()], ["swap-skill.after.txt"] * sent)

    def test_a_wrong_token_is_said_to_the_operator_and_not_tried_for_ever(self):
        self.start(token="123456:another", connected=False)
        self.wait_link("failed")
        self.assertIn("@BotFather", self.link()["detail"])


if __name__ == "__main__":
    unittest.main()
