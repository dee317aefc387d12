"""The five wires against a double that others wrote (`npm/stand_ins`), which knows nothing of what we took them for."""
import http.client
import json
import pathlib
import re
import subprocess
import tempfile
import threading
import unittest

from parley import Host, wait_for
from stand_ins import command

KEY = "sk-test-0123456789abcdefghij"
WIRES = {"anthropic": ("anthropic", "/v1/messages", "{thinking: adaptive, base_url: \"http://127.0.0.1:PORT\"}"),
         "chat": ("openai", "/v1/chat/completions", "{base_url: \"http://127.0.0.1:PORT/v1\"}"),
         "responses": ("openai", "/v1/responses", "{api: responses, base_url: \"http://127.0.0.1:PORT/v1\"}"),
         "gemini": ("gemini", "/v1beta/models/of-gemini:streamGenerateContent?alt=sse", "{base_url: \"http://127.0.0.1:PORT/v1beta\"}"),
         "ollama": ("ollama", "/api/chat", "{base_url: \"http://127.0.0.1:PORT\"}")}
USAGE = {"prompt_tokens": 3000, "completion_tokens": 700, "input_tokens": 3000, "output_tokens": 700}
FIXTURES = [
    {"match": {"userMessage": "hello"}, "response": {"content": "Hi there, friend. 😀", "reasoning": "they greet", "usage": USAGE}},
    {"match": {"userMessage": "read", "hasToolResult": False},
     "response": {"reasoning": "a file", "toolCalls": [{"id": "call_a", "name": "read_file", "arguments": {"path": "a"}},
                                                       {"id": "call_b", "name": "read_file", "arguments": {"path": "b"}}]}},
    {"match": {"userMessage": "read", "hasToolResult": True}, "response": {"content": "Both were read."}},
    {"match": {"userMessage": "elsewhere", "model": "of-anthropic"},
     "response": {"error": {"message": "No credit", "type": "billing_error"}, "status": 402}},
    {"match": {"userMessage": "elsewhere", "model": "of-chat"},
     "response": {"error": {"message": "No such model", "type": "invalid_request_error", "code": "model_not_found"}, "status": 404}},
    {"match": {"userMessage": "elsewhere", "model": "of-responses"}, "response": {"content": "Here, then."}},
]
for name in WIRES:
    # The double counts what it matched over all wires, so that each has a word of its own.
    FIXTURES += [
        {"match": {"userMessage": f"busy {name}", "sequenceIndex": 0},
         "response": {"error": {"message": "Overloaded", "type": "overloaded_error"}, "status": 529}},
        {"match": {"userMessage": f"busy {name}", "sequenceIndex": 1}, "response": {"content": "Now it can."}},
        {"match": {"userMessage": f"cut {name}", "sequenceIndex": 0}, "chunkSize": 4, "latency": 10, "truncateAfterChunks": 6,
         "response": {"content": "this is not heard to its end by anybody who listens"}},
        {"match": {"userMessage": f"cut {name}", "sequenceIndex": 1}, "response": {"content": "Whole this time."}}]


