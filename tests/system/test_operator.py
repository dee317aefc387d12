"""What an operator does with a running host: looks, changes, switches off, and decides about messages."""
import json
import os
import pty
import select
import signal
import subprocess
import time
import unittest

from irc import Ircd, Person
from parley import BIN, Host, wait_for


class Operator(unittest.TestCase):
    def setUp(self):
        self.host = Host().start()

    def tearDown(self):
        self.host.verify()
        self.host.close()

    def lines(self, *words):
        done = self.host.cli(*words)
        self.assertEqual(done.returncode, 0, (words, done.stderr))
        return done.stdout

    def test_an_agents_words_change_only_for_who_read_the_present_ones(self):
        path = "/api/v1/agents/assistant"
        read = self.host.api("GET", path)
        tag = read.headers.get("ETag") or read.headers.get("Etag")
        self.assertTrue(tag, read.headers)
        self.assertEqual(self.host.api("PUT", path, {"soul": "x"}).status, 428)
        self.assertEqual(self.host.api("PUT", path, {"soul": "x"}, headers={"If-Match": '"0"'}).status, 412)
        done = self.host.api("PUT", path, {"soul": "You are brief.\n"}, headers={"If-Match": tag})
        self.assertEqual(done.status, 200, done.text)
        self.assertEqual(self.host.api("PUT", path, {"soul": "x"}, headers={"If-Match": tag}).status, 412)
        self.assertEqual(self.host.file("agents/assistant/soul.md").read_text(), "You are brief.\n")
        accepted = self.host.say("hello")
        self.host.reply_after(accepted)
        context = self.host.api("GET", f"/api/v1/sessions/{accepted['session']}/context").text
        self.assertIn("You are brief.", context)

    def test_the_api_writes_no_policy(self):
        tag = self.host.api("GET", "/api/v1/agents/assistant").headers["ETag"]
        before = self.host.file("agents/assistant/agent.yaml").read_text()
        self.host.api("PUT", "/api/v1/agents/assistant", {"skills": {"allow": ["shell"]}, "approval": {"shell": "never"}},
                      headers={"If-Match": tag})
        self.assertEqual(self.host.file("agents/assistant/agent.yaml").read_text(), before)
        accepted = self.host.say('/call shell {"command":"true"}')
        self.host.wait_state(accepted["session"], "AwaitingApproval")

    def test_a_plugin_that_is_switched_off_is_gone_at_once_and_stays_off_after_a_restart(self):
        self.lines("plugin", "disable", "shell")
        self.assertIn("no skill named", self.host.ask('/call shell {"command":"true"}'))
        self.assertIn("plugins/shell/enabled", self.lines("doctor").replace(".", "/"))
        self.host.stop()
        self.host.start()
        self.assertEqual(self.host.api("GET", "/api/v1/plugins/shell").json["state"], "disabled")
        self.lines("plugin", "enable", "shell")
        accepted = self.host.say('/call shell {"command":"true"}')
        self.host.wait_state(accepted["session"], "AwaitingApproval")

    def test_a_parked_call_of_a_plugin_that_was_switched_off_cannot_be_let_through(self):
        accepted = self.host.say('/call shell {"command":"echo ran >> count"}')
        self.host.wait_state(accepted["session"], "AwaitingApproval")
        approval = self.host.pending()[0]
        self.lines("plugin", "disable", "shell")
        self.assertEqual(self.host.decide(approval).status, 409)
        self.host.reply_after(accepted)
        self.assertFalse((self.host.workspace / "count").exists())

    def test_a_cancelled_session_takes_its_open_approval_with_it(self):
        accepted = self.host.say('/call shell {"command":"echo ran >> count"}')
        self.host.wait_state(accepted["session"], "AwaitingApproval")
        approval = self.host.pending()[0]
        self.lines("session", "cancel", accepted["session"])
        self.assertEqual(self.host.api("GET", f"/api/v1/approvals/{approval['id']}").json["state"], "cancelled")
        self.assertEqual(self.host.decide(approval).status, 409)
        self.assertFalse((self.host.workspace / "count").exists())

    def test_a_command_of_a_cancelled_session_is_ended(self):
        accepted = self.host.say('/call shell {"command":"while :; do date +%s%N > alive; sleep 0.02; done"}')
        self.host.wait_state(accepted["session"], "AwaitingApproval")
        self.host.decide(self.host.pending()[0])
        alive = self.host.workspace / "alive"
        wait_for("the command to run", alive.exists)
        self.lines("session", "cancel", accepted["session"])

        def is_still():
            before = alive.read_text()
            time.sleep(0.3)
            return alive.read_text() == before
        wait_for("the command to end", is_still, 6)

    def test_two_calls_are_decided_one_by_one(self):
        accepted = self.host.say('/call shell {"command":"echo one >> count"}\n/call shell {"command":"echo two >> count"}')
        self.host.wait_state(accepted["session"], "AwaitingApproval")
        first, second = sorted(self.host.pending(), key=lambda one: one["arguments"])
        self.assertEqual(self.host.decide(second).status, 200)
        wait_for("the second to run", (self.host.workspace / "count").exists)
        self.assertEqual(self.host.replies(accepted["session"]), [])
        self.assertEqual(self.host.decide(first, "deny", reason="one is enough").status, 200)
        self.assertIn("one is enough", self.host.reply_after(accepted))
        self.assertEqual((self.host.workspace / "count").read_text(), "two\n")

    def test_replay_tail_and_show_tell_what_happened(self):
        accepted = self.host.say("/say from the replay")
        self.host.reply_after(accepted)
        self.assertIn("from the replay", self.lines("session", "replay", accepted["session"]))
        self.assertIn("/say from the replay", self.lines("session", "context", accepted["session"]))
        self.assertIn(accepted["session"], self.lines("session", "list"))
        self.assertIn("assistant", self.lines("session", "show", accepted["session"]))
        seq = str(accepted["seq"])
        self.assertEqual(json.loads(self.lines("ledger", "show", seq, "--json"))["kind"], "message.received")
        self.assertEqual(len(self.lines("ledger", "tail", "-n", "3").splitlines()), 3)
        self.assertEqual(self.host.cli("session", "show", "s-nobody").returncode, 1)

    def test_every_verb_explains_itself(self):
        groups = {"agent": ("list", "show"), "channel": ("list", "show", "add", "allow", "test"),
                  "session": ("list", "show", "replay", "context", "cancel", "resume", "resolve"),
                  "outbox": ("list", "retry", "drop"), "approval": ("list", "show", "approve", "deny"),
                  "plugin": ("list", "show", "lock", "enable", "disable", "check"),
                  "secret": ("set", "list", "remove", "rekey"), "token": ("list", "rotate"), "budget": ("show",),
                  "ledger": ("tail", "show", "verify", "export", "accept-loss")}
        words = [(group, verb) for group, verbs in groups.items() for verb in verbs]
        words += [("init",), ("run",), ("chat",), ("status",), ("doctor",), ("version",)]
        for each in words:
            done = self.host.cli(*each, "--help")
            self.assertEqual(done.returncode, 0, each)
            self.assertIn("--home", done.stdout, each)

    def test_a_verb_without_a_host_says_how_to_start_one(self):
        self.host.stop()
        for words in (("status",), ("session", "list"), ("chat", "assistant", "-m", "x")):
            done = self.host.cli(*words)
            self.assertEqual((done.returncode, done.stdout), (1, ""), words)
            self.assertIn("parley run", done.stderr)

    def test_metrics_are_numbers_of_prometheus(self):
        self.host.ask("hello")
        answer = self.host.api("GET", "/metrics", token=self.host.read)
        self.assertEqual(answer.status, 200)
        for line in answer.text.splitlines():
            self.assertRegex(line, r"^(#|[a-z_]+(\{.*\})? -?[0-9.e+]+$)")
        self.assertGreater(len(answer.text.splitlines()), 3)

    def test_a_person_at_the_terminal_approves_what_they_see(self):
        terminal, far = pty.openpty()
        process = subprocess.Popen([BIN, "chat", "assistant"], env=self.host.env, stdin=far, stdout=far, stderr=far,
                                   start_new_session=True)
        os.close(far)
        seen = ""

        def wait_text(text):
            nonlocal seen
            end = time.monotonic() + 15
            while text not in seen:
                self.assertLess(time.monotonic(), end, f"no {text!r} in {seen!r}")
                if select.select([terminal], [], [], 0.2)[0]:
                    seen += os.read(terminal, 65536).decode(errors="replace")

        try:
            wait_text("> ")
            os.write(terminal, b'/call shell {"command":"echo ran >> count; echo at the terminal"}\n')
            wait_text("approve? [y/N")
            self.assertIn("echo ran >> count", seen.split("agent assistant wants")[1])
            self.assertFalse((self.host.workspace / "count").exists())
            os.write(terminal, b"y\n")
            wait_text("shell: at the terminal")
            os.write(terminal, b"\x04")
            self.assertEqual(process.wait(10), 0)
            self.assertEqual((self.host.workspace / "count").read_text(), "ran\n")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            os.close(terminal)

    def test_term_in_the_middle_of_work_ends_the_host_soon_and_the_work_goes_on_at_the_next_start(self):
        accepted = self.host.say("/wait 3000\n/say after all")
        wait_for("the model to be asked", lambda: "model.requested" in self.host.kinds(accepted["session"]))
        self.host.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.host.process.wait(10), 0)
        self.host.start()
        self.assertEqual(self.host.reply_after(accepted), "after all")


