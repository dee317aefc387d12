"""`parley channel show` answers the question why nothing replies; `add` and `allow` mend it."""
import json
import re
import shlex
import subprocess
import unittest

from desk import COUNT, OnDesk
from parley import wait_for


class Show(OnDesk):
    def show(self):
        done = self.host.cli("channel", "show", "desk")
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def problems(self):
        return "\n".join(self.channel()["problems"])

    def test_a_channel_that_works_says_so_and_what_it_heard_and_sent(self):
        self.open("boss", "deputy")
        text = self.show()
        self.assertIn("channel desk is connected", text)
        self.assertIn("id:boss: in conversation boss", text)
        self.assertIn("last message in: none since the host started", text)
        self.desk.say("ada", "/say good day")
        self.desk.wait("ada", "good day")
        wait_for("the delivery", lambda: "last_out" in self.channel())
        channel = self.channel()
        self.assertGreater(channel["last_in"], channel["since"])
        self.assertNotIn("last_error", channel)
        self.assertEqual([(one["conversation"], one["state"], one["sender"]) for one in channel["conversations"]],
                         [("ada", "Dormant", "id:ada")])
        # All that stands in the way is that strangers were refused.
        self.assertEqual({re.sub(" was refused.*", "", one) for one in channel["problems"]}, {"id:boss", "id:deputy"})
        document = json.loads(self.host.cli("channel", "show", "desk", "--json").stdout)
        self.assertEqual(document.pop("version"), 1)
        self.assertEqual(document.keys(), channel.keys())

    def test_a_stranger_is_named_and_the_command_that_lets_them_in_does(self):
        self.desk.say("eve", "let me in")
        wait_for("the stranger to be counted", lambda: self.channel()["refused"])
        self.assertIn("refused: id:eve, 1 times", self.show())
        command = next(one for one in self.channel()["problems"] if "id:eve" in one).split("let them in: parley ")[1]
        self.assertEqual(command, "channel allow desk id:eve")
        before = self.host.file("agents/assistant/agent.yaml").read_text()
        done = self.host.cli(*command.split())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.host.file("agents/assistant/agent.yaml").read_text(),
                         before.replace('"id:bea"]', '"id:bea", "id:eve"]'))
        # Nothing is so before the host reads it, as is told.
        self.assertIn(f"- the files were changed since the host read them; it reads them again with: kill -HUP {self.host.process.pid}", self.show())
        self.desk.say("eve", "and now?")
        wait_for("the stranger to be counted", lambda: self.channel()["refused"][0]["count"] == 2)
        told = re.search(r"kill -HUP (\d+)", done.stdout)
        self.assertEqual(int(told[1]), self.host.process.pid)
        subprocess.run(told[0].split(), check=True)
        wait_for("the reload", lambda: "read again" in self.host.log)
        self.desk.say("eve", "/say at last")
        self.desk.wait("eve", "at last")
        self.assertNotIn("the files", self.show())
        self.host.write("overrides.yaml", "nonsense: 1\n")
        self.assertIn("- the files hold a mistake, so the host goes by what it read before: overrides.yaml:1:1: unknown key", self.show())
        self.host.file("overrides.yaml").unlink()

    def test_whatever_a_stranger_is_called_it_is_one_word_in_a_command(self):
        name = "x'; touch /tmp/harm #$(id)`id`\u202e\n!"
        self.desk.say(name, "let me in")
        wait_for("the stranger to be counted", lambda: self.channel()["refused"])
        command = next(one for one in self.channel()["problems"] if "touch" in one).split("let them in: ")[1]
        self.assertNotIn("\n", command)
        words = shlex.split(command)
        self.assertEqual(words[:4], ["parley", "channel", "allow", "desk"])
        self.assertEqual(words[4:], [self.channel()["refused"][0]["sender"]])

    def test_an_approver_is_let_decide_by_the_same_verb(self):
        done = self.host.cli("channel", "allow", "--approver", "desk", "id:chief")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.reload()
        self.assertIn("approver id:chief has not written there in private", self.problems())
        self.open("chief")
        self.assertNotIn("id:chief has not", self.problems())
        self.ask()
        card = wait_for("a card", lambda: [one for one in self.desk.there("chief") if one.get("buttons")])[0]
        self.desk.press("chief", card["buttons"][0][0]["data"])
        self.desk.wait("ada", "done")
        self.assertEqual(self.ran(), 1)

    def test_what_waits_is_stuck_or_was_lost_is_named(self):
        self.desk.fail = lambda verb, request: {"retryable": False, "sent": False} if request["text"] == "lost" else None
        self.desk.say("ada", "/say lost")
        wait_for("it to be given up", lambda: self.channel()["outbox"]["failed"])
        self.assertIn("1 messages did not arrive", self.problems())
        self.assertEqual(self.channel()["outbox"]["messages"][0]["conversation"], "ada")
        self.assertIn("as the test wants", self.channel()["last_error"]["text"])
        self.desk.say("bea", COUNT)
        self.desk.wait("bea", "Waiting for approval")
        self.assertRegex(self.problems(), r"session s-\S+ \(conversation bea\) waits for an approval")
        self.host.write("overrides.yaml", "agents:\n  assistant:\n    budget: {limit_tokens: 1, per: day, on_limit: refuse}\n")
        self.reload()
        self.desk.say("ada", "/say what does it cost?")
        self.desk.wait("ada", "I have stopped (budget)")
        self.assertRegex(self.problems(), r"\(conversation ada\) is stopped \(budget\)")
        self.desk.down()
        wait_for("the link to be down", lambda: "it is not connected" in self.problems())

    def test_a_plugin_that_is_off_and_a_secret_that_is_missing_are_named(self):
        self.host.cli("plugin", "disable", self.plugin)
        wait_for("the channel to close", lambda: self.channel()["link"] == "closed")
        self.assertIn(f"switch it on with: parley plugin enable {self.plugin}", self.problems())
        self.assertIn(f"plugin: {self.plugin}, disabled", self.show())
        self.host.cli("plugin", "enable", self.plugin)
        self.connected()
        added = self.host.cli("channel", "add", "chat", "telegram", "--json")
        self.assertEqual(added.returncode, 0, added.stderr)
        commands = [step["command"] for step in json.loads(added.stdout)["remaining"]]
        self.assertEqual(commands, ["parley secret set telegram/chat", "parley channel allow chat SENDER",
                                    f"kill -HUP {self.host.process.pid}"])
        early = self.host.cli("channel", "show", "chat")
        self.assertEqual((early.returncode, early.stdout), (1, ""))
        self.assertIn("no channel chat; the files were changed since the host read them", early.stderr)
        self.reload()
        chat = self.host.api("GET", "/api/v1/channels/chat").json
        self.assertEqual(chat["link"], "closed")
        self.assertIn("the vault has no secret telegram/chat; set it with: parley secret set telegram/chat", chat["problems"])
        self.assertIn("nobody may speak there; let somebody in with: parley channel allow chat SENDER", chat["problems"])
        self.assertIn("parley channel allow --approver chat SENDER", "\n".join(chat["problems"]))

    def test_without_a_host_it_says_what_it_cannot_know(self):
        self.host.stop()
        text = self.show()
        self.assertIn("no host is running", text)
        self.assertIn("known to a running host alone", text)
        self.assertIn("may speak: id:ada, id:bea", text)
        self.start()


del OnDesk
if __name__ == "__main__":
    unittest.main()
