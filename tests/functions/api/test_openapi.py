"""The OpenAPI document: every route in it and nothing else, whole, and made from the tables."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from functions.api.contracts import BINARY_CONTRACTS, CONTRACTS
from functions.api.openapi import MAX_TYPES
from functions.api.routes import ROUTES
from functions.search.parameters import for_type
from functions.shared.binary_routes import BINARY_ROUTES
from functions.shared.resources import RESOURCE_TYPES
from tests.functions.api.conftest import BASE, Client


def described(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(m.upper(), path) for path, item in document["paths"].items() for m in item}


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(link := value.get("$ref"), str):
            yield link
        value = list(value.values())
    for inner in value if isinstance(value, list) else ():
        yield from references(inner)


@pytest.fixture
def whole(api: Client) -> dict[str, Any]:
    reply = api.get("/openapi.json")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
    return reply.body


def test_every_route_is_described_and_nothing_else(whole: dict[str, Any]) -> None:
    routed = {(route.method, route.template) for route in ROUTES}
    uploads = {(route.method, route.template) for route in BINARY_ROUTES}
    assert CONTRACTS.keys() == routed
    assert BINARY_CONTRACTS.keys() == {route.name for route in BINARY_ROUTES}
    others = described(whole) - routed - uploads
    assert routed | uploads <= described(whole)
    assert {path for _, path in others - {("GET", "/metadata")}} == {
        "/Binary", "/Binary/_search", "/Binary/_history", "/Binary/{id}/_history",
    }  # fmt: skip


def test_a_type_is_described_with_its_parameters_and_elements(api: Client) -> None:
    document = api.get("/openapi.json?_type=Patient, Encounter").body
    assert ("GET", "/Patient/{id}/$everything") in described(document)
    assert ("GET", "/Encounter/{id}/$everything") not in described(document)
    assert not any("{type}" in path for _, path in described(document))
    search = {link["$ref"] for link in document["paths"]["/Patient"]["get"]["parameters"]}
    codes = {f"#/components/parameters/Patient.{code}" for code in for_type("Patient")}
    assert codes <= search
    assert "birthDate" in document["components"]["schemas"]["Patient"]["properties"]


@pytest.mark.parametrize("query", ["", "?_type=Patient,Binary", "?_type=ExplanationOfBenefit"])
def test_a_document_is_whole(api: Client, query: str) -> None:
    document = api.get(f"/openapi.json{query}").body
    assert document["servers"] == [{"url": BASE}]
    for link in references(document["paths"]):
        found: Any = document
        for step in link.removeprefix("#/").split("/"):
            found = found[step]
    assert set(references(document["components"])) <= {
        f"#/components/schemas/{name}" for name in document["components"]["schemas"]
    }
    operations = [o for item in document["paths"].values() for o in item.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert "fhir-date" not in json.dumps(document)


def test_what_is_asked_for_must_exist_and_fit(api: Client, client: Any) -> None:
    assert api.get("/openapi.json?_type=Nonsense").status == 400
    many = ",".join(sorted(RESOURCE_TYPES)[: MAX_TYPES + 1])
    assert api.get(f"/openapi.json?_type={many}").status == 422
    largest = ",".join(
        sorted(RESOURCE_TYPES, key=lambda name: len(for_type(name)), reverse=True)[:MAX_TYPES]
    )
    assert api.get(f"/openapi.json?_type={largest}").status == 200
    assert api.call("POST", "/openapi.json").status == 405
