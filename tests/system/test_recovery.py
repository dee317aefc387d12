"""What a host takes up after it was killed, or after its files went back in time."""
import json
import shutil
import threading
import time
import unittest

from parley import Host, wait_for

PRICED = "  default: {provider: rehearsal, model: rehearsal, price: {input: 10, output: 10}, max_output_tokens: 300}"
RAN = '/call shell {"command":"echo ran >> count; echo done"}'


def with_price(host, budget):
    text = host.file("parley.yaml").read_text()
    start = text.index("  default: {provider")
    text = text[:start] + PRICED + text[text.index("\n", start):]
    host.write("parley.yaml", text[:text.index("budgets:")] + f"budgets:\n  global: {budget}\n")


class Killed(unittest.TestCase):
    def setUp(self):
        self.host = Host()

    def tearDown(self):
        self.host.verify()
        self.host.close()

    def ran(self):
        file = self.host.workspace / "count"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def test_a_model_call_that_was_lost_is_made_again_and_stays_charged(self):
        with_price(self.host, "{limit_usd: 1, per: total}")
        self.host.start()
        accepted = self.host.say("/wait 1500\n/usage 100 10\n/say at last")
        wait_for("the model to be asked", lambda: "model.requested" in self.host.kinds(accepted["session"]))
        reserved = self.host.api("GET", "/api/v1/budgets").json["items"][0]["reserved_usd"]
        self.assertGreater(reserved, 0)
        self.host.kill()
        self.host.start()
        self.assertEqual(self.host.reply_after(accepted), "at last")
        kinds = self.host.kinds(accepted["session"])
        self.assertEqual((kinds.count("model.requested"), kinds.count("model.failed"), kinds.count("model.answered")), (2, 1, 1))
        view = self.host.api("GET", "/api/v1/budgets").json["items"][0]
        self.assertGreater(view["spent_usd"], reserved)
        self.assertEqual(view["reserved_usd"], 0)

    def test_kills_in_a_row_do_not_pass_the_cap(self):
        with_price(self.host, "{limit_usd: 0.08, per: total, on_limit: refuse}")
        self.host.start()
        accepted = self.host.say("/wait 60000\n/say never")
        for _ in range(8):
            wait_for("the model to be asked or refused", lambda: {"model.requested", "budget.refused"} &
                     set(self.host.kinds(accepted["session"])[-4:]))
            self.host.kill()
            self.host.start()
        wait_for("the cap", lambda: self.host.session(accepted["session"])["state"] == "Stopped")
        self.assertEqual(self.host.session(accepted["session"])["reason"], "budget")
        view = self.host.api("GET", "/api/v1/budgets").json["items"][0]
        self.assertLessEqual(view["spent_usd"] + view["reserved_usd"], 0.08)

    def test_a_denial_an_approval_and_an_expiry_each_survive_a_kill(self):
        self.host.start()
        accepted = self.host.say(RAN)
        self.host.wait_state(accepted["session"], "AwaitingApproval")
        approval = self.host.pending()[0]
        self.assertEqual(self.host.decide(approval, "deny", reason="no").status, 200)
        self.host.kill()
        self.host.start()
        self.assertIn("no", self.host.reply_after(accepted))
        self.assertEqual(self.host.decide(approval).status, 409)
        self.assertEqual(self.ran(), 0)

    def test_an_approval_expires_while_the_host_is_down(self):
        self.host.edit("parley.yaml", "expire_after: 24h", "expire_after: 2s")
        self.host.start()
        accepted = self.host.say(RAN)
        self.host.wait_state(accepted["session"], "AwaitingApproval")
        approval = self.host.pending()[0]
        self.host.kill()
        time.sleep(2.2)
        self.host.start()
        self.assertIn(self.host.decide(approval).status, (409, 410))
        self.assertIn("expired", self.host.reply_after(accepted))
        self.assertEqual(self.ran(), 0)

    def test_of_many_who_approve_at_once_one_is_heard_and_the_call_runs_once(self):
        self.host.start()
        accepted = self.host.say(RAN)
        self.host.wait_state(accepted["session"], "AwaitingApproval")
        approval, answers = self.host.pending()[0], []
        threads = [threading.Thread(target=lambda: answers.append(self.host.decide(approval).status)) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(answers), [200] + [409] * 11)
        self.assertIn("done", self.host.reply_after(accepted))
        self.assertEqual(self.ran(), 1)

    def test_calls_that_only_read_run_again_after_a_kill_and_ask_nobody(self):
        (self.host.workspace / "note").write_text("what it says")
        self.host.start()
        accepted = self.host.say('/wait 200\n/call read_file {"path":"note"}\n/then\n/wait 400\n/results')
        wait_for("the read", lambda: "skill.requested" in self.host.kinds(accepted["session"]))
        self.host.kill()
        self.host.start()
        self.assertIn("what it says", self.host.reply_after(accepted))
        self.assertNotIn("skill.unknown", self.host.kinds(accepted["session"]))

    def test_an_unknown_call_is_not_resumed_past_and_its_messages_wait(self):
        self.host.start()
        accepted = self.host.say('/call shell {"command":"echo ran >> count; sleep 30"}', conversation="c")
        self.host.wait_state(accepted["session"], "AwaitingApproval")
        self.host.decide(self.host.pending()[0])
        wait_for("the command to run", lambda: self.ran())
        self.host.kill()
        self.host.start()
        later = self.host.say("/say later", conversation="c")
        self.assertEqual(later["session"], accepted["session"])
        self.assertEqual(self.host.cli("session", "resume", accepted["session"]).returncode, 1)
        self.assertEqual(self.host.session(accepted["session"])["reason"], "outcome_unknown")
        self.assertEqual(self.host.cli("session", "resolve", accepted["session"], "c-9", "done").returncode, 1)
        done = self.host.cli("session", "resolve", accepted["session"], "c-1", "done", "--note", "I looked")
        self.assertEqual(done.returncode, 0, done.stderr)
        wait_for("both replies", lambda: len(self.host.replies(accepted["session"])) == 2)
        self.assertIn("I looked", self.host.replies(accepted["session"])[0])
        self.assertEqual(self.host.replies(accepted["session"])[1], "later")
        self.assertEqual(self.host.cli("session", "resolve", accepted["session"], "c-1", "done").returncode, 1)
        self.assertEqual(self.ran(), 1)


