"""API Gateway's events to requests, and answers back."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError

from functions.shared.errors import FhirError, Issue, operation_outcome, quote
from functions.shared.http import (
    MAX_BODY_BYTES,
    Response,
    negotiate,
    request_of,
    resource_of,
    respond,
)


def event(**changed: Any) -> dict[str, Any]:
    return {
        "httpMethod": "GET",
        "path": "/Patient/1",
        "headers": {"Host": "api.test"},
        "requestContext": {"requestId": "r-1", "path": "/api/Patient/1"},
        **changed,
    }


def test_what_an_event_says_arrives() -> None:
    request = request_of(
        event(
            httpMethod="POST",
            path="/Patient/a%20b",
            multiValueHeaders={"If-Match": ['W/"1"'], "Accept": ["a/b", "c/d"]},
            headers={"If-Match": 'W/"1"', "Accept": "c/d", "X-Other": "1"},
            multiValueQueryStringParameters={"name": ["a,b", "ü"], "_count": ["5"]},
            queryStringParameters={"name": "ü", "_count": "5"},
            body="ä",
        )
    )

    assert (request.method, request.path) == ("POST", "/Patient/a b")
    assert request.headers["accept"] == "a/b, c/d"
    assert request.headers["x-other"] == "1"
    assert request.query == (("name", "a,b"), ("name", "ü"), ("_count", "5"))
    assert request.body == "ä".encode()
    assert request.request_id == "r-1"


def test_an_event_with_nothing_in_it_is_a_request() -> None:
    request = request_of({"headers": None, "multiValueHeaders": None, "body": None})

    assert (request.method, request.path, request.query, request.body) == ("GET", "/", (), b"")


def test_binary_bodies_are_decoded_and_limited() -> None:
    packed = base64.b64encode(b"\xff\x00").decode()
    assert request_of(event(body=packed, isBase64Encoded=True)).body == b"\xff\x00"
    request_of(event(body="x" * MAX_BODY_BYTES))
    for status, body in ((400, "not base64!"), (413, "A" * (MAX_BODY_BYTES // 3 * 4 + 8))):
        with pytest.raises(FhirError) as refused:
            request_of(event(body=body, isBase64Encoded=True))
        assert refused.value.status == status
    with pytest.raises(FhirError) as refused:
        request_of(event(body="x" * (MAX_BODY_BYTES + 1)))
    assert refused.value.status == 413


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Host": "abc.execute-api.test"}, "https://abc.execute-api.test/api"),
        ({"Host": "abc", "X-Forwarded-Host": "portal.test:8443"}, "https://portal.test:8443/api"),
        ({"Host": "abc", "X-Forwarded-Proto": "http"}, "http://abc/api"),
        ({"Host": 'evil/"><b>'}, "https://known.test/api"),
        ({"Host": "a\r\nb"}, "https://known.test/api"),
        ({}, "https://known.test/api"),
    ],
)
def test_the_base_url_is_the_clients_but_only_a_host(
    headers: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    context = {"path": "/api/Patient/1", "domainName": "known.test"}
    assert request_of(event(headers=headers, requestContext=context)).base_url == expected


def test_the_base_url_of_an_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    context = {"path": "/api/Patient/1", "apiId": "abcd"}
    direct = request_of(event(requestContext=context))
    portal = request_of(event(requestContext=context, headers={"X-Forwarded-Host": "127.0.0.1:80"}))
    assert direct.base_url == "http://127.0.0.1:4566/_aws/execute-api/abcd/api"
    assert portal.base_url == "http://127.0.0.1:80/api"


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/fhir+json", None),
        ("application/json; charset=utf-8", None),
        ("Application/FHIR+JSON;fhirVersion=4.0", None),
        ("application/fhir+xml", 415),
        ("text/plain", 415),
        ("", 415),
    ],
)
def test_bodies_are_json_by_their_content_type(content_type: str, status: int | None) -> None:
    request = request_of(event(headers={"Content-Type": content_type}, body='{"a":1}'))
    if status is None:
        assert resource_of(request) == {"a": 1}
    else:
        with pytest.raises(FhirError) as refused:
            resource_of(request)
        assert refused.value.status == status


@pytest.mark.parametrize(
    ("accept", "wanted_format", "served"),
    [
        (None, None, True),
        ("*/*", None, True),
        ("application/fhir+json", None, True),
        ("text/html, application/json;q=0.5", None, True),
        ("application/fhir+json;fhirVersion=4.0", None, True),
        ("application/fhir+json;fhirVersion=3.0", None, False),
        ("application/fhir+json;q=0", None, False),
        ("application/fhir+xml", None, False),
        ("text/turtle", None, False),
        ("text/turtle", "json", True),
        ("*/*", "xml", False),
        (None, "application/fhir json", True),
        (None, "application/fhir+json", True),
    ],
)
def test_only_json_is_served(accept: str | None, wanted_format: str | None, served: bool) -> None:
    headers = {} if accept is None else {"Accept": accept}
    query = {} if wanted_format is None else {"_format": wanted_format}
    request = request_of(event(headers=headers, queryStringParameters=query))
    if served:
        negotiate(request)
    else:
        with pytest.raises(FhirError) as refused:
            negotiate(request)
        assert refused.value.status == 406


def failing(error: Exception) -> Callable[[Any], Response]:
    def route(request: Any) -> Response:
        raise error

    return route


def service_error(code: str, status: int, message: str = "", *reasons: str) -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
        "CancellationReasons": [{"Code": reason} for reason in reasons],
    }
    return ClientError(answer, "PutItem")


CANCELLED = "TransactionCanceledException"
NO_GRANT = "User: secret is not authorized to perform: kms:Decrypt on resource: secret"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (FhirError(404, "not-found", "no"), 404, "not-found"),
        (service_error("ThrottlingException", 400), 429, "throttled"),
        (service_error("TransactionInProgressException", 400), 429, "throttled"),
        (service_error("InternalServerError", 500), 503, "transient"),
        (service_error("SlowDown", 503), 429, "throttled"),
        (service_error("AccessDeniedException", 400), 500, "exception"),
        (service_error("AccessDenied", 403, "User: secret isn't KMS's"), 500, "exception"),
        (service_error("AccessDenied", 403, NO_GRANT), 503, "transient"),
        (service_error("RequestTimeTooSkewed", 403), 503, "transient"),
        (service_error("InvalidSignatureException", 400), 503, "transient"),
        (service_error("KMS.DisabledException", 400), 503, "transient"),
        (service_error("KmsInvalidStateException", 400), 503, "transient"),
        (service_error("ValidationException", 400, "KMS validation error: s"), 503, "transient"),
        (service_error("KmsThrottled", 400), 429, "throttled"),
        (service_error(CANCELLED, 400, "", "None", "ThrottlingError"), 429, "throttled"),
        (service_error(CANCELLED, 400, "", "TransactionConflict"), 429, "throttled"),
        (service_error(CANCELLED, 400, "", "ValidationError", "None"), 500, "exception"),
        (EndpointConnectionError(endpoint_url="http://secret"), 503, "transient"),
        (ConnectTimeoutError(endpoint_url="http://secret"), 503, "transient"),
        (ConnectionError("secret"), 500, "exception"),
        (ValueError("secret"), 500, "exception"),
    ],
)
def test_exceptions_become_outcomes_that_tell_nothing_of_the_inside(
    error: Exception, status: int, code: str
) -> None:
    answer = respond(event(), None, failing(error))

    assert answer["statusCode"] == status
    outcome = json.loads(answer["body"])
    assert outcome["resourceType"] == "OperationOutcome"
    assert [issue["code"] for issue in outcome["issue"]] == [code]
    assert ("Retry-After" in answer["headers"]) == (status in (429, 503))
    assert "secret" not in answer["body"]
    assert answer["headers"]["X-Request-Id"] == "r-1"


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ValueError("secret"), "ValueError"),
        (service_error("SlowDown", 503), "PutItem SlowDown"),
        (service_error("AccessDenied", 403, NO_GRANT), "PutItem AccessDenied of a key"),
        (service_error(CANCELLED, 400, "secret", "None", "X"), f"PutItem {CANCELLED} X"),
    ],
)
def test_the_log_tells_the_cause_but_no_message(
    error: Exception, cause: str, caplog: pytest.LogCaptureFixture
) -> None:
    respond(event(), None, failing(error))
    assert vars(caplog.records[-1])["fields"]["cause"] == cause


def test_head_has_the_headers_of_get_and_no_body() -> None:
    answer = respond(event(httpMethod="HEAD"), None, lambda _: Response(200, b"{}", {"ETag": "x"}))
    assert (answer["statusCode"], answer["body"], answer["headers"]["ETag"]) == (200, "", "x")


def test_outcomes_carry_no_markup_and_no_control_characters() -> None:
    error = FhirError(
        400,
        "value",
        "<script>\x1b[2J\ud800 & " + quote("x" * 500),
        expression=["Patient.<b>"],
        further=[Issue("required", "more", ("Patient.name",))],
    )
    first, second = operation_outcome(error)["issue"]

    assert first["diagnostics"].startswith("&lt;script&gt;�[2J� &amp; 'xxx")
    assert len(first["diagnostics"]) < 200
    assert first["expression"] == ["Patient.&lt;b&gt;"]
    assert second["expression"] == ["Patient.name"]
