"""Who read or wrote what, as an auditor finds it in the functions' logs."""

import json
from collections.abc import Callable
from typing import Any

from tests.e2e.aws import aws
from tests.e2e.conftest import Client
from tests.e2e.fhir import PATIENT


def lines(stack: dict[str, Any], wanted: str) -> list[dict[str, Any]]:
    """The requests' lines of the API that name a resource."""
    function = stack["outputs"]["api_function_name"]
    configured = aws(stack, "lambda").get_function_configuration(FunctionName=function)
    group = configured["LoggingConfig"]["LogGroup"]
    pages = aws(stack, "logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    messages = (event["message"] for page in pages for event in page["events"])
    found = (json.loads(m) for m in messages if wanted in m and m.lstrip().startswith("{"))
    return [line for line in found if line["message"] == "request"]


def test_audit_names_who_read_and_wrote_a_resource(
    stack: dict[str, Any], client: Callable[[str], Client], eventually: Callable[..., None]
) -> None:
    writer, reader = client("practitioner"), client("auditor")
    key = f"Patient/{writer.post('/Patient', json=PATIENT).json()['id']}"
    assert reader.get(f"/{key}").status_code == 200

    eventually(lambda: len(lines(stack, key)) == 2)

    wrote, read = lines(stack, key)
    assert (wrote["method"], wrote["made"], wrote["status"]) == ("POST", f"{key}/_history/1", 201)
    assert (read["method"], read["resource"], read["status"]) == ("GET", key, 200)
    assert wrote["subject"] != read["subject"]
    assert "Schmidt" not in str((wrote, read))
