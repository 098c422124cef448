"""The index and its alias: made if missing, extended if the program's mapping has more."""

from __future__ import annotations

from typing import Any

from functions.search.engine import Engine, EngineRefusedError
from functions.search.index import ALIAS, FIRST_INDEX, SETTINGS, mapping

# Can't change on an open index.
_FIXED = frozenset({"number_of_shards"})


class SchemaError(Exception):
    """The index's mapping can't be extended to what the program needs: build a new index."""


def ensure(client: Engine, *, alias: str = ALIAS, first: str = FIRST_INDEX) -> list[str]:
    """Makes index and alias, or brings the index behind the alias up to date; says what it did."""
    if not client.exists(f"/_alias/{alias}"):
        return _create(client, alias, first)
    index = current(client, alias=alias)
    return _update_settings(client, index) + _update_mapping(client, index)


def current(client: Engine, *, alias: str = ALIAS) -> str:
    """The index that the alias writes to."""
    indices = client.call("GET", f"/_alias/{alias}")
    if len(indices) == 1:
        return next(iter(indices))
    for name, content in indices.items():
        if content["aliases"][alias].get("is_write_index"):
            return name
    raise SchemaError(f"alias {alias} has several indices and none to write to")


def _create(client: Engine, alias: str, index: str) -> list[str]:
    if client.exists(f"/{alias}"):
        raise SchemaError(f"{alias} is an index; it must be an alias. Delete it, then reindex.")
    if client.exists(f"/{index}"):
        add = {"add": {"index": index, "alias": alias, "is_write_index": True}}
        client.call("POST", "/_aliases", {"actions": [add]})
        changes = _update_settings(client, index) + _update_mapping(client, index)
        return [f"alias {alias}", *changes]
    nodes = client.call("GET", "/_cluster/health")["number_of_data_nodes"]
    body = {
        "settings": {"index": {**SETTINGS, "number_of_shards": max(1, nodes)}},
        "mappings": mapping(),
        "aliases": {alias: {"is_write_index": True}},
    }
    try:
        client.call("PUT", f"/{index}", body)
    except EngineRefusedError as error:
        # Made by another run at the same moment.
        if error.kind != "resource_already_exists_exception":
            raise
    return [f"index {index}", f"alias {alias}"]


def _update_settings(client: Engine, index: str) -> list[str]:
    answer = client.call("GET", f"/{index}/_settings?flat_settings=true")
    present = answer[index]["settings"]
    wanted = {f"index.{name}": str(value) for name, value in SETTINGS.items() if name not in _FIXED}
    changed = {name: value for name, value in wanted.items() if present.get(name) != value}
    if changed:
        client.call("PUT", f"/{index}/_settings", changed)
    return [f"setting {name}" for name in sorted(changed)]


def _update_mapping(client: Engine, index: str) -> list[str]:
    present = client.call("GET", f"/{index}/_mapping")[index]["mappings"]
    wanted = mapping()
    missing = _missing(wanted["properties"], present.get("properties", {}))
    templates = wanted["dynamic_templates"] != present.get("dynamic_templates")
    if not missing and not templates:
        return []
    try:
        client.call("PUT", f"/{index}/_mapping", wanted)
    except EngineRefusedError as error:
        raise SchemaError(f"{index} needs a reindex: {error}") from error
    return [f"field {name}" for name in missing] + ["dynamic templates"] * templates


def _missing(wanted: dict[str, Any], present: dict[str, Any], path: str = "") -> list[str]:
    """The fields that are new or of another type."""
    found = []
    for name, field in wanted.items():
        there = present.get(name)
        if there is None or _type(there) != _type(field):
            found.append(path + name)
        elif "properties" in field:
            found += _missing(field["properties"], there.get("properties", {}), f"{path}{name}.")
    return found


def _type(field: dict[str, Any]) -> str:
    return field.get("type", "object")
