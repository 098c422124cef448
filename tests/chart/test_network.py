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
        policy["metadata"]["namespace"]
        for policy in policies_of(rendered)
        if policy["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    ]
    assert closed == (["evalai", "evalai-models"] if name == "containers" else ["evalai"])
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
        found = sum(selects(p["spec"]["podSelector"], labels) for p in own)
        # What is labelled like a model is let do nothing.
        assert found == (0 if component.startswith("isolation-") else 1), component


def test_models_reach_nothing_and_their_helpers_what_they_need() -> None:
    rendered = resources("containers")
    near = [p for p in policies_of(rendered) if p["metadata"]["namespace"] == "evalai-models"]
    reached: dict[str, set[tuple[str, int]]] = {}
    for step in ("fetch", "model", "collect", "serve"):
        reached[step] = {
            (peer.get("ipBlock", {}).get("cidr") or _pods(peer), rule["ports"][0]["port"])
            for policy in near
            if selects(policy["spec"]["podSelector"], {"evalai/step": step})
            for rule in policy["spec"].get("egress", [])
            for peer in rule["to"]
        }
    names, web = ("kube-system/kube-dns", 53), ("evalai/web", 8000)
    aws = {("10.0.0.0/16", 443), ("3.5.136.0/22", 443)}
    public = {(f"10.0.{third}.0/20", 443) for third in (0, 16, 32)}
    assert reached == {
        "fetch": {names, *aws},
        "model": set(),
        "collect": {names, web},
        "serve": {names, web, *aws, *public},
    }
    assert not any(policy["spec"].get("ingress") for policy in near)


def _pods(peer: dict[str, Any]) -> str:
    space = peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    labels = peer["podSelector"]["matchLabels"]
    return f"{space}/{labels.get('k8s-app') or labels['app.kubernetes.io/component']}"


def test_web_takes_calls_from_beside_models_but_not_from_models() -> None:
    (policy,) = (
        p for p in policies_of(resources("containers")) if p["metadata"]["name"] == "evalai-web"
    )
    ((peer,),) = (
        [peer for peer in rule["from"] if "namespaceSelector" in peer]
        for rule in policy["spec"]["ingress"]
    )
    space = {"kubernetes.io/metadata.name": "evalai-models"}
    assert peer["namespaceSelector"]["matchLabels"] == space
    for step, is_taken in {"collect": True, "serve": True, "model": False, "fetch": False}.items():
        assert selects(peer["podSelector"], {"evalai/step": step}) is is_taken


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
