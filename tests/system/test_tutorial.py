"""Follows sdk/README.md to the letter, in an empty folder: writes the files that it shows, types its
commands, and waits for what it says will be seen.

A fenced block says what it is by its first line: ```sh is typed into the first terminal, ```sh NAME
into a new one of that name, ```keys NAME are pressed there; ```text [NAME] must be seen there;
```LANGUAGE in FILE must stand in that file; ```LANGUAGE FILE is written into it. ```sh install is
typed in AgentParley's own folder. Ports and the name of the build tree are all that is changed."""
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import unittest

from parley import BUILD, free_port, wait_for

SOURCE = pathlib.Path(__file__).resolve().parents[2]


def blocks(heading):
    """The fenced blocks below this heading: language, what follows it, text."""
    page = (SOURCE / "sdk" / "README.md").read_text()
    part = page[page.index(f"\n## {heading}\n") + 1:]
    return re.findall(r"^```(\S+)(?: ([^\n]*))?\n(.*?)^```$", part[:part.index("\n## ")], re.M | re.S)


def lines(text):
    return [line.strip() for line in text.strip().splitlines()]


class Terminal:
    """A shell of its own, in the tutorial's folder."""

    def __init__(self, script, folder, env):
        self.file = tempfile.TemporaryFile("w+")
        self.seen = 0
        # `exec`, so that keys reach the last command, as they do in a terminal.
        *before, last = script.strip().splitlines()
        self.process = subprocess.Popen(["bash", "-ec", "\n".join([*before, "exec " + last])], cwd=folder, env=env,
                                        stdin=subprocess.PIPE, stdout=self.file, stderr=self.file, text=True)

    def output(self):
        self.file.seek(0)
        return self.file.read()

    def shows(self, wanted):
        """These lines in this order, after what was seen before; other lines may stand between."""
        at = self.seen
        for line in wanted:
            found = self.output().find(line, at)
            if found < 0:
                return False
            at = found + len(line)
        self.seen = at
        return True

    def press(self, keys):
        if keys == "Ctrl-D":
            self.process.stdin.close()
        else:
            assert keys == "Ctrl-C", keys
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        if not self.process.stdin.closed:
            self.process.stdin.close()
        self.file.close()


class Tutorial(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="parley-tutorial-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name) / "empty"
        self.folder.mkdir()
        self.state = pathlib.Path(scratch.name) / "environment"
        self.state.touch()
        self.env = {"PATH": os.environ["PATH"], "HOME": scratch.name, "LANG": "C.UTF-8"}
        self.terminals = {}
        self.addCleanup(lambda: [terminal.close() for terminal in self.terminals.values()])
        self.said = ""

    def type(self, script, folder):
        done = subprocess.run(["bash", "-ec", f". {self.state}\n{script}\nexport -p | grep -v PWD= > {self.state}"], cwd=folder,
                              env=self.env, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=300)
        self.assertEqual(done.returncode, 0, f"{script}\n{done.stdout}")
        self.said = done.stdout

    def follow(self, language, rest, text):
        if language == "sh" and not rest:
            self.type(text, self.folder)
        elif language == "sh" and rest == "install":
            self.type(text.replace("build/release", str(BUILD)), SOURCE)
        elif language == "sh":
            if rest in self.terminals:
                self.assertIsNotNone(self.terminals[rest].process.poll(), f"{rest} is still busy")
                self.terminals[rest].close()
            self.terminals[rest] = Terminal(text, self.folder, self.env)
        elif language == "keys":
            self.assertIn(self.terminals[rest].press(text.strip()), (0, -signal.SIGINT),
                          self.terminals[rest].output())
        elif language == "text" and rest:
            terminal = self.terminals[rest]
            try:
                wait_for(f"{text!r} in the terminal {rest}", lambda: terminal.shows(lines(text)), 60)
            except AssertionError as missing:
                shown = "\n".join(f"--- {name}\n{one.output()}" for name, one in self.terminals.items())
                raise AssertionError(f"{missing}\n{shown}") from None
        elif language == "text":
            for line in lines(text):
                self.assertIn(line, self.said)
        elif rest.startswith("in "):
            self.assertIn("\n".join(lines(text)), "\n".join(lines((self.folder / rest[3:]).read_text())))
        else:
            (self.folder / rest).write_text(text)

    def test_who_follows_the_tutorial_ends_in_a_conversation_through_a_new_channel(self):
        ports = {"7070": str(free_port()), "7421": str(free_port())}
        steps = blocks("A channel in fifteen minutes")
        self.assertEqual(len([step for step in steps if step[0] == "text" and "to ann" in step[2]]), 3)
        for language, rest, text in steps:
            for told, used in ports.items():
                text = text.replace(told, used)
            self.follow(language, rest, text)
        post = self.terminals["post"].output()
        self.assertNotIn("eve", post, "a stranger is met with silence")
        self.assertEqual(post.count("to ann"), 3, post)
        self.assertEqual(self.terminals["host"].press("Ctrl-C"), 0)

    def test_a_plugin_is_built_without_cmake(self):
        install, by_hand = blocks("A channel in fifteen minutes")[0], blocks("Without CMake, without C++")
        self.assertEqual((install[:2], len(by_hand)), (("sh", "install"), 1))
        for step in install, *by_hand:
            self.follow(*step)


if __name__ == "__main__":
    unittest.main()
