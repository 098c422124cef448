"""`$erase`: who may, what is left of the resource, and that it never comes back."""

from collections.abc import Callable

import pytest

from functions.shared import store
from tests.functions.api.conftest import Client

PATIENT = {"resourceType": "Patient", "name": [{"family": "Schmidt"}]}


@pytest.mark.parametrize("delete_first", [True, False])
def test_erased_is_for_good(client: Callable[..., Client], delete_first: bool) -> None:
    api, admin = client(), client("admin", subject="admin")
    patient = api.make(PATIENT)
    path = f"/Patient/{patient['id']}"
    if delete_first:
        assert api.call("DELETE", path).status == 204

    assert api.call("POST", f"{path}/$erase").status == 403
    for _ in range(2):
        done = admin.call("POST", f"{path}/$erase")
        assert (done.status, done.headers["ETag"]) == (200, 'W/"3"')
        assert done.body["issue"][0]["diagnostics"].startswith("Erased.")
        assert "X-Consistency-Token" in done.headers

    assert api.get(path).status == 410
    assert api.call("PUT", path, patient).status == 410
    assert api.call("DELETE", path).status == 204
    marker = store.latest(f"Patient/{patient['id']}")
    assert marker is not None
    assert (marker.version, marker.erased, marker.body) == (3, True, b"")


def test_what_there_never_was_is_not_erased(client: Callable[..., Client]) -> None:
    admin = client("admin")
    assert admin.call("POST", "/Patient/nobody/$erase").status == 404
    assert admin.get("/Patient/nobody/$erase").status == 405
