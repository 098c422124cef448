"""Compiles R4's compartments to the table `functions/search/compartments.json`.

    python -m tools.compile_compartments hapi-fhir-validation-resources-r4-8.6.1.jar

tools/definitions.py says where the file comes from. The output is deterministic: {compartment's
type: {resource type: codes of the reference parameters that put it there}}. `{def}` is the resource
that the compartment is of; it is in there itself.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tools.definitions import Definitions, DefinitionsError

OUTPUT = Path(__file__).parents[1] / "functions" / "search" / "compartments.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("jar", type=Path)
    arguments = parser.parse_args()
    definitions = Definitions(arguments.jar)
    references = {
        (base, parameter["code"])
        for parameter in definitions.search_parameters()
        if parameter["type"] == "reference"
        for base in parameter["base"]
    }
    table = {
        compartment: {name: [c for c in codes if c != "{def}"] for name, codes in types.items()}
        for compartment, types in definitions.compartments().items()
    }
    for compartment, types in table.items():
        for name, codes in types.items():
            if unknown := [code for code in codes if (name, code) not in references]:
                raise DefinitionsError(f"{compartment}: {name} has no {unknown}")
    OUTPUT.write_text(json.dumps(table, sort_keys=True, separators=(",", ":")) + "\n")
    print(f"{len(table)} compartments -> {OUTPUT.name}, {OUTPUT.stat().st_size} B")


if __name__ == "__main__":
    main()
