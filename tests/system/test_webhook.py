"""The webhook channel between a real host and a service that signs as Standard Webhooks has it: messages
in, answers out, and neither lost nor taken twice when one of the two fails."""
import base64
import hashlib
import hmac
import http.client
import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time
import unittest

from parley import Host, wait_for

SECRET = "whsec_" + base64.b64encode(bytes(range(24))).decode()
SETUP = """
channels:
  desk:
    plugin: webhook
    agent: assistant
    inbound: true
    secrets: {secret: webhook/desk}
    config: {reply_url: "http://127.0.0.1:%d/agent?to=me"}
"""


def signature(secret, number, at, body):
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, b"%s.%s.%s" % (number.encode(), at.encode(), body), hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


class Receiver:
    """Takes what is signed; `answers` are the statuses of coming requests, then 204."""

    def __init__(self):
        receiver = self
        self.seen, self.wrong, self.answers, self.lock = [], [], [], threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                number, at = self.headers["webhook-id"], self.headers["webhook-timestamp"]
                with receiver.lock:
                    if self.headers["webhook-signature"] != signature(SECRET, number, at, body):
                        receiver.wrong.append("another signature")
                    if abs(int(at) - time.time()) > 60 or self.path != "/agent?to=me" or json.loads(body)["id"] != number:
                        receiver.wrong.append(f"{at} {self.path} {body}")
                    status, headers = receiver.answers.pop(0) if receiver.answers else (204, {})
                    receiver.seen.append((json.loads(body), status))
                if status == 0:
                    self.close_connection = True  # and no word
                    return
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def taken(self):
        with self.lock:
            return [message for message, status in self.seen if status == 204]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Webhook(unittest.TestCase):
    def setUp(self):
        self.receiver = Receiver()
        self.addCleanup(self.receiver.close)
        self.host = host = Host()
        self.addCleanup(host.close)
        done = host.cli("secret", "set", "webhook/desk", stdin=SECRET + "\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        host.edit("parley.yaml", "  rehearsal: {enabled: true}", "  rehearsal: {enabled: true}\n  webhook: {enabled: true}")
        host.write("parley.yaml", host.file("parley.yaml").read_text() + SETUP % self.receiver.port)
        agent = host.file("agents/assistant/agent.yaml").read_text()
        host.write("agents/assistant/agent.yaml", agent + 'channels:\n  desk: {authorized_senders: ["id:ann"]}\n')
        host.start()
        self.connected()

    def tearDown(self):
        self.assertEqual(self.receiver.wrong, [])
        everything = self.host.cli("ledger", "export").stdout + self.host.log
        self.assertNotIn(SECRET, everything)
        self.host.verify()

    def connected(self):
        wait_for("the channel to be connected", lambda: self.host.api("GET", "/api/v1/channels/desk").json["link"] == "connected", 30)

    def post(self, message, number="msg_1", secret=SECRET, at=None):
        body, at = json.dumps(message).encode(), str(int(time.time()) if at is None else at)
        headers = {"Content-Type": "application/json", "webhook-id": number, "webhook-timestamp": at,
                   "webhook-signature": signature(secret, number, at, body)}
        connection = http.client.HTTPConnection("127.0.0.1", self.host.port, timeout=30)
        try:
            connection.request("POST", "/hooks/desk", body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def say(self, text, number, conversation="ticket-7", sender="ann"):
        return self.post({"id": number, "conversation": conversation, "sender": sender, "text": text, "private": True}, number)[0]

    def taken(self, count):
        return wait_for(f"{count} answers; there are {self.receiver.seen}", lambda: self.receiver.taken()[count - 1:] and self.receiver.taken(), 60)

    def outbox(self):
        return self.host.api("GET", "/api/v1/outbox").json["items"]

    def received(self):
        return [record for record in self.host.ledger() if record["kind"] == "message.received"]

    def test_a_signed_message_is_answered_by_a_signed_one(self):
        self.assertEqual(self.say("/say Grüße 😀", "m-1"), 200)
        answer = self.taken(1)[0]
        self.assertEqual((answer["type"], answer["conversation"], answer["text"]), ("message", "ticket-7", "Grüße 😀"))
        self.assertFalse(answer["notice"])
        record = self.received()[0]
        self.assertEqual((record["actor"]["sender"], record["body"]["id"]), ("id:ann", "m-1"))
        self.assertEqual(self.outbox(), [])
        self.assertTrue(any(one["kind"] == "secret.used" for one in self.host.ledger()))

    def test_another_key_an_old_message_and_a_strangers_one_say_nothing(self):
        other = "whsec_" + base64.b64encode(b"another key of 24 bytes.").decode()
        message = {"id": "m-1", "conversation": "c", "sender": "ann", "text": "/say x"}
        self.assertEqual(self.post(message, secret=other)[0], 401)
        self.assertEqual(self.post(message, at=int(time.time()) - 301)[0], 401)
        self.assertEqual(self.say("/say to a stranger", "m-2", sender="eve"), 200)
        status, why = self.post({"conversation": "c", "sender": "ann"})
        self.assertEqual((status, why), (400, "text is missing, or no text"))
        # What this host says to the service, sent back, is no message.
        status, why = self.post({"type": "message", "id": "o-1", "conversation": "c", "text": "x", "markdown": True, "notice": False})
        self.assertEqual(status, 400, why)
        self.assertEqual(self.received(), [])
        self.assertEqual(self.receiver.seen, [])

    def test_a_message_that_is_sent_twice_is_one(self):
        for at in 0, 1:
            self.assertEqual(self.post({"id": "m-1", "conversation": "c", "sender": "ann", "text": "/say once"}, f"msg_{at}")[0], 200)
        self.taken(1)
        self.assertEqual(len(self.received()), 1)

    def test_an_answer_that_the_service_cannot_take_now_comes_again_with_its_id(self):
        self.receiver.answers = [(503, {"Retry-After": "1"}), (429, {}), (0, {})]
        self.assertEqual(self.say("/say patience", "m-1"), 200)
        self.taken(1)
        numbers = {message["id"] for message, _ in self.receiver.seen}
        self.assertEqual((len(self.receiver.seen), len(numbers)), (4, 1))
        wait_for("it to be delivered", lambda: self.outbox() == [])

    def test_an_answer_that_the_service_refuses_is_shown_and_not_sent_again(self):
        self.receiver.answers = [(410, {})]
        self.assertEqual(self.say("/say refused", "m-1"), 200)
        failed = wait_for("it to fail", lambda: [one for one in self.outbox() if one["state"] == "failed"], 30)
        self.assertIn("410", failed[0]["detail"])
        self.assertEqual(self.say("/say the next", "m-2"), 200)
        self.assertEqual(self.taken(1)[0]["text"], "the next")
        self.assertEqual(len(self.receiver.seen), 2)

    def test_without_inbound_the_door_is_closed_and_the_operator_is_told_why(self):
        self.host.edit("parley.yaml", "    inbound: true\n", "")
        self.host.process.send_signal(1)
        channel = wait_for("the channel to fail", lambda: next(
            (one for one in [self.host.api("GET", "/api/v1/channels/desk").json] if one["link"] == "failed"), None), 30)
        self.assertIn("inbound: true", channel["detail"])
        self.assertEqual(self.say("/say x", "m-1"), 404)
        self.host.edit("parley.yaml", "    agent: assistant\n    secrets: {secret: webhook/desk}",
                       "    agent: assistant\n    inbound: true\n    secrets: {secret: webhook/desk}")
        self.host.process.send_signal(1)
        self.connected()
        self.assertEqual(self.say("/say back", "m-2"), 200)
        self.assertEqual(self.taken(1)[0]["text"], "back")

    def test_the_page_of_the_plugin_tells_how_to_send_one(self):
        page = (pathlib.Path(__file__).resolve().parents[2] / "plugins" / "channel_webhook" / "README.md").read_text()
        page = page.replace("127.0.0.1:7420", f"127.0.0.1:{self.host.port}")
        python, = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
        shell, = (block for block in re.findall(r"^```sh\n(.*?)^```", page, re.M | re.S) if "openssl" in block)
        for words in [sys.executable, "-c", python], ["bash", "-euc", shell]:
            done = subprocess.run(words, env=os.environ | {"WEBHOOK_SECRET": SECRET}, capture_output=True, text=True, timeout=60)
            self.assertEqual((done.returncode, done.stdout.strip()), (0, "200"), done.stderr)
        self.assertEqual([record["body"]["id"] for record in self.received()], ["msg_1", "msg_2"])
        self.taken(2)

    def test_a_kill_of_the_host_loses_no_message_that_was_answered_200(self):
        self.assertEqual(self.say("/say before", "m-1"), 200)
        self.host.kill()
        self.host.start()
        self.connected()
        self.assertEqual(self.say("/say before", "m-1"), 200)
        self.assertEqual(self.say("/say after", "m-2"), 200)
        wait_for("each to be said or shown as unknown", lambda: {"before", "after"} <= {one["text"] for one in self.receiver.taken()} |
                 {one["text"] for one in self.outbox() if one["state"] == "unknown"}, 60)
        self.assertEqual(len(self.received()), 2)


if __name__ == "__main__":
    unittest.main()
