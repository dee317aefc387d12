"""The Bot API as its declarations in TypeScript (@grammyjs/types) have it: which parameters a method
takes, and which members an object has. Only as much of the language is read as stands there."""
import pathlib
import re

FOLDER = pathlib.Path(__file__).parent.parent / "npm" / "telegram" / "node_modules" / "@grammyjs" / "types"


def closing(text, at):
    """Where the brace that opens at `at` is closed."""
    depth = 0
    for i in range(at, len(text)):
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if depth == 0:
            return i
    raise ValueError("a brace is not closed")


def members(body):
    """{name: (required, type)} of what stands in the body itself, not in what it nests."""
    found, at = {}, 0
    member = re.compile(r"\s*(?:readonly )?(\w+)(\??): ")
    while match := member.match(body, at):
        end, depth = match.end(), 0
        while not (body[end] == ";" and depth == 0):
            depth += {"{": 1, "}": -1}.get(body[end], 0)
            end += 1
        found[match[1]] = (not match[2], body[match.end():end])
        at = end + 1
    return found


class Declarations:
    def __init__(self):
        if not FOLDER.exists():
            raise FileNotFoundError(f"{FOLDER} is missing: run npm ci --prefix tests/npm/telegram")
        text = "\n".join(path.read_text() for path in sorted(FOLDER.glob("*.d.ts")))
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
        self.types, self.parents = {}, {}
        self.collect(text, "")
        for name, union in re.findall(r"^export type (\w+) = ([\w. |]+);$", text, flags=re.M):
            self.parents.setdefault(name, re.findall(r"[\w.]+", union))
        at = text.index("{", text.index("export type ApiMethods"))
        body = text[at + 1:closing(text, at)]
        self.methods = {}
        for match in re.finditer(r"^    (\w+)\((?:args\??: \{)?", body, flags=re.M):
            opens = match[0].endswith("{")
            self.methods[match[1]] = members(body[match.end():closing(body, match.end() - 1)]) if opens else {}

    def collect(self, text, prefix):
        for match in re.finditer(r"^ *export declare namespace (\w+) \{", text, flags=re.M):
            self.collect(text[match.end():closing(text, match.end() - 1)], match[1] + ".")
        indent = "    " if prefix else "export "
        for match in re.finditer(rf"^{indent}interface (\w+)(?: extends ([\w., ]+))? \{{", text, flags=re.M):
            name = prefix + match[1]
            self.types[name] = members(text[match.end():closing(text, match.end() - 1)])
            self.parents[name] = re.findall(r"[\w.]+", match[2] or "")

    def fields(self, name):
        found = dict(self.types.get(name, {}))
        is_union = name not in self.types
        for parent in self.parents.get(name, []):
            inside = name.rpartition(".")[0] + "." + parent
            for field, (required, kind) in self.fields(inside if inside in self.types else parent).items():
                if is_union:  # each may bring its own, and see it otherwise
                    kind = kind if found.get(field, (False, kind))[1] == kind else "any"
                    found[field] = (False, kind)
                else:
                    found.setdefault(field, (required, kind))
        return found

    def complaints(self, kind, value, where=""):
        """What of the value is not as declared: names that are missing or unknown, plain types."""
        kind = kind.replace("readonly ", "").strip()
        if kind.endswith("[]") or kind.startswith("ReadonlyArray<"):
            inner = kind[:-2] if kind.endswith("[]") else kind[len("ReadonlyArray<"):-1]
            if not isinstance(value, list):
                return [f"{where} is no list"]
            return [text for item in value for text in self.complaints(inner, item, where + "[]")]
        plain = {"number": int, "string": str, "boolean": bool, "true": bool}.get(kind)
        if plain:
            fits = type(value) is plain and (kind != "true" or value)
            return [] if fits else [f"{where} is no {kind}"]
        if re.fullmatch(r'"\w+"(?: \| "\w+")*', kind):
            return [] if f'"{value}"' in kind else [f"{where} is none of {kind}"]
        if re.fullmatch(r"[\w.]+(?: \| [\w.]+)+", kind):
            of_each = [self.complaints(one, value, where) for one in kind.split(" | ")]
            return min(of_each, key=len)
        # An intersection narrows its first type, and the rest says nothing of use here.
        name = kind.split(" & ")[0]
        fields = self.fields(name)
        if not fields:
            return []
        if not isinstance(value, dict):
            return [f"{where} is no {name}"]
        return self.compare(fields, value, where)

    def compare(self, fields, value, where):
        found = [f"{where} lacks {name}" for name, (required, _) in fields.items() if required and name not in value]
        for name, inner in value.items():
            if name not in fields:
                found.append(f"{where} has the unknown {name}")
            else:
                found += self.complaints(fields[name][1], inner, f"{where}.{name}")
        return found

    def call_complaints(self, method, params):
        return self.compare(self.methods[method], params, method)
