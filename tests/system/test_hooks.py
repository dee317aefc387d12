"""Hooks: the operator's chain over what comes in, goes out and is called; it tightens, never loosens."""
import json
import re
import shutil
import unittest

from parley import BUILD, Host, wait_for


class Hooks(unittest.TestCase):
    def setUp(self):
        self.host = Host()
        self.addCleanup(self.host.close)

    def start(self, chain="[org.test.censor]", enabled=True, settings=""):
        host = self.host
        (host.home / "plugins").mkdir(mode=0o700, exist_ok=True)
        shutil.copy(BUILD / "offers" / "censor.so", host.home / "plugins" / "censor.so")
        host.edit("parley.yaml", "  rehearsal: {enabled: true}",
                  f"  org.test.censor: {{enabled: {str(enabled).lower()}{settings}}}\n  rehearsal: {{enabled: true}}")
        host.write("parley.yaml", host.file("parley.yaml").read_text() + f"hooks: {chain}\n")
        locked = host.cli("plugin", "lock", "org.test.censor", "--yes")
        self.assertEqual(locked.returncode, 0, locked.stderr)
        self.assertIn("hook message.out, fails open", locked.stdout)
        host.start()

    def notes(self, session):
        return [(record["kind"], record["body"]["point"], record["body"].get("before"))
                for record in self.host.records(session) if record["kind"].startswith("hook.")]

    def test_a_message_is_changed_on_its_way_in_and_the_reply_on_its_way_out_and_both_versions_are_kept(self):
        self.start()
        said = self.host.say("/say swap-message.in swap-message.out")
        self.assertEqual(self.host.reply_after(said), "swapped-message.in swapped-message.out")
        texts = [record["body"]["text"] for record in self.host.records(said["session"])
                 if record["kind"] == "message.received"]
        self.assertEqual(texts, ["/say swapped-message.in swap-message.out"])
        self.assertEqual(self.notes(said["session"]), [
            ("hook.changed", "message.in", "/say swap-message.in swap-message.out"),
            ("hook.changed", "message.out", "swapped-message.in swap-message.out")])
        self.host.verify()

    def test_a_rejected_message_reaches_no_model_and_its_sender_is_told_why(self):
        self.start()
        said = self.host.say("/say ban-message.in", message_id="m-1")
        notice = wait_for("the notice", lambda: self.host.notices(said["session"]))[0]
        self.assertEqual(notice, "Your message was not taken: org.test.censor: a banned word")
        self.assertEqual(self.notes(said["session"]), [("hook.rejected", "message.in", "/say ban-message.in")])
        self.assertNotIn("model.requested", self.host.kinds(said["session"]))
        again = self.host.say("/say ban-message.in", conversation=said["conversation"], message_id="m-1")
        self.assertEqual(again["seq"], said["seq"])
        self.assertEqual(self.host.ask("/say fine", conversation=said["conversation"]), "fine")

    def test_what_a_person_approves_is_what_the_hook_made_of_the_call(self):
        self.start()
        said = self.host.say('/call write_file {"path": "note.txt", "content": "swap-skill.before"}\n/then\n/say done')
        pending = wait_for("the approval", self.host.pending)[0]
        self.assertIn("swapped-skill.before", pending["shown"])
        self.assertEqual(self.host.decide(pending).status, 200)
        self.assertEqual(self.host.reply_after(said), "done")
        self.assertEqual((self.host.workspace / "note.txt").read_text(), "swapped-skill.before")
        self.assertEqual([note[:2] for note in self.notes(said["session"])], [("hook.changed", "skill.before")])

    def test_a_call_that_a_hook_refuses_asks_nobody_and_the_model_can_react(self):
        self.start()
        said = self.host.say('/call shell {"command": "echo ban-skill.before"}\n'
                             '/call list_files {}\n/then\n/results')
        reply = self.host.reply_after(said)
        self.assertIn("refused by org.test.censor: a banned word", reply)
        self.assertEqual(self.host.pending(), [])
        kinds = self.host.kinds(said["session"])
        self.assertEqual(kinds.count("skill.started"), 1)
        self.assertEqual((kinds.count("skill.failed"), kinds.count("skill.finished")), (1, 1))

    def test_a_result_is_changed_or_withheld_before_the_model_sees_it(self):
        self.start()
        (self.host.workspace / "swap").write_text("swap-skill.after")
        (self.host.workspace / "ban").write_text("ban-skill.after")
        said = self.host.say('/call read_file {"path": "swap"}\n/call read_file {"path": "ban"}\n/then\n/results')
        reply = self.host.reply_after(said)
        self.assertIn("swapped-skill.after", reply)
        self.assertIn("withheld by org.test.censor", reply)
        self.assertNotIn("ban-skill.after", reply)

    def test_a_skill_that_a_hook_takes_away_is_offered_to_no_model_and_not_run(self):
        self.start(settings=", config: {hides: list_files}")
        said = self.host.say('/call list_files {}\n/then\n/results')
        reply = self.host.reply_after(said)
        self.assertIn("there is no skill named 'list_files'; there are:", reply)
        self.assertNotIn("skill.started", self.host.kinds(said["session"]))
        offered = json.loads(self.host.cli("session", "context", said["session"]).stdout)["skills"]
        self.assertIn("read_file", [skill["name"] for skill in offered])
        self.assertNotIn("list_files", [skill["name"] for skill in offered])
        changed = [record for record in self.host.ledger() if record["kind"] == "hook.changed"]
        self.assertEqual([(record["agent"], record["body"]["point"]) for record in changed],
                         [("assistant", "skill.list")])
        self.assertIn("list_files", changed[0]["body"]["before"])

    def test_a_request_that_a_hook_refuses_reaches_no_model_and_costs_nothing(self):
        self.start()
        said = self.host.say("/say ban-model.before")
        notice = wait_for("the notice", lambda: self.host.notices(said["session"]))[0]
        self.assertIn("it was not asked, by org.test.censor: a banned word", notice)
        self.assertNotIn("model.answered", self.host.kinds(said["session"]))
        failed = [r["body"] for r in self.host.records(said["session"]) if r["kind"] == "model.failed"]
        self.assertEqual([(body["left"], body["will_retry"]) for body in failed], [(False, False)])
        self.assertEqual(self.notes(said["session"])[0][:2], ("hook.rejected", "model.before"))

    def test_what_a_model_says_is_changed_or_withheld_before_anything_comes_of_it(self):
        self.start()
        said = self.host.say("/say swap-model.after")
        self.assertEqual(self.host.reply_after(said), "swapped-model.after")
        self.assertEqual(self.notes(said["session"]), [("hook.changed", "model.after", "swap-model.after")])
        said = self.host.say('/say ban-model.after\n/call write_file {"path": "x", "content": "y"}')
        self.assertIn("withheld by org.test.censor", self.host.reply_after(said))
        self.assertNotIn("skill.requested", self.host.kinds(said["session"]))
        self.assertEqual(self.host.pending(), [])

    def test_a_hook_fails_open_only_where_it_says_so_and_the_operator_may_tighten_that(self):
        self.start()
        self.assertEqual(self.host.ask("/say break-message.out"), "break-message.out")
        said = self.host.say("/say break-message.in")
        wait_for("the notice", lambda: self.host.notices(said["session"]))
        self.assertIn("org.test.censor failed: out of order", self.host.notices(said["session"])[0])
        self.host.edit("parley.yaml", "hooks: [org.test.censor]", "hooks: [{plugin: org.test.censor, fail: closed}]")
        self.assertEqual(self.host.cli("plugin", "enable", "rehearsal").returncode, 0)
        reply = self.host.ask("/say break-message.out")
        self.assertIn("withheld by org.test.censor failed", reply)

    def test_a_hook_that_dies_fails_closed_and_the_next_message_is_served(self):
        self.start()
        said = self.host.say("/say crash-message.in", conversation="one")
        wait_for("the notice", lambda: self.host.notices(said["session"]))
        self.assertEqual(self.host.ask("/say alive", conversation="one"), "alive")
        self.assertEqual(self.notes(said["session"])[0][0], "hook.failed")

    def test_a_hook_in_the_chain_that_cannot_be_used_lets_nothing_through(self):
        self.start(enabled=False)
        said = self.host.say("/say hello")
        notice = wait_for("the notice", lambda: self.host.notices(said["session"]))[0]
        self.assertIn("org.test.censor failed: the plugin cannot run now", notice)
        self.assertIn("so no message passes", self.host.cli("doctor").stdout)
        self.assertNotIn("model.requested", self.host.kinds(said["session"]))

    def test_messages_of_one_conversation_keep_their_order(self):
        self.start()
        for n in range(30):
            said = self.host.say(f"/say number {n} swap-message.in", conversation="ordered", message_id=f"n{n}")
        wait_for("all", lambda: sum(r["kind"] == "message.received" for r in self.host.records(said["session"])) == 30)
        numbers = [int(re.search(r"number (\d+)", record["body"]["text"]).group(1))
                   for record in self.host.records(said["session"]) if record["kind"] == "message.received"]
        self.assertEqual(numbers, list(range(30)))


if __name__ == "__main__":
    unittest.main()
