"""Kills the host with SIGKILL at random moments under mixed load, and checks what was promised.

crash.py CYCLES [SEED].  The oracle is outside: a journal of its own, synced before each claim, and a
file that every approved command appends a line of its own to. After each cycle: nothing acknowledged
is lost, no command ran twice, none ran without its approval, nothing unknown is silent, spend stays
below its cap, and the chain verifies.
"""
import json
import os
import pathlib
import random
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))
from parley import Host  # noqa: E402

CAP_USD = 10_000.0  # Far above what the long run spends; the check is that spend stays below what is settled and reserved.
PRICED = "  default: {provider: rehearsal, model: rehearsal, price: {input: 0.5, output: 0.5}, max_output_tokens: 300}"


class Journal:
    """What the host has acknowledged, as it did so. Synced line by line, read back at the end."""

    def __init__(self, path):
        self.file = open(path, "a")
        self.lock = threading.Lock()
        self.entries = []

    def note(self, *what):
        with self.lock:
            self.file.write(json.dumps(what) + "\n")
            self.file.flush()
            os.fsync(self.file.fileno())
            self.entries.append(what)

    def of(self, kind):
        with self.lock:
            return [entry[1:] for entry in self.entries if entry[0] == kind]


class Load:
    """One cycle of people who talk and decide, until the host goes away."""

    def __init__(self, host, journal, cycle, seed):
        self.host, self.journal, self.cycle = host, journal, cycle
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.talk, args=(n, random.Random(seed * 100 + n))) for n in range(4)]
        self.threads.append(threading.Thread(target=self.decide, args=(random.Random(seed * 100 + 99),)))
        for thread in self.threads:
            thread.start()

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def talk(self, number, chance):
        sent = 0
        while not self.over.is_set():
            sent += 1
            name = f"{self.cycle}-{number}-{sent}"
            if chance.random() < 0.4:
                text = '/call shell {"command":"echo %s >> effects"}' % name
            else:
                text = f"/wait {chance.randrange(20)}\n/say {name}"
            try:
                answer = self.host.api("POST", "/api/v1/agents/assistant/messages",
                                       {"text": text, "conversation": f"c{number}", "message_id": name})
            except OSError:
                return
            if answer.status == 200:
                self.journal.note("accepted", name, answer.json["session"], answer.json["seq"])
            time.sleep(chance.random() * 0.02)

    def decide(self, chance):
        while not self.over.is_set():
            try:
                for approval in self.host.pending():
                    decision = "approve" if chance.random() < 0.8 else "deny"
                    name = json.loads(approval["arguments"])["command"].split()[1]
                    if decision == "approve":
                        self.journal.note("approving", name)
                    self.host.decide(approval, decision)
            except (OSError, KeyError, ValueError):
                return
            time.sleep(0.02)


class Oracle:
    def __init__(self, host, journal):
        self.host, self.journal = host, journal

    def effects(self):
        path = self.host.workspace / "effects"
        return path.read_text().split() if path.exists() else []

    def check(self):
        self.host.verify()
        records = self.host.ledger()
        received = {record["body"].get("id"): record for record in records if record["kind"] == "message.received"}
        for name, session, seq in self.journal.of("accepted"):
            assert name in received, f"the accepted message {name} is lost"
            assert (received[name]["session"], received[name]["seq"]) == (session, seq), f"{name} changed"
        effects = self.effects()
        assert len(effects) == len(set(effects)), "a command ran twice: " + str(sorted(effects))
        approving = {name for name, in self.journal.of("approving")}
        assert set(effects) <= approving, f"commands ran unasked: {set(effects) - approving}"
        self.check_outcomes(records, set(effects))
        for view in self.host.api("GET", "/api/v1/budgets").json["items"]:
            assert view["spent_usd"] + view["reserved_usd"] <= CAP_USD, f"over the cap: {view}"

    def check_outcomes(self, records, effects):
        """Each command that may have run has a result, is running, or is shown as unknown."""
        arguments, outcomes = {}, {}
        for record in records:
            key = (record.get("session"), record.get("call"))
            if record["kind"] == "skill.requested":
                arguments[key] = record["body"]["arguments"].split('"')[3].split()[1]
            if record["kind"] in ("skill.sent", "skill.finished", "skill.failed", "skill.unknown", "skill.resolved"):
                outcomes.setdefault(key, []).append(record["kind"])
        for key, name in arguments.items():
            kinds = outcomes.get(key, [])
            if name in effects:
                assert "skill.sent" in kinds, f"{name} ran before its mark was durable"
            if "skill.finished" in kinds:
                assert name in effects, f"{name} is called finished but did not run"

    def resolve_unknown(self):
        """A person looks at the file and says what was; the sessions go on."""
        for session in self.host.api("GET", "/api/v1/sessions?state=Stopped&limit=1000").json["items"]:
            assert session["reason"] in ("outcome_unknown", "failure"), session
            open_calls = {}
            for record in self.host.records(session["id"]):
                if record["kind"] == "skill.requested":
                    open_calls[record["call"]] = [record["body"]["arguments"].split('"')[3].split()[1], False]
                if record["kind"] == "skill.unknown":
                    open_calls[record["call"]][1] = True
                if record["kind"] == "skill.resolved":
                    open_calls[record["call"]][1] = False
            for call, (name, is_unknown) in open_calls.items():
                if is_unknown:
                    verdict = "done" if name in self.effects() else "not_done"
                    answer = self.host.api("POST", f"/api/v1/sessions/{session['id']}/calls/{call}/resolution", {"verdict": verdict})
                    assert answer.status == 200, answer.text


def main(cycles, seed):
    print(f"seed {seed}, {cycles} cycles", flush=True)
    chance = random.Random(seed)
    with Host() as host:
        text = host.file("parley.yaml").read_text()
        start = text.index("  default: {provider")
        text = text[:start] + PRICED + text[text.index("\n", start):]
        host.write("parley.yaml", text[:text.index("budgets:")] + f"budgets:\n  global: {{limit_usd: {CAP_USD}, per: total}}\n")
        journal = Journal(host.folder / "journal")
        oracle = Oracle(host, journal)
        for cycle in range(cycles):
            host.start()
            oracle.resolve_unknown()
            load = Load(host, journal, cycle, seed * 1000 + cycle)
            time.sleep(0.1 + chance.random() * 0.6)
            host.kill()
            load.end()
            host.start()
            oracle.check()
            if chance.random() < 0.3:
                host.kill()  # Also in the middle of taking up what was open.
            else:
                host.stop()
        host.start()
        oracle.resolve_unknown()
        oracle.check()
        unknown = sum(record["kind"] == "skill.unknown" for record in host.ledger())
        print(f"{len(journal.of('accepted'))} messages accepted, {len(oracle.effects())} commands ran, "
              f"{unknown} shown as unknown; nothing lost, nothing twice", flush=True)


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 50,
             int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1_000_000))
    except AssertionError as broken:
        sys.exit(f"BROKEN: {broken}")
