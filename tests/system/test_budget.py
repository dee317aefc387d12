"""A loop cannot quietly burn money."""
import json
import threading
import unittest

from parley import Host, wait_for

PRICED = "default: {provider: rehearsal, model: rehearsal, price: {input: 10, output: 10}, max_output_tokens: 300}"


class Budget(unittest.TestCase):
    def start(self, budget):
        self.host = Host()
        text = self.host.file("parley.yaml").read_text()
        start = text.index("  default: {provider")
        text = text[:start] + "  " + PRICED + text[text.index("\n", start):]
        text = text[:text.index("budgets:")] + f"budgets:\n  global: {budget}\n"
        self.host.write("parley.yaml", text)
        self.host.start()

    def tearDown(self):
        self.host.verify()
        self.host.close()

    def budget(self):
        return self.host.api("GET", "/api/v1/budgets").json["items"][0]

    def test_a_cap_that_refuses_stops_the_session_and_says_why_and_a_raised_cap_lets_it_go_on(self):
        self.start("{limit_usd: 0.06, per: day, on_limit: refuse}")
        accepted = None
        for number in range(20):
            accepted = self.host.say(f"/usage 1000 300\n/say {number}", conversation="c")
            wait_for("an end", lambda: self.host.session(accepted["session"])["state"] != "Running")
            if self.host.session(accepted["session"])["state"] == "Stopped":
                break
        session = self.host.session(accepted["session"])
        self.assertEqual((session["state"], session["reason"]), ("Stopped", "budget"))
        self.assertIn("spent", self.host.notices(accepted["session"])[-1])
        self.assertIn("resets", self.host.notices(accepted["session"])[-1])
        view = self.budget()
        self.assertLessEqual(view["spent_usd"] + view["reserved_usd"], 0.06)
        done = self.host.api("PUT", "/api/v1/budgets/global", {"limit_usd": 5, "per": "day", "on_limit": "refuse"})
        self.assertEqual(done.status, 200, done.text)
        self.assertEqual(self.host.reply_after(accepted), str(number))

    def test_many_sessions_at_once_never_pass_the_cap(self):
        self.start("{limit_usd: 0.2, per: total, on_limit: refuse}")
        def talk(number):
            for _ in range(4):
                self.host.say("/wait 20\n/usage 900 200\n/say ok", conversation=f"c{number}")
        threads = [threading.Thread(target=talk, args=(n,)) for n in range(12)]
        for thread in threads:
            thread.start()
        for _ in range(30):
            view = self.budget()
            self.assertLessEqual(round(view["spent_usd"] + view["reserved_usd"], 9), 0.2)
        for thread in threads:
            thread.join()
        wait_for("all to end", lambda: not self.host.api("GET", "/api/v1/sessions?state=Running").json["items"])
        view = self.budget()
        self.assertLessEqual(view["spent_usd"], 0.2)
        self.assertEqual(view["reserved_usd"], 0)

    def test_a_cap_that_warns_records_it_and_goes_on(self):
        self.start("{limit_usd: 0.02, per: total, on_limit: warn}")
        for number in range(4):
            self.assertEqual(self.host.ask(f"/usage 1000 300\n/say {number}"), str(number))
        kinds = [record["kind"] for record in self.host.ledger()]
        self.assertEqual(kinds.count("budget.warned"), 1)

    def test_a_model_without_a_price_is_refused_under_a_money_cap(self):
        self.start("{limit_usd: 1, per: total, on_limit: refuse}")
        self.host.edit("parley.yaml", ", price: {input: 10, output: 10}", "")
        self.host.stop()
        self.host.start()
        accepted = self.host.say("/say hello")
        self.host.wait_state(accepted["session"], "Stopped")
        self.assertIn("no price", self.host.notices(accepted["session"])[-1])

    def test_doctor_says_whose_prices_the_table_gives_and_which_model_has_none(self):
        self.start("{limit_usd: 1, per: total, on_limit: refuse}")
        self.host.edit("parley.yaml", PRICED, PRICED.replace("}, max", "}, fallbacks: [known, own, unheard-of], max") + """
  known: {provider: anthropic, model: claude-sonnet-5}
  own: {provider: anthropic, model: claude-sonnet-5, config: {base_url: "http://127.0.0.1:9"}}
  unheard-of: {provider: anthropic, model: claude-sonnet-5-5}
  elsewhere: {provider: openai, model: claude-sonnet-5}""")
        self.host.edit("parley.yaml", "  rehearsal: {enabled", "  anthropic: {enabled: true}\n  openai: {enabled: true}\n  rehearsal: {enabled")
        done = self.host.cli("doctor")
        self.assertEqual(done.returncode, 0, done.stdout)
        table = [line for line in done.stdout.splitlines() if "prices:" in line]
        self.assertEqual(len(table), 1, done.stdout)
        self.assertTrue(table[0].endswith(": known"), table)
        self.assertIn("2026-", table[0])
        unpriced = [line.split()[2] for line in done.stdout.splitlines() if "has no price" in line]
        self.assertEqual(unpriced, ["own", "unheard-of"])  # the agent may come to these, and is under a cap
        findings = json.loads(self.host.cli("doctor", "--json").stdout)["findings"]
        self.assertEqual([one["good"] for one in findings if one.get("warning") and "has no price" in one["what"]], [True, True])

    def test_a_bad_budget_changes_nothing_and_says_why(self):
        self.start("{limit_usd: 1, per: total, on_limit: refuse}")
        for bad in ({"limit_usd": -1}, {"limit_usd": "much"}, {"limit": 3}, {"limit_usd": 1, "per": "hour"}):
            self.assertEqual(self.host.api("PUT", "/api/v1/budgets/global", bad).status, 400, bad)
        self.assertEqual(self.budget()["limit_usd"], 1)


if __name__ == "__main__":
    unittest.main()
