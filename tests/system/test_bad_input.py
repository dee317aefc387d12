"""Bad input gets a clear error and loses nothing."""
import os
import pathlib
import shutil
import subprocess
import unittest

from parley import BUILD, Host, wait_for


class BadHome(unittest.TestCase):
    """A home that is wrong: the host refuses to start and says what to do."""

    def setUp(self):
        self.host = Host()

    def tearDown(self):
        self.host.close()

    def refusal(self):
        done = self.host.cli("run", timeout=20)
        self.assertEqual(done.returncode, 1, done.stderr)
        return done.stderr

    def test_broken_yaml_names_file_line_and_column(self):
        self.host.edit("parley.yaml", "plugins:", "plugins: [")
        self.assertRegex(self.refusal(), r"parley\.yaml:\d+:\d+: ")

    def test_an_unknown_key_names_the_nearest_known_one(self):
        self.host.edit("parley.yaml", "plugins:", "plugin:")
        self.assertRegex(self.refusal(), r"parley\.yaml:4:1: unknown key 'plugin'; did you mean 'plugins'\?")

    def test_all_mistakes_are_named_at_once(self):
        self.host.edit("parley.yaml", "listen: 127", "listen: 0.0.0.0:1\nlissten: 127")
        self.host.edit("agents/assistant/agent.yaml", "model: default", "modell: default")
        text = self.refusal()
        for part in ("unsafe_listen", "did you mean 'listen'", "agent.yaml:2:1", "did you mean 'model'"):
            self.assertIn(part, text)

    def test_a_secret_in_yaml_is_refused(self):
        self.host.edit("parley.yaml", "rehearsal: {enabled: true}", 'rehearsal: {enabled: true, config: {api_key: "abcdefghijkl"}}')
        self.assertIn("parley secret set", self.refusal())

    def test_another_vault_key_is_refused(self):
        key = pathlib.Path(self.host.env["PARLEY_VAULT_KEY_FILE"])
        key.write_text("0" * 64 + "\n")
        self.assertIn("does not open the vault", self.refusal())

    def test_a_missing_vault_key_is_named(self):
        os.unlink(self.host.env["PARLEY_VAULT_KEY_FILE"])
        self.assertIn("PARLEY_VAULT_KEY_FILE", self.refusal())

    def test_a_home_that_others_can_enter_or_write_is_refused_with_its_mend(self):
        self.host.home.chmod(0o755)
        self.assertIn(f"chmod 700 {self.host.home}", self.refusal())
        self.host.home.chmod(0o700)
        (self.host.home / "parley.yaml").chmod(0o622)
        self.assertIn("chmod go-w", self.refusal())

    def test_a_newer_home_is_refused(self):
        self.host.write("format", "99\n")
        self.assertIn("newer", self.refusal())

    def test_an_old_vault_in_the_place_of_a_newer_one_is_refused(self):
        vault = self.host.home / "vault" / "secrets.vault"
        old = vault.read_bytes()
        self.host.start()
        self.host.cli("secret", "set", "some/thing", stdin="a value that is long enough")
        self.host.stop()
        vault.write_bytes(old)
        self.assertIn("older", self.refusal())
        self.assertEqual(self.host.cli("ledger", "accept-loss").returncode, 0)
        self.host.start()

    def test_two_hosts_never_share_a_home(self):
        self.host.start()
        self.assertIn("another parley is using", self.refusal())

    def test_init_never_touches_a_home_that_is_there(self):
        done = self.host.cli("init")
        self.assertEqual(done.returncode, 1)
        self.assertIn("left as it is", done.stderr)

    def test_a_bad_file_changes_nothing_on_reload(self):
        self.host.start()
        self.host.edit("parley.yaml", "models:", "modells:")
        self.host.process.send_signal(1)
        wait_for("the complaint", lambda: "was not changed" in self.host.log)
        self.assertIn("here", self.host.ask("/say here"))

    def test_doctor_names_what_is_wrong(self):
        self.assertEqual(self.host.cli("doctor").returncode, 0)
        self.host.edit("parley.yaml", "  default: {provider: rehearsal, model: rehearsal, price: {input: 0, output: 0}}",
                       "  default: {provider: rehearsal, model: rehearsal, price: {input: 0, output: 0}, secrets: {api_key: none/here}}")
        done = self.host.cli("doctor")
        self.assertEqual(done.returncode, 1)
        self.assertIn("parley secret set none/here", done.stdout)


