"""What a later header may do to plugins that were built before it, and what is noticed when it does more.

Variants of plugin.h are made by small edits of the real one, in a folder that goes away."""
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import abi

LAYOUT = abi.HERE.parent


class Header(unittest.TestCase):
    def test_the_golden_layout_holds_in_every_dialect_of_both_compilers(self):
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder) / "use.c"
            source.write_text('#include "layout.h"\n'
                              "int emits(const parley_host *host) { return PARLEY_HAS(host, emit) ? 1 : 0; }\n")
            strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I", abi.SDK, "-I", LAYOUT, source]
            for compiler in "gcc", "clang":
                for dialect in ["-std=c99"], ["-std=c11"], ["-x", "c++", "-std=c++20"]:
                    with self.subTest(compiler, dialect=dialect[-1]):
                        abi.run(compiler, *dialect, *strict)

    def test_the_header_alone_needs_no_other(self):
        for compiler, dialect in ("gcc", "c"), ("clang", "c"), ("gcc", "c++"), ("clang", "c++"):
            with self.subTest(compiler, dialect=dialect):
                abi.run(compiler, "-x", dialect, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I",
                        abi.SDK, "-include", "parley/plugin.h", "/dev/null")

    def test_whatever_is_public_has_a_golden_line(self):
        ids = (LAYOUT / "layout_test.cpp").read_text()
        self.assertEqual(abi.Public().without_golden_line((LAYOUT / "layout.h").read_text(), ids), [])


class Variants(unittest.TestCase):
    """Edits of the real header, each held against the real one."""

    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory(prefix="parley-abi-")
        cls.addClassCleanup(scratch.cleanup)
        cls.folder = pathlib.Path(scratch.name)
        cls.real = abi.build(cls.folder / "real.so")
        cls.count = 0

    def edited(self, *edits):
        """A folder with the header after these edits, each (old, new)."""
        type(self).count += 1
        include = self.folder / str(self.count)
        shutil.copytree(abi.SDK, include)
        header = include / "parley" / "plugin.h"
        text = header.read_text()
        for old, new in edits:
            self.assertIn(old, text)
            text = text.replace(old, new, 1)
        header.write_text(text)
        return include

    def verdict(self, *edits, anchors=abi.ANCHORS, flags=(), before=None):
        include = self.edited(*edits)
        return abi.compare(before or self.real, abi.build(include / "variant.so", include, anchors, flags))


APPEND = ("parley_start_fn list_dynamic;", "parley_start_fn list_dynamic;\n    parley_start_fn added;")
SIGNATURE = ("typedef parley_status (*parley_start_fn)(void *self, parley_id call, uint32_t timeout_ms",
             "typedef parley_status (*parley_start_fn)(void *self, parley_id call, uint64_t timeout_ms")
MEMBER_SIGNATURE = ("(*emit)(const parley_host *host, parley_id call, const char *bytes, size_t size)",
                    "(*emit)(const parley_host *host, parley_id call, const char *bytes, uint32_t size)")


