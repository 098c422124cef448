"""The policy of a challenge's role on the datasets that are, or were, attached to it.

Each dataset stands in it once: allowed while its owner's grant holds, denied otherwise, so that
nothing else that the role is given opens it. The soonest ends of grants are conditions, which
nobody has to be there for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from functions.shared.attachments import MOST

LARGEST = 8_900
"""Characters. All inline policies of a role have 10,240 together; the rest is the program's.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""

ENDS = 8
"""Ends of grants that are conditions. Each costs as much as a dataset or two, and the reconciler
takes the next one when one has passed."""

_ACTIONS = ["s3:GetObject", "s3:GetObjectVersion"]


def document(
    bucket_arn: str,
    key_arn: str,
    readable: Mapping[str, int],
    ended: Sequence[str],
    detached: Sequence[str],
) -> dict[str, Any]:
    """`readable`: dataset -> until when, microseconds since 1970. `detached`: the newest first.

    What was detached long ago is left out if the policy would be too long.
    """
    count = min(len(detached), MOST)
    while True:
        made = _document(bucket_arn, key_arn, readable, {*ended, *detached[:count]})
        if not count or len(json.dumps(made, separators=(",", ":"))) <= LARGEST:
            return made
        count -= 1


def _document(
    bucket_arn: str, key_arn: str, readable: Mapping[str, int], denied: Iterable[str]
) -> dict[str, Any]:
    def objects(datasets: Iterable[str]) -> list[str]:
        return [f"{bucket_arn}/datasets/{dataset}/*" for dataset in sorted(datasets)]

    if not readable:
        deny_all = {"Effect": "Deny", "Action": _ACTIONS, "Resource": [f"{bucket_arn}/datasets/*"]}
        return {"Version": "2012-10-17", "Statement": [deny_all]}
    by_end: dict[str, list[str]] = {}
    for dataset, until in readable.items():
        by_end.setdefault(_second(until), []).append(dataset)
    soon = sorted(by_end)[:ENDS]
    statements: list[dict[str, Any]] = [
        {
            "Effect": "Allow",
            "Action": _ACTIONS,
            "Resource": objects(by_end[end]),
            "Condition": {"DateLessThanEquals": {"aws:CurrentTime": end}},
        }
        for end in soon
    ]
    if later := [d for end, datasets in by_end.items() if end not in soon for d in datasets]:
        statements.append({"Effect": "Allow", "Action": _ACTIONS, "Resource": objects(later)})
    statements.append({"Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": key_arn})
    if denied := objects(denied):
        statements.append({"Effect": "Deny", "Action": _ACTIONS, "Resource": denied})
    return {"Version": "2012-10-17", "Statement": statements}


def _second(microseconds: int) -> str:
    """ISO 8601 with seconds, as IAM compares times."""
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
