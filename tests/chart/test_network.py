"""Network policies, judged by a small model of what Kubernetes makes of them."""

from typing import Any

import pytest

from tests.chart.rendering import VALUE_SETS, Resource, pods, resources

Labels = dict[str, str]


def selects(selector: dict[str, Any], labels: Labels) -> bool:
    wanted = selector.get("matchLabels", {}).items() <= labels.items()
    terms = selector.get("matchExpressions", [])
    assert all(term["operator"] == "In" for term in terms)
    return wanted and all(labels.get(term["key"]) in term["values"] for term in terms)


def allowed(policies: list[Resource], source: Labels, target: Labels, port: int) -> bool:
    """Whether a pod may connect to another one: both sides must let it."""
    return _side(policies, "Egress", source, target, port) and _side(
        policies, "Ingress", target, source, port
    )


def _side(policies: list[Resource], direction: str, pod: Labels, peer: Labels, port: int) -> bool:
    peers, rules = ("to", "egress") if direction == "Egress" else ("from", "ingress")
    return any(
        any(entry["port"] == port for entry in rule["ports"])
        and any(
            "podSelector" in entry
            and "namespaceSelector" not in entry
            and selects(entry["podSelector"], peer)
            for entry in rule[peers]
        )
        for policy in policies
        if selects(policy["spec"]["podSelector"], pod)
        for rule in policy["spec"].get(rules, [])
    )


def policies_of(rendered: list[Resource]) -> list[Resource]:
    return [resource for resource in rendered if resource["kind"] == "NetworkPolicy"]


@pytest.mark.parametrize("name", VALUE_SETS)
def test_default_is_deny_for_every_pod(name: str) -> None:
    rendered = resources(name)
    closed = [
        policy
        for policy in policies_of(rendered)
        if policy["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    ]
    assert len(closed) == 1
    for policy in policies_of(rendered):
        for rule in policy["spec"].get("egress", []) + policy["spec"].get("ingress", []):
            # An absent list of peers or ports would mean all of them.
            assert rule["ports"]
            assert rule.get("to") or rule.get("from")


@pytest.mark.parametrize("name", VALUE_SETS)
def test_every_pod_is_let_do_its_work(name: str) -> None:
    rendered = resources(name)
    for component, template in pods(rendered).items():
        labels = template["metadata"]["labels"]
        own = [p for p in policies_of(rendered) if p["spec"]["podSelector"] != {}]
        assert sum(selects(p["spec"]["podSelector"], labels) for p in own) == 1, component


def test_who_talks_to_whom() -> None:
    rendered = resources("prod")
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(rendered).items()}
    ports = {"web": 8000, "frontend": 8080, "memcached": 11211}
    pairs = {
        (source, target)
        for source in labels
        for target, port in ports.items()
        if allowed(policies_of(rendered), labels[source], labels[target], port)
    }
    cached = {"web", "celery", "worker-kidney-ct", "worker-skin-lesions"}
    assert pairs == {(source, "memcached") for source in cached} | {
        ("test", "web"),
        ("test", "frontend"),
    }


def test_ranges() -> None:
    """Workers reach the database and AWS, never the open internet or a node's metadata."""
    rendered = resources("prod")
    reached: dict[str, set[tuple[str, int]]] = {}
    for component, template in pods(rendered).items():
        reached[component] = {
            (peer["ipBlock"]["cidr"], rule["ports"][0]["port"])
            for policy in policies_of(rendered)
            if selects(policy["spec"]["podSelector"], template["metadata"]["labels"])
            for rule in policy["spec"].get("egress", [])
            for peer in rule["to"]
            if "ipBlock" in peer
        }
        for policy in policies_of(rendered):
            for rule in policy["spec"].get("egress", []):
                for peer in rule["to"]:
                    if peer.get("ipBlock", {}).get("cidr") == "0.0.0.0/0":
                        assert "169.254.0.0/16" in peer["ipBlock"]["except"]
    aws = {("10.0.0.0/16", 443), ("3.5.136.0/22", 443)}
    database = {("10.0.64.0/18", 5432)}
    assert reached["worker-kidney-ct"] == aws | database
    assert reached["web"] == aws | database | {("0.0.0.0/0", 443)}
    assert reached["migrate"] == database
    assert reached["memcached"] == reached["frontend"] == reached["test"] == set()
