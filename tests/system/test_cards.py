"""Approvals reach the person in their chat, and only that person decides there, once."""
import pathlib
import unittest

from desk import COUNT, Desk, OnDesk
from parley import wait_for


class WithButtons(OnDesk):
    def codes(self, who="boss"):
        card = wait_for(f"a card for {who}", lambda: [one for one in self.desk.there(who) if one.get("buttons")])[-1]
        return card, {one["text"]: one["data"] for one in card["buttons"][0]}

    def test_a_press_approves_and_the_card_becomes_its_outcome(self):
        self.open("boss")
        approval = self.ask()
        card, codes = self.codes()
        self.assertIn(approval["shown"].strip(), card["text"])
        self.assertIn(approval["expires"], card["text"])
        self.desk.press("boss", codes["Approve"])
        self.desk.wait("ada", "done")
        edit = self.desk.wait_edit(card, "was approved by id:boss on desk")
        self.assertNotIn("buttons", edit)
        self.assertEqual(self.ran(), 1)
        decided = self.host.api("GET", f"/api/v1/approvals/{approval['id']}").json
        self.assertEqual(decided["by"], {"type": "channel", "instance": "desk", "sender": "id:boss"})
        self.desk.press("boss", codes["Approve"])
        wait_for("the replay to be counted", lambda: self.refused("boss") == 1)
        self.assertEqual(self.ran(), 1)

    def test_a_press_denies(self):
        self.open("boss")
        self.ask()
        card, codes = self.codes()
        self.desk.press("boss", codes["Deny"])
        self.desk.wait_edit(card, "was denied by id:boss")
        self.desk.wait("ada", "denied")
        self.assertEqual(self.ran(), 0)

    def test_only_the_person_and_place_that_the_code_was_made_for_decide(self):
        self.open("boss", "deputy")
        self.ask()
        _, codes = self.codes("boss")
        self.codes("deputy")
        self.desk.press("deputy", codes["Approve"])
        self.desk.press("ada", codes["Approve"])
        self.desk.press("eve", codes["Approve"])
        self.desk.press("boss", codes["Approve"], conversation="room", private=False)
        self.desk.press("boss", codes["Approve"], conversation="elsewhere")
        self.desk.press("boss", "no-such-code")
        wait_for("all to be counted", lambda: [self.refused(who) for who in ("deputy", "ada", "eve", "boss")] == [1, 1, 1, 3])
        self.assertEqual(len(self.host.pending()), 1)
        self.assertEqual(self.ran(), 0)

    def test_what_one_decided_is_closed_for_the_other(self):
        self.open("boss", "deputy")
        approval = self.ask()
        boss, codes = self.codes("boss")
        deputy, others = self.codes("deputy")
        self.assertFalse(set(codes.values()) & set(others.values()))
        self.assertEqual(self.host.decide(approval, "deny", reason="no").status, 200)
        for card in (boss, deputy):
            self.assertNotIn("buttons", self.desk.wait_edit(card, "was denied by the"))
        self.desk.press("deputy", others["Approve"])
        wait_for("the late press to be counted", lambda: self.refused("deputy") == 1)
        self.assertEqual(self.ran(), 0)

    def test_of_a_press_and_the_api_at_the_same_moment_one_wins(self):
        self.open("boss")
        approval = self.ask()
        card, codes = self.codes()
        self.desk.press("boss", codes["Approve"])
        self.host.decide(approval, "deny")
        self.desk.wait_edit(card, "was ")
        kinds = [one["kind"] for one in self.host.ledger()
                 if one["kind"] in ("approval.approved", "approval.denied")]
        self.assertEqual(len(kinds), 1)
        self.desk.wait("ada", "done" if kinds == ["approval.approved"] else "denied")
        self.assertEqual(self.ran(), kinds.count("approval.approved"))

    def test_a_card_survives_kill_9_and_decides_after_it(self):
        self.open("boss")
        self.ask()
        card, codes = self.codes()
        wait_for("the card to be recorded", lambda: any(
            one["state"] == "delivered" for one in self.host.pending()[0]["reach"]))
        self.host.kill()
        self.start()
        self.assertEqual(len([one for one in self.desk.there("boss") if one.get("buttons")]), 1)
        self.desk.press("boss", codes["Approve"])
        self.desk.wait("ada", "done")
        self.desk.wait_edit(card, "was approved")
        self.assertEqual(self.ran(), 1)

    def test_a_card_that_may_have_left_before_kill_9_is_not_sent_again_and_still_decides(self):
        self.open("boss")
        seen = []
        self.desk.fail = lambda verb, request: "silence" if request.get("buttons") and not seen.append(request) else None
        self.ask()
        wait_for("the card to leave", lambda: seen)
        self.host.kill()
        self.desk.fail = lambda verb, request: None
        self.start()
        self.assertEqual([one["state"] for one in self.host.pending()[0]["reach"]], ["unknown", "unreachable"])
        self.desk.press("boss", seen[0]["buttons"][0][0]["data"])
        self.desk.wait("ada", "done")
        self.desk.wait("boss", "was approved by id:boss")
        self.assertEqual(len(seen), 1)

    def test_a_card_that_did_not_leave_is_sent_again_with_other_codes(self):
        self.open("boss")
        tries = []
        self.desk.fail = lambda verb, request: {"retryable": True, "sent": False} \
            if request.get("buttons") and not tries.append(request) and len(tries) == 1 else None
        self.ask()
        _, codes = self.codes()
        self.desk.press("boss", tries[0]["buttons"][0][0]["data"])
        wait_for("the old code to be counted", lambda: self.refused("boss") == 1)
        self.desk.press("boss", codes["Approve"])
        self.desk.wait("ada", "done")

    def test_an_expired_card_says_so(self):
        self.host.edit("parley.yaml", "expire_after: 24h", "expire_after: 3s")
        self.host.stop()
        self.start()
        self.open("boss")
        self.ask()
        card, codes = self.codes()
        self.assertNotIn("buttons", self.desk.wait_edit(card, "expired: nobody decided"))
        self.desk.press("boss", codes["Approve"])
        wait_for("the late press to be counted", lambda: self.refused("boss") == 1)
        self.assertEqual(self.ran(), 0)

    def test_a_card_whose_call_is_no_longer_what_it_shows_runs_nothing_and_says_so(self):
        self.open("boss")
        approval = self.ask()
        card, codes = self.codes()
        self.host.edit("parley.yaml", "  shell:     {enabled: true}", "  shell:     {enabled: true, isolation: strict, config: {}, egress: []}")
        self.host.edit("agents/assistant/agent.yaml", "approval: {shell: always}", "approval: {shell: policy}")
        self.reload()
        self.desk.press("boss", codes["Approve"])
        self.assertNotIn("buttons", self.desk.wait_edit(card, "is void (superseded). It was not run."))
        self.desk.wait("boss", "Not done: what would run is no longer what was approved")
        self.assertEqual(self.host.api("GET", f"/api/v1/approvals/{approval['id']}").json["state"], "superseded")
        self.assertEqual(self.ran(), 0)
        self.desk.press("boss", codes["Approve"])
        wait_for("the late press to be counted", lambda: self.refused("boss") == 1)

    def test_a_stopped_turn_closes_its_card_and_runs_nothing(self):
        self.open("boss")
        self.ask()
        card, _ = self.codes()
        self.desk.say("ada", "/stop")
        self.desk.wait("ada", "Stopped.")
        self.desk.wait_edit(card, "is void (cancelled)")
        self.desk.say("ada", "/say here again")
        self.desk.wait("ada", "here again")
        self.assertEqual(self.ran(), 0)

    def test_who_was_not_reached_is_said_and_the_card_comes_when_they_write(self):
        self.ask()
        self.desk.wait("ada", "Nobody could be asked in a chat")
        reach = self.host.pending()[0]["reach"]
        self.assertEqual([one["state"] for one in reach], ["unreachable", "unreachable"])
        shown = self.host.cli("approval", "show", self.host.pending()[0]["id"]).stdout
        self.assertIn("asked: id:boss on desk: unreachable", shown)
        self.open("boss")
        self.codes()
        self.assertEqual(self.desk.there("deputy"), [])

    def test_a_long_call_comes_in_pages_with_the_buttons_under_the_last(self):
        self.open("boss")
        approval = self.ask('/call shell {"command":"echo %s"}' % ("long " * 1000))
        self.codes()
        pages = [one for one in self.desk.there("boss") if "Approval " in one["text"]]
        self.assertEqual([bool(one.get("buttons")) for one in pages], [False] * (len(pages) - 1) + [True])
        body = "".join(one["text"].split("\n", 1)[1] for one in pages)
        self.assertTrue(body.startswith(approval["shown"]))

    def test_a_call_that_is_too_long_to_be_read_there_cannot_be_decided_there(self):
        self.open("boss")
        approval = self.ask('/call shell {"command":"echo %s"}' % ("long " * 4000))
        card = self.desk.wait("boss", "cannot be shown whole here")
        self.assertNotIn("buttons", card)
        self.assertIn("parley approval show " + approval["id"], card["text"])

    def test_an_agent_cannot_speak_as_the_host(self):
        self.desk.say("ada", "/say \u27e6parley\u27e7 Approval a-1 was approved")
        reply = self.desk.wait("ada", "was approved")
        self.assertFalse("\u27e6" in reply["text"] or reply.get("notice") or reply.get("buttons"))
        self.open("boss")
        self.ask('/call shell {"command":"echo \u27e6parley\u27e7"}')
        card, _ = self.codes()
        self.assertTrue(card["notice"])
        self.assertEqual(card["text"].count("\u27e6"), 1)
        self.assertIn("\\u{27e6}parley", card["text"])

    def test_no_code_is_kept_anywhere_in_clear(self):
        self.open("boss")
        approval = self.ask()
        _, codes = self.codes()
        everything = str(self.host.ledger()) + self.host.log + str(self.host.api("GET", "/api/v1/outbox").json) + \
            str(self.host.api("GET", f"/api/v1/approvals/{approval['id']}").json)
        self.host.kill()
        files = b"".join(file.read_bytes() for file in pathlib.Path(self.host.home).rglob("*") if file.is_file())
        for code in codes.values():
            self.assertNotIn(code, everything)
            self.assertNotIn(code.encode(), files)
        self.start()

    def test_an_outage_loses_nothing_keeps_the_order_and_holds_up_no_other_conversation(self):
        self.desk.fail = lambda verb, request: {"retryable": True, "sent": False} \
            if request["conversation"] == "ada" else None
        for word in ("first", "second"):
            self.desk.say("ada", f"/say {word}")
        self.desk.say("bea", "/say meanwhile")
        self.desk.wait("bea", "meanwhile")
        wait_for("both to wait", lambda: len([one for one in self.host.api("GET", "/api/v1/outbox").json["items"]
                                              if one["conversation"] == "ada"]) == 2)
        self.desk.drop()
        self.desk.fail = lambda verb, request: None
        self.connected()
        self.desk.wait("ada", "second")
        self.assertEqual([one["text"] for one in self.desk.there("ada")], ["first", "second"])

    def test_status_and_new_are_answered_by_the_host(self):
        self.desk.say("ada", "/say one")
        self.desk.wait("ada", "one")
        self.desk.command("ada", "status")
        self.assertTrue(self.desk.wait("ada", "Turns: 1")["notice"])
        self.desk.command("ada", "new", number="again-1")
        self.desk.wait("ada", "begins a new one")
        self.desk.say("ada", "/say two")
        self.desk.wait("ada", "two")
        # A command that comes again, as after a crash, is not obeyed again.
        self.desk.command("ada", "new", number="again-1")
        self.desk.say("ada", "/say still here")
        self.desk.wait("ada", "still here")
        self.assertEqual(len(self.host.api("GET", "/api/v1/sessions").json["items"]), 2)
        self.desk.command("eve", "status")
        wait_for("the stranger to be counted", lambda: any(
            one["sender"] == "id:eve" for one in self.channel()["refused"]))
        self.assertEqual(self.desk.there("eve"), [])


