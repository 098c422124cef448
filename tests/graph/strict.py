"""Strict Pulumi mocks: a monitor that refuses what the engine would, and records what it was asked.

    graph = evaluate(lambda: Network("network", {"cidr": "10.0.0.0/16"}), preview=True)
    vpc = graph.one("aws:ec2/vpc:Vpc")
    assert vpc.inputs["cidrBlock"] == "10.0.0.0/16"

In preview mode ids and outputs that aren't inputs are unknown, as in a first `pulumi preview`;
in update mode they are plausible stand-ins of the type that the provider's SDK declares.
"""

import asyncio
import contextvars
import gc
import importlib
import os
import runpy
import sys
import threading
import typing
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
from google.protobuf import struct_pb2
from pulumi import _types
from pulumi.runtime import mocks, resource, rpc, settings
from pulumi.runtime.config import set_all_config
from pulumi.runtime.proto import source_pb2
from pulumi.runtime.stack import Stack

from local.configuration import PROJECT, stack_config

os.environ["PULUMI_ERROR_OUTPUT_STRING"] = "true"  # str(Output) raises instead of lying
# Where each resource was made is for the engine's messages, and an eighth of the time.
resource._get_stack_trace = source_pb2.StackTrace

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "111122223333"
REGION = "eu-central-1"
STACK_TYPE = "pulumi:pulumi:Stack"

CALLS: dict[str, Mapping[str, Any]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": {
        "accountId": ACCOUNT,
        "arn": f"arn:aws:iam::{ACCOUNT}:user/someone",
        "id": ACCOUNT,
        "userId": "AIDAEXAMPLE",
    },
    "aws:index/getRegion:getRegion": {
        "region": REGION,
        "name": REGION,
        "id": REGION,
        "description": "Europe (Frankfurt)",
        "endpoint": f"ec2.{REGION}.amazonaws.com",
    },
    "aws:index/getPartition:getPartition": {
        "partition": "aws",
        "dnsSuffix": "amazonaws.com",
        "id": "aws",
        "reverseDnsPrefix": "com.amazonaws",
    },
    "aws:index/getAvailabilityZones:getAvailabilityZones": {
        "names": [f"{REGION}{zone}" for zone in "abc"],
        "id": REGION,
        "zoneIds": ["euc1-az2", "euc1-az3", "euc1-az1"],
        "groupNames": [f"{REGION}-zg-1"],
    },
    "aws:eks/getCluster:getCluster": {
        "endpoint": f"https://EXAMPLE.gr7.{REGION}.eks.amazonaws.com",
    },
    "aws:kms/getPublicKey:getPublicKey": {"publicKeyPem": "-----BEGIN PUBLIC KEY-----"},
    "aws:ec2/getManagedPrefixList:getManagedPrefixList": {
        "name": f"com.amazonaws.{REGION}.s3",
        "entries": [{"cidr": "3.5.136.0/22", "description": ""}],
    },
}
"""What the provider's functions answer; a call that isn't listed fails the test."""

STAND_INS: dict[str, Mapping[str, Any]] = {
    "eks:index:Cluster": {
        "kubeconfig": {"apiVersion": "v1", "clusters": [], "users": [], "contexts": []},
        "kubeconfigJson": "{}",
        "oidcProviderUrl": f"https://oidc.eks.{REGION}.amazonaws.com/id/EXAMPLE",
        "oidcIssuer": f"oidc.eks.{REGION}.amazonaws.com/id/EXAMPLE",
        "oidcProviderArn": f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.{REGION}/id/EXAMPLE",
        "clusterSecurityGroupId": "sg-0123456789abcdef0",
        "nodeSecurityGroupId": "sg-0123456789abcdef1",
    },
}
"""Outputs of types whose SDK declaration doesn't say enough."""


class GraphError(AssertionError):
    """The program asked for something that the engine refuses."""


