"""Nothing runs before a person said yes, and nothing else than what was shown."""
import pathlib
import unittest

from parley import Host, wait_for

COUNT = '/call shell {"command":"echo ran >> count; echo done"}'


class Approval(unittest.TestCase):
    def setUp(self):
        self.host = Host().start()

    def tearDown(self):
        self.host.close()

    def ran(self):
        file = self.host.workspace / "count"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def park(self, text=COUNT):
        accepted = self.host.say(text)
        self.host.wait_state(accepted["session"], "AwaitingApproval")
        return accepted, self.host.pending()[0]

    def test_a_command_runs_once_after_its_approval_and_its_output_reaches_the_reply(self):
        accepted, approval = self.park()
        self.assertEqual(self.ran(), 0)
        self.assertIn('echo ran >> count', approval["shown"])
        self.assertEqual(self.host.decide(approval).status, 200)
        self.assertIn("done", self.host.reply_after(accepted))
        self.assertEqual(self.ran(), 1)
        self.assertEqual(self.host.decide(approval).status, 409)
        self.assertEqual(self.ran(), 1)

    def test_a_parked_call_survives_kill_9_and_runs_once_when_approved(self):
        accepted, approval = self.park()
        self.host.kill()
        self.host.start()
        self.assertEqual([one["id"] for one in self.host.pending()], [approval["id"]])
        self.assertEqual(self.host.decide(approval).status, 200)
        self.assertIn("done", self.host.reply_after(accepted))
        self.assertEqual(self.ran(), 1)
        self.host.verify()

    def test_a_denial_reaches_the_model_with_its_reason(self):
        accepted, approval = self.park()
        self.assertEqual(self.host.decide(approval, "deny", reason="not today").status, 200)
        self.assertIn("not today", self.host.reply_after(accepted))
        self.assertEqual(self.ran(), 0)

    def test_another_digest_decides_nothing(self):
        _, approval = self.park()
        wrong = ("0" if approval["digest"][0] != "0" else "1") + approval["digest"][1:]
        self.assertEqual(self.host.decide(approval, digest=wrong).status, 409)
        self.assertEqual(len(self.host.pending()), 1)
        self.assertEqual(self.ran(), 0)

    def test_an_approval_that_nobody_decides_expires_and_the_model_hears_of_it(self):
        self.host.edit("parley.yaml", "expire_after: 24h", "expire_after: 1s")
        self.host.stop()
        self.host.start()
        accepted, approval = self.park()
        self.assertIn("expired", self.host.reply_after(accepted))
        self.assertIn(self.host.decide(approval).status, (409, 410))
        self.assertEqual(self.ran(), 0)

    def test_a_permission_that_is_taken_away_while_parked_is_gone(self):
        accepted, approval = self.park()
        self.host.edit("agents/assistant/agent.yaml", ", shell]", "]")
        self.host.process.send_signal(1)
        wait_for("the reload", lambda: "read again" in self.host.log)
        self.assertEqual(self.host.decide(approval).status, 409)
        self.host.reply_after(accepted)
        self.assertEqual(self.ran(), 0)

    def test_a_file_that_changed_since_it_was_shown_is_not_written(self):
        target = self.host.workspace / "note"
        target.write_text("one")
        accepted, approval = self.park('/call write_file {"path":"note","content":"two"}')
        target.write_text("changed by hand")
        self.assertEqual(self.host.decide(approval).status, 409)
        self.host.reply_after(accepted)
        self.assertEqual(target.read_text(), "changed by hand")

    def test_a_file_is_written_after_its_approval(self):
        accepted, approval = self.park('/call write_file {"path":"a/note","content":"two"}')
        self.assertEqual(self.host.decide(approval).status, 200)
        self.host.reply_after(accepted)
        self.assertEqual((self.host.workspace / "a/note").read_text(), "two")

    def test_calls_of_one_answer_that_need_nobody_run_at_once(self):
        (self.host.workspace / "here").write_text("it is here")
        accepted, approval = self.park('/call read_file {"path":"here"}\n' + COUNT)
        self.assertIn("skill.finished", self.host.kinds(accepted["session"]))
        self.assertEqual(self.host.decide(approval).status, 200)
        self.assertIn("it is here", self.host.reply_after(accepted))

    def test_no_command_sees_the_home_the_key_or_the_control_socket(self):
        key = self.host.env["PARLEY_VAULT_KEY_FILE"]
        command = (f"ls {self.host.home}/vault {self.host.home}/run {self.host.home}/parley.yaml {key} 2>&1; "
                   f"cat {key} 2>&1; umount {self.host.home} 2>&1; pwd; echo end")
        accepted, approval = self.park('/call shell {"command":"%s"}' % command)
        self.host.decide(approval)
        reply = self.host.reply_after(accepted)
        self.assertIn("end", reply)
        self.assertNotIn("secrets.vault", reply)
        self.assertNotIn("parley.sock", reply)
        self.assertNotIn(pathlib.Path(key).read_text().strip(), reply)

    def test_what_a_command_left_running_is_gone_when_it_ends(self):
        command = "(while :; do date +%s%N > alive; sleep 0.05; done) >/dev/null 2>&1 & sleep 0.3; echo left"
        accepted, approval = self.park('/call shell {"command":"%s"}' % command)
        self.host.decide(approval)
        self.assertIn("left", self.host.reply_after(accepted))
        first = (self.host.workspace / "alive").read_text()
        self.assertFalse(wait_unchanged(self.host.workspace / "alive", first))

    def test_the_verbs_show_and_decide(self):
        accepted, approval = self.park()
        shown = self.host.cli("approval", "show", approval["id"]).stdout
        self.assertIn("echo ran >> count", shown)
        self.assertIn(approval["digest"], shown)
        done = self.host.cli("approval", "approve", approval["id"])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("done", self.host.reply_after(accepted))


def wait_unchanged(path, first):
    import time
    time.sleep(0.4)
    return path.read_text() != first


if __name__ == "__main__":
    unittest.main()