class BadPlugin(unittest.TestCase):
    """Files in the drop-in folder that are not what they should be: refused, with the reason."""

    def setUp(self):
        self.host = Host()

    def tearDown(self):
        self.host.close()

    def state_of(self, source, name, plugin_id, enabled=True):
        shutil.copy(source, self.host.home / "plugins" / name)
        (self.host.home / "plugins" / name).chmod(0o600)
        if enabled:
            self.host.edit("parley.yaml", "plugins: ", f"plugins:\n  {plugin_id}: {{enabled: true}}\n#")
        self.host.start()
        entries = self.host.api("GET", "/api/v1/plugins").json["items"]
        found = [entry for entry in entries if entry["path"] == str(self.host.home / "plugins" / name)]
        self.assertEqual(len(found), 1, [entry["path"] for entry in entries])
        self.assertIn("hello", self.host.ask("/say hello"))
        return found[0]

    def test_a_file_without_a_note_a_broken_manifest_or_another_abi_is_refused(self):
        for name, word in (("zoo_silent", "no manifest"), ("zoo_typo", ""), ("zoo_future", ""), ("zoo_lacking", "")):
            entry = self.state_of(BUILD / "zoo" / f"{name}.so", f"{name}.so", "org.example.zoo", enabled=False)
            self.assertEqual(entry["state"], "refused", entry)
            self.assertIn(word, entry["reason"])
            self.host.stop()
            (self.host.home / "plugins" / f"{name}.so").unlink()

    def test_garbage_is_refused(self):
        garbage = self.host.folder / "garbage.so"
        garbage.write_bytes(os.urandom(5000))
        entry = self.state_of(garbage, "garbage.so", "x", enabled=False)
        self.assertEqual(entry["state"], "refused")

    def test_of_two_files_with_one_id_neither_runs(self):
        entry = self.state_of(BUILD / "plugins" / "skill_shell.so", "skill_shell.so", "shell", enabled=False)
        self.assertEqual((entry["state"], entry["reason"]), ("refused", "two files say that they are shell"))
        both = [one["state"] for one in self.host.api("GET", "/api/v1/plugins").json["items"] if one["id"] == "shell"]
        self.assertEqual(both, ["refused", "refused"])

    def test_a_third_partys_file_runs_only_after_it_was_accepted(self):
        entry = self.state_of(BUILD / "zoo" / "zoo_third.so", "third.so", "org.example.third", enabled=False)
        plugin_id = entry["id"]
        self.host.stop()
        text = self.host.file("parley.yaml").read_text()
        self.host.write("parley.yaml", text.replace("  rehearsal: {enabled", f"  {plugin_id}: {{enabled: true}}\n  rehearsal: {{enabled", 1))
        self.host.start()
        entry = self.host.api("GET", f"/api/v1/plugins/{plugin_id}").json
        self.assertEqual(entry["state"], "refused")
        self.assertIn("parley plugin lock", entry["reason"])
        done = self.host.cli("plugin", "lock", plugin_id, "--yes")
        self.assertEqual(done.returncode, 0, done.stderr)
        done = self.host.cli("plugin", "enable", plugin_id)
        self.assertEqual(done.returncode, 0, done.stderr)
        entry = self.host.api("GET", f"/api/v1/plugins/{plugin_id}").json
        self.assertEqual(entry["state"], "refused")
        self.assertIn("the secret key is not bound", entry["reason"])
        self.host.edit("parley.yaml", f"{plugin_id}: {{enabled: true}}", f"{plugin_id}: {{enabled: true, secrets: {{key: test/third}}}}")
        self.host.process.send_signal(1)
        wait_for("the plugin to be usable", lambda: self.host.api("GET", f"/api/v1/plugins/{plugin_id}").json["state"] != "refused")


class BadDisk(unittest.TestCase):
    def test_a_full_disk_stops_the_host_and_loses_nothing_that_was_acknowledged(self):
        if os.geteuid() != 0:
            self.skipTest("a small file system of its own needs root")
        with Host() as host:
            small = host.home / "ledger"
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m,mode=700", "tmpfs", small], check=True)
            try:
                host.start()
                accepted = []
                text = "/say " + "x" * 20_000
                for number in range(400):
                    try:
                        answer = host.api("POST", "/api/v1/agents/assistant/messages", {"text": text, "message_id": str(number)})
                    except OSError:
                        break
                    if answer.status == 200:
                        accepted.append(answer.json["seq"])
                else:
                    self.fail("the disk never filled")
                self.assertEqual(host.process.wait(20), 70, host.log[-2000:])
                self.assertIn("could not be written", host.log)
                subprocess.run(["mount", "-o", "remount,size=200m", small], check=True)
                host.start()
                self.assertGreater(len(accepted), 5)
                for seq in accepted:
                    self.assertEqual(host.api("GET", f"/api/v1/ledger/{seq}").json["kind"], "message.received")
                host.verify()
                host.stop()
            finally:
                if host.process:
                    host.kill()
                subprocess.run(["umount", "-l", small], check=False)


if __name__ == "__main__":
    unittest.main()