@dataclass(frozen=True)
class Registration:
    """One resource as the program registered it."""

    urn: str
    type: str
    name: str
    parent: str
    """URN of the parent; the stack's for a top-level resource."""
    custom: bool
    inputs: Mapping[str, Any]
    """Input properties under the provider's names; `pulumi.output.Unknown` where unknown."""
    secrets: frozenset[str]
    """Names of the input properties that are secret."""
    protect: bool
    retain_on_delete: bool
    depends_on: frozenset[str]
    """URNs that this resource waits for, through its inputs or explicitly."""
    provider: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Graph:
    """What one evaluation registered."""

    resources: Mapping[str, Registration]
    outputs: Mapping[str, Any]
    """Stack outputs (`pulumi.export`); `pulumi.output.Unknown` where unknown."""
    secret_outputs: frozenset[str]
    registered_outputs: Mapping[str, Mapping[str, Any]]
    """By URN, what each component gave to `register_outputs`."""
    result: Any = field(default=None, compare=False)
    """What the program returned."""

    def __iter__(self) -> Iterator[Registration]:
        return iter(self.resources.values())

    @property
    def urns(self) -> frozenset[str]:
        return frozenset(self.resources)

    def all(self, type_: str) -> list[Registration]:
        """Every resource of a type token, in order of name."""
        return sorted((r for r in self if r.type == type_), key=lambda r: r.name)

    def one(self, type_: str, name: str | None = None) -> Registration:
        """The only resource of a type token (and name); anything else is an AssertionError."""
        found = [r for r in self.all(type_) if name is None or r.name == name]
        assert len(found) == 1, f"{len(found)} of {type_} {name or ''}: {[r.name for r in found]}"
        return found[0]

    def waits_for(self, later: Registration, earlier: Registration) -> bool:
        """Whether `later` is made after `earlier`, directly or through others."""
        seen: set[str] = set()
        todo = [later.urn]
        while todo:
            urn = todo.pop()
            if urn == earlier.urn:
                return True
            if urn not in seen and urn in self.resources:
                seen.add(urn)
                todo.extend(self.resources[urn].depends_on)
        return False


class StrictMonitor(mocks.MockMonitor):
    """Refuses duplicate URNs, keeps full URNs, and records each registration."""

    def __init__(self, answers: mocks.Mocks) -> None:
        super().__init__(answers)
        self.registrations: dict[str, Registration] = {}
        self.registered_outputs: dict[str, Mapping[str, Any]] = {}
        self._lock = threading.Lock()

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """As the engine does: the chain of all parents' types, not only the nearest."""
        chain = parent.split("::")[2] + "$" if parent and STACK_TYPE not in parent else ""
        return (
            f"urn:pulumi:{settings.get_stack()}::{settings.get_project()}::{chain}{type_}::{name}"
        )

    def RegisterResource(self, request: Any) -> Any:
        if request.type == STACK_TYPE:
            return super().RegisterResource(request)
        urn = self.make_urn(request.parent, request.type, request.name)
        raw = rpc.deserialize_properties(request.object, keep_unknowns=True)
        registration = Registration(
            urn=urn,
            type=request.type,
            name=request.name,
            parent=request.parent,
            custom=request.custom,
            inputs=typing.cast("dict[str, Any]", plain(raw)),
            secrets=frozenset(key for key, value in raw.items() if rpc.is_rpc_secret(value)),
            protect=request.protect,
            retain_on_delete=request.retainOnDelete,
            depends_on=frozenset(request.dependencies),
            provider=request.provider,
            aliases=tuple(alias.urn or alias.spec.name for alias in request.aliases),
        )
        with self._lock:
            if urn in self.registrations:
                raise GraphError(f"duplicate URN: {urn}")
            self.registrations[urn] = registration
        response = super().RegisterResource(request)
        for key in request.additionalSecretOutputs:
            if key in response.object:
                response.object[key] = as_secret(response.object.fields[key])
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:
        with self._lock:
            self.registered_outputs[request.urn] = plain(
                rpc.deserialize_properties(request.outputs, keep_unknowns=True)
            )
        return super().RegisterResourceOutputs(request)


class Answers(mocks.Mocks):
    """Stands in for the providers."""

    def __init__(self, preview: bool) -> None:
        self.preview = preview

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if not args.custom and not args.typ.startswith("eks:"):
            return None, dict(args.inputs)
        if self.preview:
            return None, dict(args.inputs)
        return f"{args.name}-id", computed(args.typ, args.name) | args.inputs

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        if args.token == "aws:ec2/getSubnet:getSubnet":
            return dict(args.args) | {"cidrBlock": subnet_range(args.args["id"])}, []
        if args.token not in CALLS:
            raise GraphError(f"no answer for {args.token}: add it to CALLS")
        return dict(args.args) | dict(CALLS[args.token]), []


def subnet_range(identity: str) -> str:
    """A range of its own for each subnet."""
    number = zlib.crc32(identity.encode())
    return f"10.{number >> 8 & 255}.{number & 255}.0/24"


def as_secret(value: struct_pb2.Value) -> struct_pb2.Struct:
    """The value marked as the engine marks secrets."""
    marked = struct_pb2.Struct()
    marked[rpc._special_sig_key] = rpc._special_secret_sig
    marked.fields["value"].CopyFrom(value)
    return marked


