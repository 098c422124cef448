"""The index's admin: makes what is missing, extends what is old, and repeats without effect."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import urllib3

from functions.index_admin import handler, rebuild, roles, schema
from functions.index_admin.schema import SchemaError
from functions.search.engine import EngineUnavailableError
from functions.search.index import SETTINGS, mapping
from tests.scripted_engine import Answer, Asked, ScriptedEngine, refusal

ABSENT = (404, {})
PRESENT = (200, {})
ALIAS = (200, {"resources-1": {"aliases": {"resources": {"is_write_index": True}}}})
SETTLED = (
    200,
    {
        "resources-1": {
            "settings": {f"index.{name}": str(value) for name, value in SETTINGS.items()}
        }
    },
)


def mapped(found: dict[str, Any]) -> Answer:
    return 200, {"resources-1": {"mappings": found}}


def calls(engine: ScriptedEngine) -> list[str]:
    return [f"{asked.method} {asked.path}" for asked in engine.asked]


def test_index_and_alias_are_made_at_once() -> None:
    nodes = (200, {"number_of_data_nodes": 3})
    engine = ScriptedEngine(ABSENT, ABSENT, ABSENT, nodes, PRESENT)

    assert schema.ensure(engine) == ["index resources-1", "alias resources"]

    made = engine.asked[-1]
    assert (made.method, made.path) == ("PUT", "/resources-1")
    assert made.body["aliases"] == {"resources": {"is_write_index": True}}
    assert made.body["settings"]["index"]["number_of_shards"] == 3
    assert made.body["mappings"]["dynamic"] == "strict"
    assert made.body["mappings"]["_source"] == {"enabled": False}


def test_another_run_at_the_same_moment_does_no_harm() -> None:
    nodes = (200, {"number_of_data_nodes": 1})
    exists = refusal("resource_already_exists_exception")
    schema.ensure(ScriptedEngine(ABSENT, ABSENT, ABSENT, nodes, exists))


def test_what_is_there_is_left_alone() -> None:
    engine = ScriptedEngine(PRESENT, ALIAS, SETTLED, mapped(mapping()))
    assert schema.ensure(engine) == []
    assert not any(asked.method == "PUT" for asked in engine.asked)


def test_an_older_index_gets_what_it_lacks() -> None:
    older = copy.deepcopy(mapping())
    del older["properties"]["dataset"]
    del older["properties"]["composite"]["properties"]["c3"]
    older["dynamic_templates"] = older["dynamic_templates"][1:]
    slow = copy.deepcopy(SETTLED)
    slow[1]["resources-1"]["settings"]["index.refresh_interval"] = "1s"
    engine = ScriptedEngine(PRESENT, ALIAS, slow, PRESENT, mapped(older), PRESENT)

    assert schema.ensure(engine) == [
        "setting index.refresh_interval",
        "field dataset",
        "field composite.c3",
        "dynamic templates",
    ]
    settings, fields = (asked for asked in engine.asked if asked.method == "PUT")
    assert settings.body == {"index.refresh_interval": "500ms"}
    assert fields.body == mapping()


def test_an_index_without_alias_gets_it() -> None:
    engine = ScriptedEngine(ABSENT, ABSENT, PRESENT, PRESENT, SETTLED, mapped(mapping()))
    assert schema.ensure(engine) == ["alias resources"]
    (action,) = engine.asked[3].body["actions"]
    assert action["add"]["index"] == "resources-1"


def test_what_only_a_new_index_can_do_is_said() -> None:
    older = copy.deepcopy(mapping())
    older["properties"]["updated"] = {"type": "keyword"}
    refused = refusal("illegal_argument_exception", reason="mapper [updated] cannot be changed")
    with pytest.raises(SchemaError, match="resources-1 needs a reindex"):
        schema.ensure(ScriptedEngine(PRESENT, ALIAS, SETTLED, mapped(older), refused))
    with pytest.raises(SchemaError, match="must be an alias"):
        schema.ensure(ScriptedEngine(ABSENT, PRESENT))


def test_the_index_that_is_written_to() -> None:
    def aliases(**writes: bool) -> Answer:
        return 200, {
            name: {"aliases": {"resources": {"is_write_index": writing}}}
            for name, writing in writes.items()
        }

    assert schema.current(ScriptedEngine(aliases(one=False))) == "one"
    assert schema.current(ScriptedEngine(aliases(one=False, two=True))) == "two"
    with pytest.raises(SchemaError, match="none to write to"):
        schema.current(ScriptedEngine(aliases(one=False, two=False)))


READ, WRITE = "arn:aws:iam::111122223333:role/api", "arn:aws:iam::111122223333:role/indexer"


class Security:
    """The engine's security plugin: keeps what is put, with members of its own."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        self.puts = 0

    def answer(self, asked: Asked) -> tuple[int, Any]:
        kind, name = asked.path.removeprefix("/_plugins/_security/api/").split("/")
        if asked.method == "PUT":
            self.puts += 1
            own = {"reserved": False, "hidden": False, "hosts": [], "description": ""}
            self.kept[f"{kind}/{name}"] = {**own, **asked.body}
            return 200, {"status": "OK"}
        found = self.kept.get(f"{kind}/{name}")
        return (200, {name: found}) if found else (404, {"status": "NOT_FOUND"})


