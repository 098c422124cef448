"""Units of measure that compare: UCUM codes of one dimension.

tools/compile_units.py makes the table. Only the common codes are in it; a quantity in another
one is compared with those in the same one.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from functions.search.intervals import real

UCUM = "http://unitsofmeasure.org"

_TABLE = Path(__file__).with_name("units.json.gz")


class Unit(NamedTuple):
    """A line from a unit to the base units of its dimension."""

    dimension: str
    factor: float
    offset: float

    def to_base(self, value: float) -> float:
        """In base units, to 12 digits: what is equal must be so after different conversions."""
        return real(float(f"{real(value * self.factor + self.offset):.12g}"))


def unit(system: str, code: str) -> Unit | None:
    """The unit of a UCUM code; None for others, and for codes that aren't in the table."""
    if system != UCUM or not code:
        return None
    found = _table().get(code)
    return Unit(*found) if found else None


@cache
def _table() -> Mapping[str, tuple[str, float, float]]:
    return json.loads(gzip.decompress(_TABLE.read_bytes()))
