"""Plugins that were built with the SDK of every release are loaded and used by today's host.
tests/contract/released/keep.sh keeps the files."""
import pathlib
import re
import shutil
import socket
import unittest

from parley import Host

KEPT = pathlib.Path(__file__).resolve().parents[1] / "contract" / "released"
VERSIONS = sorted(folder.name for folder in KEPT.iterdir() if folder.is_dir())


class Released(unittest.TestCase):
    def setUp(self):
        self.host = Host()
        self.addCleanup(self.host.close)

    def start(self, files, *, skills=(), more="", senders=""):
        """A home in which these files are dropped, accepted and enabled; more is YAML below the models."""
        (self.host.home / "plugins").mkdir(mode=0o700, exist_ok=True)
        for id, file in files.items():
            shutil.copy(file, self.host.home / "plugins" / file.name)
            self.host.edit("parley.yaml", "  rehearsal: {enabled: true}",
                           f"  {id}: {{enabled: true}}\n  rehearsal: {{enabled: true}}")
            locked = self.host.cli("plugin", "lock", id, "--yes")
            self.assertEqual(locked.returncode, 0, locked.stderr)
        self.host.edit("parley.yaml", "\nmodels:\n", f"{more}\nmodels:\n")
        allowed = "".join(f'"{skill}", ' for skill in skills)
        self.host.edit("agents/assistant/agent.yaml", "allow: [", f"allow: [{allowed}")
        agent = self.host.file("agents/assistant/agent.yaml")
        self.host.write("agents/assistant/agent.yaml", agent.read_text() + senders)
        self.host.start()

    def test_no_release_is_forgotten(self):
        this = re.search(r"project\(AgentParley VERSION ([\d.]+)", (KEPT.parents[2] / "CMakeLists.txt").read_text())[1]
        self.assertIn(this, VERSIONS, "keep its plugins: tests/contract/released/keep.sh build/release")
        for version in VERSIONS:
            self.assertEqual(sorted(file.name for file in (KEPT / version).iterdir()),
                             ["channel_lines.so", "provider_backwards.so", "skill_words.so"], version)

    def use(self, version):
        kept = KEPT / version
        with socket.create_server(("127.0.0.1", 0)) as service:
            service.settimeout(20)
            channel = f"plugin: org.kept.lines, agent: assistant, config: {{host: 127.0.0.1, port: {service.getsockname()[1]}}}"
            self.start({"org.kept.words": kept / "skill_words.so", "org.kept.lines": kept / "channel_lines.so",
                        "org.kept.backwards": kept / "provider_backwards.so"},
                       skills=["org.kept.words:count_words"],
                       more=f"\nchannels:\n  lines: {{{channel}}}\n",
                       senders='channels: {lines: {authorized_senders: ["account:ann"]}}\n')
            line, _ = service.accept()
            with line, line.makefile("rw", encoding="utf-8") as talk:
                line.settimeout(20)
                self.assertEqual(talk.readline(), "from 0\n")
                talk.write('1 ann /call org.kept.words:count_words {"text": "one two three"}\n')
                talk.flush()
                self.assertEqual([talk.readline(), talk.readline()],
                                 ["ack 1\n", "to ann org.kept.words:count_words: 3 words\n"])
        self.host.stop()
        self.host.edit("parley.yaml", "default: {provider: rehearsal", "default: {provider: org.kept.backwards")
        self.host.start()
        self.assertEqual(self.host.ask("one two three"), "three two one")
        self.host.verify()


def test_of(version):
    return lambda self: self.use(version)


# A release whose templates speak otherwise than those of today gets a talk of its own.
for version in VERSIONS:
    name = f"test_the_plugins_of_{version.replace('.', '_')}_work_on_todays_host"
    setattr(Released, name, test_of(version))


if __name__ == "__main__":
    unittest.main()
