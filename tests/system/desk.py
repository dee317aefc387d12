"""A strict chat service in the test itself: what the bot sends and edits, and what people do."""
import itertools
import json
import re
import shutil
import signal
import socket
import threading
import unittest

from parley import BUILD, Host, wait_for

DATA = re.compile(r"[A-Za-z0-9_-]{1,48}\Z")


class Desk:
    """`fail` is asked for each request: None lets it pass, a failure refuses it, "silence" answers nothing."""

    def __init__(self, features=("buttons", "edit")):
        self.features, self.fail = features, lambda verb, request: None
        self.messages, self.edits, self.drafts, self.typed, self.problems = [], [], [], [], []
        self.numbers, self.lock, self.peer = itertools.count(1), threading.Lock(), None
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.ended = False
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while not self.ended:
            try:
                peer, _ = self.server.accept()
            except OSError:
                return
            self.peer = peer
            try:
                for line in peer.makefile("rb"):
                    self.heard(peer, json.loads(line))
            except (OSError, ValueError):
                pass
            peer.close()

    def heard(self, peer, line):
        verb, request = line["verb"], line["request"]
        for row in request.get("buttons", []):
            if "buttons" not in self.features or not row:
                self.problems.append(f"buttons for one that has none: {request}")
            self.problems += [f"bad data {one}" for one in row if not DATA.match(one["data"])]
        if verb == "edit" and "edit" not in self.features:
            self.problems.append("an edit for one that has none")
        if verb in ("typing", "draft") and verb not in self.features:
            self.problems.append(f"{verb} for one that has none")
        if request.get("markdown") and ("markdown" not in self.features or request.get("notice")):
            self.problems.append(f"Markdown that nobody can show: {request}")
        failure = self.fail(verb, request)
        if failure == "silence":
            return
        answer = {"answer": line["call"]}
        with self.lock:
            if failure:
                answer["failure"] = failure
            elif verb == "send":
                message = dict(request, number=f"m{next(self.numbers)}")
                self.messages.append(message)
                answer["result"] = {"ids": [message["number"]], "parts": 1}
            elif verb in ("typing", "draft"):
                (self.typed if verb == "typing" else self.drafts).append(request)
                answer["result"] = {}
            else:
                if request["id"] not in [message["number"] for message in self.messages]:
                    self.problems.append(f"an edit of a message that is not there: {request}")
                self.edits.append(request)
                answer["result"] = {}
        peer.sendall((json.dumps(answer) + "\n").encode())

    def live(self):
        """The bot's connection, when it stands: a host may say so before the desk has taken it, and one that
        was killed may still seem to be there."""
        peer = self.peer
        try:
            return peer if peer and peer.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) else None
        except BlockingIOError:
            return peer
        except OSError:
            return None

    def emit(self, **members):
        wait_for("the bot at the desk", self.live).sendall((json.dumps(members) + "\n").encode())

    def say(self, who, text, conversation=None, private=True):
        self.emit(type="message", conversation=conversation or who, sender={"ids": [f"id:{who}"]},
                  private=private, text=text)

    def press(self, who, data, conversation=None, private=True):
        self.emit(type="press", conversation=conversation or who, sender={"ids": [f"id:{who}"]},
                  private=private, data=data)

    def command(self, who, command, number=""):
        self.emit(type="command", command=command, conversation=who, sender={"ids": [f"id:{who}"]},
                  private=True, **({"id": number} if number else {}))

    def there(self, conversation):
        with self.lock:
            return [message for message in self.messages if message["conversation"] == conversation]

    def wait(self, conversation, part):
        return wait_for(f"{part!r} in {conversation}; there is {self.there(conversation)}",
                        lambda: next((one for one in self.there(conversation) if part in one["text"]), None))

    def wait_edit(self, message, part):
        return wait_for(f"an edit with {part!r}; there are {self.edits}", lambda: next(
            (one for one in list(self.edits) if one["id"] == message["number"] and part in one["text"]), None))

    def drop(self):
        """The connection breaks."""
        self.peer.shutdown(socket.SHUT_RDWR)

    def down(self):
        """Nobody is there any more, until up()."""
        self.ended = True
        # A thread that accepts keeps the port open.
        self.server.shutdown(socket.SHUT_RDWR)
        self.thread.join(15)
        self.server.close()
        if self.peer:
            self.drop()

    def up(self):
        self.ended = False
        self.server = socket.create_server(("127.0.0.1", self.port))
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def close(self):
        self.ended = True
        self.server.close()
        if self.peer:
            self.peer.close()


SETUP = '''
channels:
  desk:
    plugin: %s
    agent: assistant
    config: {host: 127.0.0.1, port: %d}
    approvers: ["id:boss", "id:deputy"]
'''
COUNT = '/call shell {"command":"echo ran >> count; echo done"}'


class OnDesk(unittest.TestCase):
    plugin, features = "org.test.desk", ("buttons", "edit")

    def setUp(self):
        self.desk = Desk(self.features)
        self.host = Host()
        (self.host.home / "plugins").mkdir(exist_ok=True, mode=0o700)
        file = self.host.home / "plugins" / f"{self.plugin}.so"
        shutil.copy(BUILD / "offers" / f"{self.plugin}.so", file)
        file.chmod(0o600)
        self.host.edit("parley.yaml", "  shell:     {enabled: true}",
                       f"  shell:     {{enabled: true}}\n  {self.plugin}: {{enabled: true}}")
        self.host.write("parley.yaml", self.host.file("parley.yaml").read_text() + SETUP % (self.plugin, self.desk.port))
        agent = self.host.file("agents/assistant/agent.yaml").read_text()
        self.host.write("agents/assistant/agent.yaml",
                        agent + 'channels:\n  desk: {authorized_senders: ["id:ada", "id:bea"]}\n')
        locked = self.host.cli("plugin", "lock", self.plugin, "--yes")
        assert locked.returncode == 0, locked.stderr
        self.prepare()
        self.start()

    def prepare(self):
        """What a test's home has beyond this."""

    def tearDown(self):
        self.host.verify()
        self.host.close()
        self.desk.close()
        self.assertEqual(self.desk.problems, [])

    def start(self):
        self.host.start()
        self.connected()

    def connected(self):
        wait_for("the channel to connect", lambda: self.channel()["link"] == "connected", 30)

    def reload(self):
        before = self.host.log.count("read again")
        self.host.process.send_signal(signal.SIGHUP)
        wait_for("the reload", lambda: self.host.log.count("read again") > before)

    def channel(self):
        return self.host.api("GET", "/api/v1/channels/desk").json

    def ran(self):
        file = self.host.workspace / "count"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def open(self, *people):
        """They write to the bot in private, which is how it learns where they are."""
        for who in people:
            self.desk.say(who, "hello")
            wait_for(f"{who} to be reachable", lambda: any(
                one["kind"] == "approver.reachable" and one["body"]["approver"] == f"id:{who}"
                for one in self.host.ledger()))

    def ask(self, text=COUNT):
        """Ada's agent wants something; the approval."""
        self.desk.say("ada", text)
        return wait_for("an approval", self.host.pending)[0]

    def refused(self, who):
        return sum(one["count"] for one in self.channel()["refused"] if one["sender"] == f"decision:id:{who}")
