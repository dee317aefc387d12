"""A real model's wire: streaming, calls, secrets on the way out, and everything that goes wrong there."""
import json
import unittest

import openai_double as wire
from parley import Host

KEY = "sk-test-0123456789abcdefghij"


class Served(unittest.TestCase):
    MORE = ""

    def setUp(self):
        self.double = wire.Double()
        self.host = Host()
        text = self.host.file("parley.yaml").read_text()
        start = text.index("  default: {provider")
        model = (f"  default: {{provider: openai, model: gpt-test, config: {{base_url: \"http://127.0.0.1:{self.double.port}/v1\"{self.MORE}}}, "
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

    def answered(self, session):
        return [record["body"] for record in self.host.records(session) if record["kind"] == "model.answered"]


class Chat(Served):
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


class Responses(Served):
    MORE = ", api: responses"

    def test_a_streamed_answer_arrives_whole_and_is_counted_with_its_parts(self):
        self.double.answers = [wire.respond(self.double, wire.thought("hm", "s1"), wire.said("the answer is 42"), usage=(1000, 300), cached=900)]
        said = self.host.say("what is it?")
        self.assertEqual(self.host.reply_after(said), "the answer is 42")
        path, headers, body = self.double.requests[0]
        self.assertEqual((path, headers["Authorization"]), ("/v1/responses", "Bearer " + KEY))
        self.assertEqual(body["input"][-1], {"type": "message", "role": "user", "content": "what is it?"})
        self.assertEqual([(one["tokens_in"], one["tokens_cached"], one["tokens_out"], one["tokens_reasoning"]) for one in self.answered(said["session"])],
                         [(1000, 900, 300, 3)])

    def test_reasoning_goes_back_sealed_through_calls_turns_and_a_restart(self):
        (self.host.workspace / "a").write_text("content of a")
        (self.host.workspace / "b").write_text("content of b")
        self.double.answers = [
            wire.respond(self.double, wire.thought("both", "s1"), wire.function("call_x", "read_file", '{"path":"a"}'),
                         wire.function("call_y", "read_file", '{ "path": "b" }')),
            wire.respond(self.double, wire.thought("seen", "s2"), wire.said("done"))]
        said = self.host.say("read both", conversation="c")
        self.assertEqual(self.host.reply_after(said), "done")
        results = {item["call_id"]: item["output"] for item in self.double.requests[1][2]["input"] if item["type"] == "function_call_output"}
        self.assertEqual(sorted(results), ["call_x", "call_y"])
        self.assertIn("content of a", results["call_x"])
        self.host.stop()
        self.host.start()
        self.double.answers = [wire.respond(self.double, wire.said("again"))]
        self.assertEqual(self.host.ask("and now?", conversation="c"), "again")
        sealed = [item["encrypted_content"] for item in self.double.requests[2][2]["input"] if item["type"] == "reasoning"]
        self.assertEqual(sealed, ["s1", "s2"])

    def test_a_refusal_is_an_answer_and_an_answer_cut_short_is_said_to_be(self):
        refusal = {**wire.said(""), "content": [{"type": "refusal", "refusal": "I won't."}]}
        self.double.answers = [wire.respond(self.double, refusal),
                               wire.respond(self.double, wire.said("so far"), status="incomplete", incomplete_details={"reason": "max_output_tokens"})]
        for reply, stop in (("I won't.", "refusal"), ("so far", "length")):
            said = self.host.say("x")
            self.assertIn(reply, self.host.reply_after(said))
            self.assertEqual(self.answered(said["session"])[0]["stop"], stop)
        self.assertEqual(len(self.double.requests), 2)

    def test_what_fails_is_tried_again_or_not_by_what_it_is(self):
        busy = lambda handler, _: wire.send_events(handler, [("error", {"code": "server_is_overloaded", "message": "busy", "param": None})])
        failed = lambda code: wire.respond(self.double, status="failed", error={"code": code, "message": f"it is {code}"})
        cut = lambda handler, _: wire.send_events(handler, [("output_text.delta", {"output_index": 0, "delta": "half"})])
        self.double.answers = [busy, failed("server_error"), wire.respond(self.double, wire.said("now"))]
        self.assertEqual(self.host.ask("x"), "now")
        self.double.answers = [cut, wire.error(529, "overloaded"), wire.respond(self.double, wire.said("whole"))]
        self.assertEqual(self.host.ask("y"), "whole")
        self.double.answers = [failed("insufficient_quota"), wire.respond(self.double, wire.said("never"))]
        said = self.host.say("z")
        self.host.wait_state(said["session"], "Stopped")
        self.assertIn("insufficient_quota", self.host.notices(said["session"])[-1])
        self.assertEqual(len(self.double.requests), 7)


class Strict(unittest.TestCase):
    """The double refuses what it is there to refuse."""

    def test_it_tells_what_is_wrong(self):
        double = wire.Double()
        self.addCleanup(double.close)
        user = {"type": "message", "role": "user", "content": "x"}
        good = {"model": "m", "stream": True, "store": False, "include": ["reasoning.encrypted_content"], "max_output_tokens": 16, "input": [user]}
        call, result = wire.function("c", "f", "{}"), {"type": "function_call_output", "call_id": "c", "output": ""}
        double.remember(good, [wire.thought("hm", "s")])
        closed = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
        tool = {"type": "function", "name": "f", "parameters": closed, "strict": True}
        for fine in ({}, {"input": [user, wire.thought("hm", "s"), call, result, user]}, {"tools": [tool]}):
            self.assertEqual(double.complaints_of_responses({**good, **fine}), [])
        for bad in ({"store": True}, {"stream": False}, {"include": []}, {"max_output_tokens": 15}, {"temperature": 1},
                    {"input": [user, call, user]}, {"input": [user, result]}, {"input": [user, wire.thought("hm", "t")]},
                    {"model": "n", "input": [user, wire.thought("hm", "s")]}, {"input": [user, user, wire.thought("hm", "s")]},
                    {"tools": [{**tool, "strict": None}]}, {"tools": [{**tool, "name": "a:b"}]},
                    {"tools": [{**tool, "parameters": {**closed, "required": []}}]},
                    {"tools": [{**tool, "parameters": {**closed, "additionalProperties": True}}]},
                    {"tools": [{**tool, "parameters": {**closed, "properties": {"a": {"type": "string", "maxLength": 3}}}}]}):
            self.assertTrue(double.complaints_of_responses({**good, **bad}), bad)


if __name__ == "__main__":
    unittest.main()
