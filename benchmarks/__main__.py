"""The figures in the README, measured anew: `make bench`, or `python -m benchmarks warm search`.

Prints a Markdown table of p50 / p95 and writes `benchmarks/results/<name>.json`. Machines are
noisy: compare only figures of one run. Ends with status 1 when a target is missed.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import bundles, cold_start, load, platform, program, search, uploads, warm
from benchmarks.figures import Figure, machine
from benchmarks.platform import Platform

RESULTS = Path(__file__).parent / "results"

BENCHMARKS: dict[str, Callable[[Platform], Iterable[Figure]]] = {
    "program": lambda _: program.figures(),
    "cold_start": lambda _: cold_start.figures(),
    "warm": lambda _: warm.figures(),
    "bundles": lambda _: bundles.figures(),
    "search": search.figures,
    "uploads": uploads.figures,
    "platform": platform.figures,
    "load": load.figures,
}


def write(name: str, figures: list[Figure]) -> None:
    RESULTS.mkdir(exist_ok=True)
    result = {
        "benchmark": name,
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "figures": [figure.record() for figure in figures],
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(BENCHMARKS))
    names = parser.parse_args().names or list(BENCHMARKS)
    if unknown := [name for name in names if name not in BENCHMARKS]:
        parser.error(f"there is no benchmark {unknown[0]}; there are {', '.join(BENCHMARKS)}")
    missed = False
    with Platform() as running:
        about = machine()
        print(f"{about['processor']}, {about['cores']} cores, Python {about['python']}\n")
        print("| figure | p50 / p95 | target |\n|---|---|---|")
        for name in names:
            figures = []
            for figure in BENCHMARKS[name](running):
                figures.append(figure)
                print(figure.row(), flush=True)
            write(name, figures)
            missed = missed or any(figure.missed for figure in figures)
    sys.exit(missed)


if __name__ == "__main__":
    main()
