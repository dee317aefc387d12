"""A plugin's own words on a call that waits: asked without any right, shown beside the host's rendering, and
binding nobody."""
import re
import shutil
import unittest

from parley import BUILD, Host, wait_for

SECRET = "secret-of-the-planner-17"


class Preview(unittest.TestCase):
    def setUp(self):
        host = self.host = Host()
        self.addCleanup(host.close)
        self.assertEqual(host.cli("secret", "set", "plan/token", stdin=SECRET + "\n").returncode, 0)
        (host.home / "plugins").mkdir(mode=0o700, exist_ok=True)
        shutil.copy(BUILD / "offers" / "planner.so", host.home / "plugins" / "planner.so")
        host.edit("parley.yaml", "  rehearsal: {enabled: true}",
                  "  org.test.planner: {enabled: true, secrets: {token: plan/token, open: plan/token}, reveal: [open]}\n"
                  "  rehearsal: {enabled: true}")
        agent = host.file("agents/assistant/agent.yaml").read_text()
        host.write("agents/assistant/agent.yaml", re.sub(r"allow: *\[", 'allow: ["org.test.planner:plan", ', agent))
        locked = host.cli("plugin", "lock", "org.test.planner", "--yes")
        self.assertEqual(locked.returncode, 0, locked.stderr)
        host.start()

    def approval(self, how, more=""):
        self.host.say(f'/call org.test.planner:plan {{"how": "{how}"{more}}}', conversation=how)
        return wait_for("the approval", lambda: [one for one in self.host.pending() if f'"{how}"' in one["arguments"]])[0]

    def previewed(self, approval):
        return wait_for("the plugin's words", lambda: self.host.api("GET", f"/api/v1/approvals/{approval['id']}").json.get("preview"))

    def test_the_words_stand_beside_the_call_with_nothing_hidden_and_the_digest_is_the_calls_alone(self):
        approval = self.approval("say")
        self.assertEqual(self.previewed(approval), "I would do it \\u{1b}[31mat once")
        after = self.host.api("GET", f"/api/v1/approvals/{approval['id']}").json
        self.assertEqual((after["digest"], after["shown"]), (approval["digest"], approval["shown"]))
        shown = self.host.cli("approval", "show", approval["id"]).stdout
        self.assertLess(shown.index("arguments,"), shown.index("in the plugin's own words"))
        self.assertEqual(self.host.decide(approval).status, 200)

    def test_whatever_it_tries_while_it_speaks_is_refused(self):
        for how, more in (("fetch", ""), ("secret", ""), ("reveal", ""), ("write", f', "path": "{self.host.workspace}"')):
            said = self.previewed(self.approval(how, more))
            self.assertIn("refused", said, how)
        self.assertFalse((self.host.workspace / "planted").exists())
        kinds = {record["kind"] for record in self.host.ledger()}
        self.assertEqual(kinds & {"secret.used", "skill.started", "skill.sent"}, set())

    def test_a_preview_that_dies_or_hangs_leaves_the_call_as_it_was(self):
        for how in ("die", "hang"):
            approval = self.approval(how)
            self.assertEqual(self.host.decide(approval).status, 200)
        self.host.verify()


if __name__ == "__main__":
    unittest.main()