class Growth(Variants):
    def allowed(self, *edits):
        verdict, words = self.verdict(*edits)
        self.assertEqual(verdict, 0, words)

    def caught(self, *edits):
        verdict, words = self.verdict(*edits)
        self.assertTrue(verdict & 4, words)

    def test_today_every_abi_that_was_kept_still_stands(self):
        kept = sorted(abi.HERE.glob("parley-*.abi"))
        self.assertIn(abi.HERE / f"parley-{abi.version()}.abi", kept)
        for one in kept:
            with self.subTest(one.name):
                verdict, words = abi.compare(one, self.real)
                self.assertEqual(verdict, 0, words)

    def test_a_kept_abi_notices_what_the_header_that_it_came_from_does(self):
        include = self.edited(SIGNATURE)
        verdict, words = abi.compare(abi.HERE / f"parley-{abi.version()}.abi", abi.build(include / "variant.so", include))
        self.assertTrue(verdict & 4, words)

    def test_a_member_at_the_end_is_allowed(self):
        self.allowed(APPEND)

    def test_a_constant_at_the_end_is_allowed(self):
        self.allowed(("PARLEY_HTTP_FAILED = 5", "PARLEY_HTTP_ADDED = 6, PARLEY_HTTP_FAILED = 5"))

    def test_a_member_in_the_middle_is_caught(self):
        self.caught(("parley_start_fn invoke;", "parley_start_fn added;\n    parley_start_fn invoke;"))

    def test_a_member_that_becomes_two_of_the_same_size_is_caught(self):
        self.caught(("uint16_t abi_major, abi_minor; /* what the host speaks */",
                     "uint8_t abi_major, abi_patch;\n    uint16_t abi_minor;"))

    def test_two_members_that_change_places_are_renamed_to_abidiff_and_caught_by_the_golden_layout(self):
        edits = [("parley_start_fn reconcile;", "parley_start_fn moved;"),
                 ("parley_start_fn preview; ", "parley_start_fn reconcile;"),
                 ("parley_start_fn moved;", "parley_start_fn preview;")]
        self.allowed(*edits)
        with self.assertRaisesRegex(AssertionError, "offsetof.*parley_skill_v1, reconcile"):
            abi.run("gcc", "-std=c11", "-fsyntax-only", "-I", self.edited(*edits), LAYOUT / "layout.c")

    def test_a_verb_of_another_signature_is_caught(self):
        self.caught(SIGNATURE)

    def test_a_function_of_a_table_of_another_signature_is_caught(self):
        self.caught(MEMBER_SIGNATURE)

    def test_a_changed_signature_is_caught_beside_an_allowed_append(self):
        self.caught(APPEND, SIGNATURE)

    def test_two_constants_that_change_values_are_caught(self):
        self.caught(("PARLEY_HTTP_HEAD = 1", "PARLEY_HTTP_HEAD = 2"), ("PARLEY_HTTP_DATA = 2", "PARLEY_HTTP_DATA = 1"))

    def test_a_constant_that_is_gone_is_caught(self):
        self.caught(("PARLEY_LOG_WARN = 2, ", ""))

    def test_a_type_that_is_gone_is_caught_with_its_symbol(self):
        anchors = self.folder / "fewer.cpp"
        anchors.write_text(abi.ANCHORS.read_text().replace("STRUCT(parley_hook_v1)\n", ""))
        start, end = "typedef struct parley_hook_v1 {", "} parley_hook_v1;"
        text = (abi.SDK / "parley" / "plugin.h").read_text()
        whole = text[text.index(start):text.index(end) + len(end)]
        verdict, words = self.verdict((whole, ""), anchors=anchors)
        self.assertEqual(verdict, 12, words)
        self.assertIn("anchor_parley_hook_v1", words)


class Anchors(Variants):
    """Why there are so many."""

    def test_every_public_type_has_an_anchor(self):
        self.assertEqual(abi.Public().without_anchor(abi.ANCHORS.read_text()), [])

    def test_without_anchors_of_their_own_changed_signatures_go_unseen(self):
        bare = ["-DWITHOUT_FUNCTION_ANCHORS"]
        real = abi.build(self.folder / "bare.so", flags=bare)
        for edit in SIGNATURE, MEMBER_SIGNATURE:
            with self.subTest(edit[0][:40]):
                verdict, words = self.verdict(edit, flags=bare, before=real)
                self.assertEqual(verdict, 0, words)

    def test_without_the_suppression_a_legal_append_is_refused(self):
        include = self.edited(APPEND)
        verdict, words = abi.compare(self.real, abi.build(include / "variant.so", include), growth=False)
        self.assertTrue(verdict & 4, words)

    def test_what_is_added_without_an_anchor_or_a_golden_line_is_named(self):
        added = ("#ifdef __cplusplus\n}\n#endif\n#endif", """
#define PARLEY_ADDED "parley.added/1"
typedef void (*parley_added_fn)(void *self);
typedef struct parley_added_v1 { uint32_t struct_size, reserved0; void (*tell)(void *self); } parley_added_v1;
enum { PARLEY_ADDED_FIRST = 1 };
#ifdef __cplusplus
}
#endif
#endif""")
        public = abi.Public(self.edited(added))
        self.assertEqual(public.without_anchor(abi.ANCHORS.read_text()),
                         ["('parley_added_v1', 'tell')", "PARLEY_ADDED_FIRST", "parley_added_fn", "parley_added_v1"])
        ids = (LAYOUT / "layout_test.cpp").read_text()
        self.assertEqual(public.without_golden_line((LAYOUT / "layout.h").read_text(), ids),
                         ["('parley_added_v1', 'tell')", "PARLEY_ADDED", "PARLEY_ADDED_FIRST", "parley_added_v1"])


if __name__ == "__main__":
    unittest.main()
