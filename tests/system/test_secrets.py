"""Secrets and tokens from outside: set and named, never read back, with a host and without one."""
import json
import os
import pathlib
import re
import stat
import unittest

from parley import Host, wait_for

VALUE = "correct-horse-battery-staple-77"


class Secrets(unittest.TestCase):
    def setUp(self):
        self.host = Host()

    def tearDown(self):
        self.host.close()

    def done(self, *words, stdin=""):
        done = self.host.cli(*words, stdin=stdin)
        self.assertEqual(done.returncode, 0, (words, done.stderr))
        self.assertNotIn(VALUE, done.stdout + done.stderr)
        return done.stdout

    def names(self):
        return [one["name"] for one in json.loads(self.done("secret", "list", "--json"))["items"]]

    def files_that_hold(self, value):
        return [path for path in self.host.folder.rglob("*")
                if path.is_file() and value.encode() in path.read_bytes()]

    def test_a_secret_is_set_listed_and_removed_with_no_host_and_leaves_records_without_its_value(self):
        self.done("secret", "set", "test/one", stdin=VALUE + "\n")
        self.assertEqual(self.names(), ["test/one"])
        self.assertEqual(self.files_that_hold(VALUE), [])
        self.done("secret", "remove", "test/one")
        self.assertEqual(self.names(), [])
        kinds = [record["kind"] for record in self.host.ledger()]
        self.assertEqual([kind for kind in kinds if kind.startswith("secret.")], ["secret.set", "secret.removed"])
        self.assertEqual(self.host.cli("secret", "remove", "test/one").returncode, 1)

    def test_a_running_host_takes_it_and_keeps_it_across_kill_9(self):
        self.host.start()
        self.done("secret", "set", "test/one", stdin=VALUE + "\n")
        self.host.kill()
        self.assertEqual(self.names(), ["test/one"])
        self.host.start()
        self.assertEqual(self.names(), ["test/one"])
        self.assertEqual(self.files_that_hold(VALUE), [])

    def test_no_verb_prints_one_and_no_argument_takes_one(self):
        self.done("secret", "set", "test/one", stdin=VALUE + "\n")
        self.assertEqual(self.host.cli("secret", "get", "test/one").returncode, 2)
        self.assertEqual(self.host.cli("secret", "set", "test/two", VALUE).returncode, 2)
        self.assertEqual(self.names(), ["test/one"])

    def test_what_cannot_be_masked_or_named_is_refused(self):
        for value in ("", "short", "x" * 20_000):
            self.assertEqual(self.host.cli("secret", "set", "test/one", stdin=value + "\n").returncode, 1, value[:9])
        for name in ("noslash", "a/b/c", "/x", "x/", "../x", "a b/c"):
            self.assertEqual(self.host.cli("secret", "set", name, stdin=VALUE + "\n").returncode, 1, name)
        self.assertEqual(self.names(), [])

    def test_another_key_opens_the_vault_after_rekey_and_the_old_one_no_more(self):
        self.done("secret", "set", "test/one", stdin=VALUE + "\n")
        old, new = self.host.env["PARLEY_VAULT_KEY_FILE"], str(self.host.folder / "key" / "second.key")
        self.done("secret", "rekey", new)
        self.assertEqual(stat.S_IMODE(os.stat(new).st_mode), 0o600)
        self.assertIn("does not open the vault", self.host.cli("secret", "list").stderr)
        self.host.env["PARLEY_VAULT_KEY_FILE"] = new
        self.assertEqual(self.names(), ["test/one"])
        self.host.start()
        self.assertEqual(self.host.api("GET", "/api/v1/status").status, 200)
        self.assertNotEqual(pathlib.Path(old).read_bytes(), pathlib.Path(new).read_bytes())

    def test_a_vault_with_a_passphrase_opens_for_who_gives_it(self):
        phrase = "a phrase that is long enough\n"
        self.done("secret", "set", "test/one", stdin=VALUE + "\n")
        self.assertEqual(self.host.cli("secret", "rekey", "--passphrase", stdin="too short\n").returncode, 1)
        self.done("secret", "rekey", "--passphrase", stdin=phrase)
        self.assertIn("passphrase", self.host.cli("secret", "list", stdin="some other phrase\n").stderr)
        self.assertIn("test/one", self.host.cli("secret", "list", stdin=phrase).stdout)
        # Of what is not a terminal the first line is the passphrase, the rest is the value.
        self.done("secret", "set", "test/two", stdin=phrase + VALUE + "\n")
        self.host.start(stdin=phrase)
        self.assertEqual(self.names(), ["test/one", "test/two"])

    def test_a_key_that_others_can_read_is_refused(self):
        os.chmod(self.host.env["PARLEY_VAULT_KEY_FILE"], 0o644)
        done = self.host.cli("run", timeout=20)
        self.assertEqual(done.returncode, 1)
        self.assertIn("chmod", done.stderr)

    def test_a_vault_with_one_changed_bit_is_refused_wherever_the_bit_is(self):
        self.done("secret", "set", "test/one", stdin=VALUE + "\n")
        path = self.host.home / "vault" / "secrets.vault"
        whole = path.read_bytes()
        for at in range(0, len(whole), max(1, len(whole) // 24)):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1:])
            self.assertEqual(self.host.cli("secret", "list").returncode, 1, f"byte {at} of {len(whole)}")
        for cut in (0, 1, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:cut])
            self.assertEqual(self.host.cli("secret", "list").returncode, 1, f"cut at {cut}")
        path.write_bytes(whole)
        self.assertEqual(self.names(), ["test/one"])

    def test_what_a_person_pastes_into_a_chat_is_masked_before_it_is_recorded(self):
        self.done("secret", "set", "test/one", stdin=VALUE + "\n")
        self.host.start()
        reply = self.host.ask(f"/say I heard {VALUE} from you")
        self.assertNotIn(VALUE, reply)
        self.assertNotIn(VALUE, json.dumps(self.host.ledger()))
        self.host.stop()
        self.assertEqual(self.files_that_hold(VALUE), [])

    def test_what_a_command_prints_is_masked_before_the_model_sees_it(self):
        self.done("secret", "set", "test/one", stdin=VALUE + "\n")
        (self.host.workspace / "leak").write_text(VALUE)
        self.host.start()
        self.assertNotIn(VALUE, self.host.ask('/call read_file {"path":"leak"}'))
        self.assertNotIn(VALUE, json.dumps(self.host.ledger()))


class Tokens(unittest.TestCase):
    def setUp(self):
        self.host = Host()

    def tearDown(self):
        self.host.close()

    def test_no_file_of_the_home_holds_a_token(self):
        self.host.start()
        self.host.ask("hello")
        self.host.stop()
        for path in self.host.folder.rglob("*"):
            if path.is_file():
                held = path.read_bytes()
                self.assertNotIn(self.host.admin.encode(), held, path)
                self.assertNotIn(self.host.read.encode(), held, path)

    def test_a_token_is_rotated_with_no_host_and_the_old_one_is_dead_at_the_next_start(self):
        done = self.host.cli("token", "rotate", "admin", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        fresh = json.loads(done.stdout)["token"]
        self.assertRegex(fresh, r"^apa_[A-Za-z0-9_-]{43}$")
        self.host.start()
        self.assertEqual(self.host.api("GET", "/api/v1/status", token=fresh).status, 200)
        self.assertEqual(self.host.api("GET", "/api/v1/status", token=self.host.admin).status, 401)
        self.assertIn("token.rotated", [record["kind"] for record in self.host.ledger()])
        self.host.admin = fresh

    def test_a_changed_token_file_lets_nobody_in(self):
        path = self.host.home / "tokens"
        whole = path.read_bytes()
        path.write_bytes(re.sub(rb"[0-9a-f]{64}", lambda hash: hash.group()[1:] + hash.group()[:1], whole))
        self.assertNotEqual(path.read_bytes(), whole)
        self.host.start()
        for token in (self.host.admin, self.host.read):
            self.assertEqual(self.host.api("GET", "/api/v1/status", token=token).status, 401)
        self.host.stop()
        done = self.host.cli("token", "rotate", "admin")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.host.admin = done.stdout.strip()
        self.host.start()
        self.assertEqual(self.host.api("GET", "/api/v1/status").status, 200)

    def test_verbs_speak_to_a_host_elsewhere_by_url_and_token(self):
        self.host.start()
        accepted = self.host.say('/call shell {"command":"true"}')
        self.host.wait_state(accepted["session"], "AwaitingApproval")
        approval = self.host.pending()[0]
        env = dict(self.host.env)
        self.host.env = {**env, "PARLEY_HOME": str(self.host.folder / "nowhere"),
                         "PARLEY_URL": f"http://127.0.0.1:{self.host.port}", "PARLEY_TOKEN": self.host.read}
        try:
            self.assertEqual(self.host.cli("status").returncode, 0)
            refused = self.host.cli("approval", "approve", approval["id"])
            self.assertEqual(refused.returncode, 1)
            self.assertEqual(len(self.host.pending()), 1)
            self.host.env["PARLEY_TOKEN"] = self.host.admin
            done = self.host.cli("approval", "approve", approval["id"])
            self.assertEqual(done.returncode, 0, done.stderr)
        finally:
            self.host.env = env
        wait_for("the reply", lambda: self.host.replies(accepted["session"]))

    def test_the_control_socket_is_the_owners_alone(self):
        self.host.start()
        facts = os.stat(self.host.home / "run" / "parley.sock")
        self.assertEqual((stat.S_IMODE(facts.st_mode), facts.st_uid), (0o600, os.getuid()))


if __name__ == "__main__":
    unittest.main()
