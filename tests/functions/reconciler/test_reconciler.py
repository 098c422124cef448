"""The reconciler: roles' policies follow grants and attachments, and are written when they must."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from functions.shared.grants import Grant
from tests.issuer import REGION

BUCKET, KEY, PREFIX = "arn:aws:s3:::datasets", f"arn:aws:kms:{REGION}:1:key/k", "ai4h-challenge-"
LONG = 10**10 * 1_000_000  # in 2286


class Roles:
    """IAM's roles, and what was written of them."""

    def __init__(self, reconcile: Callable[[Any, Any], dict[str, Any]], iam: Any) -> None:
        self.reconcile = lambda: reconcile({}, None)
        self._iam = iam

    def readable(self, challenge: str) -> list[str]:
        return self._datasets(challenge, "Allow")

    def denied(self, challenge: str) -> list[str]:
        return self._datasets(challenge, "Deny")

    def _datasets(self, challenge: str, effect: str) -> list[str]:
        policy = self._iam.get_role_policy(
            RoleName=f"{PREFIX}{challenge}", PolicyName="attached-datasets"
        )["PolicyDocument"]
        found = [
            resource
            for statement in policy["Statement"]
            if statement["Effect"] == effect and "s3:GetObject" in statement["Action"]
            for resource in statement["Resource"]
        ]
        start = f"{BUCKET}/datasets/"
        return [each.removeprefix(start).removesuffix("/*") for each in found]


@pytest.fixture
def roles(tables: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Roles]:
    """Roles of the challenges 1 and 2, and nothing attached to them."""
    environment = {"DATASETS_ARN": BUCKET, "DATASETS_KEY_ARN": KEY, "ROLE_PREFIX": PREFIX,
                   "CHALLENGES": "1,2"}  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    from functions.reconciler import handler
    from functions.reconciler import roles as module

    module.iam.cache_clear()
    iam = module.iam()
    for challenge in "12":
        iam.create_role(RoleName=f"{PREFIX}{challenge}", AssumeRolePolicyDocument="{}")
    yield Roles(handler.handler, iam)
    for challenge in "12":
        for policy in iam.list_role_policies(RoleName=f"{PREFIX}{challenge}")["PolicyNames"]:
            iam.delete_role_policy(RoleName=f"{PREFIX}{challenge}", PolicyName=policy)
        iam.delete_role(RoleName=f"{PREFIX}{challenge}")
    module.iam.cache_clear()
    for item in tables.scan(TableName=os.environ["CONTROL_TABLE_NAME"])["Items"]:
        tables.delete_item(
            TableName=os.environ["CONTROL_TABLE_NAME"], Key={k: item[k] for k in ("pk", "sk")}
        )


def attach(challenge: str, dataset: str) -> None:
    from functions.shared import attachments, store

    store.write_all([], attachments.attaching(challenge, dataset))


def detach(challenge: str, dataset: str) -> None:
    from functions.shared import attachments, store

    store.write_all([], attachments.detaching(challenge, dataset))


def grant(
    challenge: str, dataset: str, *, start: int = 0, until: int = LONG, active: bool = True
) -> None:
    from functions.shared import grants, store

    given = Grant(f"challenge#{challenge}", dataset, "consent", active, start, until)
    store.write_all([], [grants.put(given)])


def withdraw(dataset: str, *, is_withdrawn: bool = True) -> None:
    from functions.shared import grants, store

    store.write_all([], [grants.put_state(dataset, is_withdrawn=is_withdrawn)])


def test_a_role_reads_what_is_attached_and_granted_and_nothing_else(roles: Roles) -> None:
    for dataset in ("both", "other", "future", "over", "asked"):
        attach("1", dataset)
    for dataset in ("both", "unattached"):
        grant("1", dataset)
    grant("2", "other")
    grant("1", "future", start=LONG - 1)
    grant("1", "over", until=1)
    grant("1", "asked", active=False)
    assert roles.reconcile() == {"written": 2}
    assert roles.readable("1") == ["both"]
    assert roles.denied("1") == ["asked", "future", "other", "over"]
    assert (roles.readable("2"), roles.denied("2")) == ([], ["*"])
    assert roles.reconcile() == {"written": 0}


def test_whatever_ends_access_denies_it(roles: Roles) -> None:
    endings: dict[str, Callable[[str], None]] = {
        "revoked": lambda d: grant("1", d, active=False),
        "withdrawn": withdraw,
        "detached": lambda d: detach("1", d),
        "expired": lambda d: grant("1", d, until=int((time.time() - 1) * 1_000_000)),
    }
    for dataset in (*endings, "kept"):
        attach("1", dataset)
        grant("1", dataset)
    roles.reconcile()
    assert roles.readable("1") == ["detached", "expired", "kept", "revoked", "withdrawn"]
    for dataset, end in endings.items():
        end(dataset)
        assert roles.reconcile() == {"written": 1}, dataset
        assert dataset not in roles.readable("1")
        assert dataset in roles.denied("1")
    assert roles.readable("1") == ["kept"]
    attach("1", "detached")
    grant("1", "revoked")
    withdraw("withdrawn", is_withdrawn=False)
    roles.reconcile()
    assert roles.readable("1") == ["detached", "kept", "revoked", "withdrawn"]


def test_what_somebody_changed_is_put_right(roles: Roles) -> None:
    attach("1", "a")
    grant("1", "a")
    roles.reconcile()
    wide = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    roles._iam.put_role_policy(
        RoleName=f"{PREFIX}1",
        PolicyName="attached-datasets",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [wide]}),
    )
    assert roles.reconcile() == {"written": 1}
    assert roles.readable("1") == ["a"]


def test_one_role_that_fails_keeps_no_other(
    roles: Roles, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from functions.reconciler import handler

    monkeypatch.setenv("CHALLENGES", "1,404,2")
    monkeypatch.setattr(handler, "logger", SimpleNamespace(error=lambda *a, **k: print(a, k)))
    attach("2", "a")
    grant("2", "a")
    with pytest.raises(Exception, match="404"):
        roles.reconcile()
    assert roles.readable("2") == ["a"]
    assert "'challenge': '404'" in capsys.readouterr().out
