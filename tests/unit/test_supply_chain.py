"""Licences in bills of materials: what may be shipped, whatever a package calls its licence."""

from typing import Any

import pytest

from tools.supply_chain import allowed, markdown, refused


def component(*licences: dict[str, Any], name: str = "thing") -> dict[str, Any]:
    return {"name": name, "version": "1.0", "licenses": list(licences)}


def named(name: str) -> dict[str, Any]:
    return {"license": {"name": name}}


@pytest.mark.parametrize(
    ("expression", "may"),
    [
        ("MIT", True),
        ("(MIT OR GPL-3.0-only)", True),
        ("GPL-3.0-only OR AGPL-3.0-only", False),
        ("Apache-2.0 AND BSD-3-Clause", True),
        ("Apache-2.0 AND GPL-3.0-only", False),
        ("GPL-3.0-only", False),
    ],
)
def test_an_expression_is_met_by_one_of_its_choices(expression: str, may: bool) -> None:
    assert allowed(expression) is may


def test_what_is_refused_is_named() -> None:
    good = [
        component({"license": {"id": "MIT"}}),
        component({"expression": "(MIT OR CC0-1.0)"}),
        component(named("License :: OSI Approved :: Apache Software License")),
        component(name="protobuf"),
    ]
    assert not list(refused({"components": good}))
    bad = [component(named("Ours alone")), component(name="unheard-of")]
    assert list(refused({"components": bad})) == [
        "thing 1.0: Ours alone",
        "unheard-of 1.0: no licence",
    ]


def test_the_list_has_every_component_once() -> None:
    lines = markdown({"portal": {"components": [component({"license": {"id": "MIT"}})]}})
    assert "## portal" in lines
    assert "| thing | 1.0 | MIT |" in lines
