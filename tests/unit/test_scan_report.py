"""Figures of a scan: what is excepted doesn't count, and only where and as long as it is."""

from datetime import date
from typing import Any

from policies.exceptions import RuleException
from tools.scan_report import report, unexcepted

LATER = date(9999, 12, 31)
LOGS = RuleException("CKV_1", "dev", "*-logs", "why", LATER)


def scan(*failed: tuple[str, str], passed: int = 97, resources: int = 100) -> dict[str, Any]:
    findings = [{"check_id": check, "resource": resource} for check, resource in failed]
    summary = {"passed": passed, "resource_count": resources}
    return {"results": {"failed_checks": findings}, "summary": summary}


def test_exceptions_are_for_their_stack_and_resources() -> None:
    found = scan(("CKV_1", "aws_s3_bucket.a-logs"), ("CKV_1", "aws_s3_bucket.a"))
    dev = report("dev", found, [LOGS])
    assert dev.excepted == 1
    assert dev.failed == {"CKV_1": ["a"]}
    assert report("prod", found, [LOGS]).failed == {"CKV_1": ["a-logs", "a"]}


def test_an_exception_ends() -> None:
    ended = RuleException("CKV_1", "dev", "*", "why", date(2020, 1, 1))
    assert report("dev", scan(("CKV_1", "aws_s3_bucket.a")), [ended]).fails == 1


def test_the_promise_is_kept_up_to_three_fails_in_a_hundred() -> None:
    three = [("CKV_2", f"aws_s3_bucket.{n}") for n in range(3)]
    kept = report("dev", scan(*three), [])
    assert kept.kept
    assert "97.0% passed, 3 failed (3.0 per 100 resources)" in str(kept)
    assert not report("dev", scan(*three, ("CKV_2", "aws_s3_bucket.x"), passed=900), []).kept
    assert not report("dev", scan(*three, passed=90, resources=1000), []).kept


def test_what_prowler_fails_is_excepted_by_check_and_resource() -> None:
    findings = [
        {
            "metadata": {"event_code": check},
            "status_code": status,
            "status_detail": f"{name} has none",
            "resources": [{"name": name}],
        }
        for check, status, name in (
            ("s3_lock", "FAIL", "a-logs"),
            ("s3_lock", "FAIL", "a"),
            ("kms_rotation", "PASS", "b"),
            ("account_alarm_x", "FAIL", "123456789012"),
        )
    ]
    known = [
        RuleException("prowler:s3_lock", "dev", "*-logs", "why", LATER),
        RuleException("prowler:account_alarm_*", "*", "*", "why", LATER),
    ]
    assert unexcepted("dev", findings, known) == {"s3_lock": ["a has none"]}
    assert set(unexcepted("prod", findings, known)) == {"s3_lock"}
    assert len(unexcepted("prod", findings, known)["s3_lock"]) == 2
