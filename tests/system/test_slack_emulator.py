"""The Slack channel against another's stand-in for Slack's Web API, which knows nothing of ours: what we
ask for is taken by it, and what it keeps is what the agent said. Socket Mode, which it lacks, is the
double's."""
import http.client
import json
import subprocess
import unittest

from parley import free_port, wait_for
from slack_double import Double
from stand_ins import command
from test_slack import Slack


class Emulated(Double):
    """The double, with the emulator's Web API in front of its own. What both know, both say."""

    def __init__(self, app_token, bot_token):
        self.port = free_port()
        self.emulator = subprocess.Popen(
            command("emulate/dist/index.js", "start", "--service", "slack", "--port", str(self.port)),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        super().__init__(app_token, bot_token)
        try:
            wait_for("the emulator", self.is_up, 60)
        except AssertionError:
            self.close()
            raise

    def is_up(self):
        try:
            return self.emulate("auth.test", {})["ok"]
        except OSError:
            return False

    def close(self):
        super().close()
        self.emulator.kill()
        self.emulator.wait()

    def emulate(self, method, params):
        connection = http.client.HTTPConnection("localhost", self.port, timeout=30)
        connection.request("POST", f"/api/{method}", json.dumps(params), {
            "Content-Type": "application/json; charset=utf-8", "Authorization": "Bearer " + self.tokens["bot"]})
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def answer(self, path, headers, body):
        method = path.removeprefix("/api/")
        ours = super().answer(path, headers, body)
        if method in ("auth.test", "apps.connections.open") or not ours[2]["ok"]:
            return ours
        params = json.loads(body)
        theirs = self.emulate(method, params)
        if not theirs["ok"]:
            self.own_problems.append(f"{method}: the emulator says {theirs}")
            return ours
        with self.lock:
            # The emulator's time is the message's name from now on.
            message = self.messages.pop((params["channel"], ours[2]["ts"]))
            message["ts"] = theirs["ts"]
            self.messages[params["channel"], theirs["ts"]] = message
        return 200, None, theirs

    def history(self, channel):
        return self.emulate("conversations.history", {"channel": channel})["messages"]


class OnTheEmulator(Slack):
    """Only what it can do: messages and edits in a channel that it has."""

    double_of_slack = Emulated

    def setUp(self):
        super().setUp()
        found = self.double.emulate("conversations.list", {})["channels"]
        self.general = self.double.channel(next(one["id"] for one in found if one["name"] == "general"))

    def test_what_the_agent_says_is_kept_as_it_said_it(self):
        self.start(', channels: all')
        self.double.say(self.ann, "/say **bold** <@U1> & _more_", channel=self.general)
        self.texts(1)
        kept, = [message for message in self.double.history(self.general) if message.get("blocks")]
        self.assertEqual(kept["text"], "bold &lt;@U1&gt; &amp; more")
        self.assertEqual(kept["blocks"], self.double.said()[0]["blocks"])

    def test_an_answer_in_a_thread_is_kept_there(self):
        self.start()
        parent = self.double.emulate("chat.postMessage", {"channel": self.general, "text": "<@U777> /say below"})
        with self.double.lock:
            message = self.double.keep(self.general, self.ann, {"text": "<@U777> /say below"})
            del self.double.messages[self.general, message["ts"]]
            message["ts"] = parent["ts"]
            self.double.messages[self.general, parent["ts"]] = message
        self.double.tell(message, self.general)
        self.texts(1)
        replies = self.double.emulate("conversations.replies", {"channel": self.general, "ts": parent["ts"]})["messages"]
        self.assertIn("below", [reply["text"] for reply in replies])

    def test_a_growing_message_is_updated_in_place(self):
        self.start(', channels: all')
        self.double.say(self.ann, "/stream 8 500 word", channel=self.general)
        wait_for("the reply", lambda: self.records("message.delivered"), 60)
        self.assertTrue(self.double.asked("chat.update"))
        kept = [message for message in self.double.history(self.general) if message.get("blocks")]
        self.assertEqual(len(kept), 1)
        self.assertEqual(kept[0]["text"], self.double.said()[0]["text"])


def load_tests(loader, tests, pattern):
    names = [name for name in vars(OnTheEmulator) if name.startswith("test_")]
    return unittest.TestSuite(OnTheEmulator(name) for name in names)


if __name__ == "__main__":
    unittest.main()
