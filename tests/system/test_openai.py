"""A real model's wire: streaming, calls, secrets on the way out, and everything that goes wrong there."""
import json
import unittest

import openai_double as wire
from parley import Host

KEY = "sk-test-0123456789abcdefghij"


class Openai(unittest.TestCase):
    def setUp(self):
        self.double = wire.Double()
        self.host = Host()
        text = self.host.file("parley.yaml").read_text()
        start = text.index("  default: {provider")
        model = (f"  default: {{provider: openai, model: gpt-test, config: {{base_url: \"http://127.0.0.1:{self.double.port}/v1\"}}, "
                 "secrets: {api_key: openai/default}, price: {input: 1, output: 2}}")
        text = text[:start] + model + text[text.index("\n", start):]
        self.host.write("parley.yaml", text.replace("  rehearsal: {enabled", "  openai: {enabled: true}\n  rehearsal: {enabled", 1))
        done = self.host.cli("secret", "set", "openai/default", stdin=KEY + "\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.host.start()

    def tearDown(self):
        self.assertEqual(self.double.problems, [])
        everything = self.host.cli("ledger", "export").stdout + self.host.log
        self.assertNotIn(KEY, everything)
        self.host.verify()
        self.host.close()
        self.double.close()

    def test_a_streamed_answer_arrives_whole_with_the_key_placed_by_the_host(self):
        self.double.answers = [wire.text("the answer is forty two", 0.01)]
        self.assertEqual(self.host.ask("what is it?"), "theanswerisfortytwo")
        _, headers, body = self.double.requests[0]
        self.assertEqual(headers["Authorization"], "Bearer " + KEY)
        self.assertEqual(body["messages"][-1], {"role": "user", "content": "what is it?"})
        self.assertEqual(body["messages"][0]["role"], "system")

    def test_parallel_calls_in_fragments_run_and_their_results_go_back(self):
        (self.host.workspace / "a").write_text("content of a")
        (self.host.workspace / "b").write_text("content of b")
        self.double.answers = [wire.calls(("read_file", '{"path":"a"}'), ("read_file", '{"path":"b"}')), wire.text("done")]
        self.assertEqual(self.host.ask("read both"), "done")
        results = [message["content"] for message in self.double.requests[1][2]["messages"] if message["role"] == "tool"]
        self.assertEqual(len(results), 2)
        self.assertIn("content of a", "".join(results))
        self.assertIn("content of b", "".join(results))

    def test_a_command_of_the_model_waits_for_a_person_and_its_result_goes_back(self):
        self.double.answers = [wire.calls(("shell", '{"command":"echo from the shell"}')), wire.text("seen")]
        accepted = self.host.say("do it")
        self.host.wait_state(accepted["session"], "AwaitingApproval")
        self.assertEqual(len(self.double.requests), 1)
        self.host.decide(self.host.pending()[0])
        self.assertEqual(self.host.reply_after(accepted), "seen")
        self.assertIn("from the shell", json.dumps(self.double.requests[1][2]["messages"]))

    def test_an_answer_that_is_cut_off_is_asked_for_again_and_charged(self):
        self.double.answers = [wire.cut_off, wire.text("whole")]
        self.assertEqual(self.host.ask("x"), "whole")
        self.assertEqual(len(self.double.requests), 2)

    def test_a_server_that_is_overloaded_is_asked_again_and_one_that_wants_money_is_not(self):
        self.double.answers = [wire.error(503, "overloaded"), wire.text("now")]
        self.assertEqual(self.host.ask("x"), "now")
        self.double.answers = [wire.error(429, "insufficient_quota"), wire.text("never")]
        accepted = self.host.say("y")
        self.host.wait_state(accepted["session"], "Stopped")
        self.assertEqual(len(self.double.requests), 3)
        self.assertIn("insufficient_quota", self.host.notices(accepted["session"])[-1])

    def test_a_wrong_key_and_nonsense_fail_the_turn_with_a_clear_word(self):
        for answer, word in ((wire.error(401, "invalid_api_key"), "invalid_api_key"), (wire.garbage, "")):
            self.double.answers = [answer, answer, answer, answer]
            accepted = self.host.say("x")
            self.host.wait_state(accepted["session"], "Stopped")
            self.assertIn(word, self.host.notices(accepted["session"])[-1])
            self.double.answers = []

    def test_a_server_that_is_down_costs_nothing(self):
        self.double.close()
        accepted = self.host.say("x")
        self.host.wait_state(accepted["session"], "Stopped")
        self.assertEqual(self.host.session(accepted["session"])["cost_usd"], 0)

    def test_a_secret_that_somebody_pastes_never_reaches_model_or_record(self):
        self.double.answers = [wire.text("ok")]
        self.host.ask(f"my key is {KEY}, keep it")
        self.assertNotIn(KEY, json.dumps(self.double.requests[0][2]))


if __name__ == "__main__":
    unittest.main()
