"""Writes the component package's schema and, from it, the reference in docs/components.md.

    python -m tools.component_reference

The schema that is checked in is the promise to who uses the components: a test compares it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components._package import schema
from tools.schema_changes import breaking_changes, next_version, type_name

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = ROOT / "components" / "schema.json"
REFERENCE = ROOT / "docs" / "components.md"

HEAD = """\
# Components: reference

Made from [`components/schema.json`](../components/schema.json) by `make reference`; how to use a
component is in [component-user.md](component-user.md). Names are those of TypeScript, Go and YAML;
in Python they are in snake case (`callbackUrls` is `callback_urls`), and a component is
`ai4h_platform.components.AuthPool`.

An input marked **required** must be given. One marked *known* takes a value that is known before
the deployment; the others take an output of another resource as well.
"""


def reference(schema: dict[str, Any]) -> str:
    """The reference as Markdown."""
    return "\n".join([HEAD, *_components(schema["resources"]), *_types(schema["types"])])


def _components(resources: dict[str, Any]) -> Iterator[str]:
    for token, resource in sorted(resources.items()):
        yield f"## {_name(token)}\n\n{resource['description']}\n"
        yield "| input | type | |\n|---|---|---|"
        yield from _rows(resource["inputProperties"], resource["requiredInputs"])
        yield "\n| output | type | |\n|---|---|---|"
        yield from _rows(resource["properties"], [])
        yield ""


def _types(types: dict[str, Any]) -> Iterator[str]:
    yield "# Types\n"
    for token, kind in sorted(types.items()):
        yield f"## {_name(token)}\n\n{kind['description']}\n"
        if "enum" in kind:
            yield "| value | in Python | |\n|---|---|---|"
            for value in kind["enum"]:
                yield f"| `{value['value']}` | `{value['name']}` | {_line(value['description'])} |"
        else:
            yield "| | type | |\n|---|---|---|"
            yield from _rows(kind["properties"], kind.get("required", []))
        yield ""


def _rows(properties: dict[str, Any], required: list[str]) -> Iterator[str]:
    for key, spec in properties.items():
        must = "**required** " if key in required else ""
        yield f"| `{key}` | {_type(spec)} | {must}{_line(spec['description'])} |"


def _type(spec: dict[str, Any]) -> str:
    words = type_name(spec)
    shown = words.replace("known ", "")
    name = shown.rpartition(" ")[2]
    if name[0].isupper():
        return shown.removesuffix(name) + f"[{name}](#{name.lower()})"
    known = words.count("known ") > words.count(" of ")  # the whole, and each part of it
    return shown + (", *known*" if known else "")


def _name(token: str) -> str:
    return token.rpartition(":")[2]


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> None:
    new = schema()
    if SCHEMA.exists():
        old = json.loads(SCHEMA.read_text())
        if broken := breaking_changes(old, new):
            print("This breaks who uses the components:", *broken, sep="\n  ")
            print(f"After a release of {old['version']} it needs {next_version(old['version'])}.")
    SCHEMA.write_text(json.dumps(new, indent=2, ensure_ascii=False) + "\n")
    REFERENCE.write_text(reference(new))


if __name__ == "__main__":
    main()
