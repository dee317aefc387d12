"""Slack through a strict double of it: who is heard, that no message is lost or answered twice, and what
happens when Slack refuses, refreshes or goes away."""
import http.client
import json
import unittest

from parley import Host, wait_for
from slack_double import Double, Refused

APP, BOT = "xapp-1-test-0123456789abcdef", "xoxb-test-0123456789abcdefghij"
SETUP = """
channels:
  chat:
    plugin: slack
    agent: assistant
    secrets: {app_token: slack/app, bot_token: slack/bot}
    config: {api_url: "http://127.0.0.1:%d/api", socket_url: "ws://127.0.0.1:%d"%s}
    approvers: %s
"""


class TheDouble(unittest.TestCase):
    """What a client must not get away with."""

    def setUp(self):
        self.double = Double(APP, BOT)
        self.addCleanup(self.double.close)
        self.double.person("U5", "D5")

    def ask(self, method, token=BOT, **params):
        connection = http.client.HTTPConnection("127.0.0.1", self.double.http_port, timeout=30)
        self.addCleanup(connection.close)
        connection.request("POST", f"/api/{method}", json.dumps(params),
                           {"Content-Type": "application/json", "Authorization": f"Bearer {token}"})
        return json.loads(connection.getresponse().read())

    def refused(self, error, method, **params):
        self.assertEqual(self.ask(method, **params).get("error"), error)

    def test_tokens_places_and_texts_are_checked(self):
        self.assertTrue(self.ask("auth.test")["ok"])
        self.refused("invalid_auth", "auth.test", token="xoxb-other")
        self.refused("not_allowed_token_type", "apps.connections.open")
        self.refused("unknown_method", "chat.nothing")
        self.refused("channel_not_found", "chat.postMessage", channel="D6", text="x")
        self.refused("thread_not_found", "chat.postMessage", channel="D5", text="x", thread_ts="1.1")
        self.refused("no_text", "chat.postMessage", channel="D5", text=" ")
        self.refused("message_not_found", "chat.update", channel="D5", ts="1.1", text="x")
        self.assertEqual(self.double.problems, [])
        self.refused("invalid_arguments", "chat.postMessage", channel="D5", text="x", nope=1)
        self.ask("chat.postMessage", channel="D5", text="a <b>")
        self.assertEqual(len(self.double.problems), 2)

    def test_blocks_are_read_as_slack_reads_them(self):
        section = {"type": "rich_text_section", "elements": [{"type": "text", "text": "x"}]}
        button = {"type": "button", "action_id": "a", "value": "v", "text": {"type": "plain_text", "text": "Yes"}}
        for wrong in ([{"type": "section"}], [{"type": "rich_text", "elements": []}],
                      [{"type": "rich_text", "elements": [section | {"elements": [{"type": "text", "text": ""}]}]}],
                      [{"type": "actions", "elements": [button, button]}],
                      [{"type": "actions", "elements": [button | {"text": {"type": "plain_text", "text": "x" * 76}}]}]):
            self.refused("invalid_blocks", "chat.postMessage", channel="D5", text="x", blocks=wrong)
        good = [{"type": "rich_text", "elements": [section]}, {"type": "actions", "elements": [button]}]
        self.assertTrue(self.ask("chat.postMessage", channel="D5", text="x", blocks=good)["ok"])


