"""What the zoo costs its neighbours: the time of a turn of another session while every animal attacks, against
the same in calm, in turns of one run. PARLEY_BIN and PARLEY_BUILD as for the system tests:

    PARLEY_BIN=build/release/bin/parley PARLEY_BUILD=build/release python3 tests/bench/zoo_latency.py [ROUNDS]
"""
import concurrent.futures
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))
from test_zoo import Zoo  # noqa: E402


def turn(host, number):
    begun = time.perf_counter()
    host.ask(f"/say turn {number}", conversation="neighbour")
    return (time.perf_counter() - begun) * 1000


def main(rounds):
    Zoo.setUpClass()
    zoo, host = Zoo(), Zoo.host
    calm, attacked = [], []
    try:
        for _ in range(rounds):
            calm += [turn(host, number) for number in range(100)]
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                attacks = [pool.submit(zoo.attack, animal) for animal in zoo.animals]
                while not all(attack.done() for attack in attacks):
                    attacked.append(turn(host, len(attacked)))
    finally:
        Zoo.tearDownClass()
    for name, times in (("calm", calm), ("attacked", attacked)):
        print(f"{name:9} {len(times):6} turns, p50 {statistics.median(times):6.2f} ms, "
              f"p90 {statistics.quantiles(times, n=10)[8]:6.2f} ms")
    print(f"ratio of the medians: {statistics.median(attacked) / statistics.median(calm):.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
