"""Renders what `pulumi preview --json` says as Markdown, for a review: what may lose data first."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pulumi.runtime.rpc import UNKNOWN

# Operation, how it is told, and the mark that makes its line red, orange, green or grey.
OPERATIONS = {
    "delete": ("deleted", "-"),
    "replace": ("replaced", "!"),
    "import": ("imported", "+"),
    "create": ("created", "+"),
    "update": ("updated", "#"),
}
LONGEST_VALUE = 60
Preview = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """What happens to one resource."""

    operation: str
    type: str
    name: str
    properties: tuple[str, ...]

    def __str__(self) -> str:
        word, mark = OPERATIONS[self.operation]
        why = f": {', '.join(self.properties)}" if self.properties else ""
        return f"{mark} {word:<8} {self.type} {self.name}{why}"


def markdown(preview: Preview, title: str) -> str:
    """A heading with the numbers, and a line per resource that changes."""
    found = sorted(changes(preview), key=_rank)
    if not found:
        return f"### {title}: as before\n"
    numbers = Counter(OPERATIONS[change.operation][0] for change in found)
    told = ", ".join(f"{count} {word}" for word, count in numbers.items())
    lines = "\n".join(map(str, found))
    return f"### {title}: {told}\n\n{fenced(lines, 'diff')}"


def _rank(change: Change) -> tuple[int, str, str]:
    return [*OPERATIONS].index(change.operation), change.type, change.name


def fenced(text: str, language: str = "") -> str:
    """A block of code, whatever is in it."""
    inside = text.replace("```", "'''")
    return f"```{language}\n{inside}\n```\n"


def changes(preview: Preview) -> Iterator[Change]:
    """The changes of resources; the steps that a replacement consists of count as one."""
    for step in preview["steps"]:
        _, _, types, name = step["urn"].split("::", 3)
        type_ = types.rpartition("$")[2]
        if step["op"] in OPERATIONS and not type_.startswith("pulumi:"):
            yield Change(step["op"], type_, name, tuple(_properties(step)))


def _properties(step: dict[str, Any]) -> Iterator[str]:
    """What differs, with the values where they are short; those that force a replacement marked."""
    old, new = (step.get(state, {}).get("inputs", {}) for state in ("oldState", "newState"))
    forcing: set[str] = set(step.get("replaceReasons") or [])
    for name in sorted(forcing.union(step.get("diffReasons") or [])):
        values = [_short(state.get(name)) for state in (old, new)]
        shown = f"{name} {values[0]} → {values[1]}" if all(values) else name
        yield f"{shown} (forces it)" if name in forcing else shown


def _short(value: Any) -> str:
    """A value that fits into a line; empty for others, and for what the preview hides."""
    if value == UNKNOWN:
        return "(not known yet)"
    if value == "[secret]" or isinstance(value, dict | list):
        return ""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else ""
