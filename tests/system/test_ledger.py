"""One memory: verified, exported, streamed with resume, and whole after every kill."""
import http.client
import json
import pathlib
import unittest

from parley import Host, wait_for


class Ledger(unittest.TestCase):
    def setUp(self):
        self.host = Host().start()

    def tearDown(self):
        self.host.close()

    def stream(self, after="", headers=None, until=0):
        """Records of the event stream up to `until`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.host.port, timeout=20)
        connection.request("GET", "/api/v1/events" + (f"?after={after}" if after != "" else ""), headers={
            "Authorization": "Bearer " + self.host.read, **(headers or {})})
        answer = connection.getresponse()
        found, ids = [], []
        while not found or found[-1]["seq"] < until:
            line = answer.readline().decode()
            if line.startswith("id: "):
                ids.append(int(line[4:]))
            if line.startswith("data: "):
                found.append(json.loads(line[6:]))
        connection.close()
        self.assertEqual(ids, [record["seq"] for record in found])
        return found

    def head(self):
        return self.host.api("GET", "/api/v1/ledger/head").json["seq"]

    def test_the_chain_is_sound_and_contiguous(self):
        for number in range(5):
            self.host.ask(f"/say {number}")
        self.host.verify()
        records = self.host.ledger()
        self.assertEqual([record["seq"] for record in records], list(range(1, len(records) + 1)))

    def test_the_stream_resumes_without_gap_or_repeat(self):
        for number in range(5):
            self.host.ask(f"/say {number}")
        whole = self.stream(after=0, until=self.head())
        self.assertEqual([record["seq"] for record in whole], list(range(1, whole[-1]["seq"] + 1)))
        middle = whole[len(whole) // 2]["seq"]
        rest = self.stream(headers={"Last-Event-ID": str(middle)}, until=whole[-1]["seq"])
        self.assertEqual(rest[0]["seq"], middle + 1)

    def test_a_changed_export_is_found_out_and_the_first_bad_record_named(self):
        self.host.ask("/say one")
        self.host.ask("/say two")
        self.host.stop()
        path = self.host.folder / "export.ndjson"
        path.write_text(self.host.cli("ledger", "export").stdout)
        self.assertEqual(self.host.cli("ledger", "verify", str(path)).returncode, 0)
        lines = path.read_text().splitlines(keepends=True)
        records = [number for number, line in enumerate(lines) if line.startswith('{"seq"')]
        victim = records[len(records) // 2]
        for what, changed in (
                ("text", [line.replace('"kind":"', '"kind":"x', 1) if number == victim else line for number, line in enumerate(lines)]),
                ("removed", lines[:victim] + lines[victim + 1:]),
                ("twice", lines[:victim] + [lines[victim]] + lines[victim:]),
                ("swapped", lines[:victim] + [lines[victim + 1], lines[victim]] + lines[victim + 2:])):
            path.write_text("".join(changed))
            done = self.host.cli("ledger", "verify", str(path), "--json")
            self.assertEqual(done.returncode, 1, what)
            self.assertGreaterEqual(json.loads(done.stdout)["first_bad"], json.loads(lines[victim])["seq"], what)

    def test_an_export_that_ends_before_its_checkpoint_is_shorter(self):
        self.host.ask("/say one")
        self.host.stop()
        checkpoint = self.host.home / "ledger" / "checkpoints.ndjson"
        path = self.host.folder / "export.ndjson"
        lines = self.host.cli("ledger", "export").stdout.splitlines(keepends=True)
        records = [line for line in lines if line.startswith('{"seq"')]
        last = json.loads(checkpoint.read_text().splitlines()[-1])["checkpoint"]["seq"]
        path.write_text("".join(records[:last - 1]))
        done = self.host.cli("ledger", "verify", str(path), "--against", str(checkpoint))
        self.assertEqual(done.returncode, 3, done.stdout)

    def test_a_running_host_is_held_against_a_checkpoint_too(self):
        self.host.ask("/say one")
        self.host.stop()
        checkpoints = (self.host.home / "ledger" / "checkpoints.ndjson").read_text().splitlines()
        kept = self.host.folder / "kept"
        kept.write_text(checkpoints[-1])
        self.host.start()
        self.assertEqual(self.host.cli("ledger", "verify", "--against", str(kept)).returncode, 0)
        forged = json.loads(checkpoints[-1])
        forged["checkpoint"]["seq"] += 1
        kept.write_text(json.dumps(forged))
        self.assertEqual(self.host.cli("ledger", "verify", "--against", str(kept)).returncode, 1)

    def test_an_export_is_held_against_the_key_that_must_have_signed_it(self):
        self.host.ask("/say one")
        self.host.stop()
        path, key = self.host.folder / "export.ndjson", self.host.folder / "key.hex"
        path.write_text(self.host.cli("ledger", "export").stdout)
        own = json.loads(path.read_text().splitlines()[0])["checkpoint"]["public_key"]
        for text, code in ((own, 0), ("00" * 32, 1), ("no key", 1)):
            key.write_text(text + "\n")
            self.assertEqual(self.host.cli("ledger", "verify", str(path), "--key", str(key)).returncode, code, text)

    def test_a_page_of_python_verifies_an_export(self):
        import subprocess
        import sys
        self.host.ask("/say one")
        path = self.host.folder / "export.ndjson"
        path.write_text(self.host.cli("ledger", "export").stdout)
        script = pathlib.Path(__file__).resolve().parents[2] / "packaging" / "verify_ledger.py"
        done = subprocess.run([sys.executable, script, path], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        path.write_text(path.read_text().replace("/say one", "/say two", 1))
        self.assertEqual(subprocess.run([sys.executable, script, path], capture_output=True).returncode, 1)

    def test_a_call_that_a_kill_cut_off_is_unknown_and_a_person_says_what_it_was(self):
        for verdict, expected in (("done", "it was done"), ("not_done", "was not done")):
            accepted = self.host.say('/call shell {"command":"echo ran >> cut; sleep 30"}')
            self.host.wait_state(accepted["session"], "AwaitingApproval")
            self.host.decide(self.host.pending()[0])
            wait_for("the command to run", lambda: (self.host.workspace / "cut").exists())
            self.host.kill()
            self.host.start()
            session = self.host.session(accepted["session"])
            self.assertEqual((session["state"], session["reason"]), ("Stopped", "outcome_unknown"))
            self.assertIn("skill.unknown", self.host.kinds(accepted["session"]))
            done = self.host.cli("session", "resolve", accepted["session"], "c-1", verdict)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(expected, self.host.reply_after(accepted))
            self.assertEqual((self.host.workspace / "cut").read_text(), "ran\n")
            (self.host.workspace / "cut").unlink()
        self.host.verify()

    def test_an_unknown_call_is_retried_only_with_a_new_approval(self):
        accepted = self.host.say('/call shell {"command":"echo ran >> cut; [ $(wc -l < cut) = 2 ] || sleep 30; echo twice"}')
        self.host.wait_state(accepted["session"], "AwaitingApproval")
        self.host.decide(self.host.pending()[0])
        wait_for("the command to run", lambda: (self.host.workspace / "cut").exists())
        self.host.kill()
        self.host.start()
        self.host.cli("session", "resolve", accepted["session"], "c-1", "retry")
        self.host.wait_state(accepted["session"], "AwaitingApproval")
        self.assertEqual((self.host.workspace / "cut").read_text(), "ran\n")
        self.host.decide(self.host.pending()[0])
        self.assertIn("twice", self.host.reply_after(accepted))

    def test_a_context_that_is_full_is_summarised_and_the_raw_log_stays_whole(self):
        self.host.edit("parley.yaml", "price: {input: 0, output: 0}}",
                       "price: {input: 0, output: 0}, max_output_tokens: 500, context_tokens: 3800}")
        self.host.stop()
        self.host.start()
        for number in range(12):
            last = self.host.say(f"/say {number} " + "x" * 300, conversation="long")
            self.host.reply_after(last)
        kinds = self.host.kinds(last["session"])
        self.assertIn("context.compacted", kinds)
        self.assertEqual(kinds.count("message.received"), 12)
        context = self.host.api("GET", f"/api/v1/sessions/{last['session']}/context").json
        self.assertIn("Summary", context["messages"][0]["text"])
        for record in self.host.records(last["session"]):
            if record["kind"] == "model.requested":
                answer = self.host.api("GET", f"/api/v1/sessions/{last['session']}/context?at={record['seq']}")
                self.assertEqual(answer.status, 200, answer.text)


if __name__ == "__main__":
    unittest.main()
