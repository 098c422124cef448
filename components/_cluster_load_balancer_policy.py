"""What the AWS Load Balancer Controller may do: load balancers that carry the cluster's tag.

After the policy of version 3.5, bound to this cluster, less what our Ingresses never lead to: other
firewalls than WAFv2, Shield, Cognito, certificates that are searched for, Outposts and IPAM.
https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/installation/
"""

from collections.abc import Mapping
from typing import Any

import pulumi

from ._arns import arn
from ._policy_documents import allow, policy_document

CLUSTER_TAG = "elbv2.k8s.aws/cluster"
READ_ACTIONS = [
    "ec2:DescribeAccountAttributes",
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeInstances",
    "ec2:DescribeInternetGateways",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeTags",
    "ec2:DescribeVpcs",
    "ec2:GetSecurityGroupsForVpc",
    "elasticloadbalancing:DescribeCapacityReservation",
    "elasticloadbalancing:DescribeListenerAttributes",
    "elasticloadbalancing:DescribeListenerCertificates",
    "elasticloadbalancing:DescribeListeners",
    "elasticloadbalancing:DescribeLoadBalancerAttributes",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeRules",
    "elasticloadbalancing:DescribeSSLPolicies",
    "elasticloadbalancing:DescribeTags",
    "elasticloadbalancing:DescribeTargetGroupAttributes",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
]
CHANGE_ACTIONS = [
    "elasticloadbalancing:AddListenerCertificates",
    "elasticloadbalancing:AddTags",
    "elasticloadbalancing:CreateListener",
    "elasticloadbalancing:CreateRule",
    "elasticloadbalancing:DeleteListener",
    "elasticloadbalancing:DeleteLoadBalancer",
    "elasticloadbalancing:DeleteRule",
    "elasticloadbalancing:DeleteTargetGroup",
    "elasticloadbalancing:DeregisterTargets",
    "elasticloadbalancing:ModifyListener",
    "elasticloadbalancing:ModifyListenerAttributes",
    "elasticloadbalancing:ModifyLoadBalancerAttributes",
    "elasticloadbalancing:ModifyRule",
    "elasticloadbalancing:ModifyTargetGroup",
    "elasticloadbalancing:ModifyTargetGroupAttributes",
    "elasticloadbalancing:RegisterTargets",
    "elasticloadbalancing:RemoveListenerCertificates",
    "elasticloadbalancing:RemoveTags",
    "elasticloadbalancing:SetIpAddressType",
    "elasticloadbalancing:SetRulePriorities",
    "elasticloadbalancing:SetSecurityGroups",
    "elasticloadbalancing:SetSubnets",
    "elasticloadbalancing:SetWebAcl",
]
CREATE_ACTIONS = ["CreateLoadBalancer", "CreateTargetGroup"]
INGRESS_ACTIONS = ["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"]
FIREWALL_ACTIONS = [
    "wafv2:AssociateWebACL",
    "wafv2:DisassociateWebACL",
    "wafv2:GetWebACL",
    "wafv2:GetWebACLForResource",
]


def load_balancer_policy(
    *, cluster_name: str, vpc_id: pulumi.Input[str], security_group_id: pulumi.Input[str]
) -> pulumi.Output[str]:
    """The policy document; the security group is the one of the nodes, whose ports it opens."""
    groups = arn("ec2", "security-group/*")
    balancing = [
        arn("elasticloadbalancing", f"{kind}/*")
        for kind in ("listener", "listener-rule", "loadbalancer", "targetgroup")
    ]
    firewalls = [
        arn("wafv2", "regional/webacl/*"),
        arn("elasticloadbalancing", "loadbalancer/app/*"),
    ]
    owned, tagged = _tag("Resource", cluster_name), _tag("Request", cluster_name)
    statements = [
        allow(READ_ACTIONS, "*", sid="Read"),
        allow(FIREWALL_ACTIONS, firewalls, sid="Firewall"),
        allow(["iam:CreateServiceLinkedRole"], "*", sid="MakeRole", condition=_linked_role()),
        allow(["ec2:CreateSecurityGroup"], arn("ec2", "vpc/", vpc_id), sid="MakeGroupIn"),
        allow(["ec2:CreateSecurityGroup"], groups, sid="MakeGroup", condition=tagged),
        allow(["ec2:CreateTags"], groups, sid="TagNewGroup", condition=_making("ec2", tagged)),
        allow(
            [*INGRESS_ACTIONS, "ec2:CreateTags", "ec2:DeleteSecurityGroup", "ec2:DeleteTags"],
            groups,
            sid="ChangeGroup",
            condition=owned,
        ),
        allow(
            INGRESS_ACTIONS, arn("ec2", "security-group/", security_group_id), sid="LetIntoNodes"
        ),
        allow(
            [f"elasticloadbalancing:{action}" for action in CREATE_ACTIONS],
            balancing,
            sid="Make",
            condition=tagged,
        ),
        allow(
            ["elasticloadbalancing:AddTags"],
            balancing,
            sid="TagNew",
            condition=_making("elasticloadbalancing", tagged),
        ),
        allow(CHANGE_ACTIONS, balancing, sid="Change", condition=owned),
    ]
    return policy_document(statements)


def _tag(of: str, cluster_name: str) -> dict[str, Any]:
    """Holds for what carries the cluster's tag ("Resource"), or is being given it ("Request")."""
    return {"StringEquals": {f"aws:{of}Tag/{CLUSTER_TAG}": cluster_name}}


def _making(service: str, tagged: Mapping[str, Any]) -> dict[str, Any]:
    """Holds while something is made, and not for what is there."""
    made = {
        "ec2": ["CreateSecurityGroup"],
        "elasticloadbalancing": [*CREATE_ACTIONS, "CreateListener", "CreateRule"],
    }[service]
    return {"StringEquals": {**tagged["StringEquals"], f"{service}:CreateAction": made}}


def _linked_role() -> dict[str, Any]:
    return {"StringEquals": {"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"}}
