"""A figure: what is measured, its median and 95th percentile, and the target that it is held to."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Figure:
    """`values` are of one run; the target is held against their median, or `judged` by p95."""

    name: str
    unit: str
    values: Sequence[float]
    at_most: float | None = None
    at_least: float | None = None
    judged: Literal["p50", "p95"] = "p50"

    @property
    def p50(self) -> float:
        return statistics.median(self.values)

    @property
    def p95(self) -> float:
        """19 of 20 are better: of rates, that is the 5th percentile."""
        if len(self.values) == 1:
            return self.values[0]
        cuts = statistics.quantiles(self.values, n=20, method="inclusive")
        return cuts[0] if self.unit.endswith("/s") else cuts[18]

    @property
    def missed(self) -> bool:
        value = self.p95 if self.judged == "p95" else self.p50
        return (self.at_most is not None and value > self.at_most) or (
            self.at_least is not None and value < self.at_least
        )

    def row(self) -> str:
        """A row of a Markdown table: name, p50 / p95, target."""
        measured = _number(self.p50)
        if len(self.values) > 1:
            measured += f" / {_number(self.p95)}"
        target = "–"
        if self.at_most is not None:
            target = f"≤ {_number(self.at_most)}"
        elif self.at_least is not None:
            target = f"≥ {_number(self.at_least)}"
        if self.judged == "p95":
            target += " (p95)"
        verdict = " **missed**" if self.missed else ""
        return f"| {self.name} | {measured} {self.unit}".rstrip() + f" | {target}{verdict} |"

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "name": self.name,
            "unit": self.unit,
            "p50": self.p50,
            "p95": self.p95,
            "samples": len(self.values),
            "at_most": self.at_most,
            "at_least": self.at_least,
            "judged": self.judged,
            "missed": self.missed,
        }


class Times:
    """Seconds that something took, on the clock and of this process's CPU, run by run.

    Other programs disturb the clock much and the CPU time little: ratios are of CPU time.
    """

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []

    @contextmanager
    def run(self) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.cpu.append(time.process_time() - cpu)
        self.wall.append(time.perf_counter() - wall)


def interleaved(runs: int, **actions: Callable[[], object]) -> dict[str, Times]:
    """Does all actions in turn, many times: what disturbs the machine disturbs all of them."""
    times = {name: Times() for name in actions}
    for _ in range(runs):
        for name, action in actions.items():
            with times[name].run():
                action()
    return times


def ratios(mine: Sequence[float], other: Sequence[float], chunk: int) -> list[float]:
    """How often the other's time mine takes, per `chunk` runs that were interleaved."""
    starts = range(0, len(mine) - chunk + 1, chunk)
    return [sum(mine[at : at + chunk]) / sum(other[at : at + chunk]) for at in starts]


def milliseconds(seconds: Sequence[float]) -> list[float]:
    return [value * 1000 for value in seconds]


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    cpuinfo = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (cpuinfo.read_text().splitlines() if cpuinfo.exists() else [])
        if line.startswith("model name")
    ]
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}".rstrip("0").rstrip(".")
