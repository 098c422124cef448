"""Some thousand linked resources, and a plain evaluation of searches on them, in memory.

The evaluation knows just what the tests ask: it follows references in dictionaries.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

Resource = dict[str, Any]

TOKEN = "X-Consistency-Token"
FAMILIES = ("Müller", "Okafor", "Silva", "Tanaka", "Weber")
CITIES = ("Berlin", "Lagos", "Porto", "Osaka")
CODES = ("2160-0", "718-7", "4548-4", "2345-7")


class Hospital:
    """`members` by key (`Patient/…`), as the API answered when they were stored."""

    def __init__(self, api: Any, patients: int) -> None:
        self.tag = uuid.uuid4().hex
        self.members: dict[str, Resource] = {}
        self.tokens: list[str] = []
        self._api = api
        self._fill(random.Random(4), patients)  # noqa: S311

    def of(self, kind: str) -> list[Resource]:
        return [resource for resource in self.members.values() if resource["resourceType"] == kind]

    def target(self, resource: Resource, *path: str) -> list[Resource]:
        """The resources that the element at the path refers to."""
        found = []
        for reference in elements(resource, *path):
            key = reference.get("reference", "").removeprefix(f"{self._api.api_url}/")
            found += [self.members[key]] if key in self.members else []
        return found

    def pointing(self, kind: str, path: tuple[str, ...], resource: Resource) -> list[Resource]:
        """The resources of a type that refer to this one."""
        return [other for other in self.of(kind) if resource in self.target(other, *path)]

    def where(self, kind: str, holds: Callable[[Resource], bool]) -> set[str]:
        """Keys of what is of that type and holds."""
        return {key_of(resource) for resource in self.of(kind) if holds(resource)}

    def _fill(self, chance: random.Random, patients: int) -> None:
        organizations = self._store(
            {"resourceType": "Organization", "name": f"Clinic {n}", "address": [{"city": city}]}
            for n, city in enumerate(CITIES)
        )
        departments = self._store(
            {
                "resourceType": "Organization",
                "name": f"Department {number}",
                "partOf": {"reference": chance.choice(organizations)},
            }
            for number in range(8)
        )
        doctors = self._store(
            {
                "resourceType": "Practitioner",
                "name": [{"family": FAMILIES[number % 5]}],
                "active": number % 3 > 0,
            }
            for number in range(9)
        )
        people = self._store(
            {
                "resourceType": "Patient",
                "name": [{"family": chance.choice(FAMILIES)}],
                "gender": chance.choice(["female", "male"]),
                "birthDate": f"{chance.randint(1930, 2020)}-0{chance.randint(1, 9)}",
                "generalPractitioner": [{"reference": chance.choice(doctors)}],
                **chance.choice(
                    [{}, {"managingOrganization": {"reference": chance.choice(departments)}}]
                ),
            }
            for _ in range(patients)
        )
        visits = self._store(
            {
                "resourceType": "Encounter",
                "status": chance.choice(["finished", "in-progress"]),
                "class": {"code": "AMB"},
                "subject": {"reference": chance.choice(people)},
                "serviceProvider": {"reference": chance.choice(departments)},
            }
            for _ in range(patients)
        )
        values = self._store(
            {
                "resourceType": "Observation",
                "status": "final",
                "code": {"coding": [{"system": "http://loinc.org", "code": chance.choice(CODES)}]},
                # Some name the server, as clients of several servers do.
                "subject": {
                    "reference": chance.choice(["", f"{self._api.api_url}/"])
                    + chance.choice(people)
                },
                "encounter": {"reference": chance.choice(visits)},
                "performer": [{"reference": chance.choice(doctors)}],
                "valueQuantity": {"value": chance.randint(1, 9), "unit": "mg"},
            }
            for _ in range(4 * patients)
        )
        self._store(
            {
                "resourceType": "DiagnosticReport",
                "status": "final",
                "code": {"text": "laboratory"},
                "subject": {"reference": chance.choice(people)},
                "result": [{"reference": r} for r in chance.sample(values, 3)],
            }
            for _ in range(patients)
        )

    def _store(self, resources: Iterable[Resource]) -> list[str]:
        def store(resource: Resource) -> Resource:
            answer = self._api.post(f"/{resource['resourceType']}", json=resource | {"meta": meta})
            assert answer.status_code == 201, answer.text
            self.tokens.append(answer.headers[TOKEN])
            return answer.json()

        meta = {"tag": [{"system": "urn:test", "code": self.tag}]}
        with ThreadPoolExecutor(4) as pool:
            stored = list(pool.map(store, list(resources)))
        self.members |= {key_of(resource): resource for resource in stored}
        return [key_of(resource) for resource in stored]


def key_of(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def elements(resource: Resource, *path: str) -> Iterator[Any]:
    nodes: list[Any] = [resource]
    for name in path:
        found = [node[name] for node in nodes if name in node]
        nodes = [v for value in found for v in (value if isinstance(value, list) else [value])]
    yield from nodes


def pages(api: Any, query: str) -> Iterator[dict[str, Any]]:
    """All pages of a search."""
    answer = api.get(query)
    while True:
        assert answer.status_code == 200, answer.text
        yield answer.json()
        following = [x["url"] for x in answer.json()["link"] if x["relation"] == "next"]
        if not following:
            return
        answer = api.absolute(following[0])


def matches(api: Any, query: str) -> set[str]:
    """Keys of all matches, on all pages; none twice."""
    found = [
        key_of(entry["resource"])
        for page in pages(api, query)
        for entry in page.get("entry", [])
        if entry["search"]["mode"] == "match"
    ]
    assert len(found) == len(set(found)), "a match on two pages"
    return set(found)
