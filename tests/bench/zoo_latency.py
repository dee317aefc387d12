"""What the zoo costs its neighbours: the time of a turn of another session while every animal attacks, against
the same in calm, in turns of one run. PARLEY_BIN and PARLEY_BUILD as for the system tests:

    PARLEY_BIN=build/release/bin/parley PARLEY_BUILD=build/release python3 tests/bench/zoo_latency.py [ROUNDS]
"""
import concurrent.futures
import datetime
import multiprocessing
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))
from parley import wait_for  # noqa: E402
from test_zoo import Zoo  # noqa: E402

TURNS_OF_A_SESSION = 20  # a longer context would be slower by itself


def turn(host, number):
    """From the request's first byte to the record of the reply, both by this machine's clock."""
    begun = time.time()
    accepted = host.say(f"/say turn {number}", conversation=f"neighbour {number // TURNS_OF_A_SESSION}")
    path = f"/api/v1/sessions/{accepted['session']}/events?after={accepted['seq']}"
    queued = wait_for("a reply", lambda: [record for record in host.api("GET", path).json["items"]
                                          if record["kind"] == "message.queued"])[0]
    return (datetime.datetime.fromisoformat(queued["time"].replace("Z", "+00:00")).timestamp() - begun) * 1000


def neighbour(host, line):
    """A process of its own, so that what the attacks cost this interpreter is not taken for the host's.
    Asked for so many turns, or, with 0, for turns until something else comes."""
    number = 0
    while (wanted := line.recv()) is not None:
        times = []
        while len(times) < wanted or (wanted == 0 and not line.poll()):
            times.append(turn(host, number))
            number += 1
        line.send(times)


def main(rounds):
    Zoo.setUpClass()
    zoo, host = Zoo(), Zoo.host
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=neighbour, args=(host, theirs))
    process.start()
    calm, attacked = [], []
    try:
        for _ in range(rounds):
            ours.send(100)
            calm += ours.recv()
            ours.send(0)
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                concurrent.futures.wait([pool.submit(zoo.attack, animal) for animal in zoo.animals])
            ours.send(1)
            attacked += ours.recv()
            ours.recv()
    finally:
        ours.send(None)
        process.join(30)
        Zoo.tearDownClass()
    for name, times in (("calm", calm), ("attacked", attacked)):
        print(f"{name:9} {len(times):6} turns, p50 {statistics.median(times):6.2f} ms, "
              f"p90 {statistics.quantiles(times, n=10)[8]:6.2f} ms")
    print(f"ratio of the medians: {statistics.median(attacked) / statistics.median(calm):.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
