"""Elements to index rows: how each FHIR type is indexed for each kind of parameter.

A row is what one value contributes: fields with their terms or ranges, and keys to sort by. A value
that can't be read as its type (a 30th of February) contributes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from functions.search import terms, units
from functions.search.intervals import date_bounds, real
from functions.search.parameters import Parameter, Source
from functions.search.text import exact, fold

SORT_LENGTH = 256
"""Characters that text is sorted by."""


class Row(NamedTuple):
    """`comparable`: the fields of a quantity in the base units of its dimension, if it has one."""

    fields: dict[str, list[Any]]
    sort: list[Any]
    comparable: dict[str, list[Any]] | None = None


def rows(parameter: Parameter, source: Source, value: Any) -> Iterator[Row]:
    """The rows of a value at a source of a parameter that isn't a composite."""
    convert = _KINDS[parameter.kind]
    try:
        row = convert(value, source, parameter)
    except (ValueError, TypeError, AttributeError, ArithmeticError, KeyError):
        return
    if row.fields:
        yield row


def _string(value: Any, source: Source, parameter: Parameter) -> Row:
    if source.type == "HumanName":
        parts = _texts(value, "text", "family", "given", "prefix", "suffix")
    elif source.type == "Address":
        parts = _texts(
            value, "text", "line", "city", "district", "state", "postalCode", "country"
        )  # fmt: skip
    else:
        parts = [value]
    folded = [fold(part) for part in parts]
    if not folded:
        return Row({}, [])
    order = _texts(value, "family", "given") if source.type == "HumanName" else parts
    key = fold(" ".join(order or parts))[:SORT_LENGTH]
    return Row({"string": folded, "exact": [exact(part) for part in parts]}, [key])


def _texts(value: dict[str, Any], *names: str) -> list[str]:
    found: list[str] = []
    for name in names:
        item = value.get(name)
        found += [i for i in item if isinstance(i, str)] if isinstance(item, list) else []
        found += [item] if isinstance(item, str) else []
    return found


def _token(value: Any, source: Source, parameter: Parameter) -> Row:
    token: list[str] = []
    text: list[str] = []
    keys: list[str] = []
    match source.type:
        case "CodeableConcept":
            for coding in value.get("coding", ()):
                _add_coding(token, text, keys, coding.get("system"), coding.get("code"))
                text += _texts(coding, "display")
            text += _texts(value, "text")
        case "Coding":
            _add_coding(token, text, keys, value.get("system"), value.get("code"))
            text += _texts(value, "display")
        case "Identifier":
            _add_coding(token, text, keys, value.get("system"), value.get("value"))
            text += _texts(value.get("type", {}), "text")
        case "ContactPoint":
            _add_coding(token, text, keys, None, value.get("value"))
        case "boolean":
            _add_coding(token, text, keys, None, "true" if value else "false")
        case _:
            _add_coding(token, text, keys, None, value)
            if source.system:
                _add_coding(token, text, keys, source.system, value)
    fields: dict[str, list[Any]] = {"token": list(dict.fromkeys(token))} if token else {}
    if text:
        fields["text"] = [fold(t) for t in text]
    return Row(fields, [fold(key)[:SORT_LENGTH] for key in keys or text])


def _add_coding(
    token: list[str], text: list[str], keys: list[str], system: str | None, code: str | None
) -> None:
    if system:
        token.append(terms.system(system))
    if code is not None:
        token += [terms.code(code), terms.coding(system or "", code)]
        keys.append(code)


def _date(value: Any, source: Source, parameter: Parameter) -> Row:
    match source.type:
        case "Period":
            ranges = [_period(value)]
        case "Timing":
            ranges = [_moment(event) for event in value.get("event", ())]
            bounds = value.get("repeat", {}).get("boundsPeriod")
            ranges += [_period(bounds)] if bounds else []
        case _:
            ranges = [_moment(value)]
    ranges = [r for r in ranges if r]
    if not ranges:
        return Row({}, [])
    return Row({"date": ranges}, [r.get("gte", r.get("lte")) for r in ranges])


def _moment(text: str) -> dict[str, float]:
    low, high, _ = date_bounds(text)
    return {"gte": low, "lte": high}


