"""The roles of challenges' workers: each has an inline policy that is the reconciler's alone."""

from __future__ import annotations

import json
import os
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from functions.reconciler.policy import document
from functions.shared import attachments, grants
from functions.shared.log import logger
from functions.shared.tracing import traced

POLICY_NAME = "attached-datasets"

_CONFIG = Config(
    connect_timeout=2,
    read_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 3},
)


@cache
def iam() -> Any:
    """Reads and writes the policies. IAM has one endpoint for all regions."""
    return traced(boto3.client("iam", config=_CONFIG))


def reconcile(challenge: str) -> bool:
    """Writes the policy of a challenge's role if it isn't what it has to be; whether it did."""
    until = grants.ends(grants.held(grants.challenge(challenge)))
    found = sorted(attachments.of(challenge), key=lambda each: each.since, reverse=True)
    attached = [each.dataset for each in found if each.is_attached]
    wanted = document(
        os.environ["DATASETS_ARN"],
        os.environ["DATASETS_KEY_ARN"],
        {dataset: until[dataset] for dataset in attached if dataset in until},
        [dataset for dataset in attached if dataset not in until],
        [each.dataset for each in found if not each.is_attached],
    )
    role = f"{os.environ['ROLE_PREFIX']}{challenge}"
    if _written(role) == wanted:
        return False
    iam().put_role_policy(
        RoleName=role,
        PolicyName=POLICY_NAME,
        PolicyDocument=json.dumps(wanted, separators=(",", ":")),
    )
    logger.info("reconciled", extra={"fields": {"challenge": challenge, "datasets": len(attached)}})
    return True


def _written(role: str) -> dict[str, Any] | None:
    client = iam()
    try:
        answer = client.get_role_policy(RoleName=role, PolicyName=POLICY_NAME)
    except client.exceptions.NoSuchEntityException:
        return None
    return answer["PolicyDocument"]