def plain(value: Any) -> Any:
    """The value without the wrappers that mark secrets."""
    value = rpc.unwrap_rpc_secret(value) if rpc.is_rpc_secret(value) else value
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def computed(token: str, name: str) -> dict[str, Any]:
    """Outputs that the provider always gives for a type, as far as its SDK declares them."""
    if token in STAND_INS:
        return dict(STAND_INS[token])
    package, module, class_name = token.split(":")
    module = module.split("/")[0]
    if package not in ("aws", "random"):
        return {}
    module = {"lambda": "lambda_", "index": ""}.get(module, module)
    try:
        cls = getattr(importlib.import_module(f"pulumi_{package}.{module}".rstrip(".")), class_name)
    except AttributeError:
        raise GraphError(f"pulumi_{package} has no class for {token}") from None
    always = {
        getattr(item.fget, "_pulumi_name", python_name)
        for python_name, item in vars(cls).items()
        if isinstance(item, property)
        and item.fget
        and "Optional[" not in str(item.fget.__annotations__.get("return", ""))
    }
    return {
        key: sample(kind, key, name, module)
        for key, kind in _types.resource_types(cls).items()
        if key in always and key not in ("tags", "tagsAll")
    }


def sample(kind: Any, key: str, name: str, module: str) -> Any:
    """A value of the declared type."""
    if kind is str:
        if key == "arn" or key.endswith("Arn"):
            place = (
                f"iam::{ACCOUNT}:role/"
                if module == "iam"
                else f"{module.rstrip('_')}:{REGION}:{ACCOUNT}:"
            )
            return f"arn:aws:{place}{name}/{key}"
        return REGION if key == "region" else f"{name}-{key}"
    if kind is bool:
        return False
    if kind in (int, float):
        return 1
    origin = typing.get_origin(kind)
    if origin is not None and "Sequence" in str(kind):
        return [sample(typing.get_args(kind)[0], key, name, module)]
    if origin is None and isinstance(kind, type) and _types.is_output_type(kind):
        return {
            inner: sample(inner_kind, inner, name, module)
            for inner, inner_kind in _types.output_type_types(kind).items()
            if inner_kind in (str, bool, int, float)
        }
    return {}


def evaluate(
    program: Callable[[], Any],
    *,
    preview: bool = False,
    project: str = PROJECT,
    stack: str = "dev",
    config: Mapping[str, str] | None = None,
) -> Graph:
    """Run a program under strict mocks and return what it registered.

    Raises what the program raises, and GraphError for a duplicate URN or an unknown call.
    """
    collecting = gc.isenabled()
    gc.disable()  # over the SDK's many classes, collections would take a third of the time
    try:
        context = contextvars.copy_context()
        return context.run(_evaluate, program, preview, project, stack, dict(config or {}))
    finally:
        if collecting:
            gc.enable()


def _evaluate(
    program: Callable[[], Any], preview: bool, project: str, stack: str, config: dict[str, str]
) -> Graph:
    settings.ROOT.set(None)
    monitor = StrictMonitor(Answers(preview))
    mocks.set_mocks(monitor.mocks, project=project, stack=stack, preview=preview, monitor=monitor)
    set_all_config({"aws:region": REGION} | config)
    outputs: dict[str, Any] = {}
    secret: set[str] = set()
    result: list[Any] = []

    async def collect() -> None:
        root = typing.cast("Stack", settings.get_root_resource())
        for name, value in root.outputs.items():
            output = pulumi.Output.from_input(value)
            outputs[name] = await output.future(with_unknowns=True)
            if await output.is_secret():
                secret.add(name)

    def run() -> Any:
        # What depends on a resource that failed fails too; evaluate raises the first failure.
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        result.append(program())
        return collect()

    mocks.test(run)()
    return Graph(
        resources=monitor.registrations,
        outputs=outputs,
        secret_outputs=frozenset(secret),
        registered_outputs=monitor.registered_outputs,
        result=result[0],
    )


def evaluate_stack(
    stack: str, *, preview: bool = False, config: Mapping[str, str | None] | None = None
) -> Graph:
    """Run `__main__.py` for a stack; `config` overrides keys (None takes one away)."""
    merged: dict[str, str | None] = {**stack_config(stack)}
    for key, value in (config or {}).items():
        merged[key if ":" in key else f"{PROJECT}:{key}"] = value
    known = {key: value for key, value in merged.items() if value is not None}
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    return evaluate(
        lambda: runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__"),
        preview=preview,
        stack=stack,
        config=known,
    )


def stack_graph(stack: str, *, preview: bool = False) -> Graph:
    """A stack as its files configure it: evaluated once, since many tests look at it."""
    return _stack_graph(stack, preview)


@cache
def _stack_graph(stack: str, preview: bool) -> Graph:
    return evaluate_stack(stack, preview=preview)
