"""Webhooks through the real host: who is let in, what reaches a plugin, and what a sender is told when
something on the way is wrong, missing, late or dead."""
import base64
import concurrent.futures
import hashlib
import hmac
import http.client
import json
import pathlib
import re
import shutil
import socket
import threading
import time
import unittest

from parley import BUILD, Host, wait_for

KEYS = {"body": "the key of body, long", "time": "the key of time, long",
        "standard": "whsec_" + base64.b64encode(b"the key of standard, long").decode(), "token": "the-token_of-the-tests"}
ZOO = pathlib.Path(__file__).resolve().parents[1] / "zoo" / "inbound"


def digest(key, text):
    return hmac.new(key, text, hashlib.sha256)


def signed(scheme, body, at=None, number="msg_1"):
    """The headers with which that service would send it."""
    at = str(int(time.time()) if at is None else at)
    key = KEYS[scheme].encode()
    if scheme == "body":
        return {"X-Hub-Signature-256": "sha256=" + digest(key, body).hexdigest()}
    if scheme == "time":
        return {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": "v0=" + digest(key, b"v0:%s:%s" % (at.encode(), body)).hexdigest()}
    if scheme == "token":
        return {"X-Secret-Token": KEYS[scheme]}
    text = b"%s.%s.%s" % (number.encode(), at.encode(), body)
    signature = base64.b64encode(digest(base64.b64decode(KEYS[scheme].removeprefix("whsec_")), text).digest()).decode()
    return {"webhook-id": number, "webhook-timestamp": at, "webhook-signature": "v1,AAAA v1," + signature}


def install(host, folder, names, secret):
    """Plugins of the tests, accepted; `secret` gives what each instance is verified with."""
    (host.home / "plugins").mkdir(exist_ok=True, mode=0o700)
    for file, plugin, _ in names:
        place = host.home / "plugins" / f"{file}.so"
        shutil.copy(BUILD / folder / f"{file}.so", place)
        place.chmod(0o600)
    lines = "".join(f"  {plugin}: {{enabled: true}}\n" for _, plugin, _ in names)
    host.edit("parley.yaml", "  rehearsal: {enabled: true}", lines + "  rehearsal: {enabled: true}")
    text = host.file("parley.yaml").read_text() + "\nchannels:\n"
    for _, plugin, instance in names:
        field, value = secret(instance)
        done = host.cli("secret", "set", f"test/{instance}", stdin=value + "\n")
        assert done.returncode == 0, done.stderr
        text += f"  {instance}: {{plugin: {plugin}, agent: assistant, inbound: true, secrets: {{{field}: test/{instance}}}}}\n"
    host.write("parley.yaml", text)
    for _, plugin, _ in names:
        locked = host.cli("plugin", "lock", plugin, "--yes")
        assert locked.returncode == 0, locked.stderr
        assert "hears webhooks" in locked.stdout, locked.stdout


class OnHooks(unittest.TestCase):
    def setUp(self):
        self.host = Host()
        self.addCleanup(self.host.close)

    def start(self):
        install(self.host, "offers", [(f"org.test.hear-{one}",) * 2 + (one,) for one in KEYS], lambda one: ("secret", KEYS[one]))
        agent = self.host.file("agents/assistant/agent.yaml").read_text()
        self.host.write("agents/assistant/agent.yaml", agent + 'channels:\n  body: {authorized_senders: ["id:ann"]}\n')
        self.host.edit("parley.yaml", "listen:", 'public_url: "https://agent.example/"\nlisten:')
        self.host.start()
        self.connected(*KEYS)

    def connected(self, *instances):
        for one in instances:
            wait_for(f"{one} to be connected", lambda: self.channel(one)["link"] == "connected", 30)

    def channel(self, name):
        return self.host.api("GET", f"/api/v1/channels/{name}").json

    def post(self, scheme, body, headers=None, more=None, method="POST", path=None, timeout=40):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", "Host": "agent.example"} | (signed(scheme, raw) if headers is None else headers) | (more or {})
        connection = http.client.HTTPConnection("127.0.0.1", self.host.port, timeout=timeout)
        try:
            connection.request(method, path or f"/hooks/{scheme}", raw, sent)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), dict(answer.getheaders())
        finally:
            connection.close()

    def status(self, *words, **more):
        return self.post(*words, **more)[0]

    def raw(self, head, body=b"", close=False):
        """What the host answers to these bytes; "" when it only closes."""
        with socket.create_connection(("127.0.0.1", self.host.port), timeout=60) as peer:
            peer.sendall(head.encode() + body)
            if close:
                peer.shutdown(socket.SHUT_WR)
            out = b""
            while chunk := peer.recv(65536):
                out += chunk
                if b"\r\n\r\n" in out:
                    return out.decode()
            return out.decode()

    def head(self, scheme, length, body=b"", **headers):
        lines = {"Host": "agent.example", "Content-Type": "application/json", "Content-Length": length} | signed(scheme, body) | headers
        return f"POST /hooks/{scheme} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None) + "\r\n"

    def received(self):
        return [record for record in self.host.ledger() if record["kind"] == "message.received"]

    def refused(self, instance):
        return {one["sender"]: one["count"] for one in self.channel(instance)["refused"]}


