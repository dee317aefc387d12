"""Every public name of the SDK stands in its reference, each in its own place; and every function there
says its thread. A new name fails here until sdk/REFERENCE.md has it."""
import functools
import json
import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "abi"))
import abi  # noqa: E402

SDK = abi.HERE.parents[2] / "sdk"


@functools.cache
def plugin_h():
    """plugin.h: {heading or None: names}."""
    public = abi.Public(SDK / "include")
    out = {None: set(public.function_types) | set(public.ids) | {name for names in public.constants for name in names}}
    for struct in public.structs:
        out[struct] = {member for owner, member in public.members if owner == struct} - {"reserved0"}
    text = (SDK / "include" / "parley" / "plugin.h").read_text()
    out[None] |= set(re.findall(r"^#define (PARLEY_(?!PLUGIN_H)\w+)", text, re.M)) | {"parley_id", "parley_status",
                                                                                      "parley_plugin_v1"}
    return out


@functools.cache
def json_h():
    text = (SDK / "include" / "parley" / "json.h").read_text()
    names = set(re.findall(r"^static inline [\w \*]*?\b(parley_\w*[a-z0-9])\(", text, re.M))
    names |= set(re.findall(r"^typedef struct (parley_\w*[a-z])\b", text, re.M))
    names |= set(re.findall(r"^(?:    |#define )(PARLEY_JSON_(?!H\b)\w+)", text, re.M))
    return {None: names}


def documents(text):
    """The JSON documents that clang's filtered dump puts one after the other."""
    decoder, at = json.JSONDecoder(), 0
    while (at := text.find("{", at)) >= 0:
        found, at = decoder.raw_decode(text, at)
        yield found


@functools.cache
def cpp():
    """The author's layer, as clang reads it: classes with their public members, free functions, macros."""
    dump = subprocess.run(["clang++", "-std=c++20", "-fsyntax-only", "-I", SDK / "include", "-x", "c++", "-Xclang",
                           "-ast-dump=json", "-Xclang", "-ast-dump-filter=parley::sdk_1", "-"],
                          input='#include "parley/plugin.hpp"\n', text=True, check=True, capture_output=True).stdout
    out = {None: set()}
    for found in documents(dump):
        take(found, out)
    text = (SDK / "include" / "parley" / "plugin.hpp").read_text()
    out[None] |= set(re.findall(r"^#define (\w+)", text, re.M))
    return out


def take(node, out):
    kind, name, inner = node["kind"], node.get("name", ""), node.get("inner", [])
    if kind == "NamespaceDecl":
        if name != "detail":
            for one in inner:
                take(one, out)
    elif kind in ("CXXRecordDecl", "ClassTemplateDecl") and name not in ("Entry", "Iterator"):
        members = out.setdefault(name, set())
        is_public = node.get("tagUsed") == "struct"
        for one in inner:
            if one["kind"] == "AccessSpecDecl":
                is_public = one["access"] == "public"
            elif is_public and not one.get("isImplicit") and re.fullmatch(r"\w+", one.get("name", "")):
                if one["kind"] in ("CXXMethodDecl", "FieldDecl", "FunctionTemplateDecl"):
                    members.add(one["name"])
        if not members:
            del out[name]
    elif kind == "EnumDecl" and name:
        out[None] |= {name} | {one["name"] for one in inner if one["kind"] == "EnumConstantDecl"}
    elif kind in ("FunctionDecl", "FunctionTemplateDecl") and "parentDeclContextId" not in node:
        out[None].add(name)


@functools.cache
def rust():
    """parley.rs without the two modules that authors need none of."""
    text = (SDK / "rust" / "parley.rs").read_text()
    for module in "abi", "line":
        begin = text.index(f"\npub mod {module} {{")
        text = text[:begin] + text[text.index("\n}\n", begin) + 2:]
    out = {None: set(re.findall(r"^(?:pub (?:fn|const|type) |#\[macro_export\]\nmacro_rules! )(\w+)", text, re.M))}
    for kind, name, body in re.findall(r"^pub (struct|enum|trait) (\w+)[^\n;]*\{\n(.*?)^\}", text, re.M | re.S):
        pattern = {"struct": r"^    pub (\w+):", "enum": r"^    (\w+)", "trait": r"^    (?:fn|const) (\w+)"}[kind]
        out.setdefault(name, set()).update(re.findall(pattern, body, re.M))
    for name, body in re.findall(r"^impl(?:<[^\n]*?>)? (\w+)(?:<\w+>)? \{\n(.*?)^\}", text, re.M | re.S):
        functions = re.findall(r"^    pub fn (\w+)", body, re.M)
        if functions:
            out.setdefault(name, set()).update(functions)
    return {heading: names for heading, names in out.items() if names}


PARTS = {"plugin.h": plugin_h, "json.h": json_h, "plugin.hpp": cpp, "parley.rs": rust}


def spans(text):
    """The names in code, as words."""
    return set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", text))))


def lacking(page):
    out = []
    chapters = dict(re.findall(r"^## `([\w.]+)`[^\n]*\n(.*?)(?=^## |\Z)", page, re.M | re.S))
    for file, names_of in PARTS.items():
        chapter = chapters.get(file, "")
        sections = {}
        for heading, body in re.findall(r"^### ([^\n]*)\n(.*?)(?=^### |\Z)", chapter, re.M | re.S):
            for name in spans(heading):
                sections[name] = sections.get(name, set()) | spans(heading + body)
        for heading, names in sorted(names_of().items(), key=str):
            where = spans(chapter) if heading is None else sections.get(heading, set())
            out += [f"{file}: {heading or ''}{'.' if heading else ''}{name}" for name in sorted(names - where)]
    return out


def without_thread(page):
    """Rows of tables of functions that do not say where the function may be called."""
    out = []
    for rows in re.findall(r"^\| function \| thread \|[^\n]*\n\|[-|]+\n((?:\|[^\n]*\n)+)", page, re.M):
        for row in rows.splitlines():
            if re.split(r"(?<!\\)\|", row)[2].strip() not in ("strand", "any"):
                out.append(row)
    return out


class Reference(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.page = (SDK / "REFERENCE.md").read_text()

    def test_every_public_name_is_in_it(self):
        self.assertEqual(lacking(self.page), [])

    def test_every_function_says_its_thread(self):
        self.assertEqual(without_thread(self.page), [])

    def test_a_name_that_is_missing_is_named(self):
        for row, names in {
                "| `stop(host, operation)` | any | it fires no more |\n": ["plugin.h: parley_host_timer_v1.stop"],
                "| `parley_json_done(out)`": ["json.h: parley_json_done"],
                "| `offers(id)`": ["plugin.hpp: Host.offers"],
                "| `utf8_cut(text, size_bytes)`": ["plugin.hpp: utf8_cut"],
                "### `Stream`\n": ["plugin.hpp: Stream.write"],
                "| `resumed(call)`": ["parley.rs: Plugin.resumed"],
                "`JSON_VALUES`": ["parley.rs: JSON_VALUES"]}.items():
            with self.subTest(row):
                self.assertIn(row, self.page)
                self.assertEqual(lacking(self.page.replace(row, "")), names)

    def test_a_function_without_a_thread_is_named(self):
        row = "| `offers(id)` | any |"
        self.assertEqual(len(without_thread(self.page.replace(row, "| `offers(id)` | |"))), 1)


if __name__ == "__main__":
    unittest.main()
