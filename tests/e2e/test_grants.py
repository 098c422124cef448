"""Who sees a dataset, on every path that leads to one: owner, user, group and stranger."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from tests.e2e.hospital import TOKEN
from tests.functions.api.test_grants import DATASET, consent

CONTENT = b"a,b\n1,2\n"
YEAR = timedelta(days=365)
STATES = ("active", "expired", "revoked", "future")
SEEN_BY = {"user": {"practitioner"}, "group": {"challenge-host"}}
"""Kind of grant -> who sees the dataset while it is active, besides its owner and admins."""

ALWAYS = {"data-owner", "admin"}
READERS = ("data-owner", "practitioner", "challenge-host", "admin")


def period(state: str) -> dict[str, str]:
    now = datetime.now(UTC)
    start, end = {"expired": (-2, -1), "future": (1, 2)}.get(state, (-1, 1))
    return {"start": (now + start * YEAR).isoformat(), "end": (now + end * YEAR).isoformat()}


class Shared:
    """A dataset with one file, shared in one way, and a page of every reader's that names it."""

    def __init__(
        self, client: Callable[[str], Any], stack: dict[str, Any], kind: str, state: str, hub: str
    ) -> None:
        owner = client("data-owner")
        self.name = f"{kind} {state} {time.time_ns()}"
        self.tokens: list[str] = []
        relates = [{"code": "appends", "target": {"reference": f"DocumentReference/{hub}"}}]
        made = self._made(owner, DATASET | {"description": self.name, "relatesTo": relates})
        self.id = made["id"]
        self.path = f"/DocumentReference/{self.id}"
        file = self._file(owner)
        self.file = f"/Binary/{file['id']}"
        name = stack["users"]["practitioner"]["username"]
        actor = ("Practitioner", name) if kind == "user" else ("Group", "challenge-host")
        given = self._made(owner, consent(self.id, actor, period=period(state)))
        self.consent = given["id"]
        if state == "revoked":
            ended = owner.put(f"/Consent/{given['id']}", json=given | {"status": "inactive"})
            assert ended.status_code == 200, ended.text
        self.pages = {
            reader: self._made(client(reader), DATASET | {"relatesTo": self._relation()})["id"]
            for reader in READERS
        }

    def _relation(self) -> list[dict[str, Any]]:
        return [{"code": "appends", "target": {"reference": self.path.removeprefix("/")}}]

    def _made(self, api: Any, resource: dict[str, Any]) -> dict[str, Any]:
        answer = api.post(f"/{resource['resourceType']}", json=resource)
        assert answer.status_code == 201, answer.text
        self.tokens.append(answer.headers[TOKEN])
        return answer.json()

    def _file(self, owner: Any) -> dict[str, Any]:
        declared = {"contentType": "text/csv", "size": len(CONTENT)}
        context = {"securityContext": {"reference": self.path.removeprefix("/")}}
        file = self._made(owner, {"resourceType": "Binary"} | declared | context)
        sent = requests.put(
            file["presignedPutUrl"], data=CONTENT, headers=file["uploadHeaders"], timeout=10
        )
        assert sent.status_code == 200, sent.text
        return file

    def cells(self, api: Any, reader: str, hub: str) -> dict[str, bool]:
        """Path -> whether it shows the dataset or its file to a reader."""
        exact = self.name.replace(" ", "%20")
        page = f"/DocumentReference?_id={self.pages[reader]}"
        found = {
            "read": self._read(api, self.path),
            "vread": self._read(api, f"{self.path}/_history/1"),
            "history": self._read(api, f"{self.path}/_history"),
            "file": self._read(api, self.file),
            "file's version": self._read(api, f"{self.file}/_history/1"),
            "file's history": self._read(api, f"{self.file}/_history"),
            "download": self._downloads(api),
            "list": self.id in self._ids(api, "/DocumentReference?_sort=-_lastUpdated&_count=200"),
            "system search": self.id in self._ids(api, f"/?_id={self.id}"),
            "search": self.id in self._ids(api, f"/DocumentReference?description:exact={exact}"),
            "search for files": bool(self._ids(api, f"/Binary?_id={self.file[8:]}")),
            "include": self.id in self._ids(api, f"{page}&_include=DocumentReference:relatesto"),
            "revinclude": self.id
            in self._ids(
                api, f"/DocumentReference?_id={hub}&_revinclude=DocumentReference:relatesto"
            ),
            "chain": bool(self._ids(api, f"{page}&relatesto.description:exact={exact}")),
            "reverse chain": bool(
                self._ids(
                    api,
                    f"/DocumentReference?_id={hub}"
                    f"&_has:DocumentReference:relatesto:description={exact}",
                )
            ),
            "type's history": self.id in self._ids(api, "/DocumentReference/_history?_count=500"),
        }
        count = api.get(f"/DocumentReference?description:exact={exact}&_summary=count").json()
        return found | {"count": count["total"] > 0}

    def _read(self, api: Any, path: str) -> bool:
        answer = api.get(path)
        assert answer.status_code in (200, 403), answer.text
        return answer.status_code == 200

    def _downloads(self, api: Any) -> bool:
        answer = api.get(self.file, headers={"Accept": "text/csv"}, allow_redirects=False)
        assert answer.status_code in (302, 403), answer.text
        if answer.status_code == 403:
            return False
        return requests.get(answer.headers["Location"], timeout=10).content == CONTENT

    def _ids(self, api: Any, path: str) -> set[str]:
        answer = api.get(path)
        assert answer.status_code == 200, answer.text
        return {e["resource"]["id"] for e in answer.json().get("entry", []) if "resource" in e}


