"""The homes of packaging/homes, each as its page has it: every command as it stands there, every line that it
promises; only addresses, the person's own id and the number of a process are others."""
import json
import pathlib
import re
import subprocess
import tempfile
import threading
import unittest

import anthropic_double
import openai_double
from irc import Ircd, Person
from parley import BIN, free_port, wait_for
from telegram_double import Double

SOURCE = pathlib.Path(__file__).resolve().parents[2]
HOMES = SOURCE / "packaging" / "homes"
SECRETS = {"telegram/assistant": "123456:test-token-0123456789abcdefghij", "anthropic/default": "test-key-0123456789-abcdef",
           "openai/default": "test-key-0123456789-abcdef", "webhook/desk": "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"}


class Page:
    """A reader who types what the page says, from nothing."""

    def __init__(self, name):
        self.scratch = tempfile.TemporaryDirectory(prefix="parley-homes-")
        self.folder = pathlib.Path(self.scratch.name)
        self.home = self.folder / "parley"
        bin_folder = self.folder / "bin"
        bin_folder.mkdir()
        (bin_folder / "parley").symlink_to(pathlib.Path(BIN).resolve())
        # The home is where the commands look by themselves.
        self.env = {"PATH": f"{bin_folder}:/usr/bin:/bin", "HOME": str(self.folder), "LANG": "C.UTF-8"}
        text = (HOMES / name / "README.md").read_text()
        self.blocks = re.findall(r"^```(\S+)(?: (\S+))?\n(.*?)^```$", text, re.M | re.S)
        self.me, self.said, self.host = {}, "", None
        self.log = self.folder / "log"
        # The first block builds and makes a home.
        assert self.blocks.pop(0)[:2] == ("sh", "build")
        self.type("parley init")

    def type(self, line, stdin=""):
        done = subprocess.run(["bash", "-c", line], cwd=SOURCE, env=self.env, input=stdin, text=True,
                              capture_output=True, timeout=60)
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        self.said = done.stdout
        return done.stdout

    def block(self):
        """The next one."""
        language, kind, text = self.blocks.pop(0)
        for told, used in self.me.items():
            text = text.replace(told, used)
        for line in text.splitlines():
            if language == "text":
                assert line in self.said, (line, self.said)
            elif kind == "secret":
                self.type(line, SECRETS[line.split()[-1]] + "\n")
            elif kind == "host":
                with open(self.log, "ab") as log:
                    self.host = subprocess.Popen(["bash", "-c", "exec " + line], cwd=SOURCE, env=self.env,
                                                 stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            elif line == "kill -HUP NUMBER":
                told = re.search(r"kill -HUP (\d+)", self.said)[0]
                assert told.split()[-1] == str(self.host.pid), told
                self.type(told)
                wait_for("the reload", lambda: "read again" in self.log.read_text())
            else:
                self.type(line)
        return self.said

    def chat(self, *more):
        """The next block, as a program that is talked to by lines."""
        language, kind, text = self.blocks.pop(0)
        assert (language, kind, text.count("\n")) == ("sh", "chat", 1), text
        env = self.env | {"WEBHOOK_SECRET": SECRETS["webhook/desk"]}
        return Chat([*text.split(), *map(str, more)], env)

    def addresses(self, *others):
        """The doubles stand where the services would; and the host where no other test's does."""
        file = self.home / "parley.yaml"
        text = file.read_text()
        for told, used in ("listen: 127.0.0.1:7420", f"listen: 127.0.0.1:{free_port()}"), *others:
            assert text.count(told) == 1, told
            text = text.replace(told, used)
        file.write_text(text)

    def channel(self, name):
        return json.loads(self.type(f"parley channel show {name} --json"))

    def connected(self, name):
        wait_for("the host", lambda: "ready: " in self.log.read_text())
        wait_for("the channel to connect", lambda: self.channel(name).get("link") == "connected", 30)

    def end(self):
        """All of the page was followed, and the ledger is sound."""
        assert self.blocks == [], self.blocks
        self.type("parley ledger verify")

    def close(self):
        if self.host and self.host.poll() is None:
            self.host.terminate()
            self.host.wait(20)
        self.scratch.cleanup()


class Chat:
    """A program that is typed to, and what it said."""

    def __init__(self, words, env):
        self.process = subprocess.Popen(words, cwd=SOURCE, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, bufsize=1)
        self.lines = []
        threading.Thread(target=self.read, daemon=True).start()
        self.wait_heard("say something")

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def say(self, line):
        self.process.stdin.write(line + "\n")

    def wait_heard(self, text):
        return wait_for(text, lambda: next((line for line in list(self.lines) if text in line), None), 30)

    def close(self):
        self.process.kill()
        self.process.wait(15)
        self.process.stdin.close()


class Homes(unittest.TestCase):
    def page(self, name):
        page = Page(name)
        self.addCleanup(page.close)
        return page

    def refused(self, page, name):
        return wait_for("the stranger to be counted", lambda: page.channel(name)["refused"])[0]["sender"]

    def test_a_bot_on_telegram_with_a_model_of_anthropic(self):
        model, chat = anthropic_double.Double(), Double(SECRETS["telegram/assistant"])
        self.addCleanup(model.close)
        self.addCleanup(chat.close)
        page = self.page("telegram")
        page.block()
        page.addresses(("https://api.anthropic.com", f"http://127.0.0.1:{model.port}"),
                       ("https://api.telegram.org", f"http://127.0.0.1:{chat.port}"))
        page.block()  # secrets
        page.block()  # doctor
        page.block()  # run
        page.connected("telegram")
        ann = chat.person(5, "Ann")
        chat.say(ann, "hello")
        page.me["id:123456789"] = self.refused(page, "telegram")
        self.assertEqual(page.me["id:123456789"], "id:5")
        self.assertEqual((chat.said(), model.requests), ([], []))
        page.block()  # show
        page.block()  # what it shows
        page.block()  # allow, and reload
        model.answers = [anthropic_double.text("Hello Ann."),
                         anthropic_double.blocks(anthropic_double.tool("t1", "shell", command="echo 40 percent"), reason="tool_use"),
                         anthropic_double.text("It is full by 40 percent.")]
        chat.say(ann, "hello again")
        wait_for("the first reply", lambda: any(one["text"] == "Hello Ann." for one in chat.said(5)))
        chat.say(ann, "how full is the disk?")
        card = wait_for("the card", lambda: next((one for one in chat.said(5) if "reply_markup" in one), None))
        self.assertIn("echo 40 percent", card["text"])
        self.assertEqual(len(model.requests), 2)
        chat.press(ann, card, "Approve")
        wait_for("the answer", lambda: any("It is full by 40 percent." in one["text"] for one in chat.said(5)))
        wait_for("the card to be closed", lambda: any("was approved by id:5" in one["text"] for one in chat.said(5)))
        self.assertIn("40 percent\n[exit status 0]", json.dumps(model.requests[2][2]["messages"][-1]).replace("\\n", "\n"))
        self.assertEqual((model.problems, chat.problems), ([], []))
        page.end()

    def test_an_agent_on_irc_with_a_model_on_this_machine(self):
        model, ircd = openai_double.Double(), Ircd("ngircd")
        self.addCleanup(model.close)
        self.addCleanup(ircd.close)
        page = self.page("irc")
        page.block()
        page.addresses(("http://127.0.0.1:8080/v1", f"http://127.0.0.1:{model.port}/v1"), ("port: 6667", f"port: {ircd.port}"))
        page.block()  # doctor
        page.block()  # run
        page.connected("irc")
        ada = Person(ircd.port, "ada", bot="parley")
        self.addCleanup(ada.close)
        ada.say("parley", "hello")
        page.me["mask:ada!~ada@127.0.0.1"] = self.refused(page, "irc")
        self.assertTrue(page.me["mask:ada!~ada@127.0.0.1"].startswith("mask:ada!"))
        page.block()  # show
        page.block()  # what it shows
        page.block()  # allow, and reload
        model.answers = [openai_double.text("Hello!"),
                         openai_double.calls(("shell", '{"command":"echo 40 percent"}')),
                         openai_double.text("Enough."), openai_double.text("Here.")]
        ada.say("parley", "hello again")
        ada.wait_heard("Hello!")
        ada.say("parley", "how full is the disk?")
        ada.wait_heard("echo 40 percent")
        line = ada.wait_heard("approve ")
        self.assertEqual(len(model.requests), 2)
        ada.say("parley", "approve " + line.split("approve ")[1].split()[0])
        ada.wait_heard("Enough.")
        ada.wait_heard("was approved by mask:ada!")
        ada.join("#parley")
        ada.say("#parley", "parley: are you there?")
        ada.wait_heard("Here.", "#parley")
        self.assertEqual(model.problems, [])
        page.end()

    def test_an_agent_for_a_program_by_signed_webhooks(self):
        model, listening = openai_double.Double(), free_port()
        self.addCleanup(model.close)
        page = self.page("webhook")
        page.block()
        page.addresses(("https://api.openai.com/v1", f"http://127.0.0.1:{model.port}/v1"),
                       ("http://127.0.0.1:7421/", f"http://127.0.0.1:{listening}/"))
        port = re.search(r"listen: 127\.0\.0\.1:(\d+)", (page.home / "parley.yaml").read_text())[1]
        page.block()  # secrets
        page.block()  # doctor
        page.block()  # run
        page.connected("desk")
        chat = page.chat("--hook", f"http://127.0.0.1:{port}/hooks/desk", "--listen", listening)
        self.addCleanup(chat.close)
        chat.say("hello")
        self.assertEqual(self.refused(page, "desk"), "id:ann")
        page.block()  # show
        page.block()  # what it shows
        page.block()  # allow, and reload
        model.answers = [openai_double.respond(model, openai_double.said("Hello, desk.")),
                         openai_double.respond(model, openai_double.function("c1", "shell", '{"command":"echo 40 percent"}')),
                         openai_double.respond(model, openai_double.said("Enough."))]
        chat.say("hello again")
        chat.wait_heard("< Hello, desk.")
        chat.say("how full is the disk?")
        chat.wait_heard("echo 40 percent")
        line = chat.wait_heard("approve ")
        self.assertEqual(len(model.requests), 2)
        chat.say("approve " + line.split("approve ")[1].split()[0])
        chat.wait_heard("< Enough.")
        chat.wait_heard("was approved by id:ann")
        self.assertEqual([line for line in chat.lines if line.startswith("!")], [])
        self.assertEqual(model.problems, [])
        page.end()

    def test_the_list_of_homes_names_each_that_there_is(self):
        listed = re.findall(r"^\| \[(\w+)\]\(\1/README.md\)", (HOMES / "README.md").read_text(), re.M)
        self.assertEqual(sorted(listed), sorted(one.name for one in HOMES.iterdir() if one.is_dir()))
        self.assertIn("packaging/homes/README.md", (SOURCE / "README.md").read_text())


if __name__ == "__main__":
    unittest.main()
