"""Who is let in and what they may do, at the gateway and in the function behind it."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.e2e.aws import aws
from tests.e2e.fhir import PATIENT, outcome

FINANCIAL = "Claim"


def call(stack: dict[str, Any], token: str | None, key: str | None) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    headers |= {"x-api-key": key} if key is not None else {}
    return requests.get(stack["api_url"] + "/Patient/unknown", headers=headers, timeout=10)


def test_a_key_and_a_token_are_both_needed(
    stack: dict[str, Any], token: Callable[[str], str]
) -> None:
    good, key = token("practitioner"), stack["api_key"]
    outcome(call(stack, good, key), 404)
    outcome(call(stack, good, None), 403)
    outcome(call(stack, good, "wrong"), 403)
    outcome(call(stack, None, key), 401)
    outcome(call(stack, "nonsense", key), 401)


def test_tampered_and_access_tokens_are_refused(
    stack: dict[str, Any], token: Callable[[str], str]
) -> None:
    head, payload, signature = token("auditor").split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    forged = json.dumps(claims | {"cognito:groups": ["admin"]}).encode()
    forged = base64.urlsafe_b64encode(forged).decode().rstrip("=")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    user = stack["users"]["practitioner"]
    access = aws(stack, "cognito-idp").initiate_auth(
        ClientId=stack["cli_client_id"],
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": user["username"], "PASSWORD": user["password"]},
    )["AuthenticationResult"]["AccessToken"]
    for bad in (
        f"{head}.{forged}.{signature}",
        f"{none}.{forged}.",
        f"{none}.{payload}.{signature}",
        f"{head}.{payload}.",
        f"{head}.{payload}",
        access,
    ):
        outcome(call(stack, bad, stack["api_key"]), 401)


@pytest.mark.parametrize(
    ("group", "method", "path", "allowed"),
    [
        ("practitioner", "POST", "/Patient", True),
        ("practitioner", "GET", "/Observation?code=1", True),
        ("non-practitioner", "GET", f"/{FINANCIAL}?status=active", True),
        ("non-practitioner", "GET", "/Patient?name=x", False),
        ("non-practitioner", "GET", "/Patient/1", False),
        ("non-practitioner", "POST", f"/{FINANCIAL}", False),
        ("auditor", "GET", "/Patient?name=x", True),
        ("auditor", "POST", "/Patient", False),
        ("auditor", "DELETE", "/Patient/1", False),
        ("auditor", "GET", "/Observation?code=1", False),
        ("data-owner", "GET", "/Patient?name=x", False),
        ("data-owner", "GET", "/DocumentReference?status=current", True),
        ("admin", "GET", "/DocumentReference?status=current", True),
    ],
)
def test_groups_may_do_what_the_rules_say(
    client: Callable[..., Any], group: str, method: str, path: str, allowed: bool
) -> None:
    body = json.dumps(PATIENT) if method == "POST" else None
    answer = client(group).request(method, path, data=body)
    if allowed:
        assert answer.status_code in {200, 201}, answer.text
    else:
        assert outcome(answer, 403)["issue"][0]["code"] == "forbidden"


DATASET = {
    "resourceType": "DocumentReference",
    "status": "current",
    "content": [{"attachment": {"contentType": "text/csv"}}],
}


def test_a_private_resource_is_its_owners_alone(
    client: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    owner, other, admin = client("data-owner"), client("practitioner"), client("admin")
    made = owner.post("/DocumentReference", json=DATASET)
    assert made.status_code == 201, made.text
    dataset = made.json()
    path = f"/DocumentReference/{dataset['id']}"
    assert owner.get(path).status_code == 200
    assert admin.get(path).status_code == 200
    outcome(other.get(path), 403)
    outcome(other.get(f"{path}/_history/1"), 403)
    outcome(other.put(path, json=dataset), 403)
    outcome(other.delete(path), 403)

    def ids(api: Any) -> list[str]:
        bundle = api.get(f"/DocumentReference?_id={dataset['id']}").json()
        return [entry["resource"]["id"] for entry in bundle.get("entry", [])]

    eventually(lambda: ids(owner) == [dataset["id"]])
    assert ids(admin) == [dataset["id"]]
    assert ids(other) == []
    total = other.get(f"/DocumentReference?_id={dataset['id']}&_total=accurate").json()["total"]
    assert total == 0
