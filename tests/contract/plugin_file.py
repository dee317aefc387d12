"""Checks one plugin's .so as a file, without loading it: what it exports, what it needs, how it was
linked, and that its manifest can be read from the note and is what its entry points to.

Usage: plugin_file.py FILE. Uses nothing but Python's standard library."""
import json
import struct
import sys

NEEDED = {"libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1",
          "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1",
          # what the sanitizers of a test build bring
          "libasan.so.8", "libubsan.so.1", "libtsan.so.2"}
PT_LOAD, PT_DYNAMIC, PT_NOTE = 1, 2, 4
PT_GNU_STACK, PT_GNU_RELRO = 0x6474E551, 0x6474E552
DT_NEEDED, DT_STRTAB, DT_SYMTAB, DT_RELA, DT_RELASZ = 1, 5, 6, 7, 8
DT_RPATH, DT_TEXTREL, DT_FLAGS, DT_RUNPATH, DT_FLAGS_1 = 15, 22, 30, 29, 0x6FFFFFFB
DT_GNU_HASH = 0x6FFFFEF5
NOTE_TYPE = 0x50524C31


class Library:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        assert self.data[:6] == b"\x7fELF\x02\x01", "not a 64-bit little-endian ELF file"
        offset, = struct.unpack_from("<Q", self.data, 32)
        size, count = struct.unpack_from("<HH", self.data, 54)
        fields = ("type", "flags", "offset", "vaddr", "paddr", "filesz", "memsz", "align")
        self.segments = [dict(zip(fields, struct.unpack_from("<IIQQQQQQ", self.data, offset + i * size)))
                         for i in range(count)]

    def of_type(self, kind):
        return [segment for segment in self.segments if segment["type"] == kind]

    def at(self, address):
        for segment in self.of_type(PT_LOAD):
            if segment["vaddr"] <= address < segment["vaddr"] + segment["filesz"]:
                return segment["offset"] + address - segment["vaddr"]
        raise AssertionError(f"address {address:#x} lies in no segment")

    def text(self, offset):
        return self.data[offset:self.data.index(b"\0", offset)].decode()

    def dynamic(self):
        segment, = self.of_type(PT_DYNAMIC)
        out = []
        for at in range(segment["offset"], segment["offset"] + segment["filesz"], 16):
            tag, value = struct.unpack_from("<QQ", self.data, at)
            if tag == 0:
                return out
            out.append((tag, value))
        return out

    def notes(self):
        for segment in self.of_type(PT_NOTE):
            at, end = segment["offset"], segment["offset"] + segment["filesz"]
            pad = max(segment["align"], 4)
            while at + 12 <= end:
                name_size, size, kind = struct.unpack_from("<III", self.data, at)
                name = self.data[at + 12:at + 12 + name_size]
                body = at + 12 + (name_size + pad - 1) // pad * pad
                yield name, kind, body, size
                at = body + (size + pad - 1) // pad * pad

    def symbols(self):
        """Name, defined, value and size of each dynamic symbol, counted by the hash table."""
        tags = dict(self.dynamic())
        table, strings = self.at(tags[DT_SYMTAB]), self.at(tags[DT_STRTAB])
        for index in range(1, self.symbol_count(self.at(tags[DT_GNU_HASH]))):
            name, info, _, section, value, size = struct.unpack_from("<IBBHQQ", self.data, table + index * 24)
            yield self.text(strings + name), section != 0, info >> 4, value, size

    def symbol_count(self, at):
        buckets, first, bloom, _ = struct.unpack_from("<IIII", self.data, at)
        chains = at + 16 + bloom * 8 + buckets * 4
        last = max(struct.unpack_from(f"<{buckets}I", self.data, at + 16 + bloom * 8))
        if last < first:
            return first
        while not struct.unpack_from("<I", self.data, chains + (last - first) * 4)[0] & 1:
            last += 1
        return last + 1

    def relocation(self, address):
        tags = dict(self.dynamic())
        start = self.at(tags[DT_RELA])
        for at in range(start, start + tags[DT_RELASZ], 24):
            where, _, addend = struct.unpack_from("<QQq", self.data, at)
            if where == address:
                return addend
        raise AssertionError("the entry's manifest is not relocated")


def check(path):
    library = Library(path)
    dynamic = library.dynamic()
    tags = {}
    for tag, value in dynamic:
        tags.setdefault(tag, []).append(value)

    exported = [symbol for symbol in library.symbols() if symbol[1]]
    assert [name for name, *_ in exported] == ["parley_plugin_v1"], f"exports {[name for name, *_ in exported][:5]}"
    assert exported[0][2] != 10, "the entry is a unique symbol"

    strings = library.at(tags[DT_STRTAB][0])
    needed = {library.text(strings + value) for value in tags.get(DT_NEEDED, [])}
    assert needed <= NEEDED, f"needs {sorted(needed - NEEDED)}"
    for tag in (DT_RPATH, DT_RUNPATH, DT_TEXTREL):
        assert tag not in tags, f"dynamic tag {tag}"
    assert tags.get(DT_FLAGS, [0])[0] & 8 or tags.get(DT_FLAGS_1, [0])[0] & 1, "not bound at once"
    assert library.of_type(PT_GNU_RELRO), "no relro"
    stack, = library.of_type(PT_GNU_STACK)
    assert not stack["flags"] & 1, "an executable stack"
    assert not any(s["flags"] & 3 == 3 for s in library.of_type(PT_LOAD)), "writable code"

    ours = [note for note in library.notes() if note[0] == b"Parley\0"]
    assert len(ours) == 1, f"{len(ours)} notes"
    _, kind, body, size = ours[0]
    assert kind == NOTE_TYPE and body % 4 == 0 and size <= 65536
    text = library.data[body:body + size]

    # The entry: u32 size, u16 major, u16 minor, pointer, length.
    entry = exported[0][3]
    struct_size, major, minor, _, length = struct.unpack_from("<IHHQQ", library.data, library.at(entry))
    assert struct_size == exported[0][4] == 56, "another entry than that of ABI 1.0"
    assert length == size, f"the entry says {length} bytes of manifest, the note {size}"
    assert library.at(library.relocation(entry + 8)) == body, "the entry points elsewhere"

    manifest = json.loads(text, object_pairs_hook=once)
    assert manifest["manifest"] == 1 and manifest["abi"] == {"major": major, "minor": minor}
    return manifest


def once(pairs):
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), "a name stands twice"
    return dict(pairs)


if __name__ == "__main__":
    facts = check(sys.argv[1])
    print(facts["id"], facts["version"], *facts["roles"])
