"""A Binary's place: in the dataset that its securityContext names, if that is the caller's."""

from collections.abc import Callable

import pytest

from functions.uploads.state import object_key, parse_key
from tests.functions.uploads.conftest import VERSIONS, User, binary


@pytest.fixture
def dataset(owner: User) -> str:
    from functions.shared import store
    from functions.shared.items import Version

    store.create(Version("DocumentReference/d-1." + owner.subject, 1, b"{}", owner.subject, "2026"))
    return "d-1." + owner.subject


@pytest.mark.parametrize("form", ["{}", "{}/_history/1", "https://api.test/api/{}"])
def test_the_callers_dataset_is_the_folder(
    owner: User, complete: Callable[..., None], dataset: str, form: str
) -> None:
    from functions.shared import store

    reference = form.format(f"DocumentReference/{dataset}")
    made = owner.new(b"x", securityContext={"reference": reference}).body

    assert f"/datasets/{dataset}/{made['id']}/1?" in made["presignedPutUrl"]
    assert made["securityContext"]["reference"] == reference
    version = store.latest(f"Binary/{made['id']}")
    assert version is not None
    assert version.dataset == dataset
    complete(owner.put(made, b"x").event)
    assert owner.read(made["id"])["uploadStatus"] == "available"


def test_a_dataset_too_large_for_its_item_is_known_all_the_same(owner: User) -> None:
    from functions.shared import clients, items

    name = f"large-{owner.subject}"
    large = items.Version(f"DocumentReference/{name}", 1, b"", owner.subject, "2026")
    item = items.item_of(large) | {"overflow": {"S": "kept elsewhere"}}
    clients.dynamodb().put_item(TableName=VERSIONS, Item=item)

    made = owner.new(securityContext={"reference": f"DocumentReference/{name}"}).body

    assert f"/datasets/{name}/" in made["presignedPutUrl"]


def test_somebody_elses_dataset_is_refused(user: Callable[..., User], dataset: str) -> None:
    context = {"reference": f"DocumentReference/{dataset}"}
    assert user().new(securityContext=context).status == 403


@pytest.mark.parametrize("reference", ["Patient/1", "https://other.test/DocumentReference/1"])
def test_other_contexts_have_no_folder(owner: User, reference: str) -> None:
    made = owner.new(securityContext={"reference": reference}).body
    assert f"/unassigned/{made['id']}/1?" in made["presignedPutUrl"]


def test_keys_are_read_as_they_are_made() -> None:
    assert parse_key(object_key("", "b", 12)) == ("b", 12)
    assert parse_key(object_key("d", "b", 1)) == ("b", 1)
    for key in ("unassigned/b/0", "unassigned/../1", "datasets/../b/1", "other/b/1", "b/1", ""):
        assert parse_key(key) is None


def test_who_a_dataset_is_shared_with_gets_no_bytes_from_outside_of_it(
    owner: User, user: Callable[..., User], complete: Callable[..., None], dataset: str
) -> None:
    from functions.shared import clients, grants

    reader = user("practitioner")
    grant = grants.Grant(f"user#{reader.subject}", dataset, "c", True, 0, 2**53)
    clients.dynamodb().put_item(**grants.put(grant)["Put"])
    made = owner.new(b"secret").body
    complete(owner.put(made, b"secret").event)
    path = f"/Binary/{made['id']}"
    assert reader.call("GET", path).status == 403
    inside = {"securityContext": {"reference": f"DocumentReference/{dataset}"}}
    body = binary(b"shared", id=made["id"], **inside)
    changed = owner.call("PUT", path, body)
    assert changed.status == 200
    assert "presignedGetUrl" in owner.read(made["id"]), "the older bytes are still the owner's"
    assert "presignedGetUrl" not in reader.read(made["id"])
    assert reader.call("GET", f"{path}/_history/1").status == 403
    complete(owner.put(changed.body, b"shared").event)
    assert reader.read(made["id"])["availableVersion"] == "2"
    for operation in ("$upload-parts", "$complete", "$abort"):
        assert reader.call("POST", f"{path}/{operation}", {}).status == 403