def _period(value: dict[str, Any]) -> dict[str, float]:
    """Without a start or an end it is open on that side."""
    found: dict[str, float] = {}
    if "start" in value:
        found["gte"] = date_bounds(value["start"]).low
    if "end" in value:
        found["lte"] = date_bounds(value["end"]).high
    return _in_order(found)


def _number(value: Any, source: Source, parameter: Parameter) -> Row:
    if source.type == "Range":
        bounds = _range(value)
        return Row({"number": [bounds]} if bounds else {}, list(bounds.values())[:1])
    exactly = real(_decimal(value))
    return Row({"number": [{"gte": exactly, "lte": exactly}]}, [exactly])


def _quantity(value: Any, source: Source, parameter: Parameter) -> Row:
    if source.type == "Range":
        bounds = _range(value)
        measured = value.get("low") or value.get("high") or {}
    elif source.type == "Money":
        bounds = _compared(value)
        measured = {"system": "urn:iso:std:iso:4217", "code": value.get("currency")}
    else:
        bounds, measured = _compared(value), value
    if not bounds:
        return Row({}, [])
    fields: dict[str, list[Any]] = {"number": [bounds]}
    if units := _units(measured):
        fields["unit"] = units
    return Row(fields, [next(iter(v for v in bounds.values()))], _comparable(bounds, measured))


def _comparable(bounds: dict[str, float], measured: dict[str, Any]) -> dict[str, list[Any]] | None:
    unit = units.unit(measured.get("system") or "", measured.get("code") or "")
    if unit is None:
        return None
    converted = {limit: unit.to_base(value) for limit, value in bounds.items()}
    return {"number": [converted], "unit": [terms.dimension(unit.dimension)]}


def _compared(value: dict[str, Any]) -> dict[str, float]:
    """A quantity that says `<5` is any value below 5."""
    exactly = real(_decimal(value["value"]))
    match value.get("comparator"):
        case "<":
            return {"lt": exactly}
        case "<=":
            return {"lte": exactly}
        case ">":
            return {"gt": exactly}
        case ">=":
            return {"gte": exactly}
    return {"gte": exactly, "lte": exactly}


def _range(value: dict[str, Any]) -> dict[str, float]:
    found: dict[str, float] = {}
    if "value" in value.get("low", {}):
        found["gte"] = real(_decimal(value["low"]["value"]))
    if "value" in value.get("high", {}):
        found["lte"] = real(_decimal(value["high"]["value"]))
    return _in_order(found)


def _in_order(limits: dict[str, float]) -> dict[str, float]:
    if len(limits) == 2 and limits["gte"] > limits["lte"]:
        raise ValueError("it ends before it starts")
    return limits


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise TypeError(type(value).__name__)
    return Decimal(value)


def _units(measured: dict[str, Any]) -> list[str]:
    code, printed = measured.get("code"), measured.get("unit")
    found = [terms.unit_coding(measured.get("system") or "", code)] if code else []
    return found + [terms.unit(name) for name in dict.fromkeys((code, printed)) if name]


def _reference(value: Any, source: Source, parameter: Parameter) -> Row:
    if source.type == "Resource":  # inline: a Bundle's first entry
        kind = value["resourceType"]
        literal = f"{kind}/{value['id']}" if kind in parameter.targets else ""
        identifier: dict[str, Any] = {}
    elif source.type == "Reference":
        literal, identifier = value.get("reference", ""), value.get("identifier", {})
    else:
        literal, identifier = value, {}
    fields: dict[str, list[Any]] = {}
    if found := terms.of_reference(literal):
        fields["reference"] = found
    token: list[str] = []
    _add_coding(token, [], [], identifier.get("system"), identifier.get("value"))
    if token:
        fields["identifier"] = token
    return Row(fields, [fold(found[0])[:SORT_LENGTH]] if found else [])


def _uri(value: Any, source: Source, parameter: Parameter) -> Row:
    return Row({"uri": terms.of_address(value)}, [value[:SORT_LENGTH]])


_KINDS: dict[str, Callable[[Any, Source, Parameter], Row]] = {
    "string": _string,
    "token": _token,
    "date": _date,
    "number": _number,
    "quantity": _quantity,
    "reference": _reference,
    "uri": _uri,
}
