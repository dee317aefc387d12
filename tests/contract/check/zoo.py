"""Each animal of the zoo fails the check that its first lines name: zoo.py PARLEY SOURCES BUILD."""
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys

PARLEY, SOURCES, BUILD = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])

# Those of other tests, which differ by their manifests or by how they are compiled.
OTHERS = {"zoo/zoo_stillborn": "load-now-local", "zoo/zoo_lacking": "declared-roles", "zoo/zoo_silent": "note-present",
          "zoo/zoo_future": "manifest-schema", "zoo/zoo_typo": "manifest-schema", "offers/offer_clock": "bad-config"}


def expectations():
    for source in sorted([*SOURCES.glob("**/*.c"), *SOURCES.glob("*.cpp")]):
        comment = source.read_text().split("*/")[0]
        yield f"animals/{source.stem}", re.search(r"Check: (\S+)", comment).group(1)


def outcome(animal, check):
    """What `parley plugin check` says of it, or nothing when that is right."""
    run = subprocess.run([PARLEY, "plugin", "check", BUILD / f"{animal}.so", "--json", "--include", f" {check}$"],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL)
    try:
        one, = json.loads(run.stdout)["checks"]
    except (ValueError, KeyError):
        return f"{animal}: {run.stdout}"
    if one["name"] == check and one["result"] in ("fail", "crash") and run.returncode == 1:
        return ""
    return f"{animal}: {check} says {one['result']} {one['lines']}, status {run.returncode}"


# Some do what no check can tell from what libc itself does.
animals = [(animal, check) for animal, check in expectations() if check != "none"]
animals += OTHERS.items()
assert len(animals) > 90, "where is the zoo?"
with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
    wrong = [line for line in pool.map(outcome, *zip(*animals)) if line]
print("\n".join(wrong) or f"{len(animals)} animals, each caught")
sys.exit(bool(wrong))
