"""A test program, built with a switch for each guard of its room: the test (or one section of it) that a
list names for a guard passes with all guards in place, and fails, or never ends, with that one off. No
guard of the room may be missing in the list."""
import os
import pathlib
import re
import subprocess
import sys
import time

program, list_file, room = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])

rows = dict(line.split(": ", 1) for line in list_file.read_text().splitlines() if line)
used = {guard for source in room.glob("*.cpp") for guard in re.findall(r'holds\("([^"]+)"\)', source.read_text())}
wrong = [f"{guard}: the room has it, {list_file.name} does not" for guard in sorted(used - set(rows))]
wrong += [f"{guard}: {list_file.name} has it, the room does not" for guard in sorted(set(rows) - used)]


def run(test, seconds, without=""):
    """Whether it passed, and what it said."""
    name, _, section = test.partition(" / ")
    # A comma would stand between two names.
    words = [program, name.replace(",", "\\,")] + (["-c", section] if section else [])
    try:
        done = subprocess.run(words, env={**os.environ, "PARLEY_WITHOUT": without}, capture_output=True,
                              text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return False, "it did not end"
    return done.returncode == 0 and "No test" not in done.stdout, done.stdout


took = {}
for guard, test in sorted(rows.items()):
    if test not in took:
        begun = time.monotonic()
        passed, said = run(test, 200)
        took[test] = time.monotonic() - begun
        if not passed:
            wrong.append(f"'{test}' does not pass with all guards in place\n{said[-2000:]}")
    if run(test, 5 + 5 * took[test], guard)[0]:
        wrong.append(f"{guard}: without it '{test}' passes all the same")

print(f"{len(rows)} guards")
if wrong:
    sys.exit("\n".join(wrong))