class Aimock:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="parley-aimock-")
        fixtures = pathlib.Path(self.folder.name) / "fixtures.json"
        fixtures.write_text(json.dumps({"fixtures": FIXTURES}))
        self.process = subprocess.Popen(
            command("@copilotkit/aimock/dist/cli.js", "-p", "0", "-f", fixtures, "--strict", "--validate-on-load"),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said = []
        for line in self.process.stdout:
            said.append(line)
            found = re.search(r"listening on http://127\.0\.0\.1:(\d+)", line)
            if found:
                break
        else:
            raise AssertionError("".join(said))
        self.port = int(found.group(1))
        # What it says later is not read, and must not hold it up.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def close(self):
        self.process.terminate()
        self.process.wait(15)
        self.process.stdout.close()
        self.folder.cleanup()

    def journal(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", "/__aimock/journal")
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer


class Wires(unittest.TestCase):
    def setUp(self):
        self.double = Aimock()
        self.addCleanup(self.double.close)
        self.host = Host()
        self.addCleanup(self.host.close)
        text = self.host.file("parley.yaml").read_text()
        models = "".join(
            f"  {name}: {{provider: {plugin}, model: of-{name}, config: {config.replace('PORT', str(self.double.port))}, "
            f"secrets: {{api_key: test/key}}, price: {{input: 1, output: 2}}}}\n" for name, (plugin, _, config) in WIRES.items())
        models = models.replace("model: of-anthropic", "model: of-anthropic, fallbacks: [chat, responses]")
        start = text.index("models:")
        text = text[:start] + "models:\n" + models + text[text.index("\n\n", start):]
        self.host.write("parley.yaml", text.replace("  rehearsal: {enabled", "  anthropic: {enabled: true}\n  openai: {enabled: true}\n  gemini: {enabled: true}\n  ollama: {enabled: true}\n  rehearsal: {enabled", 1))
        self.assertEqual(self.host.cli("secret", "set", "test/key", stdin=KEY + "\n").returncode, 0)
        (self.host.workspace / "a").write_text("content of a")
        (self.host.workspace / "b").write_text("content of b")
        agent = self.host.file("agents/assistant/agent.yaml").read_text().replace("model: default", "model: NAME")
        for name in WIRES:
            self.host.write(f"agents/{name}/agent.yaml", agent.replace("NAME", name))
            for file in ("a", "b"):
                self.host.write(f"agents/{name}/workspace/{file}", f"content of {file}")
        self.host.write("agents/assistant/agent.yaml", agent.replace("NAME", "chat"))
        self.host.start()

    def bodies(self, session, kind):
        return [record["body"] for record in self.host.records(session) if record["kind"] == kind]

    def ends(self):
        self.assertNotIn(KEY, self.host.cli("ledger", "export").stdout + self.host.log)
        self.host.verify()

    def test_a_turn_of_text_arrives_whole_and_is_counted(self):
        for name, (_, path, _) in WIRES.items():
            with self.subTest(name):
                said = self.host.say("hello", agent=name)
                self.assertEqual(self.host.reply_after(said), "Hi there, friend. 😀")
                answered = self.bodies(said["session"], "model.answered")
                if name != "ollama":  # whose counts the double leaves at zero
                    self.assertEqual([(body["tokens_in"], body["tokens_out"], body["cost_usd"]) for body in answered],
                                     [(3000, 700, (3000 + 2 * 700) / 1e6)])
                self.assertIn(path, [entry["path"] for entry in self.double.journal()])
        self.ends()

    def test_calls_run_and_their_results_go_back_where_they_belong(self):
        for name in WIRES:
            with self.subTest(name):
                said = self.host.say("read", agent=name)
                self.assertEqual(self.host.reply_after(said), "Both were read.")
                kinds = self.host.kinds(said["session"])
                self.assertEqual((kinds.count("skill.finished"), kinds.count("model.answered")), (2, 2))
        asked = json.dumps(self.double.journal())
        for content in ("content of a", "content of b"):
            self.assertEqual(asked.count(content), len(WIRES))
        self.ends()

    def asked_twice(self, word, reply, outcome):
        for name in WIRES:
            with self.subTest(name):
                said = self.host.say(f"{word} {name}", agent=name)
                self.assertEqual(self.host.reply_after(said), reply)
                attempts = self.bodies(said["session"], "model.answered")[0]["attempts"]
                self.assertEqual([(one["model"], one["outcome"]) for one in attempts], [(name, outcome), (name, "answered")])
        self.ends()

    def test_an_overloaded_service_is_asked_again(self):
        self.asked_twice("busy", "Now it can.", "overloaded")

    def test_an_answer_that_breaks_off_is_asked_for_again(self):
        self.asked_twice("cut", "Whole this time.", "cut_off")

    def test_a_call_falls_back_from_wire_to_wire(self):
        said = self.host.say("elsewhere", agent="anthropic")
        self.assertEqual(self.host.reply_after(said), "Here, then.")
        attempts = self.bodies(said["session"], "model.answered")[0]["attempts"]
        self.assertEqual([(one["model"], one["outcome"]) for one in attempts],
                         [("anthropic", "money"), ("chat", "peer"), ("responses", "answered")])
        self.ends()


if __name__ == "__main__":
    unittest.main()
