"""JSON Patch through the gateway."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.e2e.fhir import PATIENT, outcome

JSON_PATCH = {"Content-Type": "application/json-patch+json"}


def test_json_patch_with_if_match(client: Callable[..., Any]) -> None:
    api = client("practitioner")
    path = f"/Patient/{api.post('/Patient', json=PATIENT).json()['id']}"
    operations = json.dumps(
        [
            {"op": "test", "path": "/name/0/family", "value": "Schmidt"},
            {"op": "add", "path": "/birthDate", "value": "1970-02-03"},
        ]
    )
    answer = api.patch(path, data=operations, headers={**JSON_PATCH, "If-Match": 'W/"1"'})
    assert answer.status_code == 200, answer.text
    assert answer.headers["ETag"] == 'W/"2"'
    assert api.get(path).json()["birthDate"] == "1970-02-03"
    stale = api.patch(path, data=operations, headers={**JSON_PATCH, "If-Match": 'W/"1"'})
    outcome(stale, 412)
    outcome(api.patch(path, data=operations), 415)
    outcome(api.patch(path, data='[{"op":"remove","path":"/x"}]', headers=JSON_PATCH), 422)
    outcome(api.patch(path, data="{", headers=JSON_PATCH), 400)
    outcome(api.patch("/Patient/unknown", data="[]", headers=JSON_PATCH), 404)


def test_no_patch_is_lost(client: Callable[..., Any]) -> None:
    """Each adds a name to what others have added meanwhile, without If-Match."""
    path = f"/Patient/{client('practitioner').post('/Patient', json=PATIENT).json()['id']}"

    def add(number: int) -> int:
        operation = {"op": "add", "path": "/name/-", "value": {"family": f"Name{number}"}}
        api = client("practitioner")
        while True:
            answer = api.patch(path, data=json.dumps([operation]), headers=JSON_PATCH)
            if answer.status_code != 409:
                return answer.status_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(add, range(12))) == {200}
    names = client("practitioner").get(path).json()["name"]
    assert {name["family"] for name in names} == {"Schmidt", *(f"Name{n}" for n in range(12))}
