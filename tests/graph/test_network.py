"""Network: subnets, routes, endpoints and logs."""

import ipaddress

import pytest

from components.network import Network, NetworkArgs, parse_cidr, subnet_cidrs
from tests.graph.strict import Graph, evaluate

FULL: NetworkArgs = {
    "cidr": "10.20.0.0/16",
    "nat_per_az": True,
    "interface_endpoints": ["kms", "sqs"],
    "cluster_name": "cluster",
}


def build(args: NetworkArgs, preview: bool = False) -> Graph:
    return evaluate(lambda: Network("network", args), preview=preview)


@pytest.mark.parametrize("args", [{}, FULL], ids=["defaults", "full"])
def test_same_resources_in_preview_and_update(args: NetworkArgs) -> None:
    preview, update = build(args, preview=True), build(args)
    assert preview.urns == update.urns
    component = update.one("ai4h:index:Network")
    assert {r.parent for r in update if r is not component} == {component.urn}
    assert component.urn in update.registered_outputs


def test_subnets_cover_three_zones_without_overlap() -> None:
    subnets = build(FULL).all("aws:ec2/subnet:Subnet")
    assert len(subnets) == 6
    ranges = [ipaddress.ip_network(subnet.inputs["cidrBlock"]) for subnet in subnets]
    assert not any(a.overlaps(b) for a in ranges for b in ranges if a is not b)
    assert len({subnet.inputs["availabilityZone"] for subnet in subnets}) == 3
    tagged = [s.name for s in subnets if s.inputs["tags"].get("karpenter.sh/discovery")]
    assert tagged == [f"network-private-{index}" for index in range(3)]
    assert not any(subnet.inputs.get("mapPublicIpOnLaunch") for subnet in subnets)


@pytest.mark.parametrize(("args", "count"), [({}, 1), (FULL, 3)], ids=["shared", "per zone"])
def test_every_private_subnet_has_a_way_out(args: NetworkArgs, count: int) -> None:
    graph = build(args)
    assert len(graph.all("aws:ec2/natGateway:NatGateway")) == count
    routes = [r for r in graph.all("aws:ec2/route:Route") if "natGatewayId" in r.inputs]
    assert len(routes) == 3
    assert len({route.inputs["natGatewayId"] for route in routes}) == count
    internet = graph.one("aws:ec2/route:Route", "network-public-internet")
    for nat in graph.all("aws:ec2/natGateway:NatGateway"):
        assert graph.waits_for(nat, internet)


def test_endpoints() -> None:
    names = {r.name: r.inputs for r in build(FULL).all("aws:ec2/vpcEndpoint:VpcEndpoint")}
    assert set(names) == {f"network-{s}" for s in ("s3", "dynamodb", "kms", "sqs")}
    assert len(names["network-s3"]["routeTableIds"]) == 3
    assert names["network-kms"]["privateDnsEnabled"]
    assert names["network-kms"]["serviceName"] == "com.amazonaws.eu-central-1.kms"


def test_default_security_group_is_closed_and_traffic_is_logged() -> None:
    graph = build({})
    group = graph.one("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup").inputs
    assert group["ingress"] == group["egress"] == []
    logs = graph.one("aws:cloudwatch/logGroup:LogGroup")
    assert logs.inputs["retentionInDays"] == 365
    assert graph.waits_for(logs, graph.one("aws:kms/key:Key"))
    assert graph.one("aws:ec2/flowLog:FlowLog").inputs["trafficType"] == "ALL"


@pytest.mark.parametrize("cidr", ["10.0.0.0/8", "10.0.0.0/28", "10.0.0.1/16", "nonsense"])
def test_bad_range_is_refused(cidr: str) -> None:
    with pytest.raises(ValueError, match=cidr.split("/")[0]):
        parse_cidr(cidr)


def test_smallest_range_still_gives_legal_subnets() -> None:
    public, private = subnet_cidrs(parse_cidr("10.0.0.0/24"))
    assert {ipaddress.ip_network(cidr).prefixlen for cidr in public} == {28}
    assert {ipaddress.ip_network(cidr).prefixlen for cidr in private} == {26}
