"""Who may use the cluster: access entries for IAM roles, in place of the aws-auth map."""

import re
from collections.abc import Sequence

import pulumi_eks as eks

from ._arns import arn

ROLE_ARN = re.compile(r"arn:[a-z-]+:iam::\d{12}:role/(?P<path_and_name>[\w+=,.@/-]+)")
# https://docs.aws.amazon.com/eks/latest/userguide/access-policy-permissions.html
ADMIN_POLICY, VIEW_POLICY = "AmazonEKSClusterAdminPolicy", "AmazonEKSViewPolicy"


def access_entries(
    label: str, role_arns: Sequence[str], policy: str
) -> dict[str, eks.AccessEntryArgsDict]:
    """Access entries that give the roles a cluster-wide access policy, by stable names."""
    policy_arn = arn("eks", "cluster-access-policy/", policy, region="", account="aws")
    entries: dict[str, eks.AccessEntryArgsDict] = {}
    for role_arn in role_arns:
        match = ROLE_ARN.fullmatch(role_arn)
        if match is None:
            raise ValueError(
                f"{label}_role_arns: {role_arn!r} is no ARN of an IAM role "
                "(arn:aws:iam::<account>:role/<name>)"
            )
        entries[f"{label}-{match['path_and_name'].replace('/', '-')}"] = {
            "principal_arn": role_arn,
            "access_policies": {
                label: {"policy_arn": policy_arn, "access_scope": {"type": "cluster"}}
            },
        }
    return entries