class WhoIsLetIn(OnHooks):
    def setUp(self):
        super().setUp()
        self.start()

    def test_each_way_of_signing_lets_in_what_is_signed_and_nothing_else(self):
        for scheme in KEYS:
            with self.subTest(scheme):
                self.assertEqual(self.channel(scheme)["detail"], f"https://agent.example/hooks/{scheme}")
                status, text, _ = self.post(scheme, {"what": "Grüße"}, more={"X-Event": "push", "X-Secret": "no", "Authorization": "Bearer x"})
                self.assertEqual(status, 200, text)
                told = json.loads(text)
                self.assertEqual((json.loads(told["body"]), told["event"], told["authorization"]), ({"what": "Grüße"}, "push", ""))
                for wrong in ({}, signed(scheme, b"another") if scheme != "token" else {"X-Secret-Token": "the-token_of-the-test"},
                              {name: value + "x" for name, value in signed(scheme, b"{}").items()}):
                    status, text, headers = self.post(scheme, b"{}", headers=wrong)
                    self.assertEqual((status, json.loads(text).get("detail", "")), (401, ""), wrong)
                    self.assertNotIn("WWW-Authenticate", headers)
        self.assertEqual({scheme: self.refused(scheme) for scheme in KEYS}, {scheme: {"webhook:signature": 3} for scheme in KEYS})

    def test_a_request_that_is_sent_again_or_is_old_is_refused(self):
        for scheme in "time", "standard":
            headers = signed(scheme, b"{}")
            self.assertEqual(self.status(scheme, b"{}", headers=headers), 200)
            self.assertEqual(self.status(scheme, b"{}", headers=headers), 409)
            for at in time.time() - 400, time.time() + 400:
                self.assertEqual(self.status(scheme, b"{}", headers=signed(scheme, b"{}", int(at))), 401)
            # One that was not taken may come again.
            body = b'{"do":"status","status":503}'
            headers = signed(scheme, body)
            self.assertEqual(self.status(scheme, body, headers=headers), 503)
            self.assertEqual(self.status(scheme, body, headers=headers), 503)
            self.assertEqual(self.refused(scheme), {"webhook:replay": 1, "webhook:signature": 2})

    def test_no_token_of_the_api_is_needed_or_taken_and_nothing_of_the_api_is_behind_it(self):
        admin = {"Authorization": f"Bearer {self.host.admin}"}
        self.assertEqual(self.status("body", b"{}", headers=admin), 401)
        self.assertEqual(self.host.api("POST", "/hooks/body", {}).status, 401)
        for path in "/hooks/", "/hooks/nobody", "/hooks/body/", "/hooks/body?token=x", "/hooks/%62ody", "/hooks/../api/v1/status", "/hooks/api":
            self.assertEqual(self.status("body", b"{}", path=path, more=admin), 404, path)
        self.assertEqual(self.status("body", b"{}", path="/api/v1/agents/assistant/messages"), 401)
        status, _, headers = self.post("body", b"{}", method="PUT")
        self.assertEqual((status, headers["Allow"]), (405, "POST"))
        # The control socket has its own users, and none of these.
        answer = self.host.cli("channel", "list", "--json")
        self.assertEqual(answer.returncode, 0, answer.stderr)

    def test_the_host_answers_to_its_own_names_and_the_public_one(self):
        for name, status in (("agent.example", 200), (f"127.0.0.1:{self.host.port}", 200), (f"localhost:{self.host.port}", 200),
                             ("rebound.example", 421), ("agent.example.evil", 421), ("127.0.0.1:1", 421)):
            self.assertEqual(self.status("body", b"{}", more={"Host": name}), status, name)
        self.assertEqual(self.status("body", b"{}", more={"Origin": "https://evil.example"}), 403)

    def test_what_is_too_large_or_of_another_type_is_refused_before_it_is_sent(self):
        self.assertIn(" 413 ", self.raw(self.head("body", 256 * 1024 + 1)))
        self.assertIn(" 401 ", self.raw(self.head("body", 100_000, **{"X-Hub-Signature-256": None})))
        self.assertIn(" 401 ", self.raw(self.head("token", 100_000, **{"X-Secret-Token": "wrong"})))
        self.assertIn(" 415 ", self.raw(self.head("body", 10, **{"Content-Type": "application/xml"})))
        self.assertIn(" 415 ", self.raw(self.head("body", 10, **{"Content-Type": None})))
        self.assertIn(" 415 ", self.raw(self.head("body", 10, **{"Content-Encoding": "gzip"})))
        chunk = b"40000\r\n" + b"x" * 0x40000 + b"\r\n"
        self.assertIn(" 413 ", self.raw(self.head("body", None, **{"Transfer-Encoding": "chunked"}), chunk + b"1\r\nx\r\n0\r\n\r\n"))
        most = json.dumps({"do": "status", "status": 200, "x": "y" * (256 * 1024 - 100)}).encode()
        self.assertEqual(self.status("body", most), 200)
        self.assertEqual(self.status("body", b"\xff\xfe"), 400)

    def test_a_body_that_comes_too_slowly_or_not_whole_reaches_no_plugin(self):
        body = b'{"do":"say","sender":"id:ann","text":"/say x","id":"1"}'
        with concurrent.futures.ThreadPoolExecutor() as pool:
            slow = pool.submit(self.raw, self.head("body", len(body), body), body[:-1])
            self.assertEqual(self.raw(self.head("body", len(body), body), body[:-1], close=True), "")
            self.assertEqual(self.status("body", b"{}"), 200)
            self.assertIn(" 408 ", slow.result())
        self.assertEqual(self.received(), [])

    def test_who_floods_is_told_to_wait(self):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            told = list(pool.map(lambda _: self.post("body", b"{}", headers={}), range(60)))
        counts = {status: sum(one[0] == status for one in told) for status in (401, 429)}
        self.assertEqual(sum(counts.values()), 60)
        self.assertGreater(counts[401], 10)
        self.assertGreater(counts[429], 10)
        self.assertTrue(all(int(headers["Retry-After"]) > 0 for status, _, headers in told if status == 429))
        # The door to people is another one.
        self.assertEqual(self.host.api("GET", "/api/v1/status").status, 200)
        # Counted, and no record for each.
        self.host.ask("/say hello")
        records = [one for one in self.host.ledger() if one["kind"] == "message.refused"]
        self.assertEqual([one["body"]["sender"] for one in records], ["webhook:signature"])


