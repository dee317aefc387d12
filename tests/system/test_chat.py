"""A message becomes a turn: through the API, the terminal, several at once and in order."""
import json
import threading
import unittest

from parley import Host, wait_for


class Chat(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.host = Host().start()

    @classmethod
    def tearDownClass(cls):
        cls.host.verify()
        cls.host.close()

    def test_a_plain_message_gets_a_reply(self):
        self.assertIn("good morning", self.host.ask("good morning"))

    def test_chat_prints_the_reply_and_nothing_else(self):
        done = self.host.cli("chat", "assistant", "-m", "/say just this")
        self.assertEqual((done.returncode, done.stdout), (0, "just this\n"))

    def test_chat_that_parks_says_how_to_decide_and_exits_3(self):
        done = self.host.cli("chat", "assistant", "-m", '/call shell {"command":"true"}')
        self.assertEqual((done.returncode, done.stdout), (3, ""))
        self.assertIn("parley approval show", done.stderr)

    def test_chat_whose_turn_fails_exits_1(self):
        done = self.host.cli("chat", "assistant", "-m", "/fail invalid")
        self.assertEqual(done.returncode, 1)
        self.assertIn("failed", done.stderr)

    def test_messages_during_a_turn_wait_and_are_taken_in_order(self):
        first = self.host.say("/wait 600\n/say first", conversation="queue")
        for word in ("a", "b", "c"):
            self.host.say(f"/say got {word}", conversation="queue")
        wait_for("two replies", lambda: len(self.host.replies(first["session"])) == 2)
        context = self.host.api("GET", f"/api/v1/sessions/{first['session']}/context").json
        texts = [item["text"] for item in context["messages"] if item["role"] == "user"]
        self.assertEqual(texts[1:], ["/say got a", "/say got b", "/say got c"])

    def test_twenty_sessions_at_once_all_get_their_own_reply(self):
        replies = {}
        def one(number):
            replies[number] = self.host.ask(f"/wait 100\n/say number {number}")
        threads = [threading.Thread(target=one, args=(n,)) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(replies, {n: f"number {n}" for n in range(20)})

    def test_a_message_id_that_was_seen_is_accepted_again_but_not_answered_twice(self):
        first = self.host.say("/say once", conversation="twice", message_id="m1")
        self.host.reply_after(first)
        again = self.host.say("/say once", conversation="twice", message_id="m1")
        self.assertEqual((again["session"], again["seq"]), (first["session"], first["seq"]))
        self.host.ask("/say other", conversation="twice", message_id="m2")
        self.assertEqual(self.host.replies(first["session"]), ["once", "other"])

    def test_the_context_is_the_exact_request_of_any_turn(self):
        first = self.host.say("/say one", conversation="context")
        self.host.reply_after(first)
        second = self.host.say("/say two", conversation="context")
        self.host.reply_after(second)
        early = self.host.api("GET", f"/api/v1/sessions/{first['session']}/context?at={second['seq'] - 1}").json
        late = self.host.api("GET", f"/api/v1/sessions/{first['session']}/context").json
        self.assertEqual(len(early["messages"]), 1)
        self.assertEqual([item["role"] for item in late["messages"]], ["user", "assistant", "user"])

    def test_a_skill_that_does_not_exist_and_arguments_that_do_not_fit_reach_the_model(self):
        self.assertIn("no skill named", self.host.ask('/call fly {"to":"moon"}'))
        self.assertIn("missing", self.host.ask('/call read_file {}'))
        self.assertIn("not JSON", self.host.ask('/raw-call read_file {{{'))

    def test_a_file_is_not_sent_where_none_can_be_carried_and_nobody_is_asked(self):
        (self.host.workspace / "a.txt").write_text("x")
        self.assertIn("this channel cannot carry files", self.host.ask('/call send_file {"path":"a.txt"}'))
        self.assertEqual(self.host.pending(), [])

    def test_a_provider_that_crashes_fails_its_turn_and_no_other(self):
        crash = self.host.say("/crash", conversation="crash")
        others = [self.host.say("/wait 300\n/say ok", conversation=f"beside-{i}") for i in range(5)]
        for other in others:
            self.assertIn("ok", self.host.reply_after(other))
        self.host.wait_state(crash["session"], "Stopped")
        self.assertIn("the worker", self.host.notices(crash["session"])[0])

    def test_an_answer_that_is_cut_off_is_asked_for_again_and_then_given_up(self):
        accepted = self.host.say("/cut", conversation="cut")
        self.host.wait_state(accepted["session"], "Stopped")
        self.assertEqual(self.host.kinds(accepted["session"]).count("model.failed"), 3)
        self.assertIn("hello", self.host.ask("/say hello", conversation="cut"))

    def test_an_answer_that_is_not_utf8_fails_its_turn(self):
        accepted = self.host.say("/bad-utf8")
        self.host.wait_state(accepted["session"], "Stopped")

    def test_a_cancelled_session_gives_its_conversation_to_a_new_one(self):
        first = self.host.say("/wait 5000\n/say late", conversation="cancelled")
        done = self.host.cli("session", "cancel", first["session"])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.host.session(first["session"])["state"], "Done")
        second = self.host.say("/say anew", conversation="cancelled")
        self.assertNotEqual(first["session"], second["session"])
        self.assertEqual(self.host.reply_after(second), "anew")

    def test_json_output_is_one_document_with_a_version(self):
        for words in (["status"], ["session", "list"], ["agent", "list"], ["plugin", "list"], ["budget", "show"],
                      ["approval", "list"], ["outbox", "list"], ["secret", "list"], ["token", "list"], ["version"]):
            done = self.host.cli(*words, "--json")
            self.assertEqual(done.returncode, 0, (words, done.stderr))
            self.assertEqual(json.loads(done.stdout)["version"], 1, words)

    def test_wrong_usage_exits_2(self):
        for words in (["nonsense"], ["approval", "approve"], ["session", "resolve", "s", "c", "maybe"], []):
            self.assertEqual(self.host.cli(*words).returncode, 2, words)


if __name__ == "__main__":
    unittest.main()
