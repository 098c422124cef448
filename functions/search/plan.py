"""A search request, read: what to look for, in which order, and which page of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from functions.search import includes
from functions.search.clauses import Clause, all_of, invalid, split, unsupported
from functions.search.index import sort_field
from functions.search.parameters import Parameter
from functions.search.query import parameter_clause
from functions.shared.errors import FhirError, quote

DEFAULT_COUNT = 20

MAX_COUNT = 1_000

MAX_VALUES = 2_000
"""Values in all parameters together; checked before anything is made of them."""

MAX_CLAUSES = 800
"""The engine takes 1,024 in all; access rules and order need some."""

MAX_TERMS = 20_000
"""Values looked up at once; the engine takes 65,536 in one field."""

MAX_SORT = 8

MAX_INCLUDES = 20

# Filters that would give wrong results if they were left out: refused whatever the client prefers.
_REFUSED = re.compile(r"(_has|_text|_content|near)(:.*)?|_filter|_query|_list")

_INCLUDES = re.compile(r"(_include|_revinclude)(:.*)?")

LINKED = re.compile(r"_has:.*|[^:]*(:[^.:]+)?\..*", re.DOTALL)
"""Names of chained parameters, which `chains.Chains` resolves."""

# Of the answer's form, handled for every interaction.
_FORM = frozenset({"_format", "_pretty"})

Total = Literal["none", "estimate", "accurate"]


@dataclass(slots=True)
class Plan:
    """`used` are the parameters that had an effect, as they go into the self link.

    `links` are chained ones (name, value): they take searches of their own to become clauses.
    """

    types: frozenset[str]
    clauses: list[Clause] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)
    includes: list[includes.Include] = field(default_factory=list)
    sort: list[tuple[str, str, bool]] = field(default_factory=list)
    """(field, type of its values, descending)"""
    count: int = DEFAULT_COUNT
    total: Total = "none"
    count_only: bool = False
    cursor: str = ""
    used: list[tuple[str, str]] = field(default_factory=list)

    def order(self) -> list[dict[str, Any]]:
        """The sort keys, missing values last, and the key that makes every place unique."""
        keys = [
            {
                name: {
                    "order": "desc" if descending else "asc",
                    "missing": "_last",
                    "unmapped_type": type_,
                }
            }
            for name, type_, descending in self.sort
        ]
        return [*keys, {"pk": {"order": "asc"}}]


def read(
    parameters: Sequence[tuple[str, str]],
    known: Mapping[str, Parameter],
    types: frozenset[str],
    *,
    base_url: str,
    strict: bool,
) -> Plan:
    """The plan of a request's parameters.

    400 for what's wrong, 422 for what's too costly. Unknown parameters are 400 if `strict`,
    otherwise left out, as are those without a value.
    """
    if sum(value.count(",") + 1 for _, value in parameters) > MAX_VALUES:
        raise _too_costly()
    plan = Plan(types)
    for name, value in parameters:
        if not value.strip():
            continue
        if name in _RESULT:
            understood = _RESULT[name](plan, value, known, strict)
        elif LINKED.fullmatch(name):
            plan.links.append((name, value))
            understood = True
        elif _INCLUDES.fullmatch(name):
            _include(plan, name, value)
            understood = True
        elif _REFUSED.fullmatch(name):
            raise unsupported(f"{quote(name)} isn't supported.")
        else:
            understood = name in _FORM or _filter(plan, name, value, known, base_url)
        if understood:
            if name != "_cursor":
                plan.used.append((name, understood if isinstance(understood, str) else value))
        elif strict:
            raise unsupported(f"The parameter {quote(name)} isn't supported here.")
    _limit(plan)
    return plan


def _filter(
    plan: Plan, name: str, value: str, known: Mapping[str, Parameter], base_url: str
) -> bool:
    code, _, modifier = name.partition(":")
    parameter = known.get(code)
    if not parameter:
        return False
    values = [part for part in split(value, ",") if part.strip()]
    if not values:
        return False
    plan.clauses.append(parameter_clause(parameter, modifier, values, base_url))
    return True


def _include(plan: Plan, name: str, value: str) -> None:
    plan.includes.append(includes.read(name, value))
    if len(plan.includes) > MAX_INCLUDES:
        raise FhirError(422, "too-costly", f"At most {MAX_INCLUDES} includes.")


def _limit(plan: Plan) -> None:
    clauses, terms = _cost(all_of([{}, *plan.clauses]))
    if clauses > MAX_CLAUSES or terms > MAX_TERMS:
        raise _too_costly()


def _too_costly() -> FhirError:
    return FhirError(422, "too-costly", "The search has too many values; split it.")


def _cost(clause: Any) -> tuple[int, int]:
    """(clauses, terms) of a query, as the engine counts them; a wildcard costs by its length."""
    if isinstance(clause, list):
        costs = [_cost(item) for item in clause]
        return sum(c for c, _ in costs), sum(t for _, t in costs)
    if not isinstance(clause, dict):
        return 0, 0
    if "terms" in clause:
        return 1, sum(len(found) for found in clause["terms"].values())
    if "wildcard" in clause:
        return 1 + sum(len(found["value"]) for found in clause["wildcard"].values()) // 10, 0
    if clause.keys() & {"term", "prefix", "range", "match_none"}:
        return 1, 0
    clauses, terms = _cost(list(clause.values()))
    return clauses + ("must_not" in clause), terms


def _count(plan: Plan, value: str, known: Mapping[str, Parameter], strict: bool) -> str:
    if not re.fullmatch(r"\d{1,9}", value):
        raise invalid("_count is a number of at least 0.")
    plan.count = min(int(value), MAX_COUNT)
    plan.count_only = plan.count_only or plan.count == 0
    return str(plan.count)


def _total(plan: Plan, value: str, known: Mapping[str, Parameter], strict: bool) -> bool:
    match value:
        case "none" | "estimate" | "accurate":
            plan.total = value
        case _:
            raise invalid("_total is none, estimate or accurate.")
    return True


def _summary(plan: Plan, value: str, known: Mapping[str, Parameter], strict: bool) -> bool:
    plan.count_only = plan.count_only or value == "count"
    return True


def _elements(plan: Plan, value: str, known: Mapping[str, Parameter], strict: bool) -> bool:
    return True


def _sort(plan: Plan, value: str, known: Mapping[str, Parameter], strict: bool) -> str:
    used = []
    for key in split(value, ","):
        code = key.strip().removeprefix("-")
        parameter = known.get(code)
        if parameter and parameter.kind != "composite":
            name, type_ = sort_field(code, parameter.kind)
            plan.sort.append((name, type_, key.strip().startswith("-")))
            used.append(key.strip())
        elif strict:
            raise unsupported(f"Can't sort by {quote(code)}.")
    if len(plan.sort) > MAX_SORT:
        raise FhirError(422, "too-costly", f"At most {MAX_SORT} sort keys.")
    return ",".join(used)


def _cursor(plan: Plan, value: str, known: Mapping[str, Parameter], strict: bool) -> bool:
    plan.cursor = value
    return True


_RESULT = {
    "_count": _count,
    "_total": _total,
    "_summary": _summary,
    "_elements": _elements,
    "_sort": _sort,
    "_cursor": _cursor,
}