class Notified(OnDesk):
    """What is asked for where no channel has approvers goes to those of the channels under approvals.notify."""

    def setUp(self):
        self.other = Desk(self.features)
        self.addCleanup(self.other.close)
        super().setUp()

    def prepare(self):
        self.host.write("parley.yaml", self.host.file("parley.yaml").read_text() + f"""  annex:
    plugin: {self.plugin}
    agent: assistant
    config: {{host: 127.0.0.1, port: {self.other.port}}}
    approvers: ["id:chief"]
""")
        self.host.edit("parley.yaml", "approvals: {expire_after: 24h}", "approvals: {expire_after: 24h, notify: [desk, annex]}")

    def test_a_request_of_the_api_reaches_the_approvers_of_both_and_is_closed_for_both(self):
        self.open("boss")
        self.other.say("chief", "hello")
        wait_for("the chief to be reachable", lambda: any(
            one["kind"] == "approver.reachable" and one["body"]["approver"] == "id:chief" for one in self.host.ledger()))
        said = self.host.say(COUNT)
        here = wait_for("a card here", lambda: [one for one in self.desk.there("boss") if one.get("buttons")])[0]
        there = wait_for("a card there", lambda: [one for one in self.other.there("chief") if one.get("buttons")])[0]
        reach = {(one["channel"], one["approver"]) for one in self.host.pending()[0]["reach"]}
        self.assertEqual(reach, {("desk", "id:boss"), ("desk", "id:deputy"), ("annex", "id:chief")})
        yes = {row["text"]: row["data"] for row in there["buttons"][0]}["Approve"]
        # A code is good on its own instance alone.
        self.desk.press("chief", yes)
        wait_for("the press to be counted", lambda: self.refused("chief") == 1)
        self.other.press("chief", yes)
        self.assertEqual(self.host.reply_after(said), "shell: done\n[exit status 0]")
        self.desk.wait_edit(here, "was approved by id:chief on annex")
        self.other.wait_edit(there, "was approved by id:chief on annex")
        self.assertEqual(self.ran(), 1)
        self.assertEqual(self.other.problems, [])

    def test_a_channel_with_approvers_of_its_own_asks_them_alone(self):
        self.open("boss")
        self.other.say("chief", "hello")
        self.ask()
        wait_for("a card", lambda: [one for one in self.desk.there("boss") if one.get("buttons")])
        self.assertEqual({one["channel"] for one in self.host.pending()[0]["reach"]}, {"desk"})
        self.assertEqual(self.other.there("chief"), [])


class Plain(OnDesk):
    plugin, features = "org.test.plain-desk", ()

    def code(self, who="boss"):
        card = self.desk.wait(who, "Write here:")
        return card["text"].split("approve ", 1)[1].split()[0]

    def test_a_typed_code_approves_and_reaches_no_agent(self):
        self.open("boss")
        self.ask()
        code = self.code()
        self.desk.say("boss", "approve")
        self.desk.say("boss", "yes")
        self.desk.say("deputy", f"approve {code}")
        self.desk.say("ada", f"approve {code}")
        wait_for("both to be counted", lambda: self.refused("deputy") == self.refused("ada") == 1)
        self.assertEqual(len(self.host.pending()), 1)
        self.desk.say("boss", f"approve {code}")
        self.desk.wait("ada", "done")
        self.desk.wait("boss", "was approved by id:boss on desk")
        self.assertEqual(self.ran(), 1)
        self.assertNotIn(code, str(self.host.ledger()))

    def test_a_typed_denial_has_a_reason(self):
        self.open("boss")
        self.ask()
        self.desk.say("boss", f"deny {self.code()} not today")
        self.desk.wait("ada", "not today")
        self.assertEqual(self.ran(), 0)


del OnDesk
if __name__ == "__main__":
    unittest.main()
