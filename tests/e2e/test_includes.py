"""`_include` and `_revinclude` on every page, against an evaluation in memory."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.fhir import outcome
from tests.e2e.hospital import Hospital, Resource, key_of, pages

Belongs = Callable[[Hospital, Resource], list[Resource]]


def circle(h: Hospital, start: Resource) -> list[Resource]:
    """The organizations above an encounter's."""
    found, todo = [], h.target(start, "serviceProvider")
    while todo:
        found += todo
        todo = [above for o in todo for above in h.target(o, "partOf")]
    return found


QUESTIONS: dict[str, tuple[str, Belongs]] = {
    "_include=Observation:subject": ("Observation", lambda h, o: h.target(o, "subject")),
    "_include=Observation:subject:Group": ("Observation", lambda h, o: []),
    "_include=Observation:*": (
        "Observation",
        lambda h, o: [
            *h.target(o, "subject"), *h.target(o, "encounter"), *h.target(o, "performer"),
        ],
    ),
    "_include=*&_include=Observation:performer:Practitioner": (
        "Observation",
        lambda h, o: [
            *h.target(o, "subject"), *h.target(o, "encounter"), *h.target(o, "performer"),
        ],
    ),
    "_include=Encounter:service-provider&_include:iterate=Organization:partof": (
        "Encounter", circle,
    ),
    "_revinclude=Encounter:subject": (
        "Patient", lambda h, p: h.pointing("Encounter", ("subject",), p),
    ),
    "_revinclude=Observation:patient&_revinclude:iterate=DiagnosticReport:result": (
        "Patient",
        lambda h, p: [
            *(values := h.pointing("Observation", ("subject",), p)),
            *(r for o in values for r in h.pointing("DiagnosticReport", ("result",), o)),
        ],
    ),
    "_revinclude=Encounter:*&_include:iterate=Encounter:service-provider": (
        "Patient",
        lambda h, p: [
            *(visits := h.pointing("Encounter", ("subject",), p)),
            *(o for visit in visits for o in h.target(visit, "serviceProvider")),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("query", QUESTIONS)
def test_each_page_has_what_belongs_to_its_matches(
    client: Callable[..., Any], hospital: Hospital, query: str
) -> None:
    kind, belongs = QUESTIONS[query]
    matched: list[str] = []
    for page in pages(client("practitioner"), f"/{kind}?_tag={hospital.tag}&_count=70&{query}"):
        by_mode: dict[str, list[str]] = {"match": [], "include": []}
        for entry in page["entry"]:
            by_mode[entry["search"]["mode"]].append(key_of(entry["resource"]))
        expected = {
            key_of(other)
            for key in by_mode["match"]
            for other in belongs(hospital, hospital.members[key])
        }
        assert set(by_mode["include"]) == expected - set(by_mode["match"])
        assert len(by_mode["include"]) == len(set(by_mode["include"]))
        matched += by_mode["match"]
    assert sorted(matched) == sorted(hospital.where(kind, lambda _: True))


def test_includes_follow_the_groups(client: Callable[..., Any], hospital: Hospital) -> None:
    """An auditor may search patients only."""
    query = f"/Patient?_tag={hospital.tag}&_include=*&_revinclude=Observation:patient"
    answer = client("auditor").get(query)
    assert answer.status_code == 200, answer.text
    assert {e["resource"]["resourceType"] for e in answer.json()["entry"]} == {"Patient"}


@pytest.mark.parametrize(
    "query",
    [
        "_include=Observation",
        "_include=Nonsense:subject",
        "_include=Observation:code",
        "_include:sideways=Observation:subject",
        "_revinclude=*",
        "_include=Observation:subject:Practitioner",
        "&".join(["_include=Observation:subject"] * 21),
    ],
)
def test_a_wrong_include_is_the_clients_error(client: Callable[..., Any], query: str) -> None:
    answer = client("practitioner").get(f"/Observation?{query}")
    assert answer.status_code in {400, 422}, answer.text
    outcome(answer, answer.status_code)
