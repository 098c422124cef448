"""Validation: what R4 allows passes, what it doesn't is named with its place."""

import json
from typing import Any

import pytest

from functions.shared import validation
from functions.shared.errors import FhirError, Issue
from functions.shared.resources import RESOURCE_TYPES, parse

CODE = '"code":{"text":"x"}'
OBSERVATION = '{"resourceType":"Observation","status":"final",' + CODE


def issues(text: str) -> tuple[Issue, ...]:
    try:
        validation.validate(parse(text.encode()))
    except FhirError as error:
        return error.issues if error.status == 400 else ()
    return ()


@pytest.mark.parametrize(
    "text",
    [
        OBSERVATION + ',"valueQuantity":{"value":1.10}}',
        OBSERVATION + ',"valueQuantity":{"value":1e999999999}}',
        OBSERVATION + ',"_valueString":{"extension":[{"url":"u","valueCode":"x"}]}}',
        '{"resourceType":"Observation","_status":{"id":"absent"},' + CODE + "}",
        '{"resourceType":"Patient","name":[{"given":["a",null],"_given":[null,{"id":"x"}]}]}',
        '{"resourceType":"Patient","birthDate":"2000-02-29","deceasedDateTime":"2020"}',
        '{"resourceType":"Patient","deceasedDateTime":"2016-12-31T23:59:60+14:00"}',
        '{"resourceType":"Patient","multipleBirthInteger":1e0}',
        '{"resourceType":"Patient","text":{"status":"generated","div":"<div>x</div>"}}',
        '{"resourceType":"Patient","contained":[{"resourceType":"Basic",' + CODE + "}]}",
        '{"resourceType":"Bundle","type":"batch-response","entry":[{"response":{"status":"400",'
        '"outcome":{"resourceType":"OperationOutcome","issue":[{"severity":"error",'
        '"code":"value"}]}}}]}',
        '{"resourceType":"EvidenceVariable","status":"draft","characteristic":'
        '[{"definitionReference":{"reference":"Group/1"}}]}',
    ],
)
def test_valid(text: str) -> None:
    assert issues(text) == ()


P = '{"resourceType":"Patient",'


