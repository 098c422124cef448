"""Which includes there are, and what they ask the index for."""

from typing import Any

import pytest

from functions.search.includes import Include, read, wanted
from functions.shared.errors import FhirError
from functions.shared.resources import RESOURCE_TYPES

BASE = "https://api.test/api"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("_include", "Observation:subject", (False, False, "Observation", "subject", "")),
        ("_include", "Task:owner:Patient", (False, False, "Task", "owner", "Patient")),
        ("_include:iterate", "Patient:*", (False, True, "Patient", "", "")),
        ("_include", "*", (False, False, "", "", "")),
        ("_revinclude", "Provenance:target", (True, False, "Provenance", "target", "")),
        ("_revinclude:iterate", "Observation:*", (True, True, "Observation", "", "")),
    ],
)  # fmt: skip
def test_how_an_include_is_written(name: str, value: str, expected: Any) -> None:
    assert read(name, value) == Include(*expected)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("_revinclude", "*"),
        ("_include:nonsense", "Observation:subject"),
        ("_include", "Observation"),
        ("_include", "Observation:"),
        ("_include", "Observation:shoe"),
        ("_include", "Observation:code"),
        ("_include", "Observation:subject:Practitioner"),
        ("_include", "Observation:subject:Nonsense"),
        ("_include", "Observation:subject:Patient:x"),
        ("_include", "Nonsense:subject"),
        ("_include", "Bundle:composition"),
    ],
)
def test_what_is_none(name: str, value: str) -> None:
    with pytest.raises(FhirError) as refused:
        read(name, value)
    assert refused.value.status == 400


def asked(name: str, value: str, *resources: dict[str, Any]) -> Any:
    return wanted([read(name, value)], resources, BASE)


def test_references_are_followed_in_each_form() -> None:
    subjects = [
        "Patient/1", f"{BASE}/Patient/2", "Patient/3/_history/4", "Group/5", "#p", "urn:uuid:6",
        "https://elsewhere.test/Patient/7", "Patient/1",
    ]  # fmt: skip
    observations = [
        {"resourceType": "Observation", "id": "o", "subject": {"reference": subject}}
        for subject in subjects
    ]
    observations += [{"resourceType": "Observation", "id": "o", "subject": {"display": "x"}}]
    assert asked("_include", "Observation:subject:Patient", *observations) == (
        {"Patient"},
        {"terms": {"pk": ["Patient/1", "Patient/2", "Patient/3"]}},
    )
    assert asked("_include", "Encounter:subject", *observations) == (frozenset(), None)


def test_canonical_urls_are_followed_both_ways() -> None:
    answers = {
        "resourceType": "QuestionnaireResponse",
        "id": "r",
        "questionnaire": "https://x.test/q|2",
    }
    types, clause = asked("_include", "QuestionnaireResponse:questionnaire", answers)
    assert types == {"Questionnaire"}
    assert clause["bool"]["filter"][:2] == [
        {"terms": {"uri.url": ["https://x.test/q"]}},
        {"terms": {"token.version": ["c:2"]}},
    ]
    questionnaire = {"resourceType": "Questionnaire", "id": "q", "url": "https://x.test/q"}
    _, pointing = asked("_revinclude", "QuestionnaireResponse:questionnaire", questionnaire)
    assert pointing["bool"]["filter"][1]["terms"]["reference.questionnaire"] == [
        "Questionnaire/q", f"{BASE}/Questionnaire/q", "https://x.test/q",
    ]  # fmt: skip


def test_wildcards_follow_every_reference() -> None:
    observation = {
        "resourceType": "Observation",
        "id": "o",
        "subject": {"reference": "Patient/1"},
        "performer": [{"reference": "Practitioner/2"}, {"reference": "Organization/3"}],
    }
    types, clause = asked("_include", "*", observation)
    assert types == {"Patient", "Practitioner", "Organization"}
    assert clause == {"terms": {"pk": ["Organization/3", "Patient/1", "Practitioner/2"]}}
    types, clause = asked("_revinclude", "Observation:*", {"resourceType": "Patient", "id": "1"})
    fields = {next(iter(c["bool"]["filter"][1]["terms"])) for c in clause["bool"]["should"]}
    assert types == {"Observation"}
    assert {"reference.subject", "reference.patient", "reference.focus"} <= fields
    assert types <= RESOURCE_TYPES
