"""The controller's policy against the calls that Karpenter's source declares."""

import json
import re

from tests.autoscaling.cluster import provider_source
from tests.graph.strict import Graph

INTERFACE = re.compile(r"type (\w+)API interface \{(.*?)\n\}", re.DOTALL)
CALL = re.compile(r"^\s*(\w+)\(", re.MULTILINE)
SERVICES = {
    "ARCZonalShift": "arc-zonal-shift",
    "EC2": "ec2",
    "EKS": "eks",
    "IAM": "iam",
    "Pricing": "pricing",
    "SQS": "sqs",
    "SSM": "ssm",
    "TimestreamWrite": "timestream",
}
# Calls that our settings never lead to.
UNUSED = {
    # The class of machines names an instance profile, so none is made.
    *("iam:AddRoleToInstanceProfile", "iam:CreateInstanceProfile", "iam:DeleteInstanceProfile"),
    *("iam:GetRole", "iam:RemoveRoleFromInstanceProfile", "iam:TagInstanceProfile"),
    "arc-zonal-shift:GetManagedResource",  # only with enableZonalShift
    *("sqs:SendMessage", "timestream:WriteRecords"),  # of its tests
}
# What a launch asks for beyond the calls themselves, and what the encrypted queue does.
BEYOND = {
    *("iam:PassRole", "kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt"),
    *("kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext"),
    *("kms:ReEncryptFrom", "kms:ReEncryptTo"),
}


def test_every_call_is_permitted_and_nothing_else(graph: Graph) -> None:
    source = (provider_source() / "pkg" / "aws" / "sdk.go").read_text(encoding="utf-8")
    called = {
        f"{SERVICES[name]}:{call}"
        for name, body in INTERFACE.findall(source)
        for call in CALL.findall(body)
    }
    assert called > UNUSED
    policy = graph.one("aws:iam/rolePolicy:RolePolicy", "evaluation-karpenter-controller")
    granted: set[str] = set()
    for statement in json.loads(policy.inputs["policy"])["Statement"]:
        actions = statement["Action"]
        granted |= {actions} if isinstance(actions, str) else set(actions)
    assert granted == (called - UNUSED) | BEYOND
