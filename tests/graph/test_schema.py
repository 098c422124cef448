"""The component package: what other languages see of the components, and get when they use them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pulumi.provider.experimental.component import ComponentProvider

from components import _package
from components._package import COMPONENTS, NAME
from components.auth_pool import Mfa
from tests.graph.strict import Graph, evaluate
from tools.component_reference import REFERENCE, SCHEMA, reference
from tools.schema_changes import breaking_changes, next_version


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return _package.schema()


def test_the_promise_is_kept(schema: dict[str, Any]) -> None:
    promised = json.loads(SCHEMA.read_text())
    broken = "\n  ".join(breaking_changes(promised, schema))
    assert not broken, (
        f"This breaks who uses the components:\n  {broken}\n"
        "Can the old way go on working beside the new one? If not: unless "
        f"{promised['version']} isn't released yet, set __version__ in components/__init__.py to "
        f"{next_version(promised['version'])}; run `make reference`; and say in CHANGELOG.md what "
        "its users have to do."
    )
    assert schema == promised, "components/schema.json is not up to date: run `make reference`"


def test_the_reference_is_current(schema: dict[str, Any]) -> None:
    assert REFERENCE.read_text() == reference(schema), "run `make reference`"


def properties(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for token, resource in schema["resources"].items():
        for kind in ("inputProperties", "properties"):
            yield from ((f"{token} {key}", spec) for key, spec in resource[kind].items())
    for token, kind in schema["types"].items():
        yield from ((f"{token} {key}", spec) for key, spec in kind.get("properties", {}).items())


def test_everything_is_described(schema: dict[str, Any]) -> None:
    described = {**schema["resources"], **schema["types"], **dict(properties(schema))}
    for token, kind in schema["types"].items():
        described |= {f"{token} {value['name']}": value for value in kind.get("enum", [])}
    assert [name for name, what in described.items() if not what.get("description")] == []
    assert len(described) > 100


def test_nothing_is_of_any_type(schema: dict[str, Any]) -> None:
    assert "pulumi.json#/Any" not in json.dumps(schema)
    own = f"#/types/{NAME}:index:"
    for name, spec in properties(schema):
        assert spec.get("$ref", own).startswith(own), f"{name} needs the SDK of another package"


def test_tokens(schema: dict[str, Any]) -> None:
    assert set(schema["resources"]) == {f"{NAME}:index:{kind.__name__}" for kind in COMPONENTS}


def constructed(inputs: dict[str, Any]) -> Graph:
    """What a program in another language gets: values as the engine hands them over."""
    provider = ComponentProvider(COMPONENTS, NAME)
    return evaluate(lambda: provider.construct("it", f"{NAME}:index:{inputs.pop('kind')}", inputs))


def test_a_component_is_made_for_another_language() -> None:
    graph = constructed(
        {"kind": "AuthPool", "callbackUrls": ["https://x/"], "mfa": "OPTIONAL", "protect": False}
    )
    pool = graph.one("aws:cognito/userPool:UserPool")
    assert pool.inputs["mfaConfiguration"] == Mfa.OPTIONAL.value
    assert not pool.protect
    assert graph.one(f"{NAME}:index:AuthPool").name == "it"


def test_whole_numbers_stay_whole() -> None:
    """On the wire every number is a float; `"1000.0"` would be no size for the function."""
    graph = constructed(
        {
            "kind": "UploadBucket",
            "issuer": "https://issuer",
            "clientIds": ["client"],
            "maxObjectBytes": 1000.0,
            "quotaBytesPerUser": 5000.0,
        }
    )
    function = graph.one("aws:lambda/function:Function", "it-api")
    variables = function.inputs["environment"]["variables"]
    assert (variables["MAX_OBJECT_BYTES"], variables["QUOTA_BYTES_PER_USER"]) == ("1000", "5000")


OLD: dict[str, Any] = {
    "version": "0.3.1",
    "resources": {
        "p:index:Pool": {
            "inputProperties": {
                "names": {"type": "array", "plain": True, "items": {"type": "string"}},
                "size": {"type": "integer", "plain": True},
            },
            "requiredInputs": ["names"],
            "properties": {"id": {"type": "string"}},
        }
    },
    "types": {"p:index:Mode": {"type": "string", "enum": [{"name": "ON", "value": "on"}]}},
}


def changed(change: str, value: Any) -> list[str]:
    """What breaks when the value at a path (`Pool/inputProperties/size`) becomes another one."""
    new = json.loads(json.dumps(OLD))
    owner, *path, last = change.split("/")
    at = (new["resources"] | new["types"])[f"p:index:{owner}"]
    for key in path:
        at = at[key]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return breaking_changes(OLD, new)


@pytest.mark.parametrize(
    ("change", "value", "problem"),
    [
        ("Pool/inputProperties/size", None, "Pool, input size is gone"),
        ("Pool/properties/id", None, "Pool, output id is gone"),
        ("Pool/properties/id", {"type": "integer"}, "Pool, output id was string, is integer"),
        ("Pool/requiredInputs", ["names", "size"], "Pool, input size must be given now"),
        ("Mode/enum", [], "Mode, value on is gone"),
    ],
)
def test_what_breaks_is_named(change: str, value: Any, problem: str) -> None:
    assert changed(change, value) == [problem]


def test_what_is_added_or_loosened_breaks_nothing() -> None:
    assert not changed("Pool/inputProperties/more", {"type": "string"})
    assert not changed("Pool/inputProperties/size", {"type": "integer"})
    assert not changed("Pool/requiredInputs", [])
    assert (next_version("0.3.1"), next_version("1.3.1")) == ("0.4.0", "2.0.0")
