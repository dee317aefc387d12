"""The play-ground for authors: one plugin, a home that is thrown away, and a tape instead of a network."""
import glob
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import openai_double as wire
from parley import BIN, BUILD

KEY = "sk-test-0123456789abcdefghij"


class Try(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="parley-try-test-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def attempt(self, file, *words, stdin=""):
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8", "TMPDIR": str(self.folder)}
        done = subprocess.run([BIN, "plugin", "try", str(file), *words], env=env, input=stdin, text=True,
                              capture_output=True, timeout=60)
        self.assertEqual(glob.glob(str(self.folder / "parley-try-*")), [], "the home is thrown away")
        return done

    def test_a_provider_is_recorded_once_and_then_answers_with_no_network(self):
        double = wire.Double()
        double.answers = [wire.text("recorded words", 0.01)]
        tape, model = self.folder / "tape", BUILD / "offers" / "org.test.model.so"
        settings = ["--config", json.dumps({"base_url": f"http://127.0.0.1:{double.port}/v1"}),
                    "--secret", "api_key", "-m", "say something"]
        recorded = self.attempt(model, *settings, "--record-http", str(tape), stdin=KEY + "\n")
        double.close()
        self.assertEqual((recorded.returncode, recorded.stdout), (0, "recordedwords\n"), recorded.stderr)
        self.assertEqual(double.requests[0][1]["Authorization"], "Bearer " + KEY)
        exchanges = [json.loads(line) for line in tape.read_text().splitlines()]
        self.assertEqual([(one["method"], one["events"][-1]["kind"]) for one in exchanges], [("POST", "done")])
        self.assertNotIn(KEY, tape.read_text())

        played = self.attempt(model, *settings, "--replay-http", str(tape))
        self.assertEqual((played.returncode, played.stdout), (0, "recordedwords\n"), played.stderr)
        self.assertEqual(len(double.requests), 1)

        again = self.attempt(model, *settings, "--record-http", str(tape), stdin=KEY + "\n")
        self.assertEqual(again.returncode, 1)
        self.assertIn("never written over", again.stderr)

    def test_what_is_not_on_the_tape_is_not_fetched_from_elsewhere(self):
        tape = self.folder / "tape"
        tape.write_text(json.dumps({"tape": 1, "method": "GET", "url": "http://127.0.0.1:9/x", "body": "",
                                    "events": [{"kind": "done", "bytes": ""}]}) + "\n")
        double = wire.Double()
        self.addCleanup(double.close)
        done = self.attempt(BUILD / "offers" / "org.test.model.so", "--config",
                            json.dumps({"base_url": f"http://127.0.0.1:{double.port}/v1"}), "-m", "hello",
                            "--replay-http", str(tape))
        self.assertEqual(done.returncode, 1)
        self.assertIn("the tape holds no further answer to POST", done.stderr)
        self.assertEqual(double.requests, [])

    def test_a_tape_that_makes_no_sense_is_refused_with_its_line(self):
        tape = self.folder / "tape"
        tape.write_text('{"tape": 1}\n')
        done = self.attempt(BUILD / "offers" / "org.test.model.so", "--config", '{"base_url": "http://127.0.0.1:9/v1"}',
                            "-m", "hello", "--replay-http", str(tape))
        self.assertEqual(done.returncode, 1)
        self.assertIn("tape:1: it is no exchange of a tape", done.stderr)

    def test_a_hook_is_tried_in_the_chain_of_its_home(self):
        done = self.attempt(BUILD / "offers" / "censor.so", "-m", "/say swap-message.out")
        self.assertEqual((done.returncode, done.stdout), (0, "swapped-message.out\n"), done.stderr)

    def test_what_the_host_refuses_says_why(self):
        done = self.attempt(BUILD / "offers" / "org.test.model.so", "--config", '{"no_such_key": 1}', "-m", "hello")
        self.assertEqual(done.returncode, 1)
        self.assertIn("the plugin is refused", done.stderr)
        self.assertIn("no_such_key", done.stderr)
        self.assertEqual(self.attempt(self.folder / "nothing.so").returncode, 1)


if __name__ == "__main__":
    unittest.main()