class WhatComesOfIt(OnHooks):
    def setUp(self):
        super().setUp()
        self.start()

    def say(self, text="/say yes", sender="id:ann", number="m-1", **more):
        return self.status("body", {"do": "say", "sender": sender, "text": text, "id": number}, **more)

    def test_a_sender_is_told_202_when_the_message_is_durable_and_a_repeat_is_one_message(self):
        self.assertEqual(self.say(), 202)
        self.assertEqual(len(self.received()), 1)
        self.assertEqual(self.say(), 202)
        self.assertEqual(self.say(sender="id:eve", number="m-2"), 202)
        self.assertEqual(len(self.received()), 1)
        self.assertEqual(self.refused("body")["id:eve"], 1)
        self.host.verify()

    def test_a_host_that_dies_in_between_loses_no_message_and_takes_none_twice(self):
        numbers = [f"m-{number}" for number in range(12)]
        taken = set()

        def send(number):
            try:
                if self.say(number=number, timeout=10) == 202:
                    taken.add(number)
            except (OSError, http.client.HTTPException):
                pass  # not taken, as far as the sender knows

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for number in numbers:
                pool.submit(send, number)
            wait_for("some to be taken", lambda: len(taken) > 3)
            self.host.kill()
        before = set(taken)
        self.host.start()
        self.connected("body")
        self.assertLessEqual(before, {record["body"]["id"] for record in self.received()})
        for number in numbers:
            self.assertEqual(self.say(number=number), 202)
        self.assertEqual(len(self.received()), len(numbers))
        self.host.verify()

    def test_the_death_of_the_plugin_is_told_with_503_and_the_next_request_is_served(self):
        with concurrent.futures.ThreadPoolExecutor() as pool:
            kept = pool.submit(self.post, "body", {"do": "keep"})
            wait_for("the first to be there", lambda: self.status("body", b"{}") == 200)
            status, text, headers = self.post("body", {"do": "die"})
            self.assertEqual((status, int(headers["Retry-After"]) > 0), (503, True), text)
            self.assertEqual(kept.result()[0], 503)
        wait_for("it to be back", lambda: self.status("body", b"{}") == 200, 30)

    def test_a_plugin_that_never_answers_is_answered_for(self):
        with concurrent.futures.ThreadPoolExecutor() as pool:
            kept = pool.submit(self.post, "body", {"do": "keep"})
            self.assertEqual(self.status("body", {"do": "drop"}), 503)
            self.assertEqual(self.status("body", {"do": "status", "status": 302}), 503)
            self.assertEqual(self.status("body", {"do": "status", "status": 418, "body": "x"}), 418)
            self.assertEqual(kept.result()[0], 503)
        wait_for("the plugin to be told", lambda: "gone: " in self.host.log)

    def test_switching_off_ends_what_is_open_and_a_reload_opens_and_closes_the_door(self):
        host = self.host
        with concurrent.futures.ThreadPoolExecutor() as pool:
            kept = pool.submit(self.post, "body", {"do": "keep"})
            wait_for("it to be there", lambda: self.status("body", b"{}") == 200)
            self.assertEqual(host.api("POST", "/api/v1/plugins/org.test.hear-body/disable").status, 200)
            self.assertEqual(kept.result()[0], 503)
        self.assertEqual(self.status("body", b"{}"), 503)
        self.assertEqual(host.api("POST", "/api/v1/plugins/org.test.hear-body/enable").status, 200)
        wait_for("it to be back", lambda: self.status("body", b"{}") == 200, 30)
        line = "body: {plugin: org.test.hear-body, agent: assistant, inbound: true,"
        host.edit("parley.yaml", line, line.replace("true", "false"))
        host.process.send_signal(1)
        wait_for("the door to be closed", lambda: self.status("body", b"{}") == 404)
        self.assertEqual(self.status("time", b"{}"), 200)
        host.edit("parley.yaml", line.replace("true", "false"), line)
        host.process.send_signal(1)
        wait_for("the door to be open", lambda: self.status("body", b"{}") == 200, 30)

    def test_a_stop_of_the_host_leaves_no_sender_waiting(self):
        with concurrent.futures.ThreadPoolExecutor() as pool:
            kept = pool.submit(self.post, "body", {"do": "keep"})
            wait_for("it to be there", lambda: self.status("body", b"{}") == 200)
            self.host.stop()
            try:
                self.assertEqual(kept.result()[0], 503)
            except (OSError, http.client.HTTPException):
                pass  # the connection's end says the same