class BackInTime(unittest.TestCase):
    """An older copy of the ledger's database under a head mark that knows better."""

    def test_lost_records_stop_the_start_until_somebody_accepts_and_then_open_approvals_are_void(self):
        with Host() as host:
            host.start()
            parked = host.say(RAN)
            host.wait_state(parked["session"], "AwaitingApproval")
            approval = host.pending()[0]
            host.stop()
            shutil.copytree(host.home / "ledger" / "db", host.folder / "old")
            host.start()
            host.decide(approval)
            host.reply_after(parked)
            host.stop()
            shutil.rmtree(host.home / "ledger" / "db")
            shutil.copytree(host.folder / "old", host.home / "ledger" / "db")
            refused = host.cli("run", timeout=20)
            self.assertEqual(refused.returncode, 1)
            self.assertIn("parley ledger accept-loss", refused.stderr)
            done = host.cli("ledger", "accept-loss")
            self.assertEqual(done.returncode, 0, done.stderr)
            host.start()
            # In that past the approval was still open: deciding it again would run the command twice.
            self.assertEqual(host.pending(), [])
            self.assertEqual(host.decide(approval).status, 409)
            self.assertEqual((host.workspace / "count").read_text(), "ran\n")
            self.assertIn("ledger.loss_accepted", [record["kind"] for record in host.ledger()])
            self.assertIn("hello", host.ask("/say hello"))

    def test_a_home_copied_while_it_was_stopped_works_elsewhere(self):
        with Host() as host, Host() as other:
            host.start()
            accepted = host.say("/say before the move", conversation="c")
            host.reply_after(accepted)
            host.stop()
            shutil.rmtree(other.home)
            shutil.copytree(host.home, other.home)
            shutil.copy(host.env["PARLEY_VAULT_KEY_FILE"], other.env["PARLEY_VAULT_KEY_FILE"])
            other.port, other.admin, other.read = host.port, host.admin, host.read
            other.start()
            again = other.say("/say after the move", conversation="c")
            self.assertEqual(again["session"], accepted["session"])
            self.assertEqual(other.reply_after(again), "after the move")
            other.verify()
            self.assertEqual(json.loads(other.cli("status", "--json").stdout)["version"], 1)


if __name__ == "__main__":
    unittest.main()
