#!/usr/bin/env python3
"""Verifies an exported ledger with nothing but Python: verify_ledger.py EXPORT.ndjson [CHECKPOINT]

Each record's hash is BLAKE2b-256 over its canonical bytes: the domain tag, then each field in a
fixed order, every one as its length (u32, little endian) and its bytes; integers are eight bytes,
little endian, signed. The bytes hold the hash of the record before. Checkpoints in the export, and
the last one of the file CHECKPOINT, must be met; their signatures (Ed25519) are checked when the
module `cryptography` is there. Exit 0 sound, 1 tampered, 3 shorter than a checkpoint, 4 unreadable.
"""
import calendar
import hashlib
import json
import re
import sys
import time

STRING = r'"(?:[^"\\]|\\.)*"'
# Actor and body stand as they were stored, and are hashed as they stand.
RECORD = re.compile(
    r'\{"seq":(?P<seq>[1-9]\d*),"time":"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)"'
    rf',"kind":(?P<kind>{STRING})(?:,"agent":(?P<agent>{STRING}))?'
    rf'(?:,"session":(?P<session>{STRING}))?(?:,"turn":(?P<turn>-?[1-9]\d*))?'
    rf'(?:,"call":(?P<call>{STRING}))?(?:,"cause":(?P<cause>[1-9]\d*))?'
    rf'(?:,"actor":(?P<actor>\{{(?:[^"]|{STRING})*?\}}))?,"body":(?P<body>.*)'
    r',"prev":"(?P<prev>[0-9a-f]{64})","hash":"(?P<hash>[0-9a-f]{64})"\}', re.DOTALL | re.ASCII)


class Tampered(Exception):
    pass


def field(data):
    return len(data).to_bytes(4, "little") + data


def number(value):
    return field(int(value or 0).to_bytes(8, "little", signed=True))


def text(value):
    return field((value or "").encode("utf-8", "surrogateescape"))


def microseconds(stamp):
    seconds = calendar.timegm(time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S"))
    return seconds * 1_000_000 + int(stamp[20:26])


def hash_of(part):
    name = lambda key: text(json.loads(part[key], strict=False) if part[key] else "")
    return hashlib.blake2b(
        text("parley.record/1") + number(part["seq"]) + number(microseconds(part["time"]))
        + name("kind") + name("agent") + name("session") + number(part["turn"]) + name("call")
        + number(part["cause"]) + text(part["actor"]) + text(part["body"])
        + field(bytes.fromhex(part["prev"])), digest_size=32).hexdigest()


def read_checkpoint(line):
    point = json.loads(line)["checkpoint"]
    signed = (text("parley.checkpoint/1") + text(point["vault"]) + number(point["seq"])
              + field(bytes.fromhex(point["hash"])) + number(point["time_us"]))
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        return point["seq"], point["hash"]
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(point["public_key"]))
        key.verify(bytes.fromhex(point["signature"]), signed)
    except (InvalidSignature, ValueError):
        raise Tampered(f"the checkpoint at {point['seq']} is not the one that was signed") from None
    return point["seq"], point["hash"]


def main(path, against=None):
    expected, last, first, seq = {}, None, None, 0
    if against:
        lines = [line for line in open(against, encoding="utf-8") if line.strip()]
        expected.update([read_checkpoint(lines[-1])])
    for line in open(path, encoding="utf-8", errors="surrogateescape", newline="\n"):
        line = line.rstrip("\n")
        if line.startswith('{"checkpoint":'):
            at, known = read_checkpoint(line)
            if expected.setdefault(at, known) != known:
                raise Tampered(f"two checkpoints at {at} contradict each other")
            continue
        found = RECORD.fullmatch(line)
        if not found:
            raise Tampered(f"what follows record {seq} is not in the form of an export")
        part = found.groupdict()
        here = int(part["seq"])
        if hash_of(part) != part["hash"]:
            raise Tampered(f"record {here} is not what was hashed")
        if last is not None and here != seq + 1:
            raise Tampered(f"record {here} does not come next")
        if part["prev"] != last and (last is not None or here == 1 and int(part["prev"], 16)):
            raise Tampered(f"record {here} does not follow its predecessor")
        if expected.pop(here, part["hash"]) != part["hash"]:
            raise Tampered(f"record {here} is not the record of its checkpoint")
        last, seq, first = part["hash"], here, first or here
    missed = [at for at in expected if at > seq] or [at for at in expected if at < (first or 0)]
    if missed:
        print(f"shorter: it holds {first} to {seq}, and not the checkpoint at {missed[-1]}")
        return 3
    if first is None:
        print("unreadable: it holds no records")
        return 4
    print(f"sound: up to record {seq}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    try:
        sys.exit(main(*sys.argv[1:]))
    except (Tampered, KeyError, TypeError, AttributeError, ValueError, OverflowError) as problem:
        print(f"tampered: {problem}")
        sys.exit(1)
    except OSError as problem:
        print(f"unreadable: {problem}")
        sys.exit(4)
