"""What a stack costs: per month without any use, and per 1,000 requests, item by item.

    python -m tools.cost dev
    python -m tools.cost dev --config evaluationCluster=false --config evalaiHost=
    python -m tools.cost --write      # docs/costs.md

Quantities come from the resources that the program makes, prices from `prices.yaml`.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from functions.shared.metrics import NAMESPACE
from tests.graph.strict import Graph, Registration, evaluate_stack

PRICES = Path(__file__).with_name("prices.yaml")
DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "costs.md"
HOURS_PER_MONTH = 730
WITHOUT_CLUSTER = {"evaluationCluster": "false", "evalaiHost": ""}


@cache
def price_table() -> Mapping[str, Any]:
    """The prices, each with its unit and source, and the day when they were written down."""
    return yaml.safe_load(PRICES.read_text("utf-8"))


@dataclass(frozen=True)
class Item:
    """A quantity of something that has a price."""

    group: str
    quantity: float
    """In the price's unit; of what is paid by the hour, how many there are."""
    price: str

    @property
    def usd(self) -> float:
        """Per month, or for the requests that the quantity is of. KeyError without a price."""
        found = price_table()["prices"][self.price]
        return self.quantity * found["usd"] * (HOURS_PER_MONTH if found["per"] == "hour" else 1)


Items = Callable[[Graph, Registration], Iterator[Item]]


def _each(group: str, price: str) -> Items:
    """So many of them, so many times the price."""
    return lambda graph, resource: iter([Item(group, 1, price)])


def _endpoint(graph: Graph, resource: Registration) -> Iterator[Item]:
    if resource.inputs.get("vpcEndpointType") == "Interface":  # gateways cost nothing
        zones = len(resource.inputs["subnetIds"])
        yield Item("interface endpoints", zones, "interface endpoint in a zone")


def _search(graph: Graph, resource: Registration) -> Iterator[Item]:
    nodes, disks = resource.inputs["clusterConfig"], resource.inputs["ebsOptions"]
    count = nodes["instanceCount"]
    yield Item("search", count, nodes["instanceType"])
    yield Item("search", count * disks["volumeSize"], "gp3 of a search node")
    if nodes.get("dedicatedMasterEnabled"):
        yield Item("search", nodes["dedicatedMasterCount"], nodes["dedicatedMasterType"])


def _nodes(graph: Graph, resource: Registration) -> Iterator[Item]:
    count = resource.inputs["scalingConfig"]["desiredSize"]
    yield Item("cluster", count, resource.inputs["instanceTypes"][0])
    templates = [graph.resources[urn] for urn in resource.depends_on if urn in graph.resources]
    for template in templates:
        for disk in template.inputs.get("blockDeviceMappings", []):
            yield Item("cluster", count * disk["ebs"]["volumeSize"], "gp3 of a machine")


def _database(graph: Graph, resource: Registration) -> Iterator[Item]:
    count = 2 if resource.inputs.get("multiAz") else 1
    yield Item("database", count, resource.inputs["instanceClass"])
    yield Item("database", count * resource.inputs["allocatedStorage"], "gp3 of a database")
    yield Item("secrets", 1, "secret")  # its password, which RDS keeps there


def _firewall(graph: Graph, resource: Registration) -> Iterator[Item]:
    yield Item("firewalls", 1, "web acl")
    yield Item("firewalls", len(resource.inputs["rules"]), "web acl rule")


def _dashboard(graph: Graph, resource: Registration) -> Iterator[Item]:
    yield Item("dashboard and alarms", 1, "dashboard")
    # All metrics of our own are on it; AWS's own cost nothing.
    own = {
        json.dumps(line[:-1])
        for widget in json.loads(resource.inputs["dashboardBody"])["widgets"]
        for line in widget["properties"].get("metrics", [])
        if line[0] == NAMESPACE
    }
    yield Item("dashboard and alarms", len(own), "custom metric")


BY_TYPE: Mapping[str, Items] = {
    "aws:cloudwatch/dashboard:Dashboard": _dashboard,
    "aws:cloudwatch/metricAlarm:MetricAlarm": _each("dashboard and alarms", "alarm"),
    "aws:ec2/eip:Eip": _each("NAT gateways", "public address"),
    "aws:ec2/natGateway:NatGateway": _each("NAT gateways", "nat gateway"),
    "aws:ec2/vpcEndpoint:VpcEndpoint": _endpoint,
    "aws:eks/nodeGroup:NodeGroup": _nodes,
    "aws:kms/key:Key": _each("KMS keys", "kms key"),
    "aws:kms/replicaKey:ReplicaKey": _each("KMS keys", "kms key"),
    "aws:opensearch/domain:Domain": _search,
    "aws:rds/instance:Instance": _database,
    "aws:secretsmanager/secret:Secret": _each("secrets", "secret"),
    "aws:wafv2/webAcl:WebAcl": _firewall,
    "eks:index:Cluster": _each("cluster", "eks cluster"),
}
"""What is paid for whether it is used or not."""


def idle(graph: Graph) -> list[Item]:
    """What a stack consists of that costs without any use."""
    return [
        item
        for resource in graph
        if resource.type in BY_TYPE
        for item in BY_TYPE[resource.type](graph, resource)
    ]


@dataclass(frozen=True)
class Mix:
    """What requests do, on average; assumptions, with times near what `make bench` sees."""

    share: float
    milliseconds: float
    """Of the function, as billed."""
    read_units: float
    write_units: float
    answer_bytes: float


