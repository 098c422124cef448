"""JSON documents whose parts become known later: policies, patterns of events, definitions."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pulumi


def json_document(value: Any, *, sort_keys: bool = False) -> pulumi.Output[str]:
    """The JSON of mappings, lists and scalars with outputs among them.

    `pulumi.Output.json_dumps` waits for every mapping and list by itself, which was a sixth of a
    stack's evaluation; this waits for the outputs alone, all at once.
    """

    def document(known: Sequence[Any]) -> str:
        return json.dumps(_filled(value, iter(known)), sort_keys=sort_keys)

    return pulumi.Output.all(*_outputs(value)).apply(document)


def _outputs(value: Any) -> Iterator[pulumi.Output[Any]]:
    if isinstance(value, pulumi.Output):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _outputs(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _outputs(part)


def _filled(value: Any, known: Iterator[Any]) -> Any:
    """The value with each output, in the order of `_outputs`, replaced by what it became."""
    if isinstance(value, pulumi.Output):
        return next(known)
    if isinstance(value, Mapping):
        return {key: _filled(part, known) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(part, known) for part in value]
    return value
