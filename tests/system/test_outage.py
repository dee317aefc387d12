"""A service that is away for a day, or asks for patience, under a clock that the test owns."""
import mmap
import struct
import unittest

from desk import OnDesk
from parley import BUILD, wait_for

HOUR = 3600
LATER = {"retryable": True, "sent": False}


class Outage(OnDesk):
    def prepare(self):
        self.shift = self.host.folder / "clock"
        self.shift.write_bytes(bytes(8))
        self.host.env |= {"LD_PRELOAD": str((BUILD / "tests/system/libmoved_clock.so").resolve()),
                          "PARLEY_TEST_CLOCK": str(self.shift)}

    def advance(self, seconds):
        with open(self.shift, "r+b") as file, mmap.mmap(file.fileno(), 8) as page:
            page[:] = struct.pack("=q", struct.unpack("=q", page[:])[0] + seconds)

    def outbox(self):
        return self.host.api("GET", "/api/v1/outbox").json["items"]

    def texts(self, who):
        return [one["text"] for one in self.desk.there(who) if not one.get("notice")]

    def test_the_clock_is_the_tests(self):
        before = self.host.api("GET", "/api/v1/status").json["uptime_s"]
        self.advance(24 * HOUR)
        self.assertGreaterEqual(self.host.api("GET", "/api/v1/status").json["uptime_s"] - before, 24 * HOUR)

    def test_an_outage_of_more_than_a_day_loses_nothing_and_ends_by_itself(self):
        calls = {}
        for who in ("ada", "bea"):
            self.desk.say(who, '/call shell {"command":"echo the answer for %s"}\n/then\n/results' % who)
            self.desk.wait(who, "Waiting for approval")
        calls = self.host.pending()
        self.assertEqual(len(calls), 2)
        self.desk.down()
        wait_for("the channel to notice", lambda: self.channel()["link"] != "connected")
        for call in calls:
            self.assertEqual(self.host.decide(call).status, 200)
        wait_for("both replies to wait", lambda: len([one for one in self.outbox() if one["state"] == "queued"]) == 2)
        self.advance(26 * HOUR)
        # The host may even be started anew meanwhile.
        self.host.kill()
        self.host.start()
        self.advance(26 * HOUR)
        self.assertEqual([one["state"] for one in self.outbox()], ["queued", "queued"])
        self.desk.up()
        self.connected()
        for who in ("ada", "bea"):
            self.desk.wait(who, f"the answer for {who}")
        wait_for("the outbox to be empty", lambda: self.outbox() == [])
        self.desk.say("ada", "/say and on")
        self.desk.wait("ada", "and on")

    def test_what_a_service_that_is_there_refuses_for_a_day_is_shown_and_holds_up_nobody_any_more(self):
        self.desk.fail = lambda verb, request: LATER if request["text"] == "stuck" else None
        self.desk.say("ada", "/say stuck")
        wait_for("it to wait", lambda: self.outbox() and self.outbox()[0]["attempts"] >= 1)
        self.desk.say("ada", "/say behind it")
        self.advance(23 * HOUR)
        tries = self.outbox()[0]["attempts"]
        wait_for("more tries", lambda: self.outbox()[0]["attempts"] > tries)
        self.assertEqual(self.texts("ada"), [])
        self.advance(2 * HOUR)
        self.desk.wait("ada", "behind it")
        self.assertEqual([(one["state"], one["text"]) for one in self.outbox()], [("failed", "stuck")])

    def test_the_pause_that_a_service_asks_for_is_kept_whatever_happens_meanwhile(self):
        tries = []

        def fail(verb, request):
            if request["text"] != "patience" or tries.append(request) or len(tries) > 1:
                return None
            return dict(LATER, retry_after_ms=HOUR * 1000)
        self.desk.fail = fail
        self.desk.say("ada", "/say patience")
        wait_for("it to be asked to wait", lambda: tries and self.outbox()[0]["state"] == "queued")
        self.assertGreater(self.outbox()[0]["not_before"], self.outbox()[0]["queued"])

        def again(word):
            """The channel comes back, which wakes every line; what has no reason to wait has left then."""
            self.desk.drop()
            self.connected()
            self.desk.say("bea", f"/say {word}")
            self.desk.wait("bea", word)
        again("one")
        self.host.kill()
        self.start()
        again("two")
        self.advance(HOUR - 120)
        again("three")
        self.assertEqual(len(tries), 1)
        self.advance(120)
        again("four")
        self.desk.wait("ada", "patience")
        self.assertEqual(len(tries), 2)


del OnDesk
if __name__ == "__main__":
    unittest.main()
