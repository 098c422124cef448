"""Compiles UCUM's units to the table `functions/search/units.json.gz`, by which quantities compare.

    python -m tools.compile_units hapi-fhir-validation-resources-r4-8.6.1.jar

tools/definitions.py says where the file comes from: its value set of common UCUM codes says which,
besides UCUM's own units with and without prefixes.
`ucumvert` knows what the codes mean; it takes seconds to load, so functions have the table instead.
The output is deterministic.

The table is JSON: {code: [dimension, factor, offset]}; a value times factor plus offset is in the
dimension's base units. Left out are units that no such line describes (logarithms as pH and dB),
and angles, which ucumvert takes for plain numbers.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import re
from pathlib import Path
from typing import Any

from ucumvert import PintUcumRegistry
from ucumvert.xml_util import (
    get_metric_units,
    get_units,
    get_units_with_full_definition,
)

from tools.definitions import Definitions

OUTPUT = Path(__file__).parents[1] / "functions" / "search" / "units.json.gz"

COMMON = "http://hl7.org/fhir/ValueSet/ucum-common"

PREFIXES = ("M", "k", "d", "c", "m", "u", "n", "p", "f")

ANNOTATION = re.compile(r"\{[^}]*\}")
BRACKETED = re.compile(r"(/?)[a-zA-Z]*(\[[^\]]+\])")
ANGLE = re.compile(r"\b(deg|rad|gon|circ|sr)\b|'")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("jar", type=Path)
    arguments = parser.parse_args()
    simple = [*get_units(), *(p + u for p in PREFIXES for u in get_metric_units())]
    codes = sorted({*Definitions(arguments.jar).concepts(COMMON), *simple})
    table = compile_units(codes)
    data = json.dumps(table, sort_keys=True, separators=(",", ":")).encode()
    OUTPUT.write_bytes(gzip.compress(data, 9, mtime=0))
    print(f"{len(table)} of {len(codes)} units -> {OUTPUT.name}, {OUTPUT.stat().st_size} B")


def compile_units(codes: list[str]) -> dict[str, tuple[str, float, float]]:
    registry: Any = PintUcumRegistry()
    definitions = get_units_with_full_definition()
    arbitrary = {unit.code_cs for unit in definitions if unit.is_arbitrary}
    found = {}
    for code in codes:
        if line := _line(registry, code, arbitrary):
            found[code] = line
    return found


def _line(registry: Any, code: str, arbitrary: set[str]) -> tuple[str, float, float] | None:
    plain = ANNOTATION.sub("", code).replace("[IU]", "[iU]")  # two codes of one unit
    if ANGLE.search(plain):
        return None
    try:
        unit = registry.from_ucum(code)
        if isinstance(unit, int | float):  # annotations alone: a count
            unit = registry.Quantity(unit)
        scale = unit.magnitude if hasattr(unit, "magnitude") else 1
        unit = getattr(unit, "units", unit)
        none, one, two = (
            registry.Quantity(number * scale, unit).to_base_units() for number in (0.0, 1.0, 2.0)
        )
    except Exception as error:  # one of the libraries' many: the code isn't understood
        print(f"{code}: {type(error).__name__}")
        return None
    low, factor = none.magnitude, one.magnitude - none.magnitude
    if not math.isclose(two.magnitude - low, 2 * factor, rel_tol=1e-9) or factor <= 0:
        return None
    # Arbitrary units (an assay's) compare with themselves only, whatever they are counted in.
    own = [mark + name for mark, name in BRACKETED.findall(plain) if name in arbitrary]
    dimension = " ".join([str(one.units), *sorted(own)])
    return dimension, float(f"{factor:.14g}"), float(f"{low:.14g}")


if __name__ == "__main__":
    main()
