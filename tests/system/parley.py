"""Drives a real host from outside: a home of its own, the program, its API and its verbs."""
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

BIN = os.environ.get("PARLEY_BIN", "build/dev/bin/parley")
BUILD = pathlib.Path(os.environ.get("PARLEY_BUILD", "build/dev"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, condition, seconds=15.0):
    """Polls until the condition gives something true; a test that waits in vain says for what."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.02)


class Answer:
    def __init__(self, status, headers, text):
        self.status, self.headers, self.text = status, headers, text

    @property
    def json(self):
        return json.loads(self.text)


class Host:
    """A home in a folder of its own, and the host that runs on it."""

    def __init__(self, program=(BIN,), owner=None):
        """`program`: the words that run it; `owner`: the user id to whom its folder belongs."""
        self.program = list(program)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="parley-system-"))
        if owner is not None:
            os.chown(self.folder, owner, owner)
        self.home = self.folder / "home"
        self.port = free_port()
        self.process = None
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8",
                    "PARLEY_HOME": str(self.home),
                    "PARLEY_VAULT_KEY_FILE": str(self.folder / "key" / "vault.key")}
        made = self.cli("init", "--listen", f"127.0.0.1:{self.port}", "--json")
        self.made = json.loads(made.stdout)
        self.admin, self.read = self.made["admin_token"], self.made["read_token"]

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- files ---
    def file(self, name):
        return self.home / name

    def write(self, name, text):
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(text)
        path.chmod(0o600)

    def edit(self, name, old, new):
        text = (self.home / name).read_text()
        assert old in text, f"{old!r} is not in {name}"
        self.write(name, text.replace(old, new))

    @property
    def workspace(self):
        return self.home / "agents" / "assistant" / "workspace"

    @property
    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    # --- the program ---
    def start(self, ready=True, stdin=""):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([*self.program, "run"], env=self.env, stdin=subprocess.PIPE,
                                            stdout=log, stderr=log)
        with self.process.stdin as to_host:
            to_host.write(stdin.encode())
        if ready:
            wait_for("the host to be ready", lambda: self.process.poll() is not None or self.is_up())
            assert self.process.poll() is None, self.log
        return self

    def is_up(self):
        try:
            return self.api("GET", "/health", token=None).status == 200
        except OSError:
            return False

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError("the host did not stop on SIGTERM")
        self.process = None

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def cli(self, *words, stdin="", timeout=60):
        return subprocess.run([*self.program, *words], env=self.env, input=stdin, text=True, timeout=timeout,
                              capture_output=True)

    # --- the API ---
    def api(self, method, path, body=None, token="", headers=None, raw=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = {} if headers is None else dict(headers)
        if token is not None:
            sent.setdefault("Authorization", "Bearer " + (token or self.admin))
        data = raw
        if body is not None:
            data = json.dumps(body)
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        connection.request(method, path, data, sent)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        connection.close()
        return Answer(answer.status, dict(answer.getheaders()), text)

    def say(self, text, conversation="", agent="assistant", message_id=""):
        body = {"text": text}
        if conversation:
            body["conversation"] = conversation
        if message_id:
            body["message_id"] = message_id
        answer = self.api("POST", f"/api/v1/agents/{agent}/messages", body)
        assert answer.status == 200, answer.text
        return answer.json

    def records(self, session):
        items, after = [], "0"
        while after is not None:
            page = self.api("GET", f"/api/v1/sessions/{session}/events?limit=1000&after={after}").json
            items += page["items"]
            after = page["next"]
        return items

    def kinds(self, session):
        return [record["kind"] for record in self.records(session)]

    def replies(self, session):
        return [record["body"]["text"] for record in self.records(session)
                if record["kind"] == "message.queued" and not record["body"].get("notice")]

    def notices(self, session):
        return [record["body"]["text"] for record in self.records(session)
                if record["kind"] == "message.queued" and record["body"].get("notice")]

    def ask(self, text, **more):
        """Says something and waits for the reply."""
        accepted = self.say(text, **more)
        return self.reply_after(accepted)

    def reply_after(self, accepted, seconds=20):
        def found():
            for record in self.records(accepted["session"]):
                if record["seq"] > accepted["seq"] and record["kind"] == "message.queued" \
                        and not record["body"].get("notice"):
                    return [record["body"]["text"]]
        return wait_for(f"a reply after {accepted}", found, seconds)[0]

    def session(self, session):
        return self.api("GET", f"/api/v1/sessions/{session}").json

    def wait_state(self, session, state, seconds=15):
        wait_for(f"{session} to be {state}", lambda: self.session(session)["state"] == state, seconds)

    def pending(self):
        return self.api("GET", "/api/v1/approvals?state=pending").json["items"]

    def decide(self, approval, decision="approve", digest=None, reason=""):
        return self.api("POST", f"/api/v1/approvals/{approval['id']}/decision",
                        {"decision": decision, "digest": digest or approval["digest"], "reason": reason})

    def ledger(self):
        """Every record, by an export."""
        lines = self.cli("ledger", "export").stdout.splitlines()
        return [json.loads(line) for line in lines if not line.startswith('{"checkpoint"')]

    def verify(self):
        done = self.cli("ledger", "verify")
        assert done.returncode == 0, done.stdout + done.stderr


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()
