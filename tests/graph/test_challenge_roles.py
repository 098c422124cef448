"""ChallengeRoles: who takes a role, what it may at most, whose policies the reconciler writes."""

import json
from fnmatch import fnmatchcase
from typing import Any

import pytest

from components._challenge_access import TAG, role_prefix
from components.challenge_roles import ChallengeRoles, ChallengeRolesArgs
from functions.reconciler.policy import LARGEST
from tests.graph.strict import ACCOUNT, REGION, Graph, evaluate
from tests.graph.test_policies import broken

ROLE, POLICY = "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy"
FUNCTION = "aws:lambda/function:Function"
BUCKET, KEY = "arn:aws:s3:::datasets", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/datasets"
TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/control"
TABLE_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/tables"
ISSUER = f"oidc.eks.{REGION}.amazonaws.com/id/EXAMPLE"
PREFIX = "roles-ai4h-mvp-dev-challenge-"
ARGS: ChallengeRolesArgs = {
    "datasets": {
        "bucket_arn": BUCKET,
        "key_arn": KEY,
        "control_table_name": "control",
        "control_table_arn": TABLE,
        "table_key_arn": TABLE_KEY,
    },
    "oidc_provider_arn": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}",
    "oidc_issuer": ISSUER,
    "challenges": [
        {"challenge_id": 1, "service_account": "evalai:one"},
        {"challenge_id": 22, "service_account": "evalai:two"},
    ],
    "alarm_topic_arn": f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms",
}


def build(preview: bool = False, **changes: Any) -> Graph:
    args: Any = {**ARGS, **changes}
    return evaluate(lambda: ChallengeRoles("roles", args), preview=preview)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return build()


def statements(text: str) -> list[dict[str, Any]]:
    return json.loads(text)["Statement"]


def boundary(graph: Graph) -> list[dict[str, Any]]:
    return statements(graph.one("aws:iam/policy:Policy").inputs["policy"])


def test_same_resources_in_preview_and_update(graph: Graph) -> None:
    assert build(preview=True).urns == graph.urns
    assert not broken(graph)


def test_a_role_is_found_by_its_challenge_and_taken_by_its_workers_alone(graph: Graph) -> None:
    limit = graph.one("aws:iam/policy:Policy")
    for number, account in ((1, "one"), (22, "two")):
        role = graph.one(ROLE, f"roles-challenge-{number}").inputs
        assert role["name"] == f"{PREFIX}{number}"
        assert role["tags"] == {TAG: str(number)}
        assert role["permissionsBoundary"].endswith(f":role/{limit.name}/arn")
        (trust,) = statements(role["assumeRolePolicy"])
        assert trust["Action"] == "sts:AssumeRoleWithWebIdentity"
        assert trust["Principal"] == {"Federated": ARGS["oidc_provider_arn"]}
        condition = trust["Condition"]["StringEquals"]
        assert condition[f"{ISSUER}:sub"] == [f"system:serviceaccount:evalai:{account}"]
        assert condition[f"{ISSUER}:aud"] == "sts.amazonaws.com"
    arns = graph.registered_outputs[graph.one("ai4h:index:ChallengeRoles").urn]["role_arns"]
    assert set(arns) == {"1", "22"}


def test_no_role_ever_does_more_than_read_datasets(graph: Graph) -> None:
    """Whatever its own policies say, the reconciler's among them."""
    assert boundary(graph) == [
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:GetObjectVersion"],
            "Resource": f"{BUCKET}/datasets/*",
        },
        {"Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": KEY},
    ]


def test_the_reconciler_writes_policies_of_limited_roles_of_challenges_only(graph: Graph) -> None:
    found = statements(graph.one(POLICY, "roles-challenges-reconciler-policy").inputs["policy"])
    roles = f"arn:aws:iam::{ACCOUNT}:role/{PREFIX}*"
    about_roles = [s for s in found if any(a.startswith("iam:") for a in s["Action"])]
    limit = graph.one(ROLE, "roles-challenge-1").inputs["permissionsBoundary"]
    assert about_roles == [
        {"Effect": "Allow", "Action": ["iam:GetRolePolicy"], "Resource": roles},
        {
            "Effect": "Allow",
            "Action": ["iam:PutRolePolicy"],
            "Resource": roles,
            "Condition": {"StringEquals": {"iam:PermissionsBoundary": limit}},
        },
    ]
    own = graph.one(ROLE, "roles-challenges-reconciler-role")
    assert not fnmatchcase(f"arn:aws:iam::{ACCOUNT}:role/{own.name}", roles)
    (trust,) = statements(own.inputs["assumeRolePolicy"])
    assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_the_reconciler_reads_grants_to_challenges_and_writes_no_item(graph: Graph) -> None:
    found = statements(graph.one(POLICY, "roles-challenges-reconciler-policy").inputs["policy"])
    (reading,) = [s for s in found if any(a.startswith("dynamodb:") for a in s["Action"])]
    assert reading["Action"] == ["dynamodb:BatchGetItem", "dynamodb:Query"]
    assert reading["Resource"] == TABLE
    keys = reading["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
    assert keys == ["challenge#*", "dataset#*", "grant#challenge#*"]
    (key,) = [s for s in found if s["Resource"] == TABLE_KEY]
    assert key["Action"] == ["kms:Decrypt"]
    assert not [s for s in found if "s3" in json.dumps(s["Action"])]


def test_it_runs_each_minute_for_roles_that_there_are(graph: Graph) -> None:
    rule = graph.one("aws:cloudwatch/eventRule:EventRule")
    assert rule.inputs["scheduleExpression"] == "rate(1 minute)"
    function = graph.one(FUNCTION)
    told = function.inputs["environment"]["variables"]
    assert (told["ROLE_PREFIX"], told["CHALLENGES"]) == (PREFIX, "1,22")
    assert function.inputs["timeout"] < 60
    for number in (1, 22):
        assert graph.waits_for(function, graph.one(ROLE, f"roles-challenge-{number}"))


def test_a_role_takes_the_longest_policy(graph: Graph) -> None:
    """10,240 characters without blanks, of all inline policies together: there is no other here."""
    assert [p.name for p in graph.all(POLICY)] == ["roles-challenges-reconciler-policy"]
    assert LARGEST < 10_240


@pytest.mark.parametrize(
    ("challenges", "message"),
    [
        ([], "name at least one"),
        (ARGS["challenges"] * 2, "challenge_id 1 is given twice"),
        ([{"challenge_id": 1, "service_account": "one"}], "must be namespace:name"),
        ([{"challenge_id": 1, "service_account": "evalai:*"}], "must be namespace:name"),
    ],
)
def test_bad_arguments_are_explained(challenges: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(challenges=challenges)


def test_a_name_that_iam_would_refuse_is_explained() -> None:
    with pytest.raises(ValueError, match="too long for the name of a role"):
        evaluate(lambda: role_prefix("a" * 40))
