"""The Messages API with a real host: thinking goes back word for word or not at all, and everything that goes wrong there."""
import json
import shutil
import unittest

import anthropic_double as wire
from parley import BUILD, Host

KEY = "sk-ant-test-0123456789abcdef"


class Anthropic(unittest.TestCase):
    def setUp(self):
        self.double = wire.Double()
        self.host = Host()
        self.addCleanup(self.double.close)
        self.addCleanup(self.host.close)
        done = self.host.cli("secret", "set", "anthropic/default", stdin=KEY + "\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        text = self.host.file("parley.yaml").read_text()
        start = text.index("  default: {provider")
        text = text[:start] + self.model("claude-test") + text[text.index("\n", start):]
        self.host.write("parley.yaml", text.replace("  rehearsal: {enabled", "  anthropic: {enabled: true}\n  rehearsal: {enabled", 1))

    def model(self, name):
        return (f"  default: {{provider: anthropic, model: {name}, "
                f"config: {{base_url: \"http://127.0.0.1:{self.double.port}\", thinking: adaptive}}, "
                "secrets: {api_key: anthropic/default}, price: {input: 1, output: 2}}")

    def start(self, *answers):
        self.double.answers = list(answers)
        self.host.start()

    def finish(self, session=None):
        """The double found nothing to refuse, the key stands nowhere, and each request can be rebuilt."""
        self.assertEqual(self.double.problems, [])
        self.assertNotIn(KEY, self.host.cli("ledger", "export").stdout + self.host.log)
        for record in self.host.records(session) if session else []:
            if record["kind"] == "model.requested":
                answer = self.host.api("GET", f"/api/v1/sessions/{session}/context?at={record['seq']}")
                self.assertEqual(answer.status, 200, answer.text)
        self.host.verify()

    def body(self, at):
        return self.double.requests[at][2]

    def thinks(self, at):
        return [block["thinking"] for message in self.body(at)["messages"] for block in message["content"]
                if block["type"] == "thinking"]

    def test_a_streamed_answer_arrives_whole_with_the_key_placed_by_the_host(self):
        self.host.edit("parley.yaml", "price: {input: 1, output: 2}", "price: {input: 1, output: 2, cache_read: 0.1, cache_write: 1.25}")
        self.start(wire.text("the answer is 42", output=70, usage={"input_tokens": 50, "cache_creation_input_tokens": 300,
                                                                    "cache_read_input_tokens": 900, "output_tokens": 1}))
        said = self.host.say("what is it?")
        self.assertEqual(self.host.reply_after(said), "the answer is 42")
        headers = self.double.requests[0][1]
        self.assertEqual(headers["Authorization"], "Bearer " + KEY)
        self.assertEqual(self.body(0)["messages"][-1]["content"][0]["text"], "what is it?")
        answered = [record["body"] for record in self.host.records(said["session"]) if record["kind"] == "model.answered"]
        self.assertEqual([(body["tokens_in"], body["tokens_cached"], body["tokens_cache_written"], body["tokens_out"])
                          for body in answered], [(1250, 900, 300, 70)])
        self.assertAlmostEqual(answered[0]["cost_usd"], (50 + 900 * 0.1 + 300 * 1.25 + 70 * 2) / 1e6)
        self.finish(said["session"])

    def test_an_older_version_and_the_other_header_for_the_key_come_from_the_config(self):
        self.host.edit("parley.yaml", "thinking: adaptive", "version: \"2023-06-01\", auth: x-api-key, cache: false")
        self.double.version = "2023-06-01"
        self.start(wire.text("ok"))
        self.assertEqual(self.host.ask("x"), "ok")
        headers = self.double.requests[0][1]
        self.assertEqual((headers.get("x-api-key"), headers.get("Authorization")), (KEY, None))
        self.assertEqual(sorted(self.body(0)), ["max_tokens", "messages", "model", "stream", "system", "tools"])
        self.assertNotIn("cache_control", json.dumps(self.body(0)))
        self.finish()

    def test_a_model_that_does_not_think_is_not_asked_to(self):
        self.double.models["claude-test"] = {"id": "claude-test", "max_tokens": 1000, "capabilities": {"thinking": {"supported": False}}}
        self.start(wire.text("plain"))
        self.assertEqual(self.host.ask("x"), "plain")
        self.assertNotIn("thinking", self.body(0))
        self.assertEqual(self.body(0)["max_tokens"], 1000)
        self.finish()

    def test_thinking_goes_back_word_for_word_through_calls_turns_and_a_restart(self):
        (self.host.workspace / "a").write_text("content of a")
        (self.host.workspace / "b").write_text("content of b")
        self.start(
            wire.blocks(wire.thought("both, \"at once\" \\ \n{"), {"type": "redacted_thinking", "data": "b3BhcXVl"},
                        {"type": "text", "text": "I look."}, wire.tool("toolu_1", "read_file", path="a"),
                        wire.thought("and"), wire.tool("toolu_2", "read_file", path="b"), reason="tool_use"),
            wire.blocks(wire.thought("seen"), {"type": "text", "text": "done"}))
        said = self.host.say("read both", conversation="c")
        self.assertEqual(self.host.reply_after(said), "done")
        turn = self.body(1)["messages"][-1]["content"]
        self.assertEqual({block["type"] for block in turn}, {"tool_result"})
        results = {block["tool_use_id"]: block["content"] for block in turn}
        self.assertEqual(sorted(results), ["toolu_1", "toolu_2"])
        self.assertIn("content of a", results["toolu_1"])
        self.assertIn("content of b", results["toolu_2"])
        self.host.stop()
        self.double.answers = [wire.text("again")]
        self.host.start()
        self.assertEqual(self.host.ask("and now?", conversation="c"), "again")
        self.assertEqual(self.thinks(2), ["both, \"at once\" \\ \n{", "and", "seen"])
        self.finish(said["session"])

    def test_another_model_key_or_persona_gets_the_words_but_not_the_thinking(self):
        self.host.cli("secret", "set", "anthropic/other", stdin=KEY + "x\n")
        changes = (lambda: self.host.edit("parley.yaml", "claude-test", "claude-other"),
                   lambda: self.host.edit("parley.yaml", "anthropic/default", "anthropic/other"),
                   lambda: self.host.write("agents/assistant/soul.md", "You are somebody else."))
        for number, change in enumerate(changes):
            self.start(wire.blocks(wire.thought("mine"), {"type": "text", "text": "one"}))
            said = self.host.say("x", conversation=f"c{number}")
            self.assertEqual(self.host.reply_after(said), "one")
            self.host.stop()
            change()
            self.start(wire.text("two"))
            self.assertEqual(self.host.ask("y", conversation=f"c{number}"), "two")
            self.assertEqual(len(self.body(-1)["messages"]), 3)
            self.assertEqual(self.thinks(-1), [])
            self.assertIn("one", json.dumps(self.body(-1)["messages"][1]))
            self.finish(said["session"])
            self.host.stop()

    def test_a_fallback_gets_the_words_alone_and_the_first_model_its_own_thinking_again(self):
        text = self.host.file("parley.yaml").read_text()
        line = self.model("claude-test")
        self.assertIn(line, text)
        other = self.model("claude-other").replace("default:", "other:", 1)
        self.host.write("parley.yaml", text.replace(line, line[:-1] + ", fallbacks: [other]}\n" + other))
        self.start(wire.blocks(wire.thought("mine"), {"type": "text", "text": "one"}), wire.error(402, "billing_error"),
                   wire.blocks(wire.thought("another's"), {"type": "text", "text": "two"}), wire.text("three"))
        said = self.host.say("x", conversation="c")
        self.assertEqual(self.host.reply_after(said), "one")
        self.assertEqual(self.host.ask("y", conversation="c"), "two")
        self.assertEqual((self.body(2)["model"], self.thinks(2)), ("claude-other", []))
        self.assertIn("one", json.dumps(self.body(2)["messages"]))
        self.assertEqual(self.host.ask("z", conversation="c"), "three")
        self.assertEqual((self.body(3)["model"], self.thinks(3)), ("claude-test", ["mine"]))
        self.assertIn("two", json.dumps(self.body(3)["messages"]))
        self.finish(said["session"])

    def test_what_a_hook_changed_does_not_come_back_by_the_thinking(self):
        (self.host.home / "plugins").mkdir(mode=0o700, exist_ok=True)
        shutil.copy(BUILD / "offers" / "censor.so", self.host.home / "plugins" / "censor.so")
        self.host.edit("parley.yaml", "  rehearsal: {enabled: true}", "  org.test.censor: {enabled: true}\n  rehearsal: {enabled: true}")
        self.host.write("parley.yaml", self.host.file("parley.yaml").read_text() + "hooks: [org.test.censor]\n")
        self.assertEqual(self.host.cli("plugin", "lock", "org.test.censor", "--yes").returncode, 0)
        self.start(wire.blocks(wire.thought("kept"), {"type": "text", "text": "fine"}),
                   wire.blocks(wire.thought("to be lost"), {"type": "text", "text": "swap-message.out"}),
                   wire.blocks(wire.thought("this, too"), {"type": "text", "text": "swap-model.after"}),
                   wire.blocks(wire.thought("and this"), wire.tool("toolu_1", "read_file", path="swap-skill.before"), reason="tool_use"),
                   wire.text("ok"))
        said = self.host.say("x", conversation="c")
        self.assertEqual(self.host.reply_after(said), "fine")
        self.assertEqual(self.host.ask("y", conversation="c"), "swapped-message.out")
        self.assertEqual(self.host.ask("y", conversation="c"), "swapped-model.after")
        self.assertEqual(self.host.ask("z", conversation="c"), "ok")
        self.assertEqual(self.thinks(4), ["kept"])
        self.assertNotIn("swap-m", json.dumps(self.body(4)))
        self.finish(said["session"])

    def test_thinking_that_holds_a_secret_is_forgotten_and_the_words_stay(self):
        self.start(wire.blocks(wire.thought(f"the key is {KEY}"), {"type": "text", "text": "fine"}), wire.text("ok"))
        said = self.host.say("x", conversation="c")
        self.assertEqual(self.host.reply_after(said), "fine")
        self.assertEqual(self.host.ask("y", conversation="c"), "ok")
        self.assertEqual(self.thinks(1), [])
        self.finish(said["session"])

    def test_a_secret_that_was_masked_in_the_words_does_not_come_back_in_two_halves(self):
        self.start(wire.blocks(wire.thought("two"), {"type": "text", "text": "it is " + KEY[:12]}, {"type": "text", "text": KEY[12:]}),
                   wire.text("ok"))
        said = self.host.say("x", conversation="c")
        self.assertNotIn(KEY, self.host.reply_after(said))
        self.assertEqual(self.host.ask("y", conversation="c"), "ok")
        self.assertEqual(self.thinks(1), [])
        self.assertNotIn(KEY[12:], json.dumps(self.body(1)))
        self.finish(said["session"])

    def test_a_summary_in_the_middle_of_a_turn_ends_what_its_thinking_was_bound_to(self):
        self.host.edit("parley.yaml", "price: {input: 1, output: 2}}",
                       "price: {input: 1, output: 2}, max_output_tokens: 500, context_tokens: 3800}")
        (self.host.workspace / "a").write_text("z" * 2500)
        self.start(wire.text("y" * 4000),
                   wire.blocks(wire.thought("a file"), wire.tool("toolu_1", "read_file", path="a"), reason="tool_use"),
                   wire.text("a summary"), wire.text("read"))
        said = self.host.say("x", conversation="c")
        self.host.reply_after(said)
        self.assertEqual(self.host.ask("read it", conversation="c"), "read")
        kinds = self.host.kinds(said["session"])
        self.assertIn("context.compacted", kinds[kinds.index("skill.requested"):])
        self.assertEqual(self.thinks(3), [])
        self.assertIn("zzz", json.dumps(self.body(3)["messages"]))
        self.finish(said["session"])

    def test_a_turn_that_fits_without_its_thinking_goes_on_without_it(self):
        self.host.edit("parley.yaml", "price: {input: 1, output: 2}}",
                       "price: {input: 1, output: 2}, max_output_tokens: 500, context_tokens: 3800}")
        (self.host.workspace / "a").write_text("content of a")
        self.start(wire.blocks({"type": "redacted_thinking", "data": "t" * 8000}, wire.tool("toolu_1", "read_file", path="a"), reason="tool_use"),
                   wire.text("read"))
        said = self.host.say("read it")
        self.assertEqual(self.host.reply_after(said), "read")
        self.assertNotIn("context.compacted", self.host.kinds(said["session"]))
        self.assertNotIn("ttt", json.dumps(self.body(1)["messages"]))
        self.assertIn("content of a", json.dumps(self.body(1)["messages"]))
        self.finish(said["session"])

    def test_a_summary_ends_what_the_thinking_was_bound_to(self):
        self.host.edit("parley.yaml", "price: {input: 1, output: 2}}",
                       "price: {input: 1, output: 2}, max_output_tokens: 500, context_tokens: 3800}")
        self.start(*[wire.blocks(wire.thought(f"thought {at}"), {"type": "text", "text": "y" * 300}) for at in range(14)])
        for number in range(12):
            said = self.host.say(f"{number} " + "x" * 300, conversation="long")
            self.host.reply_after(said)
        self.assertIn("context.compacted", self.host.kinds(said["session"]))
        self.finish(said["session"])

    def test_a_refusal_says_of_what_kind_it_is_and_is_not_asked_again(self):
        self.start(wire.blocks(reason="refusal", stop_details={"category": "cyber", "explanation": "No such help."}),
                   wire.text("next"))
        said = self.host.say("x", conversation="c")
        self.assertEqual(self.host.reply_after(said), "The model refused to answer (cyber: No such help.).")
        self.assertEqual(len(self.double.requests), 1)
        self.assertEqual(self.host.ask("y", conversation="c"), "next")
        self.finish(said["session"])

    def test_an_overloaded_service_is_asked_again_and_so_is_one_that_breaks_off(self):
        self.start(wire.error(529, "overloaded_error"), wire.broken("overloaded_error"), wire.text("now"))
        self.assertEqual(self.host.ask("x"), "now")
        self.double.answers = [wire.cut_off, wire.text("whole")]
        self.assertEqual(self.host.ask("y"), "whole")
        self.assertEqual(len(self.double.requests), 5)
        self.finish()

    def test_a_service_that_wants_money_or_another_key_is_asked_once(self):
        failures = [wire.error(402, "billing_error"), wire.error(401, "authentication_error"),
                    wire.error(429, "rate_limit_error", code="enforced_spend_limit_reached", headers=[("x-should-retry", "true")])]
        self.start()
        for at, (failure, word) in enumerate(zip(failures, ("billing_error", "authentication_error", "enforced_spend_limit_reached"))):
            self.double.answers = [failure, wire.text("never")]
            said = self.host.say("x", conversation=f"c{at}")
            self.host.wait_state(said["session"], "Stopped")
            self.assertIn(word, self.host.notices(said["session"])[-1])
            self.assertEqual(len(self.double.requests), at + 1)
        self.finish()

    def test_an_answer_that_pauses_goes_on_and_is_one(self):
        search = {"type": "server_tool_use", "id": "srv_1", "name": "search", "input": {}}
        self.start(wire.blocks(wire.thought("look"), {"type": "text", "text": "one "}, search, reason="pause_turn"), wire.text("two"))
        self.double.complaints_of = lambda body: []  # the rules of a turn that goes on are others
        self.assertEqual(self.host.ask("x"), "one two")
        self.assertEqual([block["type"] for block in self.body(1)["messages"][-1]["content"]],
                         ["thinking", "text", "server_tool_use"])
        self.finish()


class Double(unittest.TestCase):
    """The double refuses what it is there to refuse."""

    def test_it_tells_what_is_wrong(self):
        import http.client
        double = wire.Double()
        self.addCleanup(double.close)
        user = {"role": "user", "content": [{"type": "text", "text": "x"}]}
        thought = {"role": "assistant", "content": [wire.thought("hm")]}
        good = {"model": "m", "max_tokens": 5, "stream": True, "messages": [user]}

        def status(body, headers={"anthropic-version": wire.VERSION}):
            connection = http.client.HTTPConnection("127.0.0.1", double.port, timeout=10)
            connection.request("POST", "/v1/messages", json.dumps(body), headers)
            answer = connection.getresponse()
            answer.read()
            connection.close()
            return answer.status

        double.answers = [wire.blocks(wire.thought("hm"))]
        self.assertEqual(status(good), 200)
        self.assertEqual(status({**good, "messages": [user, thought, user]}), 200)
        self.assertEqual(status(good, {}), 400)
        marked = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
        use = {"role": "assistant", "content": [wire.tool("t", "n")]}
        result = {"type": "tool_result", "tool_use_id": "t", "content": "r"}
        for bad in ({"temperature": 1}, {"top_p": 1}, {"top_k": 1}, {"messages": [user, user]}, {"messages": [thought, user]},
                    {"messages": [{"role": "user", "content": [marked] * 5}]}, {"model": "other", "messages": [user, thought, user]},
                    {"messages": [user, {"role": "assistant", "content": [wire.thought("h")]}, user]},
                    {"system": "other", "messages": [user, thought, user]}, {"messages": [user, use, user]},
                    {"messages": [user, use, {"role": "user", "content": [marked, result]}]}):
            self.assertEqual(status({**good, **bad}), 400, bad)


if __name__ == "__main__":
    unittest.main()
