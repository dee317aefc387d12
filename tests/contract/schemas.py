"""Checks that the SDK's schemas are JSON, name themselves, resolve, and accept each manifest that is
given. Uses python3-jsonschema where it is installed, else only looks at their structure.

Usage: schemas.py FOLDER MANIFEST…"""
import json
import pathlib
import sys

try:
    import jsonschema
except ImportError:
    jsonschema = None

folder, manifests = pathlib.Path(sys.argv[1]), sys.argv[2:]
schemas = {path.name: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
assert "parley.manifest.1.json" in schemas
for name, schema in schemas.items():
    assert schema["$id"] == "urn:parley:schema:" + name, name
    if name != "parley.manifest.1.json":
        assert {"request", "result", "failure"} <= schema["$defs"].keys(), name
    if jsonschema:
        jsonschema.Draft202012Validator.check_schema(schema)


def walk(schema, value, where):
    """The part that must never be wrong: closed objects, required members, closed sets."""
    if "const" in schema:
        assert value == schema["const"], where
    if "enum" in schema:
        assert value in schema["enum"], f"{where}: {value}"
    properties = schema.get("properties", {})
    if isinstance(value, dict):
        for name in schema.get("required", []):
            assert name in value, f"{where}: {name} is missing"
        for name, member in value.items():
            if schema.get("additionalProperties") is False:
                assert name in properties, f"{where}: {name} is unknown"
            walk(properties.get(name, {}), member, f"{where}.{name}")
    if isinstance(value, list):
        for index, item in enumerate(value):
            walk(schema.get("items", {}), item, f"{where}[{index}]")


for path in manifests:
    manifest = json.loads(pathlib.Path(path).read_text())
    walk(schemas["parley.manifest.1.json"], manifest, path)
    if jsonschema:
        jsonschema.Draft202012Validator(schemas["parley.manifest.1.json"]).validate(manifest)
print(len(schemas), "schemas,", len(manifests), "manifests", "" if jsonschema else "(structure only)")
