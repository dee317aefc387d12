"""A plugin that is sound passes every check, and each fault is found by the check that is named after
it: check.py PARLEY FOLDER, where FOLDER has the variants of faulty.c."""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import struct
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


def a_death_of_hunger_is_a_warning():
    status, said, _ = check(SOUND, *only("failing-allocations"), "--config", '{"fault":"failing-allocations"}')
    return must(status == 0 and said["warned"] == 1, "failing allocations:", said)


def file_fault(name):
    rule, worst = FILES[name]
    status, said, _ = check(FOLDER / f"faulty_{name}.so", *only(rule))
    one, = said["checks"]
    return must(one["result"] == worst and status == (worst == "fail"), name, "says", one)


def bytes_fault(scratch, name, change, rule, is_refused=True):
    """The sound file with some bytes changed: that check fails; what a host refuses is never loaded."""
    file = scratch / f"{name}.so"
    file.write_bytes(change(SOUND.read_bytes()))
    status, said, _ = check(file)
    bad = [one["name"] for one in said["checks"] if one["result"] in ("fail", "crash")]
    loaded = [one for one in said["checks"] if int(one["number"][1:]) > 16 and one["result"] != "skip"]
    return must(status == 1 and rule in bad and not (is_refused and loaded), name, "is found by", bad, "loaded:", loaded)


def warned(scratch, name, change, rule):
    file = scratch / f"{name}.so"
    file.write_bytes(change(SOUND.read_bytes()))
    status, said, _ = check(file, *only(rule))
    return must(status == 0 and said["warned"] == 1, name, "is not warned of:", said)


def a_note_beside_what_is_loaded(data):
    """The segment of the note now lies at the file's end, where only who asks for it looks."""
    data, table = bytearray(data), struct.unpack_from("<Q", data, 32)[0]
    for at in range(table, table + 56 * struct.unpack_from("<H", data, 56)[0], 56):
        kind, offset, size = *struct.unpack_from("<I4xQ", data, at), struct.unpack_from("<Q", data, at + 32)[0]
        if kind == 4 and b"Parley\0" in data[offset:offset + size]:
            data += bytes(-len(data) % 16)
            struct.pack_into("<Q", data, at + 8, len(data))
            return bytes(data + data[offset:offset + size])
    raise AssertionError("no note")


def an_entry_that_is_unique(data):
    """The entry's symbol is bound as STB_GNU_UNIQUE."""
    data = bytearray(data)
    sections, count = struct.unpack_from("<Q", data, 40)[0], struct.unpack_from("<H", data, 60)[0]
    for at in range(sections, sections + 64 * count, 64):
        kind, offset, size = struct.unpack_from("<I", data, at + 4)[0], *struct.unpack_from("<QQ", data, at + 24)
        for symbol in range(offset, offset + size, 24) if kind == 11 else ():
            if struct.unpack_from("<H", data, symbol + 6)[0]:
                data[symbol + 4] = 10 << 4 | data[symbol + 4] & 15
    return bytes(data)


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
            pool.submit(warned, scratch, "newer-libc", lambda b: b.replace(b"GLIBC_2.2.5", b"GLIBC_9.9.9"), "glibc-floor"),
            pool.submit(warned, scratch, "unique", an_entry_that_is_unique, "no-gnu-unique"),
            pool.submit(bytes_fault, scratch, "stripped", a_note_beside_what_is_loaded, "strip-stable", False),
            pool.submit(bytes_fault, scratch, "no-elf", lambda b: b"#!/bin/sh\n" + b, "elf-sane"),
            pool.submit(bytes_fault, scratch, "cut", lambda b: b[:3000], "elf-sane"),
            pool.submit(bytes_fault, scratch, "no-note", lambda b: b[:note] + b"Barley\0" + b[note + 7:], "note-present"),
            pool.submit(bytes_fault, scratch, "renamed", lambda b: b.replace(b"parley_plugin_v1", b"parley_plugin_v0"), "one-export"),
            pool.submit(bytes_fault, scratch, "no-json", lambda b: b.replace(b'"manifest": 1', b'"manifest"= 1'), "manifest-json"),
            pool.submit(bytes_fault, scratch, "typo", lambda b: b.replace(b'"egress": [', b'"agress": ['), "manifest-schema"),
            pool.submit(bytes_fault, scratch, "version", lambda b: b.replace(b'"version": "1.0.0"', b'"version": "1.0.x"'), "id-version")]
    if not any(name in SOUND.read_bytes() for name in (b"__asan_init", b"__tsan_init")):
        jobs.append(pool.submit(a_death_of_hunger_is_a_warning))  # a sanitizer's memory never ends
    jobs += [pool.submit(fault, name) for name in FAULTS] + [pool.submit(file_fault, name) for name in FILES]
    wrong = [line for job in jobs for line in job.result()]
print("\n".join(wrong) or f"{len(jobs)} statements hold")
sys.exit(bool(wrong))
