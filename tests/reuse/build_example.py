"""Builds an example under strict mocks in the interpreter that runs this, and prints what it made.

    python -I build_example.py tests/graph/strict.py examples/python/__main__.py '{"key": "value"}'

Isolated (-I): of this repository only what the mocks need can be imported, and that comes last; the
components are the wheel's.
"""

import importlib.util
import json
import runpy
import sys
from pathlib import Path


def main(strict_path: str, program: str, config: str) -> None:
    sys.path.append(str(Path(strict_path).parents[2]))
    spec = importlib.util.spec_from_file_location("strict", strict_path)
    assert spec
    assert spec.loader
    strict = sys.modules["strict"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(strict)
    settings = {f"{strict.PROJECT}:{key}": value for key, value in json.loads(config).items()}
    made = {}
    for preview in (True, False):
        graph = strict.evaluate(
            lambda: runpy.run_path(program, run_name="__main__"), preview=preview, config=settings
        )
        made["preview" if preview else "update"] = {
            "resources": sorted(f"{r.type} {r.name}" for r in graph),
            "outputs": sorted(graph.outputs),
        }
    assert "components" not in sys.modules, "a module looks for this repository"
    package = sys.modules["ai4h_platform.components"]
    print(json.dumps({**made, "package": str(Path(str(package.__file__)).parent)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
