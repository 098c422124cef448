"""Lambda functions of a component: packaged code, own role, own log group, shared failure queue."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws

from ._keys import KEY_USE_ACTIONS
from ._layer import FUNCTIONS, FunctionPlatform, build_layer
from ._order import after
from ._policy_documents import allow, deny, policy_document, service_trust
from ._queues import FAILURE_RETENTION_SECONDS, QUEUE_KEY_REUSE_SECONDS, queue_policy

IMPORT = re.compile(r"^\s*(?:from|import)\s+functions(?:\.|\s+import\s+)(\w+)", re.MULTILINE)

# EC2 and X-Ray know no resource to restrict these to, or Lambda asks for them on all.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
NETWORK_ACTIONS = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
)
TRACE_ACTIONS = ("xray:PutTelemetryRecords", "xray:PutTraceSegments")


def code_files(handler: str, root: Path = FUNCTIONS) -> dict[str, Path]:
    """The files that a handler (`functions.api.handler.handler`) needs, by path in the archive.

    The handler's package and every package of ours that those import; data files included.
    Raises FileNotFoundError when the handler's module isn't there.
    """
    package, module = handler.split(".")[1:3]
    if not (root / package / f"{module}.py").is_file():
        raise FileNotFoundError(f"no module for the handler {handler}")
    files: dict[str, Path] = {}
    todo, seen = [package], {package}
    while todo:
        folder = root / todo.pop()
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(root)
            if not path.is_file() or not _is_shipped(inside):
                continue
            files[(Path(root.name) / inside).as_posix()] = path
            if path.suffix == ".py":
                imported = {p for p in IMPORT.findall(path.read_text("utf-8")) if p not in seen}
                seen |= imported
                todo += sorted(p for p in imported if (root / p).is_dir())
    return dict(sorted(files.items()))


def _is_shipped(inside: Path) -> bool:
    if inside.suffix in (".pyc", ".md"):
        return False
    return not any(part == "__pycache__" or part.startswith(".") for part in inside.parts)


def code_hash(files: Mapping[str, Path]) -> str:
    """SHA-256 over names and contents: equal exactly when the archives are."""
    digest = hashlib.sha256()
    for name, path in files.items():
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


@dataclass(frozen=True)
class Function:
    """A function and what others need to know of it."""

    resource: aws.lambda_.Function
    role: aws.iam.Role
    code_hash: str
    """Of the function's own code and of its dependencies."""