class Slack(unittest.TestCase):
    double_of_slack = Double

    def setUp(self):
        self.double = self.double_of_slack(APP, BOT)
        self.addCleanup(self.double.close)
        self.host = Host()
        self.addCleanup(self.host.close)
        self.ann = self.double.person("U5", "D5")

    def start(self, config="", bot=BOT, connected=True, approvers="[]"):
        host = self.host
        for name, value in (("app", APP), ("bot", bot)):
            done = host.cli("secret", "set", f"slack/{name}", stdin=value + "\n")
            self.assertEqual(done.returncode, 0, done.stderr)
        host.edit("parley.yaml", "  rehearsal: {enabled: true}", "  rehearsal: {enabled: true}\n  slack: {enabled: true}")
        host.write("parley.yaml", host.file("parley.yaml").read_text() +
                   SETUP % (self.double.http_port, self.double.sockets.port, config, approvers))
        agent = host.file("agents/assistant/agent.yaml").read_text()
        host.write("agents/assistant/agent.yaml", agent + 'channels:\n  chat: {authorized_senders: ["id:U5"]}\n')
        host.start()
        if connected:
            self.wait_link("connected")

    def tearDown(self):
        self.assertEqual(self.double.problems, [])
        if self.host.process:
            everything = self.host.cli("ledger", "export").stdout + self.host.log
            self.assertNotIn(APP, everything)
            self.assertNotIn(BOT, everything)
            self.host.verify()

    def link(self):
        return self.host.api("GET", "/api/v1/channels/chat").json

    def wait_link(self, state):
        wait_for(f"the link to be {state}", lambda: self.link()["link"] == state, 40)

    def texts(self, count, channel=None):
        """What the app said, when it said at least so much."""
        def found():
            said = [message["shown"] for message in self.double.said(channel)]
            return said if len(said) >= count else None
        return wait_for(f"{count} answers", found, 60)

    def records(self, kind):
        return [record for record in self.host.ledger() if record["kind"] == kind]

    def outbox(self):
        return self.host.api("GET", "/api/v1/outbox").json["items"]

    def wait_stage(self, stage):
        return wait_for(f"a message that is {stage}",
                        lambda: [entry for entry in self.outbox() if entry["state"] == stage], 40)

    def wait_acknowledged(self):
        wait_for("all to be acknowledged", lambda: not self.double.waiting, 40)

    def test_a_listed_person_is_answered_where_they_wrote_and_a_stranger_gets_silence(self):
        self.start()
        self.assertEqual(self.link()["detail"], "@parley")
        self.double.say(self.double.person("U6", "D6"), "/say to a stranger")
        self.double.say(self.ann, "/say Grüße 😀 <b> & *c*")
        self.assertEqual(self.texts(1), ["Grüße 😀 <b> & c"])
        self.wait_acknowledged()
        self.assertEqual([record["actor"]["sender"] for record in self.records("message.received")], ["id:U5"])
        self.assertEqual(self.double.said("D6"), [])
        used = {record["body"]["host"] for record in self.records("secret.used")}
        self.assertEqual(used, {"127.0.0.1"})

    def test_a_long_answer_comes_in_parts_in_order(self):
        self.start()
        self.double.say(self.ann, "/bytes 8000")
        self.double.say(self.ann, "/say after it")
        said = self.texts(4)
        self.assertEqual([len(text) for text in said], [3500, 3500, 1000, 8])
        wait_for("both to be delivered", lambda: self.records("message.delivered")[1:], 40)

    def test_in_a_channel_it_hears_what_names_it_once_and_answers_in_the_thread(self):
        team = self.double.channel("C1")
        self.start()
        self.double.say(self.ann, "/say to everybody", channel=team)
        envelope = self.double.say(self.ann, "@parley /say by name", channel=team)
        # An app that hears both kinds of event is told twice.
        event = envelope["payload"]["event"]
        message = self.double.messages["C1", event["ts"]]
        self.double.tell(message, "C1", event="app_mention")
        self.assertEqual(self.texts(1), ["by name"])
        self.assertEqual(self.double.said()[0]["thread_ts"], event["ts"])
        self.double.say(self.ann, "@parley /say below", channel=team, thread=event["ts"])
        self.assertEqual(self.texts(2), ["by name", "below"])
        self.wait_acknowledged()
        self.assertEqual(len(self.records("message.received")), 2)
        sessions = {record["session"] for record in self.records("message.received")}
        self.assertEqual(len(sessions), 1)

    def test_neither_a_kill_of_the_host_nor_an_absent_slack_loses_a_message_or_answers_one_twice(self):
        self.start()
        self.double.say(self.ann, "/say first")
        self.texts(1)
        self.host.kill()
        wait_for("the socket to be gone", lambda: not self.double.links)
        for number in range(4):
            self.double.say(self.ann, f"@parley /say while away {number}", channel=self.double.channel(f"C{number}"))
        self.host.start()
        self.texts(2)
        # In the midst of it.
        self.host.kill()
        self.double.go()
        self.double.open()
        self.host.start()
        self.double.say(self.ann, "/say last")
        self.wait_acknowledged()
        self.assertEqual(len(self.records("message.received")), 6)
        # A message that was on its way when the host died may be unknown; none is sent again.
        wanted = {"first", "last"} | {f"while away {number}" for number in range(4)}
        wait_for("each to be said or unknown", lambda: wanted == {m["shown"] for m in self.double.said()} |
                 {entry["text"] for entry in self.outbox() if entry["state"] == "unknown"}, 60)
        said = [message["shown"] for message in self.double.said()]
        self.assertEqual(len(said), len(set(said)))

    def test_what_slack_sends_again_is_answered_once(self):
        self.start()
        envelope = self.double.say(self.ann, "/say once")
        self.double.say_again(envelope)
        self.double.say(self.ann, "/say after it")
        self.assertEqual(self.texts(2), ["once", "after it"])
        self.wait_acknowledged()
        self.assertEqual(len(self.double.acknowledged), 3)

    def test_a_refresh_goes_unnoticed(self):
        self.start()
        old = self.double.disconnect("refresh_requested")
        # What comes over the old socket meanwhile is heard and acknowledged over it.
        self.double.say(self.ann, "/say in between")
        self.assertEqual(self.texts(1), ["in between"])
        self.wait_acknowledged()
        wait_for("the next socket", lambda: len(self.double.links) == 2, 30)
        old.say_goodbye(1000)
        self.double.say(self.ann, "/say afterwards")
        self.assertEqual(self.texts(2), ["in between", "afterwards"])
        self.assertEqual(self.link()["link"], "connected")
        self.assertNotIn("disconnected", [record["body"].get("state") for record in self.records("channel.link")])

    def test_a_socket_that_breaks_is_made_again(self):
        self.start()
        self.double.cut()
        self.double.say(self.ann, "/say over the next one")
        self.assertEqual(self.texts(1), ["over the next one"])
        self.wait_acknowledged()

    def test_a_message_that_is_sent_too_early_waits_and_is_sent_once(self):
        self.start()
        self.double.refuse = [("chat.postMessage", Refused("ratelimited", 429, retry_after=1))]
        self.double.say(self.ann, "/say patience")
        self.assertEqual(self.texts(1), ["patience"])
        wait_for("it to be delivered", lambda: self.records("message.delivered"))
        self.assertEqual(self.outbox(), [])

    def test_a_refusal_is_final_and_an_error_of_slack_leaves_the_message_unknown(self):
        self.start()
        self.double.refuse = [("chat.postMessage", Refused("internal_error"))]
        self.double.say(self.ann, "/say perhaps")
        self.wait_stage("unknown")
        self.double.channels["D5"]["archived"] = True
        self.double.say(self.ann, "/say shut")
        self.assertIn("is_archived", self.wait_stage("failed")[0]["detail"])
        self.assertEqual(len(self.double.asked("chat.postMessage")), 2)

    def test_commands_are_answered_by_the_host_and_reach_no_model(self):
        team = self.double.channel("C1")
        self.start()
        self.double.say(self.ann, "/status")
        self.assertIn("Nothing is under way", self.texts(1)[0])
        self.double.command(self.ann, team, "status")
        self.assertIn("Nothing is under way", self.texts(1, "C1")[0])
        self.double.command(self.ann, team, "dance")
        self.wait_acknowledged()
        self.assertIn("status", self.double.acknowledged[-1]["payload"]["text"])
        self.double.say(self.ann, "/hang")
        wait_for("the model to hang", lambda: len(self.records("turn.started")) == 1)
        self.double.say(self.ann, "/stop")
        self.texts(2, "D5")
        self.assertEqual([record["body"]["text"] for record in self.records("message.received")], ["/hang"])

    def test_an_approval_is_decided_by_a_button_once_and_by_its_person_alone(self):
        self.start(approvers='["id:U5"]')
        self.double.say(self.ann, "hello")
        self.texts(1)
        self.double.say(self.ann, """/call shell {"command":"echo ran >> count; echo '<done> & *x*'"}""")
        def with_buttons():
            return [message for message in self.double.said("D5") if any(b["type"] == "actions" for b in message["blocks"])]
        card = wait_for("a card", with_buttons, 40)[0]
        self.assertIn("echo '<done> & *x*'", card["shown"])
        self.double.press(self.double.person("U6", "D6"), "D5", card, "Approve")
        self.double.press(self.ann, "D5", card, "Approve")
        wait_for("the card to be closed", lambda: "approved by id:U5" in card["shown"], 40)
        self.assertEqual(with_buttons(), [])
        wait_for("the command to run", lambda: any(text.startswith("shell: <done>") for text in self.texts(3)))
        self.assertEqual((self.host.workspace / "count").read_text(), "ran\n")
        self.wait_acknowledged()

    def test_a_reply_grows_as_a_message_and_becomes_it(self):
        self.start()
        self.double.say(self.ann, "/stream 8 500 word")
        wait_for("a draft", lambda: self.double.said(), 30)
        wait_for("the reply", lambda: self.records("message.delivered"), 30)
        self.assertEqual(len(self.double.said()), 1)
        self.assertTrue(self.double.asked("chat.update"))

    def test_a_wrong_token_is_said_to_the_operator_and_not_tried_for_ever(self):
        self.start(bot="xoxb-another-0123456789", connected=False)
        self.wait_link("failed")
        self.assertIn("bot_token", self.link()["detail"])

    def test_socket_mode_that_is_switched_off_is_said_to_the_operator(self):
        self.start()
        self.double.disconnect("link_disabled")
        self.wait_link("failed")
        self.assertIn("Socket Mode is switched off", self.link()["detail"])


if __name__ == "__main__":
    unittest.main()
