"""Makes sdk/SYSCALLS.md of the filter in host/worker/syscalls.cpp, or says that the two differ.

Usage: syscalls.py SYSCALLS.CPP SYSCALLS.MD [--write]"""
import pathlib
import re
import sys

# Calls that the filter looks at more closely, in words. The test fails when the filter names others.
CLOSER = {
    "clone": "allowed for a thread (`CLONE_THREAD`), refused for a process",
    "clone3": "answers `ENOSYS`, so that libc falls back to `clone`",
    "kill": "allowed to the worker itself, refused to any other process",
    "tgkill": "as `kill`",
    "prlimit64": "allowed for the worker itself, refused for any other process",
    "rt_sigaction": "allowed, but for `SIGSYS`, whose handler names a forbidden call",
    "ioctl": "only `TCGETS` (is this a terminal?), all else is refused",
    "prctl": "only `PR_SET_NAME`, `PR_GET_NAME`, `PR_GET_DUMPABLE`, `PR_SET_VMA`; any other option ends the worker",
}

HEAD = """# System calls of a plugin

A worker holds one plugin behind a seccomp filter. This is the whole list, made from the filter itself;
a test holds the two equal. It does not apply to commands that the command runner starts.

- **Allowed** calls work as far as the sandbox's mounts, Landlock and limits let them.
- **Refused** calls answer `EPERM`: a library may try them and take a no.
- **All others end the worker.** The host's trace then names the call: `forbidden system call: ptrace (101)`.

A later release may allow more. It takes away only what turned out to be a way out of the sandbox, and
says so.
"""


def calls_in(text):
    return re.findall(r"SCMP_SYS\((\w+)\)", text)


def array(source, name):
    """Groups of a list: the comment above them, and the calls."""
    body = re.search(rf"constexpr int {name}\[\] = \{{(.*?)\n\}};", source, re.S).group(1)
    pieces = re.split(r"^ *// (.*)$", body, flags=re.M)
    groups = [("", calls_in(pieces[0]))] if calls_in(pieces[0]) else []
    groups += [(title, calls_in(calls)) for title, calls in zip(pieces[1::2], pieces[2::2])]
    return groups


def wrapped(words, width=100):
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return "\n".join(lines)


def page(source):
    closer = re.search(r"void filter_plugin\(.*?\n\}", source, re.S).group(0)
    assert set(calls_in(closer)) == CLOSER.keys(), \
        f"the filter looks closer at {sorted(set(calls_in(closer)) ^ CLOSER.keys())}; say in words what it does"
    constants = set(re.findall(r"\b(?!SCMP)[A-Z][A-Z_]{4,}\b", closer))
    in_words = set(re.findall(r"`([A-Z_]{5,})`", " ".join(CLOSER.values())))
    assert constants == in_words, f"the words leave out or make up {sorted(constants ^ in_words)}"
    out = HEAD + "\n## Allowed\n"
    for title, calls in array(source, "allowed"):
        out += f"\n{title[:1].upper() + title[1:]}:\n" + wrapped(f"`{call}`" for call in calls) + "\n"
    out += "\n## Looked at more closely\n\n" + "".join(f"- `{call}`: {words}.\n" for call, words in CLOSER.items())
    (_, refused), = array(source, "refused")
    return out + "\n## Refused\n\n" + wrapped(f"`{call}`" for call in refused) + "\n"


source, target = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
made = page(source.read_text())
if "--write" in sys.argv:
    target.write_text(made)
elif target.read_text() != made:
    sys.exit(f"{target} is not what {source} says; make it again: syscalls.py {source} {target} --write")