@pytest.fixture(scope="module")
def hub(client: Callable[[str], Any], stack: dict[str, Any]) -> str:
    """A dataset that all readers see, to which the others relate."""
    owner = client("data-owner")
    made = owner.post("/DocumentReference", json=DATASET).json()
    name = stack["users"]["practitioner"]["username"]
    for actor in (("Practitioner", name), ("Group", "challenge-host")):
        assert owner.post("/Consent", json=consent(made["id"], actor)).status_code == 201
    return made["id"]


@pytest.mark.parametrize(
    ("kind", "states"),
    [
        ("user", ("active", "revoked")),
        ("group", ("active",)),
        *(pytest.param(kind, STATES, marks=pytest.mark.slow) for kind in SEEN_BY),
    ],
)
def test_every_path_shows_a_dataset_to_whom_it_is_shared_with_and_to_nobody_else(
    client: Callable[[str], Any],
    stack: dict[str, Any],
    eventually: Callable[..., None],
    hub: str,
    kind: str,
    states: tuple[str, ...],
) -> None:
    made = {state: Shared(client, stack, kind, state, hub) for state in states}
    for shared in made.values():
        owner, tokens = client("data-owner"), {TOKEN: ",".join(shared.tokens)}
        eventually(lambda o=owner, s=shared: "presignedGetUrl" in o.get(s.file).json())
        while owner.get("/DocumentReference?_count=0", headers=tokens).status_code == 503:
            continue
    wrong: list[str] = []
    for state, shared in made.items():
        for reader in READERS:
            expected = reader in ALWAYS or (state == "active" and reader in SEEN_BY[kind])
            cells = shared.cells(client(reader), reader, hub)
            wrong += [
                f"{state}: {reader} {'sees' if shown else 'misses'} it by {path}"
                for path, shown in cells.items()
                if shown != expected
            ]
    assert wrong == []


def test_a_revoked_grant_ends_at_once_and_its_urls_within_their_life(
    client: Callable[[str], Any], stack: dict[str, Any], eventually: Callable[..., None], hub: str
) -> None:
    shared = Shared(client, stack, "user", "active", hub)
    owner, reader = client("data-owner"), client("practitioner")
    eventually(lambda: "presignedGetUrl" in owner.get(shared.file).json())
    shown = reader.get(shared.file).json()
    expires = datetime.fromisoformat(shown["expires"])
    assert expires <= datetime.now(UTC) + timedelta(minutes=5)
    for operation in ("$upload-parts", "$complete", "$abort"):
        assert reader.post(f"{shared.file}/{operation}", json={}).status_code == 403
    assert owner.delete(f"/Consent/{shared.consent}").status_code == 204
    assert reader.get(shared.file).status_code == 403
    assert reader.get(shared.path).status_code == 403
