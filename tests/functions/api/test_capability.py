"""The CapabilityStatement: valid, small, and nothing in it that isn't served."""

from collections.abc import Callable
from typing import Any

import pytest

from functions.api.json_patch import JSON_PATCH
from functions.search import includes
from functions.search.parameters import for_type
from functions.search.plan import read
from functions.search.query import parameter_clause
from functions.shared.resources import RESOURCE_TYPES, parse
from functions.shared.validation import validate
from tests.functions.api.conftest import BASE, EMPTY, Client
from tests.scripted_engine import ScriptedEngine

CALLS = {
    "create": ("POST", "/Basic"),
    "read": ("GET", "/Basic/{id}"),
    "vread": ("GET", "/Basic/{id}/_history/1"),
    "history-instance": ("GET", "/Basic/{id}/_history"),
    "history-type": ("GET", "/Basic/_history"),
    "history-system": ("GET", "/_history?_type=Basic"),
    "update": ("PUT", "/Basic/{id}"),
    "patch": ("PATCH", "/Basic/{id}"),
    "delete": ("DELETE", "/Basic/{id}"),
    "batch": ("POST", "/"),
    "transaction": ("POST", "/"),
    "search-type": ("GET", "/Basic"),
    "search-system": ("GET", "/"),
}
BASIC = {"resourceType": "Basic", "code": {"text": "x"}}


@pytest.fixture
def rest(api: Client) -> dict[str, Any]:
    statement = api.get("/metadata")
    assert statement.headers["Cache-Control"] == "public, max-age=300"
    assert statement.status == 200
    assert len(statement.text) < 200_000
    assert statement.body["implementation"]["url"] == BASE
    assert statement.body["fhirVersion"] == "4.0.1"
    validate(parse(statement.text.encode()))
    return statement.body["rest"][0]


def test_every_type_is_listed(rest: dict[str, Any]) -> None:
    assert [resource["type"] for resource in rest["resource"]] == sorted(RESOURCE_TYPES)


def test_every_interaction_that_is_listed_is_served(
    rest: dict[str, Any], api: Client, engine: Callable[..., ScriptedEngine]
) -> None:
    listed = {
        interaction["code"]
        for resource in rest["resource"]
        for interaction in resource["interaction"]
    } | {interaction["code"] for interaction in rest["interaction"]}
    assert listed == CALLS.keys()
    for code in listed:
        engine(EMPTY)
        made = api.make(BASIC)
        method, path = CALLS[code]
        bundle = {"resourceType": "Bundle", "type": code}
        body = {"POST": BASIC if path != "/" else bundle, "PUT": made, "PATCH": "[]"}.get(method)
        sent = {"Content-Type": JSON_PATCH} if method == "PATCH" else {}
        assert api.call(method, path.format(id=made["id"]), body, sent).status < 300, code


def test_every_search_parameter_that_is_listed_is_understood(rest: dict[str, Any]) -> None:
    sample = {
        "string": "a", "token": "a", "date": "2026", "number": "1", "quantity": "1", "uri": "urn:a",
        "reference": "1",
    }  # fmt: skip
    for resource in rest["resource"]:
        known = for_type(resource["type"])
        assert len(resource["searchParam"]) == len(known)
        for listed in resource["searchParam"]:
            parameter = known[listed["name"]]
            assert parameter.kind == listed["type"]
            value = sample.get(parameter.kind) or "$".join(
                sample[component.kind] for component in parameter.components
            )
            assert parameter_clause(parameter, "", [value], BASE)


def test_a_listed_parameter_is_accepted_by_strict_searches(rest: dict[str, Any]) -> None:
    (patient,) = (resource for resource in rest["resource"] if resource["type"] == "Patient")
    for listed in patient["searchParam"]:
        name = listed["name"]
        found = read(
            [(f"{name}:missing", "true"), ("_sort", name)],
            for_type("Patient"),
            frozenset({"Patient"}),
            base_url=BASE,
            strict=True,
        )
        assert [pair[0] for pair in found.used] == [f"{name}:missing", "_sort"]


def test_the_address_is_the_clients_and_cannot_break_the_statement(api: Client) -> None:
    elsewhere = api.get("/metadata", X_Forwarded_Host="portal.test")
    assert elsewhere.body["implementation"]["url"] == "https://portal.test/api"
    odd = api.get("/metadata", X_Forwarded_Host='"}<b>')
    assert odd.body["implementation"]["url"] == "https://localhost/api"


def test_every_include_that_is_listed_is_understood(rest: dict[str, Any]) -> None:
    for resource in rest["resource"]:
        for value in resource["searchInclude"]:
            assert includes.read("_include", value)
        for value in resource.get("searchRevInclude", ()):
            include = includes.read("_revinclude", value)
            types = [include.targets(p) for p in include.parameters(include.source)]
            assert resource["type"] in frozenset().union(*types)


def test_every_compartment_and_operation_that_is_listed_is_served(
    rest: dict[str, Any], api: Client, engine: Callable[..., ScriptedEngine]
) -> None:
    names = [url.rpartition("/")[2] for url in rest["compartment"]]
    assert names == ["device", "encounter", "patient", "practitioner", "relatedperson"]
    for name in ("Device", "Encounter", "Patient", "Practitioner", "RelatedPerson"):
        engine(EMPTY)
        assert api.get(f"/{name}/1/Observation").status == 200
    operations = {
        (resource["type"], operation["name"])
        for resource in rest["resource"]
        for operation in resource.get("operation", ())
    }
    of_datasets = {
        ("DocumentReference", name) for name in ("evidence", "attach", "detach", "attached")
    }
    exports = {("Patient", "export"), ("Group", "export")}
    assert operations == {("Patient", "everything"), *of_datasets, *exports}
    engine(EMPTY)
    made = api.make({"resourceType": "Patient"})
    assert api.get(f"/Patient/{made['id']}/$everything").status == 200
    assert api.get("/DocumentReference/none/$evidence").code == "not-found"
    # Served, and not to a practitioner.
    for operation in ("attach", "detach"):
        path = f"/DocumentReference/none/${operation}?challenge=1"
        assert api.call("POST", path).code == "forbidden"
    assert api.get("/DocumentReference/$attached?challenge=1").code == "forbidden"
    for path in ("/$export", "/Patient/$export", "/Group/1/$export"):
        assert "respond-async" in api.get(path).body["issue"][0]["diagnostics"]
