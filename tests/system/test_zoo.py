"""The zoo: plugins that each break one promise, all at home in one host. Nothing that they try
succeeds, each outcome is the expected one and on the record, and the neighbours notice nothing."""
import base64
import concurrent.futures
import os
import pathlib
import re
import shutil
import threading
import unittest

from parley import BUILD, Host, wait_for

SOURCES = pathlib.Path(__file__).resolve().parents[1] / "zoo"
CANARY = "canary-of-the-zoo-5f0c9d"


def expectations():
    found = {}
    for source in sorted(SOURCES.glob("*.c")) + sorted(SOURCES.glob("*.cpp")):
        comment = source.read_text().split("*/")[0]
        found[source.stem] = re.search(r"Expect: (.*?) *$", comment, re.M).group(1)
    return found


def processes_below(pid):
    pids = [pid]
    for parent in pids:
        try:
            pids += map(int, pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split())
        except OSError:
            pass
    return pids[1:]


def memory_of(pid, parent):
    """Nothing of a process that has got the number of a worker that is over."""
    folder = os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY)

    def inside(path, flags):
        return os.open(path, flags, dir_fd=folder)
    try:
        if pid not in processes_below(parent):
            return
        with open("maps", opener=inside) as maps, open("mem", "rb", 0, opener=inside) as memory:
            yield from readable(maps, memory)
    finally:
        os.close(folder)


def readable(maps, memory):
    for line in maps:
        begin, end = (int(one, 16) for one in line.split()[0].split("-"))
        if " r" in line and "[v" not in line:
            try:
                memory.seek(begin)
                yield memory.read(end - begin)
            except OSError:
                pass


class Zoo(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.animals = expectations()
        host = cls.host = Host()
        host.cli("secret", "set", "zoo/canary", stdin=CANARY + "\n")
        (host.home / "plugins").mkdir(mode=0o700, exist_ok=True)
        names = [f"org.zoo.{animal}" for animal in cls.animals]
        for animal in cls.animals:
            shutil.copy(BUILD / "animals" / f"{animal}.so", host.home / "plugins" / f"{animal}.so")
        lines = "".join(f"  {name}: {{enabled: true, secrets: {{token: zoo/canary}}}}\n" for name in names)
        host.edit("parley.yaml", "  rehearsal: {enabled: true}", lines + "  rehearsal: {enabled: true}")
        skills = ", ".join(f"{name}:attack" for name in names)
        agent = host.file("agents/assistant/agent.yaml").read_text()
        host.write("agents/assistant/agent.yaml", re.sub(r"allow: *\[", f"allow: [{skills}, ", agent))
        for name in names:
            locked = host.cli("plugin", "lock", name, "--yes")
            assert locked.returncode == 0, (name, locked.stderr)
        host.start()

    @classmethod
    def tearDownClass(cls):
        cls.host.close()

    def attack(self, animal):
        host = self.host
        arguments = (f'{{"home":"{host.home}","key":"{host.env["PARLEY_VAULT_KEY_FILE"]}",'
                     f'"pid":"{host.process.pid}","host":"/proc/{host.process.pid}"}}')
        said = host.say(f"/call org.zoo.{animal}:attack {arguments}", conversation=animal)
        reply = wait_for(f"an outcome of {animal}",
                         lambda: host.replies(said["session"]) + host.notices(said["session"]), 40)[0]
        kinds = [kind for kind in host.kinds(said["session"]) if kind.startswith("skill.")]
        return reply, kinds

    def test_every_attack_is_contained_with_the_expected_outcome_and_recorded(self):
        over = threading.Event()
        with concurrent.futures.ThreadPoolExecutor(7) as pool:
            scan = pool.submit(self.scan_memory, over)
            attacks = {animal: pool.submit(self.attack, animal) for animal in self.animals}
            # The neighbours' model goes on answering meanwhile.
            for i in range(20):
                self.assertIn(f"neighbour {i}", self.host.ask(f"/say neighbour {i}"))
            concurrent.futures.wait(attacks.values())
            over.set()
        workers, scanned = scan.result()
        self.assertGreater(workers, 10)
        if os.geteuid() == 0:
            self.assertGreater(scanned, 1 << 20)
        wrong = {}
        for animal, expected in self.animals.items():
            reply, kinds = attacks[animal].result()
            is_recorded = kinds[:1] == ["skill.requested"] and kinds[-1:] in (["skill.finished"], ["skill.failed"])
            if expected not in reply or not is_recorded:
                wrong[animal] = (expected, reply[:200], kinds)
        self.maxDiff = None
        self.assertEqual(wrong, {})
        self.assertGreaterEqual(len(self.animals), 60)
        self.assertNotIn(CANARY, self.host.log)
        self.assertNotIn("IT ACTED AFTERWARDS", self.host.log)
        self.assertNotIn("secret.used", {record["kind"] for record in self.host.ledger()})
        self.assertEqual(self.host.cli("ledger", "verify").returncode, 0)

    def scan_memory(self, over):
        """A secret is bound to every worker, and in the memory of none, from the first attack to the last:
        as it is, and in the forms in which it would travel."""
        plain = CANARY.encode()
        forms = {plain, plain[::-1], plain.hex().encode(), plain.hex().upper().encode(), CANARY.encode("utf-16le"),
                 *(base64.b64encode(b"x" * skew + plain)[4:-4] for skew in range(3))}
        seen, scanned = set(), 0
        while True:
            is_last = over.is_set()
            for pid in processes_below(self.host.process.pid):
                seen.add(pid)
                try:
                    for piece in memory_of(pid, self.host.process.pid):
                        scanned += len(piece)
                        for form in forms:
                            self.assertNotIn(form, piece, f"the memory of worker {pid}")
                except (PermissionError, FileNotFoundError, ProcessLookupError):
                    pass  # a worker lets nobody but root look; or it is over
            if is_last:
                return len(seen), scanned
            over.wait(0.5)


if __name__ == "__main__":
    unittest.main()