class Functions:
    """Makes the functions of one component, all with the same key, network and failure queue.

    Creates for the component: layer, failure queue and, in a VPC, a security group that lets only
    HTTPS out. Creates per function: role, role policy, log group.
    """

    def __init__(
        self,
        name: str,
        *,
        platform: FunctionPlatform,
        key: aws.kms.Key,
        log_retention_days: int,
        opts: pulumi.ResourceOptions,
        vpc_id: pulumi.Input[str] | None = None,
        subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]] | None = None,
    ) -> None:
        self._name, self._platform, self._key, self._opts = name, platform, key, opts
        self._log_retention_days = log_retention_days
        self._subnet_ids = subnet_ids
        layer = build_layer(platform)
        self._layer_hash = hashlib.sha256(layer.read_bytes()).hexdigest()
        self._layer = aws.lambda_.LayerVersion(
            f"{name}-dependencies",
            layer_name=f"{name}-dependencies",  # each deployment adds a version
            description="What the functions need beyond Lambda's own Python runtime",
            code=pulumi.FileArchive(str(layer)),
            compatible_runtimes=[platform.runtime],
            compatible_architectures=[platform.architecture],
            opts=opts,
        )
        self.failure_queue = aws.sqs.Queue(
            f"{name}-failures",
            message_retention_seconds=FAILURE_RETENTION_SECONDS,
            kms_master_key_id=key.arn,
            kms_data_key_reuse_period_seconds=QUEUE_KEY_REUSE_SECONDS,
            opts=opts,
        )
        queue_policy(f"{name}-failures-policy", self.failure_queue, opts=opts)
        self.security_group = self._make_security_group(vpc_id) if vpc_id is not None else None

    def _make_security_group(self, vpc_id: pulumi.Input[str]) -> aws.ec2.SecurityGroup:
        group = aws.ec2.SecurityGroup(
            f"{self._name}-functions",
            vpc_id=vpc_id,
            description="Functions: HTTPS out, nothing in",
            tags={"Name": f"{self._name}-functions"},
            opts=self._opts,
        )
        aws.vpc.SecurityGroupEgressRule(
            f"{self._name}-functions-https",
            security_group_id=group.id,
            description="AWS APIs, the search domain and the issuer's signing keys",
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            cidr_ipv4="0.0.0.0/0",
            opts=self._opts,
        )
        return group

    def role(self, purpose: str) -> aws.iam.Role:
        """A role that only Lambda can take; `function` gives it its permissions."""
        return aws.iam.Role(
            f"{self._name}-{purpose}-role",
            description=f"Execution role of the function {self._name}-{purpose}",
            assume_role_policy=service_trust("lambda.amazonaws.com"),
            opts=self._opts,
        )

    def function(
        self,
        purpose: str,
        handler: str,
        *,
        description: str,
        environment: Mapping[str, pulumi.Input[str]],
        statements: Sequence[Mapping[str, Any]],
        timeout: int,
        memory: int,
        role: aws.iam.Role | None = None,
        reserved_concurrency: int | None = None,
        depends_on: Sequence[pulumi.Resource] = (),
    ) -> Function:
        """A function. `timeout` in seconds, `memory` in MiB; `statements` beyond what all need."""
        role = role or self.role(purpose)
        log_group = aws.cloudwatch.LogGroup(
            f"{self._name}-{purpose}-logs",
            retention_in_days=self._log_retention_days,
            kms_key_id=self._key.arn,
            opts=self._opts,
        )
        permissions = aws.iam.RolePolicy(
            f"{self._name}-{purpose}-policy",
            role=role.name,
            policy=function_policy(
                log_group_arn=log_group.arn,
                key_arn=self._key.arn,
                failure_queue_arn=self.failure_queue.arn,
                in_vpc=self.security_group is not None,
                statements=statements,
            ),
            opts=self._opts,
        )
        files = code_files(handler)
        resource = aws.lambda_.Function(
            f"{self._name}-{purpose}",
            description=description,
            code=pulumi.AssetArchive(
                {inside: pulumi.FileAsset(str(path)) for inside, path in files.items()}
            ),
            handler=handler,
            runtime=self._platform.runtime,
            architectures=[self._platform.architecture],
            layers=[self._layer.arn],
            role=role.arn,
            timeout=timeout,
            memory_size=memory,
            reserved_concurrent_executions=reserved_concurrency,
            environment={"variables": environment},
            kms_key_arn=self._key.arn,
            vpc_config=self._vpc_config(),
            dead_letter_config={"target_arn": self.failure_queue.arn},
            logging_config={"log_format": "JSON", "log_group": log_group.name},
            tracing_config={"mode": "Active"},
            opts=after(self._opts, permissions, *depends_on),
        )
        return Function(resource, role, code_hash(files) + self._layer_hash)

    def _vpc_config(self) -> aws.lambda_.FunctionVpcConfigArgsDict | None:
        if self.security_group is None:
            return None
        return {
            "subnet_ids": self._subnet_ids or [],
            "security_group_ids": [self.security_group.id],
        }


def function_policy(
    *,
    log_group_arn: pulumi.Input[str],
    key_arn: pulumi.Input[str],
    failure_queue_arn: pulumi.Input[str],
    in_vpc: bool,
    statements: Sequence[Mapping[str, Any]],
) -> pulumi.Output[str]:
    """What every function may do (log, trace, use its key, report failures), and `statements`."""
    own: list[Mapping[str, Any]] = [
        allow(
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            pulumi.Output.concat(log_group_arn, ":*"),
        ),
        allow(TRACE_ACTIONS, "*"),
        allow(KEY_USE_ACTIONS, key_arn),
        allow(["sqs:SendMessage"], failure_queue_arn),
    ]
    if in_vpc:
        own.append(allow(NETWORK_ACTIONS, "*"))
        # Lambda itself needs these, the code it runs doesn't: only calls made by the code carry
        # the key. https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
        own.append(
            deny(NETWORK_ACTIONS, "*", condition={"Null": {"lambda:SourceFunctionArn": "false"}})
        )
    return policy_document([*own, *statements])


def call_on(
    rule: aws.cloudwatch.EventRule,
    function: Function,
    name: str,
    opts: pulumi.ResourceOptions,
    told: str | None = None,
) -> None:
    """Has EventBridge call a function for each event of a rule: with it, or with what is `told`."""
    permission = aws.lambda_.Permission(
        name,
        action="lambda:InvokeFunction",
        principal="events.amazonaws.com",
        function=function.resource.arn,
        source_arn=rule.arn,
        opts=opts,
    )
    aws.cloudwatch.EventTarget(
        name,
        rule=rule.name,
        arn=function.resource.arn,
        input=told,
        opts=after(opts, permission),
    )
