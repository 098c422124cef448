"""A new index beside the one that is searched, and the switch to it without an interruption.

From `begin` to `switch` the indexer writes to both, so that the new one lacks nothing when what the
table had before has been copied to it.
"""

from __future__ import annotations

from functions.index_admin import schema
from functions.search.engine import Engine
from functions.search.index import ALIAS, NEXT


def begin(client: Engine) -> list[str]:
    """Makes the next index, unless one is being built already; says what it did."""
    stem, _, number = schema.current(client).rpartition("-")
    return schema.ensure(client, alias=NEXT, first=f"{stem}-{int(number) + 1}")


def switch(client: Engine) -> list[str]:
    """Searches go to the next index from now on. The old one stays, for whoever wants to compare.

    SchemaError when none is being built.
    """
    if not client.exists(f"/_alias/{NEXT}"):
        raise schema.SchemaError("no index is being built")
    old, new = schema.current(client), schema.current(client, alias=NEXT)
    client.call("POST", f"/{new}/_refresh")
    actions = [
        {"remove": {"index": old, "alias": ALIAS}},
        {"add": {"index": new, "alias": ALIAS, "is_write_index": True}},
        {"remove": {"index": new, "alias": NEXT}},
    ]
    client.call("POST", "/_aliases", {"actions": actions})
    return [f"from {old}", f"to {new}"]
