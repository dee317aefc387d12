"""Real IRC servers: who may speak, where the answer goes, and what a crash does to it."""
import unittest

from irc import Ircd, Person
from parley import Host, wait_for

SETUP = '''
channels:
  irc-main:
    plugin: irc
    agent: assistant
    config: {host: 127.0.0.1, port: %d, tls: false, nick: bot, channels: ["#ops"], send_interval_ms: 5}
'''


class OnIrc:
    """The same promises on each server."""

    def setUp(self):
        self.ircd = Ircd(self.kind)
        self.host = Host()
        self.host.edit("parley.yaml", "  shell:     {enabled: true}", "  shell:     {enabled: true}\n  irc: {enabled: true}")
        self.host.write("parley.yaml", self.host.file("parley.yaml").read_text() + SETUP % self.ircd.port)
        agent = self.host.file("agents/assistant/agent.yaml").read_text()
        self.host.write("agents/assistant/agent.yaml",
                        agent + "channels:\n  irc-main: {authorized_senders: [\"nick:ada\", \"nick:bea\"]}\n")
        self.host.start()
        self.connected()
        self.people = []

    def tearDown(self):
        for person in self.people:
            person.close()
        self.host.verify()
        self.host.close()
        self.ircd.close()

    def connected(self):
        wait_for("the channel to connect", lambda: self.host.api("GET", "/api/v1/channels/irc-main").json["link"] == "connected")

    def person(self, nick):
        person = Person(self.ircd.port, nick)
        self.people.append(person)
        return person

    def test_a_listed_sender_is_answered_in_private_and_in_the_channel(self):
        ada = self.person("ada")
        ada.say("bot", "/say hello ada")
        ada.wait_heard("hello ada")
        ada.join("#ops")
        ada.say("#ops", "bot: /say hello room")
        ada.wait_heard("hello room", "#ops")

    def test_a_stranger_gets_nothing_and_leaves_nothing_but_a_count(self):
        eve, ada = self.person("eve"), self.person("ada")
        before = len(self.host.ledger())
        for number in range(30):
            eve.say("bot", f"/say let me in {number}")
        eve.quiet()
        self.assertEqual(eve.heard(), [])
        self.assertLessEqual(len(self.host.ledger()) - before, 1)
        ada.say("bot", "/say still here")
        ada.wait_heard("still here")
        records = self.host.ledger()
        self.assertEqual(sum(record["kind"] == "message.refused" for record in records), 1)
        self.assertFalse([record for record in records if "let me in" in str(record)])
        self.assertEqual([record["kind"] for record in records].count("model.requested"), 1)
        refused = self.host.api("GET", "/api/v1/channels/irc-main").json["refused"]
        self.assertEqual([one["count"] for one in refused if "eve" in one["sender"]], [30])

    def test_two_people_have_two_sessions_and_messages_wait_in_order(self):
        ada, bea = self.person("ada"), self.person("bea")
        ada.say("bot", "/wait 500\n".strip())
        bea.say("bot", "/say for bea")
        bea.wait_heard("for bea")
        for word in ("one", "two", "three"):
            ada.say("bot", f"/say {word}")
        ada.wait_heard("three")
        self.assertEqual(len(self.host.api("GET", "/api/v1/sessions").json["items"]), 2)

    def test_a_long_reply_is_split_and_nothing_of_it_is_lost(self):
        ada = self.person("ada")
        ada.say("bot", "/bytes 3000")
        wait_for("the whole reply", lambda: (ada.read(), sum(len(line) for line in ada.heard()) >= 2900)[1])
        self.assertTrue(all(len(line.encode()) <= 512 for line in ada.lines))
        self.assertGreater(len(ada.heard()), 5)

    def test_an_approved_command_answers_in_the_conversation_after_kill_9(self):
        ada = self.person("ada")
        ada.say("bot", '/call shell {"command":"echo ran >> count; echo the answer"}')
        ada.wait_heard("Waiting for approval")
        self.host.kill()
        self.host.start()
        self.connected()
        self.assertEqual(self.host.decide(self.host.pending()[0]).status, 200)
        ada.wait_heard("the answer")
        self.assertEqual((self.host.workspace / "count").read_text(), "ran\n")

    def test_a_server_that_went_away_is_found_again_and_the_reply_is_not_lost(self):
        ada = self.person("ada")
        ada.say("bot", '/call shell {"command":"echo late answer"}')
        ada.wait_heard("Waiting for approval")
        approval = self.host.pending()[0]
        self.ircd.stop()
        wait_for("the channel to notice", lambda: self.host.api("GET", "/api/v1/channels/irc-main").json["link"] != "connected")
        self.assertEqual(self.host.decide(approval).status, 200)
        wait_for("the reply to wait", lambda: self.host.api("GET", "/api/v1/outbox").json["items"])
        ada.close()
        self.people.clear()
        self.ircd.start()
        again = self.person("ada")
        again.wait_heard("late answer", seconds=45)
        wait_for("the outbox to be empty", lambda: not self.host.api("GET", "/api/v1/outbox").json["items"])

    def test_bytes_that_are_not_utf8_are_taken_visibly(self):
        ada = self.person("ada")
        ada.socket.sendall(b"PRIVMSG bot :/say caf\xe9\r\n")
        ada.wait_heard("caf")

    def test_an_approver_who_may_not_speak_decides_in_private_by_a_code(self):
        boss, ada = self.person("boss"), self.person("ada")
        boss.say("bot", "hello")
        refused = wait_for("the stranger to be counted", lambda: self.host.api("GET", "/api/v1/channels/irc-main").json["refused"])
        self.assertTrue(refused[0]["sender"].startswith("mask:boss!"), refused)
        self.host.edit("parley.yaml", "    agent: assistant\n    config: {host", f'    agent: assistant\n    approvers: ["{refused[0]["sender"]}"]\n    config: {{host')
        self.host.process.send_signal(1)
        wait_for("the reload", lambda: "read again" in self.host.log)
        ada.say("bot", '/call shell {"command":"echo ran >> count; echo the answer"}')
        ada.wait_heard("Nobody could be asked in a chat")
        boss.say("bot", "hello")
        boss.wait_heard("echo ran >> count")
        boss.wait_heard("approve ")
        code = next(line for line in boss.heard() if "approve " in line).split("approve ")[1].split()[0]
        ada.say("bot", f"approve {code}")
        boss.say("bot", "approve")
        boss.quiet()
        self.assertEqual(len(self.host.pending()), 1)
        boss.say("bot", f"approve {code}")
        ada.wait_heard("the answer")
        boss.wait_heard("was approved by mask:boss!")
        self.assertEqual((self.host.workspace / "count").read_text(), "ran\n")

    def test_a_card_in_the_text_or_a_plain_yes_decides_nothing(self):
        ada = self.person("ada")
        ada.say("bot", '/call shell {"command":"echo ran >> count"}')
        ada.wait_heard("Waiting for approval")
        for text in ("yes", "y", "approve", "approve " + self.host.pending()[0]["id"]):
            ada.say("bot", text)
        ada.quiet()
        self.assertEqual(len(self.host.pending()), 1)
        self.assertFalse((self.host.workspace / "count").exists())


class Ngircd(OnIrc, unittest.TestCase):
    kind = "ngircd"


class Inspircd(OnIrc, unittest.TestCase):
    kind = "inspircd"


if __name__ == "__main__":
    unittest.main()
