"""House rules that a machine can check: tidy.py TREE. Layers are checked by host/plan_check.cmake."""
import pathlib
import re
import sys

# A call, the rooms that may make it, and what to use instead.
BANNED = [
    (r"system_clock::now|\btime\((nullptr|NULL|0)\)|\bgettimeofday\(", {"base"}, "Clock"),
    (r"\bgetenv\(", {"config", "cli", "daemon", "wire"}, "config"),
    (r"\brand\(\)|\bsrand\(", set(), "libsodium's randombytes"),
    (r"\bsystem\(|\bpopen\(", set(), "a worker"),
    (r"\.detach\(\)", set(), "a thread that somebody joins"),
    (r"\bco_await\b|\bco_return\b", set(), "callbacks: the compiler miscompiles coroutines"),
    (r"\bdlopen\(|boost/dll", {"worker", "wire"}, "a worker"),
    (r"\bprintf\(|std::cout|std::cerr", {"cli", "daemon", "worker"}, "Trace"),
]


def code_of(text):
    """Without comments and strings, line for line."""
    text = re.sub(r"//[^\n]*", "", text)
    return re.sub(r'"(\\.|[^"\\\n])*"', '""', text)


def faults(tree):
    for path in sorted(tree.glob("host/**/*.[ch]pp")):
        room = path.relative_to(tree / "host").parts[0]
        text = path.read_text()
        for number, line in enumerate(code_of(text).splitlines(), 1):
            for pattern, rooms, instead in BANNED:
                found = re.search(pattern, line)
                # The switch of the mutants, which is in no program but theirs.
                if found and room not in rooms and path.name != "guard.hpp":
                    yield f"{path.relative_to(tree)}:{number}: {found.group()} does not belong here; use {instead}"
        if path.suffix == ".hpp" and not text.startswith("#pragma once\n"):
            yield f"{path.relative_to(tree)}:1: a header begins with #pragma once"
        if path.suffix == ".hpp" and not re.match(r"#pragma once\n\n//", text):
            yield f"{path.relative_to(tree)}:3: a header says first what it offers and what it never does"
    for path in sorted(tree.glob("**/*")):
        parts = path.relative_to(tree).parts
        is_ours = parts[0] not in ("build", ".git") and "node_modules" not in parts
        if not path.is_file() or not is_ours or path.suffix in (".pyc", ".so") or path.name == "tidy.py":
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if re.search(r"TODO\(now\)|FIXME|\bXXX\b", line) and "XXXXXX" not in line:
                yield f"{path.relative_to(tree)}:{number}: unfinished work is not committed"
    for folder in sorted((tree / "plugins").iterdir()):
        if folder.is_dir() and not (folder / "README.md").exists():
            yield f"{folder.relative_to(tree)}: a plugin has a README of a page"


found = list(faults(pathlib.Path(sys.argv[1])))
print("\n".join(found) if found else "tidy")
sys.exit(bool(found))