class TheZoo(OnHooks):
    def test_what_breaks_the_rules_of_webhooks_reaches_the_sender_as_expected(self):
        animals = {}
        for source in sorted(ZOO.glob("*.c")):
            animals[source.stem] = re.search(r"Expect: (.*?) *$", source.read_text().split("*/")[0], re.M).group(1)
        self.assertGreater(len(animals), 8)
        names = [(one, f"org.zoo.{one}", one.replace("_", "-")) for one in animals]
        install(self.host, "animals", names, lambda one: ("token", KEYS["token"]))
        self.host.start()
        self.connected(*(instance for _, _, instance in names))
        with concurrent.futures.ThreadPoolExecutor(len(animals)) as pool:
            told = {one: pool.submit(self.post, "token", b"{}", path=f"/hooks/{instance}", more={"Host": f"127.0.0.1:{self.host.port}"})
                    for one, _, instance in names}
            self.host.ask("/say the neighbours notice nothing")
        for one, expected in animals.items():
            status, text, headers = told[one].result()
            with self.subTest(one):
                self.assertTrue(f"{status} {text}".startswith(expected), f"{status} {text}")
                self.assertNotIn("X-Evil", headers)
        self.assertEqual(self.host.api("GET", "/health", token=None).status, 200)


if __name__ == "__main__":
    unittest.main()