class Outbox(unittest.TestCase):
    """Messages that could not leave, on a server that went away."""

    def test_what_waits_is_listed_and_what_was_dropped_is_never_sent(self):
        ircd, host = Ircd("ngircd"), Host()
        people = []
        try:
            host.edit("parley.yaml", "  shell:     {enabled: true}", "  shell:     {enabled: true}\n  irc: {enabled: true}")
            host.write("parley.yaml", host.file("parley.yaml").read_text() + (
                "channels:\n  irc-main:\n    plugin: irc\n    agent: assistant\n"
                f"    config: {{host: 127.0.0.1, port: {ircd.port}, tls: false, nick: bot, send_interval_ms: 5}}\n"))
            host.write("agents/assistant/agent.yaml", host.file("agents/assistant/agent.yaml").read_text() +
                       "channels:\n  irc-main: {authorized_senders: [\"nick:ada\"]}\n")
            host.start()

            def linked():
                return host.api("GET", "/api/v1/channels/irc-main").json["link"] == "connected"
            wait_for("the channel to connect", linked)
            people.append(Person(ircd.port, "ada"))
            people[0].say("bot", '/call shell {"command":"echo this is dropped"}')
            people[0].wait_heard("Waiting for approval")
            ircd.stop()
            wait_for("the channel to notice", lambda: not linked())
            host.decide(host.pending()[0])
            wait_for("the reply to wait", lambda: host.api("GET", "/api/v1/outbox").json["items"])
            waiting = host.api("GET", "/api/v1/outbox").json["items"]
            self.assertEqual([one["state"] for one in waiting], ["queued"])
            self.assertIn("this is dropped", waiting[0]["text"])
            self.assertEqual(host.cli("outbox", "retry", waiting[0]["id"]).returncode, 1)
            done = host.cli("outbox", "drop", waiting[0]["id"])
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(host.api("GET", "/api/v1/outbox").json["items"], [])
            host.kill()
            people.pop().close()
            ircd.start()
            host.start()
            wait_for("the channel to connect", linked, 45)
            people.append(Person(ircd.port, "ada"))
            people[0].say("bot", "/say what comes next")
            people[0].wait_heard("what comes next")
            self.assertFalse([line for line in people[0].heard() if "this is dropped" in line])
            host.verify()
        finally:
            for person in people:
                person.close()
            host.close()
            ircd.close()


if __name__ == "__main__":
    unittest.main()
