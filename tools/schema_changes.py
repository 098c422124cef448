"""What a new version of the component package's schema breaks for who uses the old one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Member:
    """An input, an output or an enum's value."""

    type: str
    must_be_given: bool = False


def breaking_changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """A sentence for each member that is gone, is of another type or must newly be given.

    What is added and may be left out, and an input that newly takes outputs, breaks nothing.
    """
    before, after = dict(_members(old)), dict(_members(new))
    problems = []
    for name, was in before.items():
        now = after.get(name)
        if now is None:
            problems.append(f"{name} is gone")
        elif now.type not in (was.type, was.type.replace("known ", "")):
            problems.append(f"{name} was {was.type}, is {now.type}")
        elif now.must_be_given and not was.must_be_given:
            problems.append(f"{name} must be given now")
    problems += [
        f"{name} is new and must be given"
        for name, now in after.items()
        if now.must_be_given and name not in before and _owner(name) in map(_owner, before)
    ]
    return problems


def next_version(version: str) -> str:
    """The version that a breaking change asks for: https://semver.org/#spec-item-4 and 8."""
    major, minor, _ = (int(number) for number in version.split("."))
    return f"{major + 1}.0.0" if major else f"0.{minor + 1}.0"


def type_name(spec: dict[str, Any]) -> str:
    """A property's type in words; `known` is one that takes no output of another resource."""
    known = "known " if spec.get("plain") else ""
    if "items" in spec:
        return f"{known}list of {type_name(spec['items'])}"
    if "additionalProperties" in spec:
        return f"{known}map of {type_name(spec['additionalProperties'])}"
    return known + (spec["$ref"].rpartition(":")[2] if "$ref" in spec else spec["type"])


def _members(schema: dict[str, Any]) -> Iterator[tuple[str, Member]]:
    for token, resource in schema["resources"].items():
        component = token.rpartition(":")[2]
        yield component, Member("component")
        for key, spec in resource["inputProperties"].items():
            given = key in resource.get("requiredInputs", [])
            yield f"{component}, input {key}", Member(type_name(spec), given)
        for key, spec in resource["properties"].items():
            yield f"{component}, output {key}", Member(type_name(spec))
    for token, kind in schema["types"].items():
        name = token.rpartition(":")[2]
        yield name, Member("type")
        for key, spec in kind.get("properties", {}).items():
            yield f"{name}, {key}", Member(type_name(spec), key in kind.get("required", []))
        for value in kind.get("enum", []):
            yield f"{name}, value {value['value']}", Member(kind["type"])


def _owner(member: str) -> str:
    return member.split(",")[0]
