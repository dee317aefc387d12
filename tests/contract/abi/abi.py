"""The ABI as compilers and abidiff see it.

    python3 tests/contract/abi/abi.py keep    writes parley-MAJOR.MINOR.abi, the ABI of the header as it is

A kept ABI is what every later header is held against, so it is written once for each minor, when that
minor is released. `keep` needs g++ and abidw (Debian: abigail-tools)."""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SDK = HERE.parents[2] / "sdk" / "include"
ANCHORS = HERE / "anchors.cpp"


def run(*words, **more):
    done = subprocess.run([str(word) for word in words], text=True, capture_output=True, **more)
    if done.returncode:
        raise AssertionError(f"{' '.join(map(str, words))}\n{done.stdout}{done.stderr}")
    return done.stdout


def build(library, include=SDK, anchors=ANCHORS, flags=()):
    """The anchors as a library with debug information, from the header in this folder."""
    anchors = pathlib.Path(anchors)
    # From within its folder, so that the debug information names no folder of this machine.
    run("g++", "-std=c++20", "-g", "-shared", "-fPIC", "-fvisibility=hidden", *flags, "-I", include, "-o",
        library, anchors.name, cwd=anchors.parent)
    return library


def compare(before, after, *, growth=True):
    """abidiff's verdict (0: nothing that matters; bit 4: a change; bit 8: one that breaks), and its words."""
    allowed = ["--suppressions", str(HERE / "growth.suppr")] if growth else []
    done = subprocess.run(["abidiff", *allowed, str(before), str(after)], text=True, capture_output=True)
    assert not done.returncode & 3, done.stdout + done.stderr
    return done.returncode, done.stdout


class Public:
    """All that a header makes public, as clang reads it."""

    def __init__(self, include=SDK):
        self.structs, self.members, self.function_types, self.constants = set(), {}, set(), []
        tree = json.loads(run("clang", "-x", "c", "-std=c11", "-fsyntax-only", "-Xclang", "-ast-dump=json",
                              pathlib.Path(include) / "parley" / "plugin.h"))
        for node in tree["inner"]:
            name, kind, inner = node.get("name", ""), node["kind"], node.get("inner", [])
            if kind == "RecordDecl" and name.startswith("parley_") and node.get("completeDefinition"):
                self.structs.add(name)
                for field in inner:
                    if field["kind"] == "FieldDecl":
                        self.members[name, field["name"]] = "(*)" in field["type"]["qualType"]
            elif kind == "TypedefDecl" and name.startswith("parley_") and "(*)" in node["type"]["qualType"]:
                self.function_types.add(name)
            elif kind == "EnumDecl":
                names = [one["name"] for one in inner if one["kind"] == "EnumConstantDecl"]
                if names and names[0].startswith("PARLEY_"):
                    self.constants.append(names)
        macros = run("clang", "-x", "c", "-std=c11", "-dM", "-E", pathlib.Path(include) / "parley" / "plugin.h")
        self.ids = dict(re.findall(r'^#define (PARLEY_\w+) ("parley\.[^"]*")$', macros, re.M))

    def without_anchor(self, text):
        """What the anchors leave out."""
        has = set(re.findall(r"^(?:STRUCT|FUNCTION|CONSTANTS)\((\w+)\)", text, re.M))
        has |= set(re.findall(r"^MEMBER\((\w+), (\w+)\)", text, re.M))
        functions = {member for member, is_function in self.members.items() if is_function}
        lacking = (self.structs | self.function_types | functions) - has
        lacking |= {names[0] for names in self.constants if not has & set(names)}
        return sorted(map(str, lacking))

    def without_golden_line(self, layout, ids):
        """What the golden layout leaves out: struct_size is always first, reserved members always second."""
        has = set(re.findall(r"^SIZE\((\w+),", layout, re.M)) | set(re.findall(r"^AT\((\w+), (\w+),", layout, re.M))
        members = {member for member in self.members if member[1] not in ("struct_size", "reserved0")}
        values = set(re.findall(r"\b(PARLEY_\w+) == -?\d+", layout))
        lacking = (self.structs | members) - has
        lacking |= {name for names in self.constants for name in names} - values
        lacking |= {name for name, text in self.ids.items() if f"{name} == {text}sv" not in ids}
        return sorted(map(str, lacking))


def version(include=SDK):
    text = (pathlib.Path(include) / "parley" / "plugin.h").read_text()
    return ".".join(re.search(rf"#define PARLEY_ABI_{part} (\d+)", text)[1] for part in ("MAJOR", "MINOR"))


def keep():
    kept = HERE / f"parley-{version()}.abi"
    with tempfile.TemporaryDirectory() as folder:
        library = build(pathlib.Path(folder) / "anchors.so")
        kept.write_text(run("abidw", "--no-corpus-path", "--no-comp-dir-path", "--no-show-locs", "--no-parameter-names", library))
    print(f"kept {kept.relative_to(HERE.parents[2])}, {kept.stat().st_size} bytes")


if __name__ == "__main__":
    if sys.argv[1:] != ["keep"]:
        sys.exit(__doc__)
    keep()
