"""Every policy document of the stacks, held against what AWS knows of actions and resources.

Parliament finds what IAM would take and then not do: an action that doesn't exist, one that is
allowed on a resource it never asks for, a condition that it doesn't have.
"""

import json
import re
from collections.abc import Iterator

import pytest
from parliament import analyze_policy_string

from policies.rule import POLICIES
from tests.graph.strict import ACCOUNT, REGION, stack_graph

# The mocks' ARNs end in `name/arn`; what AWS's are like, by the module of the resource's type.
RESOURCES = {
    "backup": "backup:{}:backup-vault:{}",
    "cloudwatch": "logs:{}:log-group:{}",
    "codebuild": "codebuild:{}:project/{}",
    "cognito": "cognito-idp:{}:userpool/{}",
    "dynamodb": "dynamodb:{}:table/{}",
    "ecr": "ecr:{}:repository/{}",
    "kms": "kms:{}:key/{}",
    "lambda": "lambda:{}:function:{}",
    "opensearch": "es:{}:domain/{}",
    "rds": "secretsmanager:{}:secret:{}",
    "secretsmanager": "secretsmanager:{}:secret:{}",
    "sfn": "states:{}:stateMachine:{}",
}
STAND_IN = re.compile(rf"arn:aws:(\w+):{REGION}:{ACCOUNT}:([\w.-]+)/\w*[aA]rn")
MAP_RUNS = re.compile(r":stateMachine:([\w.-]+)/\*")  # the mocks' machine has no `:stateMachine:`

ACCEPTED = {
    # Of machines of the type EXPRESS, as well; ours are STANDARD.
    ("data-export-machine-parts", "RESOURCE_MISMATCH", "states:DescribeExecution"),
    ("data-import-machine-parts", "RESOURCE_MISMATCH", "states:DescribeExecution"),
    # These allow one call on several kinds of resources, each in a statement with its conditions.
    # https://karpenter.sh/docs/reference/cloudformation/
    ("evaluation-karpenter-controller", "RESOURCE_MISMATCH", "ec2:CreateFleet"),
    ("evaluation-karpenter-controller", "RESOURCE_MISMATCH", "ec2:RunInstances"),
    ("evaluation-aws-load-balancer-controller", "RESOURCE_MISMATCH", "ec2:CreateSecurityGroup"),
    # AWS's own parameters have no account in their ARN.
    ("evaluation-karpenter-controller", "RESOURCE_MISMATCH", "ssm:GetParameter"),
    # Asked for by the firewall's API, on the load balancer.
    # https://docs.aws.amazon.com/waf/latest/APIReference/API_AssociateWebACL.html
    (
        "evaluation-aws-load-balancer-controller",
        "RESOURCE_MISMATCH",
        "elasticloadbalancing:SetWebAcl",
    ),
    # In the service's list, and not yet in parliament's.
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awselasticloadbalancingv2.html
    (
        "evaluation-aws-load-balancer-controller",
        "UNKNOWN_CONDITION_FOR_ACTION",
        "elasticloadbalancing:AddTags",
    ),
}
"""Findings that are none: document, kind and action."""

LOG_GROUP = "kms:EncryptionContext:aws:logs:arn"  # an ARN, whose type is string


def resembling(document: str) -> str:
    """The document with ARNs as AWS's are."""

    def arn(found: re.Match[str]) -> str:
        module, name = found.groups()
        if module == "s3":
            return f"arn:aws:s3:::{name.lower()}"
        form = RESOURCES.get(module, module + ":{}:{}")
        return "arn:aws:" + form.format(f"{REGION}:{ACCOUNT}", name)

    return MAP_RUNS.sub(r":execution:\1/*", STAND_IN.sub(arn, document))


def documents() -> dict[str, str]:
    """Each document and what has it; the stacks have most in common."""
    texts = (
        (resource.inputs.get(key), resource.name)
        for stack in ("dev", "prod")
        for resource in stack_graph(stack)
        for key in POLICIES
    )
    return {text: name for text, name in texts if isinstance(text, str) and "Statement" in text}


def findings(text: str) -> Iterator[tuple[str, str, str]]:
    """Kind, action and detail of what parliament finds in the statements that allow something."""
    document = json.loads(text)
    for statement in document["Statement"]:
        if statement["Effect"] != "Allow":
            continue
        # A trust policy is for its role alone.
        single = {**document, "Statement": [{"Resource": "*", **statement}]}
        for finding in analyze_policy_string(resembling(json.dumps(single))).findings:
            detail = finding.detail
            if finding.issue == "MISMATCHED_TYPE" and LOG_GROUP in str(statement):
                continue
            actions = (
                [entry["action"] for entry in detail]
                if finding.issue == "RESOURCE_MISMATCH"
                else [str(detail).rpartition(" ")[2]]
            )
            for action in actions:
                yield finding.issue, action, f"{detail}"


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, str, str], str]:
    """What is found, but for what the rule `no-resource-wildcard` is for."""
    return {
        (name, kind, action): detail
        for text, name in documents().items()
        for kind, action, detail in findings(text)
        if kind != "RESOURCE_STAR"
    }


def test_every_document_does_what_it_says(found: dict[tuple[str, str, str], str]) -> None:
    assert len(documents()) > 50
    assert {key: detail for key, detail in found.items() if key not in ACCEPTED} == {}


def test_what_is_accepted_is_there(found: dict[tuple[str, str, str], str]) -> None:
    assert set(found) >= ACCEPTED


@pytest.mark.parametrize(
    ("action", "resource", "kind"),
    [
        ("s3:GetObjects", "arn:aws:s3:::b/*", "UNKNOWN_ACTION"),
        ("s3:GetObject", "arn:aws:s3:::b", "RESOURCE_MISMATCH"),
        ("dynamodb:ListStreams", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:t/arn", "RESOURCE_MISMATCH"),
    ],
)
def test_what_would_do_nothing_is_found(action: str, resource: str, kind: str) -> None:
    statement = {"Effect": "Allow", "Action": [action], "Resource": resource}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    assert [found[0] for found in findings(json.dumps(document))] == [kind]
