"""A model that fails, and those that its operator named to be asked instead: one call, one record, honest cost."""
import unittest

import openai_double as wire
from parley import Host, wait_for

HOUR = [("retry-after", "3600")]


class Fallback(unittest.TestCase):
    """`first` falls back to `second`, that one to `third`; each is a server of its own."""

    def setUp(self):
        self.doubles = {name: wire.Double() for name in ("first", "second", "third")}
        self.host = Host()
        for double in self.doubles.values():
            self.addCleanup(double.close)
        self.addCleanup(self.host.close)
        self.prices = {"first": "input: 1, output: 2", "second": "input: 3, output: 4", "third": "input: 5, output: 6"}
        self.more = {"first": ", fallbacks: [second]", "second": ", fallbacks: [third]", "third": ""}
        self.limit = 5

    def start(self, **answers):
        for name, list_of in answers.items():
            self.doubles[name].answers = list_of
        text = self.host.file("parley.yaml").read_text()
        models = "".join(
            f"  {name}: {{provider: openai, model: wire-{name}, config: {{base_url: \"http://127.0.0.1:{double.port}/v1\"}}"
            + (f", price: {{{self.prices[name]}}}" if self.prices[name] else "") + f", max_output_tokens: 400{self.more[name]}}}\n"
            for name, double in self.doubles.items())
        start = text.index("models:")
        text = text[:start] + "models:\n" + models + text[text.index("\n\n", start):]
        text = text.replace("  rehearsal: {enabled", "  openai: {enabled: true}\n  rehearsal: {enabled", 1)
        text = text[:text.index("budgets:")] + f"budgets:\n  global: {{limit_usd: {self.limit}, per: total, on_limit: refuse}}\n"
        self.host.write("parley.yaml", text)
        self.host.edit("agents/assistant/agent.yaml", "model: default", "model: first")
        self.host.start()

    def finish(self):
        for double in self.doubles.values():
            self.assertEqual(double.problems, [])
        # One call at a time: at every record what is spent and what is reserved stay under the cap.
        spent = reserved = 0
        for record in self.host.ledger():
            if record["kind"] == "budget.reserved":
                self.assertEqual(reserved, 0)
                reserved = record["body"]["usd"]
            elif record["kind"] in ("budget.settled", "budget.overrun"):
                spent, reserved = spent + record["body"]["usd"], 0
            self.assertLessEqual(spent + reserved, self.limit + 1e-9, record)
        self.host.verify()

    def asked(self):
        return {name: len(double.requests) for name, double in self.doubles.items()}

    def bodies(self, session, kind):
        return [record["body"] for record in self.host.records(session) if record["kind"] == kind]

    def spent(self):
        view = self.host.api("GET", "/api/v1/budgets").json["items"][0]
        self.assertEqual(view["reserved_usd"], 0)
        return view["spent_usd"]

    def ends_with_one_record(self, session):
        """The record that ends the call; all its attempts are in it, and its cost is all that was spent."""
        ends = [body for kind in ("model.answered", "model.failed") for body in self.bodies(session, kind)
                if "cost_usd" in body]
        self.assertEqual(len(ends), 1, ends)
        end = ends[0]
        self.assertAlmostEqual(end["cost_usd"], self.spent(), 9)
        self.assertAlmostEqual(end["cost_usd"], self.host.session(session)["cost_usd"], 9)
        if "attempts" in end:
            self.assertAlmostEqual(end["cost_usd"], sum(one.get("cost_usd", 0) for one in end["attempts"]), 9)
        return end

    def test_what_is_a_matter_of_account_place_or_moment_is_asked_elsewhere_and_nobody_is_told_but_the_record(self):
        self.start(first=[wire.error(401, "invalid_api_key")], second=[wire.text("here")])
        said = self.host.say("x")
        self.assertEqual(self.host.reply_after(said), "here")
        self.assertEqual(self.host.notices(said["session"]), [])
        self.assertEqual(self.asked(), {"first": 1, "second": 1, "third": 0})
        self.assertEqual(self.doubles["second"].requests[0][2]["model"], "wire-second")
        end = self.ends_with_one_record(said["session"])
        self.assertEqual((end["model"], end["fallback_of"]), ("second", "first"))
        self.assertEqual([(one["model"], one["outcome"]) for one in end["attempts"]], [("first", "auth"), ("second", "answered")])
        # Of the first nobody said what it cost, so all that was reserved; the second was counted.
        self.assertEqual(end["attempts"][0]["charged"], "reservation")
        self.assertGreater(end["attempts"][0]["cost_usd"], 400 * 2 / 1e6)
        failed = self.bodies(said["session"], "model.failed")
        self.assertEqual([(body["model"], body["next"], body["will_retry"]) for body in failed], [("first", "second", True)])
        shown = self.host.cli("session", "show", said["session"]).stdout
        self.assertRegex(shown, r"answered_by\W+second")
        self.assertRegex(shown, r"fallback_of\W+first")
        replayed = self.host.cli("session", "replay", said["session"]).stdout
        self.assertRegex(replayed, r"model\.failed .*model=first .*code=auth .*next=second")
        for record in self.host.records(said["session"]):
            if record["kind"] == "model.requested":
                answer = self.host.api("GET", f"/api/v1/sessions/{said['session']}/context?at={record['seq']}")
                self.assertEqual(answer.json["model"], "wire-" + record["body"]["model"])
        self.finish()

    def test_each_kind_of_failure_falls_back_or_does_not(self):
        self.start()
        for number, (failure, falls) in enumerate((
                (wire.error(402, "payment"), True), (wire.error(429, "insufficient_quota"), True),
                (wire.error(403, "forbidden"), True), (wire.error(404, "model_not_found"), True),
                (wire.error(429, "rate_limit_exceeded", HOUR), True), (wire.garbage, True),
                (wire.error(400, "invalid_request_error"), False), (wire.error(413, "too_large"), False))):
            self.doubles["first"].answers, self.doubles["second"].answers = [failure], [wire.text("here")]
            said = self.host.say("x", conversation=f"c{number}")
            wait_for("an end", lambda: self.host.session(said["session"])["state"] != "Running")
            self.assertEqual(self.host.replies(said["session"]), ["here"] if falls else [], number)
        self.finish()

    def test_an_overloaded_model_is_tried_again_before_another_is(self):
        busy = wire.error(503, "overloaded")
        self.start(first=[busy, busy, busy], second=[wire.text("here")])
        said = self.host.say("x")
        self.assertEqual(self.host.reply_after(said), "here")
        self.assertEqual(self.asked(), {"first": 3, "second": 1, "third": 0})
        end = self.ends_with_one_record(said["session"])
        self.assertEqual([one["outcome"] for one in end["attempts"]], ["overloaded"] * 3 + ["answered"])
        self.assertEqual([one.get("wait_ms", 0) > 0 for one in end["attempts"]], [False, True, True, False])
        self.finish()

    def test_a_refusal_is_an_answer_and_final(self):
        refusal = lambda handler, _: wire.stream(handler, [wire.delta(refusal="I won't.")] + wire.finish("stop"))
        self.start(first=[refusal])
        self.assertEqual(self.host.ask("x"), "I won't.")
        self.assertEqual(self.asked(), {"first": 1, "second": 0, "third": 0})
        self.finish()

    def test_when_all_fail_the_turn_does_and_the_last_word_is_said(self):
        self.start(first=[wire.error(402, "one")], second=[wire.error(402, "two")], third=[wire.error(402, "three")])
        said = self.host.say("x")
        self.host.wait_state(said["session"], "Stopped")
        self.assertIn("three", self.host.notices(said["session"])[-1])
        end = self.ends_with_one_record(said["session"])
        self.assertEqual([one["model"] for one in end["attempts"]], ["first", "second", "third"])
        self.assertFalse(end["will_retry"])
        self.finish()

    def test_one_that_a_budget_does_not_allow_is_passed_over(self):
        self.prices["second"] = ""  # no price, and a cap in money
        self.start(first=[wire.error(402, "one")], third=[wire.text("here")])
        said = self.host.say("x")
        self.assertEqual(self.host.reply_after(said), "here")
        self.assertEqual(self.asked(), {"first": 1, "second": 0, "third": 1})
        end = self.ends_with_one_record(said["session"])
        self.assertEqual([one["outcome"] for one in end["attempts"]], ["money", "budget", "answered"])
        self.finish()

    def test_all_attempts_together_stay_under_the_cap(self):
        # Room for the first attempt, and not for another after it.
        self.prices = {name: "input: 0, output: 100" for name in self.prices}
        self.limit = 0.05
        self.start(first=[wire.error(402, "one")], second=[wire.text("never")])
        said = self.host.say("x")
        self.host.wait_state(said["session"], "Stopped")
        self.assertEqual(self.asked(), {"first": 1, "second": 0, "third": 0})
        self.assertIn("one", self.host.notices(said["session"])[-1])
        end = self.ends_with_one_record(said["session"])
        self.assertLessEqual(end["cost_usd"], 0.05)
        self.finish()

    def of_agent(self, model):
        """The agent is on another model, which falls back to `second`."""
        self.host.edit("agents/assistant/agent.yaml", "model: first", "model: another")
        self.host.edit("parley.yaml", "models:\n", f"models:\n  another: {{{model}, price: {{input: 1, output: 1}}, fallbacks: [second]}}\n")
        self.host.stop()
        self.host.start()

    def test_a_provider_that_dies_is_one_that_failed(self):
        self.start(second=[wire.text("here")])
        self.of_agent("provider: rehearsal, model: m")
        said = self.host.say("/crash")
        self.assertEqual(self.host.reply_after(said), "here")
        end = self.ends_with_one_record(said["session"])
        self.assertEqual([one["outcome"] for one in end["attempts"]], ["peer_gone", "answered"])
        self.finish()

    def test_a_model_whose_plugin_is_switched_off_is_passed_over(self):
        self.start(second=[wire.text("here")])
        self.host.edit("parley.yaml", "  openai: {enabled: true}", "  openai: {enabled: true}\n  anthropic: {enabled: false}")
        self.of_agent("provider: anthropic, model: m")
        said = self.host.say("x")
        self.assertEqual(self.host.reply_after(said), "here")
        end = self.ends_with_one_record(said["session"])
        self.assertEqual([(one["model"], one["outcome"]) for one in end["attempts"]], [("another", "unavailable"), ("second", "answered")])
        self.assertEqual(self.host.session(said["session"])["fallback_of"], "another")
        self.finish()

    def test_one_with_too_small_a_context_is_passed_over_and_nothing_is_summarised_for_it(self):
        self.more["second"] += ", context_tokens: 700"
        self.start(first=[wire.error(402, "one")], third=[wire.text("here")])
        said = self.host.say("x")
        self.assertEqual(self.host.reply_after(said), "here")
        end = self.ends_with_one_record(said["session"])
        self.assertEqual([one["outcome"] for one in end["attempts"]], ["money", "limit", "answered"])
        self.assertNotIn("context.compacted", self.host.kinds(said["session"]))
        self.finish()

    def test_a_summary_that_is_due_is_made_by_the_fallback_too(self):
        # 11,100 bytes: room for one of the two, beside persona and skills, and not for both.
        self.more["first"] += ", context_tokens: 4100"
        self.start(first=[wire.text("ok"), wire.error(402, "one"), wire.text("done")], second=[wire.text("it_was_long")])
        said = self.host.say("x" * 6000, conversation="c")
        self.assertEqual(self.host.reply_after(said), "ok")
        self.assertEqual(self.host.ask("y" * 6000, conversation="c"), "done")
        compacted = self.bodies(said["session"], "context.compacted")
        self.assertEqual([body["summary"] for body in compacted], ["it_was_long"])
        self.assertIn("Summarise", self.doubles["second"].requests[0][2]["messages"][0]["content"])
        self.assertNotIn("xxx", str(self.doubles["first"].requests[2][2]["messages"]))
        self.finish()

    def test_the_next_call_begins_with_the_first_model_again(self):
        (self.host.workspace / "a").write_text("content of a")
        self.start(first=[wire.error(402, "one"), wire.text("back")], second=[wire.calls(("read_file", '{"path":"a"}'))])
        self.assertEqual(self.host.ask("read it"), "back")
        self.assertIn("content of a", str(self.doubles["first"].requests[1][2]["messages"]))
        self.finish()

    def test_a_crash_between_two_attempts_goes_on_where_it_was(self):
        hang = lambda handler, _: wait_for("the end", lambda: self.host.process is None, 30)
        self.start(first=[wire.error(402, "one")], second=[hang, wire.text("here")])
        said = self.host.say("x")
        wait_for("the second to be asked", lambda: self.asked()["second"] == 1)
        view = self.host.api("GET", "/api/v1/budgets").json["items"][0]
        self.assertGreater(view["reserved_usd"], 0)
        self.assertGreater(view["spent_usd"], 0)
        self.host.kill()
        self.host.start()
        self.assertEqual(self.host.reply_after(said), "here")
        self.assertEqual(self.asked(), {"first": 1, "second": 2, "third": 0})
        end = self.ends_with_one_record(said["session"])
        self.assertEqual([(one["model"], one["outcome"]) for one in end["attempts"]],
                         [("first", "money"), ("second", "lost"), ("second", "answered")])
        self.finish()

    def test_a_call_that_a_person_ends_is_recorded_with_what_it_cost(self):
        hang = lambda handler, _: wait_for("the end", lambda: self.host.process is None, 30)
        self.start(first=[wire.error(402, "one")], second=[hang])
        said = self.host.say("x")
        wait_for("the second to be asked", lambda: self.asked()["second"] == 1)
        self.assertEqual(self.host.cli("session", "cancel", said["session"]).returncode, 0)
        end = self.ends_with_one_record(said["session"])
        self.assertEqual([one["outcome"] for one in end["attempts"]], ["money", "cancelled"])
        self.finish()

    def test_a_failed_answer_that_was_counted_costs_what_was_counted(self):
        counted = lambda handler, _: wire.stream(handler, [wire.delta(content="half"), {"choices": [], "usage": {
            "prompt_tokens": 2000, "completion_tokens": 50}}], end=False)
        self.more = dict.fromkeys(self.more, "")
        self.start(first=[counted, wire.text("whole")])
        said = self.host.say("x")
        self.assertEqual(self.host.reply_after(said), "whole")
        end = self.ends_with_one_record(said["session"])
        self.assertAlmostEqual(end["attempts"][0]["cost_usd"], (2000 * 1 + 50 * 2) / 1e6, 9)
        self.assertNotIn("charged", end["attempts"][0])
        self.finish()

    def test_a_server_that_is_down_costs_nothing_and_another_is_asked(self):
        self.start(second=[wire.text("here")])
        self.doubles["first"].close()
        said = self.host.say("x")
        self.assertEqual(self.host.reply_after(said), "here")
        end = self.ends_with_one_record(said["session"])
        self.assertEqual({one["cost_usd"] for one in end["attempts"] if one["model"] == "first"}, {0})
        self.finish()


if __name__ == "__main__":
    unittest.main()
