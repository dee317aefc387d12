"""Telegram through a strict double of its server: who is heard, that no update is lost or answered
twice, and what happens when Telegram refuses."""
import unittest

from parley import Host, wait_for
from telegram_double import Double, Refused

TOKEN = "123456:test-token-0123456789abcdefghij"
SETUP = """
channels:
  chat:
    plugin: telegram
    agent: assistant
    secrets: {token: telegram/bot}
    config: {base_url: "http://127.0.0.1:%d"%s}
"""


class Telegram(unittest.TestCase):
    def setUp(self):
        self.double = Double(TOKEN)
        self.addCleanup(self.double.close)
        self.host = Host()
        self.addCleanup(self.host.close)
        self.ann = self.double.person(5, "Ann")

    def start(self, config="", token=TOKEN, connected=True):
        host = self.host
        done = host.cli("secret", "set", "telegram/bot", stdin=token + "\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        host.edit("parley.yaml", "  rehearsal: {enabled: true}", "  rehearsal: {enabled: true}\n  telegram: {enabled: true}")
        host.write("parley.yaml", host.file("parley.yaml").read_text() + SETUP % (self.double.port, config))
        agent = host.file("agents/assistant/agent.yaml").read_text()
        host.write("agents/assistant/agent.yaml", agent + 'channels:\n  chat: {authorized_senders: ["id:5"]}\n')
        host.start()
        if connected:
            self.wait_link("connected")

    def tearDown(self):
        self.assertEqual(self.double.problems, [])
        if self.host.process:
            everything = self.host.cli("ledger", "export").stdout + self.host.log
            self.assertNotIn(TOKEN, everything)
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

    def test_a_wrong_token_is_said_to_the_operator_and_not_tried_for_ever(self):
        self.start(token="123456:another", connected=False)
        self.wait_link("failed")
        self.assertIn("@BotFather", self.link()["detail"])


if __name__ == "__main__":
    unittest.main()