def test_roles_are_defined_and_mapped_exactly() -> None:
    security = Security()
    engine = ScriptedEngine(*[security.answer] * 40)

    assert roles.ensure(engine, [READ], [WRITE]) == [
        "role ai4h_read", "mapping of ai4h_read", "role ai4h_write", "mapping of ai4h_write",
    ]  # fmt: skip
    assert security.kept["rolesmapping/ai4h_read"]["backend_roles"] == [READ]
    assert security.kept["rolesmapping/ai4h_write"]["backend_roles"] == [WRITE]

    puts = security.puts
    assert roles.ensure(engine, [READ], [WRITE]) == []
    assert security.puts == puts

    assert roles.ensure(engine, [], [WRITE]) == ["mapping of ai4h_read"]
    assert security.kept["rolesmapping/ai4h_read"]["backend_roles"] == []

    wider = security.kept["roles/ai4h_read"]["index_permissions"][0]["allowed_actions"]
    wider.append("write")
    assert roles.ensure(engine, [], [WRITE]) == ["role ai4h_read"]


def test_readers_cannot_write_and_writers_only_index() -> None:
    def actions(name: str) -> set[str]:
        definition = roles.ROLES[name]
        granted = set(definition["cluster_permissions"])
        return granted.union(*(p["allowed_actions"] for p in definition["index_permissions"]))

    assert actions("ai4h_read") == {"cluster_composite_ops_ro", "read"}
    assert not {"*", "delete", "crud", "manage", "read"} & actions("ai4h_write")
    patterns = {
        pattern
        for role in roles.ROLES.values()
        for permission in role["index_permissions"]
        for pattern in permission["index_patterns"]
    }
    assert patterns == {"resources*"}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """The handler on an engine; time passes in steps of its waiting."""
    clock = [0.0]
    monkeypatch.setattr(handler.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(
        handler.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds)
    )

    def handle(engine: ScriptedEngine, **event: Any) -> dict[str, Any]:
        monkeypatch.setattr(handler, "engine", lambda: engine)
        return handler.handler(event, None)

    return handle


AWAY = urllib3.exceptions.NameResolutionError("vpc-x", None, OSError())  # type: ignore[arg-type]


def test_a_run_waits_for_a_new_domain_and_says_what_it_did(
    run: Callable[..., dict[str, Any]],
) -> None:
    engine = ScriptedEngine(AWAY, AWAY, PRESENT, PRESENT, ALIAS, SETTLED, mapped(mapping()), ALIAS)
    assert run(engine) == {"index": "resources-1", "changes": []}
    with pytest.raises(EngineUnavailableError):
        run(ScriptedEngine(*[AWAY] * 100))


def test_roles_are_for_secured_domains_only(
    run: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("functions.search.engine._signed", lambda m, u, b, headers: headers)
    security = Security()
    engine = ScriptedEngine(
        PRESENT, PRESENT, ALIAS, SETTLED, mapped(mapping()), *[security.answer] * 8, ALIAS,
        endpoint="https://vpc-x.eu-central-1.es.amazonaws.com",
    )  # fmt: skip
    changes = run(engine, read_roles=[READ], write_roles=[WRITE])["changes"]
    assert "mapping of ai4h_write" in changes


def test_a_new_index_is_built_beside_the_one_that_is_searched() -> None:
    nodes = (200, {"number_of_data_nodes": 1})
    engine = ScriptedEngine(ALIAS, ABSENT, ABSENT, ABSENT, nodes, PRESENT)
    assert rebuild.begin(engine) == ["index resources-2", "alias resources-next"]
    assert engine.asked[-1].body["aliases"] == {"resources-next": {"is_write_index": True}}


def test_searches_are_switched_at_once() -> None:
    following = (200, {"resources-2": {"aliases": {"resources-next": {}}}})
    engine = ScriptedEngine(PRESENT, ALIAS, following, PRESENT, PRESENT)
    assert rebuild.switch(engine) == ["from resources-1", "to resources-2"]
    assert calls(engine)[-2:] == ["POST /resources-2/_refresh", "POST /_aliases"]
    assert engine.asked[-1].body["actions"] == [
        {"remove": {"index": "resources-1", "alias": "resources"}},
        {"add": {"index": "resources-2", "alias": "resources", "is_write_index": True}},
        {"remove": {"index": "resources-2", "alias": "resources-next"}},
    ]
    with pytest.raises(SchemaError, match="no index is being built"):
        rebuild.switch(ScriptedEngine(ABSENT))
