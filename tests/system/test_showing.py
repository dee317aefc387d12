"""What a channel shows while an answer is being written, and how agents' text differs from the host's."""
import unittest

from desk import OnDesk
from parley import wait_for


class Live(OnDesk):
    plugin, features = "org.test.live-desk", ("typing", "draft", "markdown")

    def test_a_slow_answer_is_typed_and_drafted_and_then_sent_once(self):
        self.desk.say("ada", "/stream 30 100 " + "word " * 60)
        wait_for("typing", lambda: self.desk.typed)
        wait_for("two drafts", lambda: len(self.desk.drafts) >= 2)
        message = self.desk.wait("ada", "word " * 59 + "word")
        drafts = self.desk.drafts
        self.assertEqual({draft["conversation"] for draft in drafts}, {"ada"})
        self.assertEqual(len({draft["draft"] for draft in drafts}), 1)
        for earlier, later in zip(drafts, drafts[1:]):
            self.assertTrue(later["text"].startswith(earlier["text"]))
        self.assertTrue(message["text"].startswith(drafts[-1]["text"].strip()))
        self.assertLess(len(drafts), 10)
        self.assertEqual(len(self.desk.there("ada")), 1)

    def test_an_agents_text_is_markdown_and_a_line_of_the_host_is_not(self):
        self.desk.say("ada", "/say *hello*")
        self.assertTrue(self.desk.wait("ada", "*hello*")["markdown"])
        self.desk.say("ada", "/fail internal")
        self.assertNotIn("markdown", self.desk.wait("ada", "I could not finish"))

    def test_a_service_that_takes_no_draft_costs_the_answer_nothing(self):
        self.desk.fail = lambda verb, request: {"retryable": False, "sent": False} if verb in ("typing", "draft") else None
        self.desk.say("ada", "/stream 20 100 " + "word " * 20)
        self.desk.wait("ada", "word word")


del OnDesk  # its own tests are those of the cards

if __name__ == "__main__":
    unittest.main()
