#!/usr/bin/env python3
"""Verifies an exported ledger with nothing but Python: verify_ledger.py EXPORT.ndjson

Each record's hash is BLAKE2b-256 over its canonical bytes: the domain tag, then each field in a
fixed order, every one as its length (u32, little endian) and its bytes; integers are eight bytes,
little endian, signed. The bytes hold the hash of the record before. Exit 0 sound, 1 not.
"""
import calendar
import hashlib
import json
import sys
import time


def field(value):
    data = value if isinstance(value, bytes) else value.encode()
    return len(data).to_bytes(4, "little") + data


def number(value):
    return field(int(value).to_bytes(8, "little", signed=True))


def microseconds(text):
    seconds = calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))
    return seconds * 1_000_000 + int(text[20:26])


def raw(line, key, start):
    """The exact text of an object that is a member of the line, and where it ends."""
    at = line.find(f'"{key}":{{', start)
    if at < 0:
        return "", start
    begin = at + len(key) + 3
    depth, quoted, i = 0, False, begin
    while True:
        c = line[i]
        if quoted:
            if c == "\\":
                i += 1
            elif c == '"':
                quoted = False
        elif c == '"':
            quoted = True
        elif c == "{":
            depth += 1
        elif c == "}":
            depth -= 1
            if depth == 0:
                return line[begin:i + 1], i + 1
        i += 1


def canonical(line, record):
    # Before the body there stand only ids and the actor, so neither can be taken for the other.
    head = line.index('"body":{')
    actor = raw(line[:head], "actor", 0)[0]
    body = raw(line, "body", head)[0]
    return b"".join([
        field("parley.record/1"), number(record["seq"]), number(microseconds(record["time"])),
        field(record["kind"]), field(record.get("agent", "")), field(record.get("session", "")),
        number(record.get("turn", 0)), field(record.get("call", "")), number(record.get("cause", 0)),
        field(actor), field(body), field(bytes.fromhex(record["prev"]))])


def main(path):
    checkpoints, last, seq = {}, None, None
    for line in open(path, encoding="utf-8"):
        line = line.rstrip("\n")
        if line.startswith('{"checkpoint":'):
            found = json.loads(line)["checkpoint"]
            checkpoints[found["seq"]] = found["hash"]
            continue
        record = json.loads(line)
        problem = None
        if hashlib.blake2b(canonical(line, record), digest_size=32).hexdigest() != record["hash"]:
            problem = "is not what was hashed"
        elif last is not None and record["prev"] != last:
            problem = "does not follow its predecessor"
        elif seq is not None and record["seq"] != seq + 1:
            problem = "does not come next"
        elif checkpoints.get(record["seq"], record["hash"]) != record["hash"]:
            problem = "is not the record of its checkpoint"
        if problem:
            print(f"tampered: record {record['seq']} {problem}")
            return 1
        last, seq = record["hash"], record["seq"]
    print(f"sound: up to record {seq}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
