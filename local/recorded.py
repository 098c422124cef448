"""Resources that have no counterpart on this machine: recorded, with plausible outputs.

The outputs come from the SDK's own declarations, so that a program which reads a VPC's id or a
distribution's domain name goes on. They are derived from the URN: the same at every start.
"""

import hashlib
import importlib
import threading
import typing
from typing import Any

import pulumi
from pulumi import _types as declared

REASONS = {
    "aws:ec2/": "no network of its own on this machine: functions run outside a VPC",
    "aws:vpc/": "no network of its own on this machine: functions run outside a VPC",
    "aws:cloudfront/": "no edge network: the portal has a small server of its own",
    "aws:wafv2/": "no web firewall: nothing here would evaluate its rules",
    "aws:acm/": "no certificates: loopback is plain HTTP",
    "aws:route53/": "no DNS zone",
    "aws:backup/": "no backup service",
    "aws:eks/": "no Kubernetes cluster",
    "eks:": "no Kubernetes cluster",
    "kubernetes:": "no Kubernetes cluster",
    "aws:rds/": "no relational database service",
    "aws:budgets/": "no billing",
    "aws:ecr/": "no image registry: nothing here would run an image",
    "aws:codebuild/": "no build service",
    "aws:guardduty/": "no threat detection service",
    "aws:cloudtrail/": "no audit trail",
    "aws:cloudwatch/logMetricFilter:": "no access log is written, whose lines it would count",
    "aws:cognito/": "the local user pool has no such feature",
}
OTHERWISE = "no local counterpart"
# How AWS begins the ids of a few types whose form programs check.
ID_PREFIXES = {"Vpc": "vpc", "Subnet": "subnet", "SecurityGroup": "sg", "RouteTable": "rtb",
               "InternetGateway": "igw", "NatGateway": "nat", "Eip": "eipalloc",
               "VpcEndpoint": "vpce", "FlowLog": "fl", "LaunchTemplate": "lt"}  # fmt: skip
DEEPEST = 4

# The SDK's modules import each other lazily: another thread would see them half done.
_importing = threading.Lock()


def reason(type_: str) -> str:
    """Why a type is only recorded."""
    return next((text for start, text in REASONS.items() if type_.startswith(start)), OTHERWISE)


def realise(
    urn: str, type_: str, name: str, inputs: dict[str, Any], region: str, account: str
) -> tuple[str, dict[str, Any]]:
    """Id and outputs of a resource that is only recorded."""
    digest = hashlib.sha256(urn.encode()).hexdigest()
    class_name = type_.rpartition(":")[2]
    prefix = ID_PREFIXES.get(class_name)
    identity = f"{prefix}-{digest[:17]}" if prefix else f"{name}-{digest[:7]}"
    service = type_.split(":")[1].split("/")[0]
    places = {"region": region, "account": account, "service": service, "id": identity,
              "kind": class_name[0].lower() + class_name[1:]}  # fmt: skip
    outputs = {
        output: _value(output, hint, places, 0)
        for output, hint in _required_outputs(type_).items()
        if output not in inputs
    }
    return identity, {**outputs, **inputs}


def _required_outputs(type_: str) -> dict[str, Any]:
    """Declared types of the outputs that are always there, by their name on the wire."""
    package, module, _ = type_.split(":")
    found = pulumi.runtime.rpc.get_resource_module(package, module, "")
    information = getattr(found, "mod_info", None)
    if information is None:
        return {}
    with _importing:
        owner = importlib.import_module(information["fqn"])
        resource = getattr(owner, information["classes"][type_])
        return _required(resource)


def _required(owner: type) -> dict[str, Any]:
    hints: dict[str, Any] = {}
    for wire, python in _names(owner).items():
        getter = getattr(owner, python).fget
        hint = typing.get_type_hints(getter).get("return")
        if typing.get_origin(hint) is pulumi.Output:
            (hint,) = typing.get_args(hint)
        if hint is not None and type(None) not in typing.get_args(hint):
            hints[wire] = hint
    return hints


def _names(owner: type) -> dict[str, str]:
    if issubclass(owner, pulumi.Resource):
        return declared.resource_pulumi_to_py_names(owner)
    return {wire: python for python, wire, _ in declared._py_properties(owner)}


def _value(output: str, hint: Any, places: dict[str, str], depth: int) -> Any:
    arguments = typing.get_args(hint)
    match typing.get_origin(hint) or hint:
        case kind if kind in (int, float):
            return 0
        case kind if kind is bool:
            return False
        case kind if kind is str:
            return _text(output, places)
        case kind if isinstance(kind, type) and declared.is_output_type(kind):
            if depth == DEEPEST:
                return {}
            return {
                name: _value(name, inner, places, depth + 1)
                for name, inner in _required(kind).items()
            }
        case kind if isinstance(kind, type) and issubclass(kind, dict | typing.Mapping):
            return {}
        case _:
            return [_value(output, arguments[0], places, depth + 1)] if arguments else []


def _text(output: str, places: dict[str, str]) -> str:
    lower = output.lower()
    if lower.endswith("arn"):
        return "arn:aws:{service}:{region}:{account}:{kind}/{id}".format(**places)
    if lower in ("ownerid", "accountid", "registryid"):
        return places["account"]
    if lower == "region":
        return places["region"]
    if lower.endswith(("domainname", "dnsname", "endpoint", "hostname")):
        return "{id}.{service}.invalid".format(**places)
    if lower.endswith(("name", "id", "bucket")):
        return places["id"]
    return ""
