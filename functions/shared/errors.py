"""Errors that a client can cause, and their FHIR form: the OperationOutcome."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

_MAX_QUOTE = 100
"""Characters of a client's input that a message repeats."""

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_THROTTLED = frozenset(
    {
        "KMS.ThrottlingException",
        "KmsThrottled",
        "KmsThrottlingException",
        "ProvisionedThroughputExceeded",  # of one of a transaction's actions
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "SlowDown",
        "ThrottledException",
        "ThrottlingError",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflict",
        "TransactionInProgressException",  # its own first try, whose answer was lost
    }
)
_UNAVAILABLE = frozenset(
    {
        "InternalError",
        "InternalServerError",
        "InvalidSignatureException",  # DynamoDB and SQS: this machine's clock is minutes off
        "RequestTimeTooSkewed",  # S3: the same
        "ServiceUnavailable",
    }
)

_OF_KEY = re.compile(
    "KMS (key access denied|validation|internal) error"
    "|The ciphertext refers to a customer master key|.* perform: kms:"
)
_KEY_SECONDS = 60
"""Until a client tries again: a person must give the key back."""


class Issue(NamedTuple):
    """One issue of an OperationOutcome; `code` is from the value set `issue-type`."""

    code: str
    diagnostics: str
    expression: tuple[str, ...] = ()


class FhirError(Exception):
    """Ends a request with `status` and an OperationOutcome.

    `expression` are FHIRPaths of the elements at fault, `further` more issues of the request.
    """

    def __init__(
        self,
        status: int,
        code: str,
        diagnostics: str,
        *,
        expression: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        further: Sequence[Issue] = (),
    ) -> None:
        super().__init__(diagnostics)
        self.status = status
        self.issues = (Issue(code, diagnostics, tuple(expression)), *further)
        self.headers = dict(headers or {})


def quote(value: object) -> str:
    """A client's input, shortened so that a message can repeat it."""
    text = str(value)
    return f"'{text[:_MAX_QUOTE]}…'" if len(text) > _MAX_QUOTE else f"'{text}'"


def operation_outcome(error: FhirError, severity: str = "error") -> dict[str, Any]:
    """The OperationOutcome of an error, safe to show: no markup, no control characters."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": severity,
                "code": issue.code,
                "diagnostics": _plain(issue.diagnostics),
                **(
                    {"expression": [_plain(e) for e in issue.expression]}
                    if issue.expression
                    else {}
                ),
            }
            for issue in error.issues
        ],
    }


def throttled(seconds: int = 1) -> FhirError:
    return FhirError(
        429, "throttled", "Too many requests; try again.", headers={"Retry-After": str(seconds)}
    )


def unavailable(seconds: int = 5) -> FhirError:
    return FhirError(
        503,
        "transient",
        "A service needed for this request doesn't answer; try again.",
        headers={"Retry-After": str(seconds)},
    )


def of_service(error: Exception) -> FhirError | None:
    """What an exception of an AWS client means to our client: 429, 503, or None (a fault).

    botocore has retried already. Known by shape, so that nothing here imports botocore.
    """
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        lost = {"ConnectionError", "HTTPClientError"} & {c.__name__ for c in type(error).__mro__}
        return unavailable() if lost and type(error).__module__.startswith("botocore") else None
    code, message, reasons = _told(response)
    if {code, *reasons} & _THROTTLED:
        return throttled()
    if _is_of_key(code, message):
        return unavailable(_KEY_SECONDS)
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return unavailable() if code in _UNAVAILABLE or status >= 500 else None


def _is_of_key(code: str, message: str) -> bool:
    """Whether the key that data are encrypted with can't be used: disabled, or not by us.

    S3, SQS, Step Functions and Lambda say so in the code ("KMS.DisabledException"), DynamoDB and
    S3's AccessDenied in the message alone.
    """
    return code.upper().startswith("KMS") or bool(_OF_KEY.match(message))


def cause(error: Exception) -> str:
    """What the log tells of an exception: of an AWS client's, the call and AWS's code as well.

    Its message may quote a resource.
    """
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        return type(error).__name__
    code, message, reasons = _told(response)
    told = [getattr(error, "operation_name", ""), code, *sorted(filter(None, reasons - {"None"}))]
    of_key = ["of a key"] if _is_of_key(code, message) else []
    return " ".join([*filter(None, told), *of_key])


def _told(response: dict[str, Any]) -> tuple[str, str, set[Any]]:
    """Code and message of AWS's error, and the codes of a transaction's actions."""
    error = response.get("Error", {})
    reasons = {reason.get("Code") for reason in response.get("CancellationReasons", ())}
    return error.get("Code", ""), error.get("Message", ""), reasons


def _plain(text: str) -> str:
    return escape(_UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text), quote=False)
