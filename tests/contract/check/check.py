"""A plugin that is sound passes every check, and each fault is found by the check that is named after
it: check.py PARLEY FOLDER, where FOLDER has the variants of faulty.c."""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

PARLEY, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
SOUND = FOLDER / "faulty.so"

# By config.
FAULTS = """struct-sizes unknown-interface declared-roles minimal-host older-host newer-host create-destroy
wrong-state start-returns-fast refused-is-ended no-retained-pointers no-borrowed-bytes deadline concurrent-calls
strand-moves refusing-host unknown-members large-input secret-canary approval-gate quiet-shutdown fuzz""".split()
# By file, with the worst that the check says of it.
FILES = {"many": ("ctor-count", "warn"), "undefined": ("undefined-symbols", "fail"),
         "go": ("runtime-detect", "fail"), "short": ("entry-matches-manifest", "fail"),
         "needs": ("needed-allowlist", "fail"), "lazy": ("hardened", "fail"), "stack": ("hardened", "fail")}


def check(file, *options):
    run = subprocess.run([PARLEY, "plugin", "check", str(file), "--json", *options], text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    return run.returncode, json.loads(run.stdout) if run.stdout else {}, run.stderr


def only(name):
    return "--include", f"^C[0-9]+ {name}$"


def must(holds, *words):
    return [] if holds else [" ".join(map(str, words))]


def a_sound_plugin_passes_everything():
    status, said, _ = check(SOUND)
    bad = [one for one in said["checks"] if one["result"] not in ("pass", "skip")]
    return must(status == 0 and not bad, "the sound plugin:", bad) + \
        must([one["name"] for one in said["checks"] if one["result"] == "skip"] == ["signature"], "it skips too much") + \
        must(said["version"] == 1 and said["id"] == "org.faulty.plugin" and said["plugin_version"] == "1.0.0"
             and len(said["hash"]) == 64 and "role parley.skill/1" in said["rights"], "what is said of the file")


def fault(name):
    status, said, error = check(SOUND, *only(name), "--config", json.dumps({"fault": name}))
    one, = said.get("checks") or [{"result": error, "lines": []}]
    return must(status == 1 and one["result"] in ("fail", "crash") and one["lines"], name, "says", one)


def file_fault(name):
    rule, worst = FILES[name]
    status, said, _ = check(FOLDER / f"faulty_{name}.so", *only(rule))
    one, = said["checks"]
    return must(one["result"] == worst and status == (worst == "fail"), name, "says", one)


def bytes_fault(scratch, name, change, rule):
    """The sound file with some bytes changed: it is refused by that check, and nothing of it is loaded."""
    file = scratch / f"{name}.so"
    file.write_bytes(change(SOUND.read_bytes()))
    status, said, _ = check(file)
    bad = [one["name"] for one in said["checks"] if one["result"] in ("fail", "crash")]
    loaded = [one for one in said["checks"] if int(one["number"][1:]) > 16 and one["result"] != "skip"]
    return must(status == 1 and rule in bad and not loaded, name, "is found by", bad, "loaded:", loaded)


def wrong_usage():
    return must(check(SOUND, "--include", "nothing-is-called-this")[0] == 2, "no such check") + \
        must(check(SOUND, "--include", "(")[0] == 2, "no expression") + \
        must(check(SOUND, "--config", "{")[0] == 2, "no config") + \
        must(check(SOUND, "--config", '{"fualt":"x"}')[0] == 2, "a config that the schema refuses") + \
        must(check(SOUND, "--signed-by", "00")[0] == 2, "a key without a signature") + \
        must(check(FOLDER / "nothing.so")[0] == 1, "no file")


def a_signature_is_checked(scratch):
    (scratch / "bad.sig").write_bytes(hashlib.sha512(b"no signature").digest())
    status, said, _ = check(SOUND, *only("signature"), "--signature", str(scratch / "bad.sig"), "--signed-by", "11" * 32)
    return must(status == 1 and said["failed"] == 1, "a wrong signature:", said)


def a_seed_repeats_a_run():
    said = check(SOUND, *only("fuzz"), "--seed", "7", "--seconds", "0")[1]
    return must(said["seed"] == 7 and said["passed"] == 1, "a seed:", said)


def people_see_no_colours_without_a_terminal():
    run = subprocess.run([PARLEY, "plugin", "check", str(SOUND), *only("elf-sane")], stdout=subprocess.PIPE)
    return must(b"\033" not in run.stdout and b"pass   C01 elf-sane" in run.stdout, run.stdout)


with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
    scratch = pathlib.Path(folder)
    note = SOUND.read_bytes().index(b"Parley\0")
    jobs = [pool.submit(a_sound_plugin_passes_everything), pool.submit(wrong_usage),
            pool.submit(a_signature_is_checked, scratch), pool.submit(a_seed_repeats_a_run),
            pool.submit(people_see_no_colours_without_a_terminal),
            pool.submit(bytes_fault, scratch, "no-elf", lambda b: b"#!/bin/sh\n" + b, "elf-sane"),
            pool.submit(bytes_fault, scratch, "cut", lambda b: b[:3000], "elf-sane"),
            pool.submit(bytes_fault, scratch, "no-note", lambda b: b[:note] + b"Barley\0" + b[note + 7:], "note-present"),
            pool.submit(bytes_fault, scratch, "renamed", lambda b: b.replace(b"parley_plugin_v1", b"parley_plugin_v0"), "one-export"),
            pool.submit(bytes_fault, scratch, "no-json", lambda b: b.replace(b'"manifest": 1', b'"manifest"= 1'), "manifest-json"),
            pool.submit(bytes_fault, scratch, "typo", lambda b: b.replace(b'"egress": [', b'"agress": ['), "manifest-schema"),
            pool.submit(bytes_fault, scratch, "version", lambda b: b.replace(b'"version": "1.0.0"', b'"version": "1.0.x"'), "id-version")]
    jobs += [pool.submit(fault, name) for name in FAULTS] + [pool.submit(file_fault, name) for name in FILES]
    wrong = [line for job in jobs for line in job.result()]
print("\n".join(wrong) or f"{len(jobs)} statements hold")
sys.exit(bool(wrong))