@pytest.mark.parametrize(
    ("text", "code", "expression", "word"),
    [
        ("{}", "structure", "Resource.resourceType", "None"),
        ('{"resourceType":"Nonsense"}', "structure", "Resource.resourceType", "Nonsense"),
        ('{"resourceType":["Patient"]}', "structure", "Resource.resourceType", "Patient"),
        (OBSERVATION.replace('"status":"final",', "") + "}", "required", "Observation", "status"),
        (OBSERVATION.replace(CODE, '"id":"x"') + "}", "required", "Observation", "code"),
        (OBSERVATION.replace("final", "bad") + "}", "code-invalid", "Observation.status", "final"),
        (
            OBSERVATION + ',"valueString":"a","valueBoolean":true}',
            "structure",
            "Observation",
            "value[x]",
        ),
        (
            '{"resourceType":"Claim","status":"activ","type":{"text":"x"},"use":"claim",'
            '"patient":{"display":"x"},"created":"2026","provider":{"display":"x"},'
            '"priority":{"text":"x"},"insurance":[{"sequence":1,"focal":true,'
            '"coverage":{"display":"x"}}]}',
            "code-invalid",
            "Claim.status",
            "active",
        ),
        (
            '{"resourceType":"Group","type":"person","actual":true,"characteristic":'
            '[{"code":{"text":"x"},"exclude":false}]}',
            "required",
            "Group.characteristic[0]",
            "value[x]",
        ),
        (P + '"unheardOf":1}', "structure", "Patient", "'unheardOf'"),
        (P + '"meta":{"project":"x"}}', "structure", "Patient.meta", "'project'"),
        (P + '"name":"Schmidt"}', "structure", "Patient.name", "array"),
        (P + '"name":[null]}', "structure", "Patient.name[0]", "object"),
        (P + '"name":[{"given":[1]}]}', "structure", "Patient.name[0].given[0]", "string"),
        (P + '"extension":[null]}', "structure", "Patient.extension[0]", "object"),
        (P + '"extension":[[]]}', "structure", "Patient.extension[0]", "object"),
        (P + '"name":[]}', "structure", "Patient.name", "empty"),
        (P + '"contact":[{}]}', "structure", "Patient.contact[0]", "empty"),
        (P + '"active":"true"}', "structure", "Patient.active", "boolean"),
        (P + '"birthDate":"31.12.1999"}', "value", "Patient.birthDate", "date"),
        (P + '"birthDate":"2023-02-29"}', "value", "Patient.birthDate", "date"),
        (
            P + '"deceasedDateTime":"2020-01-01T10:00:00"}',
            "value",
            "Patient.deceasedDateTime",
            "dateTime",
        ),
        (P + '"multipleBirthInteger":1.5}', "structure", "Patient.multipleBirthInteger", "integer"),
        (P + '"multipleBirthInteger":1e999999999}', "value", "Patient.multipleBirthInteger", "mos"),
        (P + '"photo":[{"size":-1}]}', "value", "Patient.photo[0].size", "at least 0"),
        (P + '"id":"a b"}', "value", "Patient.id", "id"),
        (P + '"implicitRules":"a b"}', "value", "Patient.implicitRules", "uri"),
        (P + '"language":" de"}', "value", "Patient.language", "code"),
        (P + '"gender":""}', "code-invalid", "Patient.gender", "unknown"),
        (P + '"text":{"status":"generated","div":"<p>"}}', "value", "Patient.text.div", "xhtml"),
        (
            P + '"contained":[{"resourceType":"Basic"}]}',
            "required",
            "Patient.contained[0]",
            "contained[0].code",
        ),
        (
            '{"resourceType":"Bundle","type":"collection","entry":[{"resource":'
            + P
            + '"gender":"x"}}]}',
            "code-invalid",
            "Bundle.entry[0].resource.gender",
            "male",
        ),
        (
            '{"resourceType":"Parameters","parameter":[{"name":"a","part":[{"name":"b",'
            '"resource":{"resourceType":"Nope"}}]}]}',
            "structure",
            "Parameters.parameter[0].part[0].resource.resourceType",
            "Nope",
        ),
    ],
)
def test_faults_are_named_with_their_place(
    text: str, code: str, expression: str, word: str
) -> None:
    found = issues(text)
    assert (code, (expression,)) in [(issue.code, issue.expression) for issue in found], found
    assert any(word in issue.diagnostics for issue in found)


def test_several_faults_are_reported_at_once_but_not_all_of_a_flood() -> None:
    assert len(issues('{"resourceType":"Observation","x":1}')) == 3
    assert len(issues(P + f'"name":{json.dumps([{"x": 1}] * 100)}}}')) == 20
    assert len(issues(P + f'"name":{json.dumps([{"x": 1}] * 30_000)}}}')) == 1


def test_a_large_resource_is_valid_too_and_a_very_deep_one_is_not() -> None:
    def nested(levels: int) -> dict[str, Any]:
        extension: dict[str, Any] = {"url": "u", "valueCode": "x"}
        for _ in range(levels):
            extension = {"url": "u", "extension": [extension]}
        return {"resourceType": "Patient", "extension": [extension]}

    assert issues(P + f'"name":{json.dumps([{"text": "x"}] * 30_000)}}}') == ()
    validation.validate(nested(20))
    with pytest.raises(FhirError) as refused:
        validation.validate(nested(40))
    assert "nested" in refused.value.issues[0].diagnostics


def test_every_type_has_a_schema_whose_references_resolve() -> None:
    def references(schema: Any) -> set[str]:
        if isinstance(schema, list):
            return set().union(*map(references, schema))
        if not isinstance(schema, dict):
            return set()
        own = {schema["$ref"].removeprefix("#/$defs/")} if "$ref" in schema else set()
        return own.union(*map(references, schema.values()))

    shared = validation._definitions("")
    assert references(shared) <= shared.keys()
    for kind in RESOURCE_TYPES:
        definitions = validation._definitions(kind)
        assert references(definitions) <= shared.keys() | definitions.keys(), kind
