"""What scanners found in a stack, beside the exceptions that are written down.

    checkov -f plan.json --framework terraform_plan --skip-download -o json > checkov.json
    python -m tools.scan_report dev checkov.json
    prowler aws --output-formats json-ocsf --output-filename account
    python -m tools.scan_report dev output/account.ocsf.json

Exit status 1 where that isn't what docs/security.md promises: of checkov's checks so many passed,
and nothing that prowler fails but what is excepted.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from policies.exceptions import EXCEPTIONS, RuleException, excepted

LEAST_PASSED = 0.97
MOST_FAILED = 0.03
"""Of the resources' number."""


@dataclass(frozen=True)
class Report:
    """Figures of a scan. What is excepted is no check at all, as if checkov had skipped it."""

    passed: int
    resources: int
    excepted: int
    failed: Mapping[str, list[str]] = field(default_factory=dict)
    """Names of resources by check."""

    @property
    def fails(self) -> int:
        """Failed checks, over all resources."""
        return sum(len(names) for names in self.failed.values())

    @property
    def passed_share(self) -> float:
        """Of the checks that count."""
        return self.passed / (self.passed + self.fails)

    @property
    def kept(self) -> bool:
        """Whether the promise is kept."""
        few = self.fails <= MOST_FAILED * self.resources
        return few and self.passed_share >= LEAST_PASSED

    def __str__(self) -> str:
        head = (
            f"{self.resources} resources: {self.passed_share:.1%} passed, {self.fails} failed "
            f"({100 * self.fails / self.resources:.1f} per 100 resources), {self.excepted} excepted"
        )
        return "\n".join([head, *(f"{c}: {', '.join(n)}" for c, n in sorted(self.failed.items()))])


def report(
    stack: str, scan: Mapping[str, Any], exceptions: Iterable[RuleException] = EXCEPTIONS
) -> Report:
    """The figures of checkov's JSON, less the exceptions of a stack that haven't ended."""
    known = tuple(exceptions)
    failed: dict[str, list[str]] = defaultdict(list)
    left_out = 0
    for finding in scan["results"]["failed_checks"]:
        kind, _, name = finding["resource"].partition(".")
        urn = f"urn:pulumi:{stack}::::{kind}::{name}"
        if excepted(finding["check_id"], urn, known):
            left_out += 1
        else:
            failed[finding["check_id"]].append(name)
    summary = scan["summary"]
    return Report(summary["passed"], summary["resource_count"], left_out, dict(failed))


def unexcepted(
    stack: str,
    findings: Iterable[Mapping[str, Any]],
    exceptions: Iterable[RuleException] = EXCEPTIONS,
) -> dict[str, list[str]]:
    """What prowler fails (OCSF), less the exceptions of a stack: what it says, by check.

    Exceptions name its checks as `prowler:<check>`.
    """
    known, failed = tuple(exceptions), defaultdict[str, list[str]](list)
    for finding in findings:
        check, [resource, *_] = finding["metadata"]["event_code"], finding["resources"]
        urn = f"urn:pulumi:{stack}::::{check}::{resource['name']}"
        if finding["status_code"] == "FAIL" and not excepted(f"prowler:{check}", urn, known):
            failed[check].append(finding["status_detail"])
    return dict(failed)


def main() -> None:
    stack, file = sys.argv[1:]
    scan = json.loads(Path(file).read_text("utf-8"))
    if isinstance(scan, list):
        failed = unexcepted(stack, scan)
        for check, details in sorted(failed.items()):
            print(f"{check}: {len(details)}, {details[0]}")
        print(f"{len(scan)} findings, {sum(map(len, failed.values()))} failed and not excepted")
        sys.exit(bool(failed))
    found = report(stack, scan)
    print(found)
    sys.exit(not found.kept)


if __name__ == "__main__":
    main()
