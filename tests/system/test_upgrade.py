"""Plugins come and go while the host works: switched off, replaced, put back, signed."""
import re
import shutil
import socket
import subprocess
import threading
import time
import unittest

from parley import BUILD, Host, wait_for


class PostOffice:
    """Keeps each message until it is acknowledged, and notes what comes back."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.lock = threading.Lock()
        self.client, self.letters, self.acknowledged = None, [], 0
        self.out, self.hellos = [], 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self.hear, args=(client,), daemon=True).start()

    def hear(self, client):
        with client, client.makefile("r", encoding="utf-8") as lines:
            try:
                for line in lines:
                    self.take(client, *line.rstrip("\n").split(" ", 1))
            except OSError:
                pass

    def take(self, client, word, rest):
        with self.lock:
            if word == "HELLO":
                self.client, self.hellos = client, self.hellos + 1
                for number in range(int(rest) + 1, len(self.letters) + 1):
                    self.deliver(number)
            elif word == "ACK":
                self.acknowledged = max(self.acknowledged, int(rest))
            elif word == "OUT":
                self.out.append(rest)

    def deliver(self, number):
        try:
            self.client.sendall(f"MSG {number} {self.letters[number - 1]}\n".encode())
        except OSError:
            pass  # it will ask again

    def post(self, text):
        with self.lock:
            self.letters.append(text)
            if self.client:
                self.deliver(len(self.letters))

    def close(self):
        self.server.close()


class Upgrade(unittest.TestCase):
    def setUp(self):
        self.host = Host()
        self.addCleanup(self.host.close)
        self.office = PostOffice()
        self.addCleanup(self.office.close)
        (self.host.home / "plugins").mkdir(mode=0o700, exist_ok=True)

    def put(self, version):
        """As a package manager would: beside it, then in its place."""
        folder = self.host.home / "plugins"
        shutil.copy(BUILD / "offers" / f"post-{version}.so", folder / "post.fresh")
        (folder / "post.fresh").rename(folder / "post.so")

    def open_post(self, more=""):
        self.host.edit("parley.yaml", "  rehearsal: {enabled: true}",
                       f"  org.test.post: {{enabled: true{more}}}\n  rehearsal: {{enabled: true}}")
        text = self.host.file("parley.yaml").read_text()
        channel = (f"  post: {{plugin: org.test.post, agent: assistant, "
                   f"config: {{host: 127.0.0.1, port: {self.office.port}}}}}\n")
        text = re.sub(r"^channels:.*\n", "", text, flags=re.M)
        self.host.write("parley.yaml", text + "channels:\n" + channel)
        agent = re.sub(r"^channels:.*\n", "", self.host.file("agents/assistant/agent.yaml").read_text(), flags=re.M)
        self.host.write("agents/assistant/agent.yaml",
                        agent + "channels:\n  post: {authorized_senders: [\"id:1\"]}\n")

    def lock(self):
        done = self.host.cli("plugin", "lock", "org.test.post", "--yes")
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def plugin(self):
        return self.host.api("GET", "/api/v1/plugins/org.test.post").json

    def enable(self, word="enable"):
        done = self.host.cli("plugin", word, "org.test.post")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_an_upgrade_under_load_loses_no_message_doubles_none_and_can_be_taken_back(self):
        self.put("1.0.0")
        self.open_post()
        self.lock()
        self.host.start()
        wait_for("the first connection", lambda: self.office.hellos == 1)
        stop = threading.Event()

        def load():
            while not stop.is_set():
                self.office.post(f"/say letter {len(self.office.letters) + 1}.")
                time.sleep(0.004)
        writer = threading.Thread(target=load)
        writer.start()
        try:
            wait_for("some replies", lambda: len(self.office.out) > 30)
            self.put("1.1.0")
            self.assertIn("+ http post.example GET", self.lock())
            self.enable()
            wait_for("the new release", lambda: self.office.hellos == 2)
            wait_for("it to be shown", lambda: self.plugin()["version"] == "1.1.0")
            so_far = len(self.office.out)
            wait_for("replies by the new one", lambda: len(self.office.out) > so_far + 30)
            back = self.host.cli("plugin", "rollback", "org.test.post")
            self.assertEqual(back.returncode, 0, back.stderr)
            self.enable()
            wait_for("the old release", lambda: self.office.hellos == 3)
            self.assertEqual(self.plugin()["version"], "1.0.0")
            so_far = len(self.office.out)
            wait_for("replies by the old one", lambda: len(self.office.out) > so_far + 30)
        finally:
            stop.set()
            writer.join()
        letters = len(self.office.letters)
        wait_for("all replies", lambda: len(self.office.out) >= letters, 30)
        self.assertEqual(sorted(self.office.out), sorted(f"letter {n}." for n in range(1, letters + 1)))
        wait_for("all acknowledgements", lambda: self.office.acknowledged == letters)
        self.assertEqual(self.host.api("GET", "/api/v1/outbox").json["items"], [])
        kinds = [record["kind"] for record in self.host.ledger()]
        self.assertEqual(kinds.count("message.received"), letters)
        self.assertEqual(kinds.count("plugin.locked"), 3)
        self.host.verify()

    def test_what_is_switched_off_finishes_its_calls_and_takes_no_more(self):
        self.host.start()
        said = self.host.say("/wait 1500\n/say patient", conversation="one")
        wait_for("the model to be asked", lambda: "model.requested" in self.host.kinds(said["session"]))
        self.host.cli("plugin", "disable", "rehearsal")
        entry = self.host.api("GET", "/api/v1/plugins/rehearsal").json
        self.assertEqual(entry["state"], "draining")
        self.assertIn("its last calls are ending", entry["reason"])
        refused = self.host.say("/say too late", conversation="two")
        wait_for("a notice", lambda: self.host.notices(refused["session"]) or self.host.replies(refused["session"]))
        self.assertNotIn("too late", str(self.host.replies(refused["session"])))
        self.assertEqual(self.host.reply_after(said), "patient")
        wait_for("it to be off", lambda: self.host.api("GET", "/api/v1/plugins/rehearsal").json["state"] == "disabled")
        self.host.cli("plugin", "enable", "rehearsal")
        self.assertEqual(self.host.ask("/say again", conversation="three"), "again")

    def test_a_reload_leaves_what_did_not_change_at_work_and_its_state_shown(self):
        self.host.start()
        self.host.ask("/say hello")
        worker = self.host.api("GET", "/api/v1/plugins/rehearsal").json
        self.assertEqual(worker["state"], "healthy")
        said = self.host.say("/wait 700\n/say undisturbed", conversation="long")
        self.assertEqual(self.host.cli("plugin", "enable", "shell").returncode, 0)
        self.assertEqual(self.host.api("GET", "/api/v1/plugins/rehearsal").json["state"], "healthy")
        self.assertEqual(self.host.reply_after(said), "undisturbed")
        self.assertEqual(sum(record["kind"] == "plugin.loaded" for record in self.host.ledger()), 1)

    def test_what_dies_again_and_again_is_quarantined_until_it_is_enabled_anew(self):
        self.host.start()
        state = lambda: self.host.api("GET", "/api/v1/plugins/rehearsal").json["state"]
        for n in range(5):
            said = self.host.say("/crash", conversation=f"c{n}")
            wait_for("the failure", lambda: self.host.notices(said["session"]))
        wait_for("the quarantine", lambda: state() == "quarantined")
        refused = self.host.say("/say too soon", conversation="refused")
        wait_for("a notice", lambda: self.host.notices(refused["session"]))
        self.assertEqual(self.host.cli("plugin", "enable", "rehearsal").returncode, 0)
        self.assertEqual(self.host.ask("/say well again", conversation="again"), "well again")
        self.assertEqual(state(), "healthy")

    def test_rollback_says_so_when_nothing_earlier_was_accepted(self):
        self.put("1.0.0")
        self.open_post()
        self.lock()
        back = self.host.cli("plugin", "rollback", "org.test.post")
        self.assertEqual(back.returncode, 1)
        self.assertIn("no earlier file", back.stderr)

    def test_where_a_signature_is_asked_for_no_other_file_runs(self):
        keys = self.host.folder
        run = lambda *words: subprocess.run(words, check=True, capture_output=True).stdout
        run("openssl", "genpkey", "-algorithm", "ed25519", "-out", str(keys / "key.pem"))
        der = run("openssl", "pkey", "-in", str(keys / "key.pem"), "-pubout", "-outform", "DER")
        self.put("1.0.0")
        self.open_post(f", signed_by: {der[-32:].hex()}")
        self.lock()
        self.host.start()
        file = self.host.home / "plugins" / "post.so"
        self.assertIn("no signature", self.plugin()["reason"])
        sign = lambda what: run("openssl", "pkeyutl", "-sign", "-inkey", str(keys / "key.pem"), "-rawin",
                                "-in", str(what), "-out", str(file) + ".sig")
        sign(self.host.home / "parley.yaml")
        self.enable()
        self.assertIn("its signature is not that of the key", self.plugin()["reason"])
        sign(file)
        self.enable()
        wait_for("the channel", lambda: self.office.hellos == 1)
        self.assertEqual(self.plugin()["state"], "healthy")


if __name__ == "__main__":
    unittest.main()
