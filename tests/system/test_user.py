"""An installed release in the hands of an ordinary user: the strict sandbox without any right of root,
and what is said and done where the kernel forbids user namespaces."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from parley import BUILD, Host, wait_for

USER = 65534  # nobody
ORDINARY = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"] if os.geteuid() == 0 else []
# A user namespace that allows no other below it, then the loss of every right in it.
FORBIDDEN = ["unshare", "-r", "sh", "-c", "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"", "sh",
             "setpriv", "--securebits=+noroot,+noroot_locked", "--inh-caps=-all", "--bounding-set=-all"]


class User(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.prefix = pathlib.Path(tempfile.mkdtemp(prefix="parley-installed-"))
        cls.prefix.chmod(0o755)
        subprocess.run(["cmake", "--install", str(BUILD), "--prefix", str(cls.prefix)], check=True, capture_output=True)
        cls.program = str(cls.prefix / "bin" / "parley")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.prefix)

    def host(self, before):
        owner = USER if before and os.geteuid() == 0 else None
        host = Host([*before, self.program], owner if before is ORDINARY else None)
        self.addCleanup(host.close)
        return host

    def profiles(self, host):
        return {record["body"]["plugin"]: record["body"]["profile"]["profile"] for record in host.ledger()
                if record["kind"] == "plugin.loaded" and re.fullmatch("[0-9a-f]{64}", record["body"]["profile_digest"])}

    def test_the_strict_sandbox_needs_no_right_of_root(self):
        host = self.host(ORDINARY)
        host.start()
        status = pathlib.Path(f"/proc/{host.process.pid}/status").read_text()
        self.assertNotIn("Uid:\t0", status)
        said = host.say('/call write_file {"path": "note.txt", "content": "mine"}\n/call shell {"command": "id -u; cat note.txt"}\n/then\n/results')
        for _ in range(2):
            self.assertEqual(host.decide(wait_for("an approval", host.pending)[0]).status, 200)
            wait_for("the decision to count", lambda: len(host.pending()) < 2)
        reply = host.reply_after(said)
        self.assertIn("note.txt", reply)
        layers = " ".join(self.profiles(host)["rehearsal"])
        for layer in ("namespaces", "own-root", "landlock", "seccomp", "no-capabilities"):
            self.assertIn(layer, layers)
        shown = {plugin["id"]: plugin["isolation"] for plugin in host.api("GET", "/api/v1/plugins").json["items"]}
        self.assertEqual(shown["rehearsal"], "strict")
        self.assertNotIn("reduced", host.cli("doctor").stdout)
        host.verify()

    def test_where_user_namespaces_are_forbidden_a_plugin_is_refused_with_the_reason_until_the_operator_reduces_it(self):
        host = self.host(FORBIDDEN)
        host.start()
        said = host.say("/say hello")
        notice = wait_for("word that it cannot", lambda: host.notices(said["session"]), 40)[0]
        self.assertIn("user namespaces", notice)
        rehearsal = next(plugin for plugin in host.api("GET", "/api/v1/plugins").json["items"] if plugin["id"] == "rehearsal")
        self.assertIn("user namespaces", rehearsal["reason"])
        self.assertEqual(self.profiles(host), {})

        host.edit("parley.yaml", "  rehearsal: {enabled: true}", "  rehearsal: {enabled: true, isolation: reduced}")
        self.assertEqual(host.cli("plugin", "enable", "rehearsal").returncode, 0)
        self.assertEqual(host.ask("/say reduced by my word"), "reduced by my word")
        shown = {plugin["id"]: plugin["isolation"] for plugin in host.api("GET", "/api/v1/plugins").json["items"]}
        self.assertEqual(shown["rehearsal"], "reduced")
        self.assertIn("rehearsal: runs with reduced isolation", host.cli("doctor").stdout)
        for words in (["plugin", "list"], ["status"]):
            self.assertRegex(host.cli(*words).stdout, r"(?m)^ *rehearsal .*healthy +reduced\b")
        layers = " ".join(self.profiles(host)["rehearsal"])
        self.assertIn("landlock", layers)
        self.assertNotIn("own-root", layers)
        # A command is never run without the namespaces that hide home and key.
        said = host.say('/call shell {"command": "id"}\n/then\n/results')
        self.assertEqual(host.decide(wait_for("an approval", host.pending)[0]).status, 200)
        self.assertIn("user namespaces", host.reply_after(said))


if __name__ == "__main__":
    unittest.main()
