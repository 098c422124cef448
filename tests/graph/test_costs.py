"""Costs: everything has a price, and the document is about right."""

import re

import pytest

from tests.graph.strict import stack_graph
from tools.cost import (
    BY_TYPE,
    DOCUMENT,
    HOURS_PER_MONTH,
    Item,
    by_requests,
    idle,
    price_table,
    table,
)


def total(stack: str) -> float:
    return sum(item.usd for item in idle(stack_graph(stack)))


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_document_is_about_right(stack: str) -> None:
    """Within a twentieth, so that a key more or less asks for no new one."""
    section = DOCUMENT.read_text("utf-8").split(f"## {stack}\n")[1]
    written = re.search(r"\*\*together\*\* \| \| \*\*([\d,.]+)\*\*", section)
    assert written
    said = float(written[1].replace(",", ""))
    assert said == pytest.approx(total(stack), rel=0.05), "python -m tools.cost --write"


def test_what_a_zone_more_costs_is_seen() -> None:
    items = {(item.group, item.price): item for item in idle(stack_graph("prod"))}
    search = items["search", "r7g.large.search"]
    assert search.quantity == 3
    assert search.usd == pytest.approx(3 * HOURS_PER_MONTH * 0.215)
    assert total("prod") > 2 * total("dev")


def test_every_type_that_is_paid_for_is_in_a_stack() -> None:
    """A misspelt type would cost nothing."""
    types = {resource.type for resource in stack_graph("prod")}
    assert set(BY_TYPE) - types <= {
        "aws:kms/replicaKey:ReplicaKey",
    }


def test_requests_cost_less_than_a_cent_or_two_by_the_thousand() -> None:
    graph = stack_graph("dev")
    thousand = sum(item.usd for item in by_requests(graph))
    assert 0.005 < thousand < 0.05
    assert sum(item.usd for item in by_requests(graph, 2_000)) == pytest.approx(2 * thousand)


def test_a_price_has_its_unit_and_its_source() -> None:
    for name, price in price_table()["prices"].items():
        assert price["usd"] > 0, name
        assert price["per"], name
        assert price["source"].startswith("https://aws.amazon.com/"), name
    with pytest.raises(KeyError):
        _ = Item("search", 1, "u9.gigantic.search").usd


def test_lines_of_one_price_are_one() -> None:
    shown = table([Item("KMS keys", 1, "kms key"), Item("KMS keys", 2, "kms key")], "US$", 2)
    assert "| KMS keys | 3 × kms key | 3.00 |" in shown
    assert shown.endswith("| **together** | | **3.00** |")
