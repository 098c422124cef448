"""Until when AWS supports what we run: dated tables, and the rules that read them."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

from policies.rule import UNKNOWN, Problems, Resource

# https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html, seen 2026-11
KUBERNETES = {
    "1.34": date(2026, 12, 2),
    "1.35": date(2027, 3, 27),
    "1.36": date(2027, 8, 2),
}
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html, seen 2026-11
RUNTIMES = {
    "python3.12": date(2028, 10, 31),
    "python3.13": date(2029, 6, 30),
    "python3.14": date(2029, 6, 30),
}


def ended(key: str, table: Mapping[str, date], today: date | None = None) -> Problems:
    """The input's version is in the table, and its support hasn't ended."""

    def problems(resource: Resource) -> Iterator[str]:
        version: Any = resource.inputs.get(key)
        if version is UNKNOWN:
            return
        now, known = today or datetime.now(UTC).date(), ", ".join(table)
        if version not in table:
            yield f"{key} is {version}: not among {known} (policies/lifetimes.py)"
        elif table[version] < now:
            yield f"{key} is {version}, whose support ended on {table[version]}: use a later one"

    return problems


kubernetes_ended = ended("version", KUBERNETES)
runtime_ended = ended("runtime", RUNTIMES)