MIX = {
    "reads by id": Mix(0.60, 15, read_units=1, write_units=0, answer_bytes=2_000),
    "searches with ten hits": Mix(0.25, 60, read_units=11, write_units=0, answer_bytes=20_000),
    # A version, its entry in the table's index, and what guards it.
    "creates": Mix(0.15, 25, read_units=1, write_units=4, answer_bytes=2_000),
}
INDEXER_MILLISECONDS = 100
LOG_BYTES = 5_000
"""Of a request: lines of the edge, both firewalls, the stage and the function."""
TRACED = 0.05


def by_requests(graph: Graph, requests: int = 1_000) -> list[Item]:
    """What so many requests of the mix use up, beyond what is there anyway."""
    stage = graph.one("aws:apigateway/stage:Stage")
    memory = {
        function.name: function.inputs["memorySize"] / 1_024
        for function in graph.all("aws:lambda/function:Function")
    }

    def used(per_request: Callable[[Mix], float]) -> float:
        return requests * sum(mix.share * per_request(mix) for mix in MIX.values())

    creates = requests * MIX["creates"].share
    seconds = used(lambda mix: mix.milliseconds) / 1_000
    indexing = creates * INDEXER_MILLISECONDS / 1_000
    return [
        Item("edge", requests, "cloudfront request"),
        Item("edge", requests, "cloudfront function"),
        Item("edge", used(lambda mix: mix.answer_bytes) / 1e9, "cloudfront transfer"),
        Item("firewalls", 2 * requests, "waf request"),
        Item("API Gateway", requests, "api gateway request"),
        Item("functions", requests + creates, "lambda request"),
        Item(
            "functions",
            seconds * memory["data-api"] + indexing * memory["data-indexer"],
            "lambda on arm",
        ),
        Item("table", used(lambda mix: mix.read_units), "dynamodb read unit"),
        Item("table", used(lambda mix: mix.write_units), "dynamodb write unit"),
        Item("logs", requests * LOG_BYTES / 1e9, "log"),
        Item("traces", requests * TRACED * bool(stage.inputs["xrayTracingEnabled"]), "trace"),
    ]


def table(items: Iterable[Item], unit: str, digits: int) -> str:
    """Items of one group and price in a line, as Markdown, with their sum."""
    quantities: dict[tuple[str, str], float] = {}
    for item in items:
        key = item.group, item.price
        quantities[key] = quantities.get(key, 0) + item.quantity
    lines = [Item(group, quantity, price) for (group, price), quantity in quantities.items()]
    lines.sort(key=lambda item: (item.group.lower(), item.price))
    rows = [
        f"| {item.group} | {item.quantity:,.4g} × {item.price} | {item.usd:,.{digits}f} |"
        for item in lines
    ]
    total = sum(item.usd for item in lines)
    return "\n".join(
        [
            f"| | what | {unit} |",
            "|---|---|---:|",
            *rows,
            f"| **together** | | **{total:,.{digits}f}** |",
        ]
    )


def sections(graph: Graph) -> str:
    """A stack's two tables."""
    return "\n\n".join(
        [
            "Per month, without any use:",
            table(idle(graph), "US$", 2),
            "Per 1,000 requests:",
            table(by_requests(graph), "US$", 5),
        ]
    )


def document(stacks: Mapping[str, Graph]) -> str:
    """docs/costs.md: `stacks` by title."""
    return HEAD.format(
        day=price_table()["written_down"],
        mix="; ".join(f"{mix.share:.0%} {name}" for name, mix in MIX.items()),
        balancer=Item("", 1, "load balancer").usd + Item("", 3, "public address").usd,
        machine=Item("", 1, "m7g.xlarge").usd,
    ) + "".join(f"\n## {title}\n\n{sections(graph)}\n" for title, graph in stacks.items())


HEAD = """\
# What a stack costs

Made by `python -m tools.cost --write` from the resources of each stack and the list prices in
[`tools/prices.yaml`](../tools/prices.yaml): US$ in eu-central-1, written down on {day} from AWS's
price pages, which that file names. **No program compares them with AWS's own list**: before you
rely on them, ask the [AWS Pricing Calculator](https://calculator.aws). Free tiers, discounts and
taxes are left out. For other settings:

```sh
.venv/bin/python -m tools.cost dev --config searchInstanceCount=3 --config natPerAz=true
```

Requests are {mix}; what each takes is in `tools/cost.py`.

By use, besides: what is stored (tables, buckets, their backups and logs), traffic out of NAT
gateways, users of Cognito beyond its free ones (with `threatProtection` from the first), scans for
malware, and the machines that Karpenter starts for evaluations. With `evalaiImageTag` set, EvalAI
runs: a load balancer with its addresses ({balancer:.0f} per month) and the machines that its pods
ask for at rest (4 vCPU, {machine:.0f} per month as one `m7g.xlarge`).
"""

CHEAPEST = "dev without a cluster: the cheapest that still works"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stack", nargs="?", default="dev")
    parser.add_argument("--config", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--write", action="store_true", help="write docs/costs.md anew")
    options = parser.parse_args()
    if options.write:
        stacks = {
            "dev": evaluate_stack("dev"),
            "prod": evaluate_stack("prod"),
            CHEAPEST: evaluate_stack("dev", config=WITHOUT_CLUSTER),
        }
        DOCUMENT.write_text(document(stacks), "utf-8")
        return
    config = dict(setting.split("=", 1) for setting in options.config)
    print(sections(evaluate_stack(options.stack, config=config)))


if __name__ == "__main__":
    main()
