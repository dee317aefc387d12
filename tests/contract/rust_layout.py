"""Holds parley.rs against the golden layout: makes a Rust program of the lines of layout.h, and runs
it.

Usage: rust_layout.py RUSTC parley.rs layout.h FOLDER"""
import pathlib
import re
import subprocess
import sys

rustc, layer, layout, folder = sys.argv[1], *map(pathlib.Path, sys.argv[2:])
golden = layout.read_text()
# The frames of the worker link are no part of the contract with plugins.
sizes = [found for found in re.findall(r"^SIZE\((\w+), (\d+)\)", golden, re.M) if found[0] != "parley_frame"]
places = [found for found in re.findall(r"^AT\((\w+), (\w+), (\d+)\)", golden, re.M) if found[0] != "parley_frame"]
values = [found for found in re.findall(r"(PARLEY_(?!FRAME|MESSAGE)\w+) == (-?\d+)\b", golden)]
assert len(sizes) >= 15 and len(places) >= 40 and len(values) >= 25, "the golden layout reads otherwise"

lines = ["#[macro_use] mod parley;", "use parley::abi::*;", "fn main() {"]
for name, size in sizes:
    lines.append(f'assert_eq!(std::mem::size_of::<{name}>(), {size}, "{name}");')
for name, member, offset in places:
    lines.append(f'{{ let space = std::mem::MaybeUninit::<{name}>::uninit(); let start = space.as_ptr();'
                 f' let at = unsafe {{ std::ptr::addr_of!((*start).{member}) }} as usize - start as usize;'
                 f' assert_eq!(at, {offset}, "{name}.{member}"); }}')
for name, value in values:
    lines.append(f'assert_eq!({name} as i64, {value}, "{name}");')
lines.append("}")

folder.mkdir(parents=True, exist_ok=True)
(folder / "main.rs").write_text("\n".join(lines))
(folder / "parley.rs").write_bytes(layer.read_bytes())
subprocess.run([rustc, "--edition", "2021", "-A", "dead_code", "-A", "unused_macros", "-A", "unused_imports",
                "-o", folder / "layout", folder / "main.rs"], check=True)
subprocess.run([folder / "layout"], check=True)
print(len(sizes), "sizes,", len(places), "places,", len(values), "values")
