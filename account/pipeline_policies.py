"""What the workflows' roles may do, as policy documents."""

from collections.abc import Sequence

import pulumi

from account.state import StateBackend
from components._arns import arn, managed_policy
from components._policy_documents import allow, deny, policy_document, web_identity_trust
from components._regions import GLOBAL_REGION

# A deployment makes, changes and removes resources of these services, so it has all their actions:
# the list of single ones would be out of date with each release of the provider.
SERVICES = (
    *("acm", "apigateway", "backup", "backup-storage", "budgets", "cloudfront", "cloudwatch"),
    *("codebuild", "cognito-idp", "dynamodb", "ec2", "ecr", "eks", "es", "events", "kms"),
    *("lambda", "logs", "rds", "s3", "secretsmanager", "sqs", "states", "wafv2"),
)
# IAM isn't among them. Roles are named after the component that makes them (see __main__.py).
COMPONENTS = ("auth", "data", "edge", "evaluation", "gateway", "network", "uploads")
ROLE_ACTIONS = (
    "iam:CreateRole",
    "iam:DeleteRole",
    "iam:DeleteRolePermissionsBoundary",
    "iam:DeleteRolePolicy",
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:ListAttachedRolePolicies",
    "iam:ListInstanceProfilesForRole",
    "iam:ListRolePolicies",
    "iam:PutRolePermissionsBoundary",
    "iam:PutRolePolicy",
    "iam:TagRole",
    "iam:UntagRole",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateRole",
    "iam:UpdateRoleDescription",
)
# What roles of challenges may do at most, and what AWS Budgets attaches; nothing here lets a
# deployment attach one of them itself.
POLICY_ACTIONS = (
    "iam:CreatePolicy",
    "iam:CreatePolicyVersion",
    "iam:DeletePolicy",
    "iam:DeletePolicyVersion",
    "iam:GetPolicy",
    "iam:GetPolicyVersion",
    "iam:ListPolicyVersions",
    "iam:TagPolicy",
    "iam:UntagPolicy",
)
MANAGED_POLICIES = (
    "AmazonEC2ContainerRegistryPullOnly",
    "AmazonEKSClusterPolicy",
    "AmazonEKSWorkerNodePolicy",
    "AmazonEKS_CNI_Policy",
    "service-role/AmazonEBSCSIDriverPolicy",
    "service-role/AmazonRDSEnhancedMonitoringRole",
)
PASSED_TO = (
    *("backup.amazonaws.com", "budgets.amazonaws.com"),
    *("codebuild.amazonaws.com", "ec2.amazonaws.com", "eks.amazonaws.com"),
    *("lambda.amazonaws.com", "malware-protection-plan.guardduty.amazonaws.com"),
    *("monitoring.rds.amazonaws.com", "pods.eks.amazonaws.com"),
    *("states.amazonaws.com", "vpc-flow-logs.amazonaws.com"),
)
# Made by the services themselves at their first use, in the name of whoever uses them.
SELF_MADE_ROLES = (
    *("backup.amazonaws.com", "eks.amazonaws.com", "eks-nodegroup.amazonaws.com"),
    *("ops.apigateway.amazonaws.com", "rds.amazonaws.com", "wafv2.amazonaws.com"),
)
CLUSTER_PROVIDER_ACTIONS = (
    "iam:CreateOpenIDConnectProvider",
    "iam:DeleteOpenIDConnectProvider",
    "iam:GetOpenIDConnectProvider",
    "iam:TagOpenIDConnectProvider",
    "iam:UntagOpenIDConnectProvider",
    "iam:UpdateOpenIDConnectProviderThumbprint",
)
# Of CloudTrail only the trail of reads of datasets: what else is recorded isn't the platform's.
TRAIL_ACTIONS = (
    "cloudtrail:AddTags",
    "cloudtrail:CreateTrail",
    "cloudtrail:DeleteTrail",
    "cloudtrail:GetEventSelectors",
    "cloudtrail:GetInsightSelectors",
    "cloudtrail:GetTrail",
    "cloudtrail:GetTrailStatus",
    "cloudtrail:ListTags",
    "cloudtrail:PutEventSelectors",
    "cloudtrail:RemoveTags",
    "cloudtrail:StartLogging",
    "cloudtrail:StopLogging",
    "cloudtrail:UpdateTrail",
)
# Of GuardDuty only the scan of uploads, not the account's detectors.
SCAN_ACTIONS = (
    "guardduty:CreateMalwareProtectionPlan",
    "guardduty:DeleteMalwareProtectionPlan",
    "guardduty:GetMalwareProtectionPlan",
    "guardduty:ListTagsForResource",
    "guardduty:TagResource",
    "guardduty:UntagResource",
    "guardduty:UpdateMalwareProtectionPlan",
)
# Of Route 53 the records of hosts, and neither zones nor who is asked for them (NS).
HOST_RECORD_TYPES = ("A", "AAAA", "CNAME")
ZONE_READ_ACTIONS = ("route53:GetHostedZone", "route53:ListResourceRecordSets")
RECORD_ACTIONS = (
    "dynamodb:BatchGetItem",
    "dynamodb:ExportTableToPointInTime",
    "dynamodb:GetItem",
    "dynamodb:GetRecords",
    "dynamodb:PartiQLSelect",
    "dynamodb:Query",
    "dynamodb:Scan",
)
STATE_ACTIONS = ("s3:DeleteObject", "s3:GetObject", "s3:PutObject")
STATE_SAFETY_ACTIONS = (
    "s3:DeleteBucket",
    "s3:DeleteBucketPolicy",
    "s3:DeleteObjectVersion",
    "s3:PutBucketPolicy",
    "s3:PutBucketVersioning",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
)
KEY_SAFETY_ACTIONS = ("kms:DisableKey", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion")


def github_trust(
    provider_arn: pulumi.Input[str], repository: str, environment: str
) -> pulumi.Output[str]:
    """Trusts jobs of one environment of one repository.

    https://docs.github.com/actions/how-tos/secure-your-work/security-harden-deployments/oidc-in-aws
    """
    issuer = "token.actions.githubusercontent.com"
    return web_identity_trust(provider_arn, issuer, f"repo:{repository}:environment:{environment}")


def preview_policy(backend: StateBackend) -> pulumi.Output[str]:
    """Reads the state and the secrets in it. A preview takes no lock, so it needn't write."""
    return policy_document(
        [
            allow(["s3:ListBucket"], backend.bucket_arn),
            allow(["s3:GetObject"], pulumi.Output.concat(backend.bucket_arn, "/*")),
            allow(["kms:Decrypt"], [backend.bucket_key_arn, backend.secrets_key_arn]),
        ]
    )


def deploy_policy(
    backend: StateBackend,
    *,
    other_stacks: list[str],
    regions: Sequence[pulumi.Input[str]],
) -> pulumi.Output[str]:
    """All of the platform's services, IAM for its own roles only, and none of the data.

    `regions` are the stacks' own and others that they keep something in.
    This keeps mistakes and curious workflows away from data, other regions, other stacks' state
    and the pipeline itself. It is no wall against malicious code that was merged, which can deploy
    a function that reads what the platform reads, and stacks of one account share their services:
    reviews, environments and an account of its own for production are for that.
    """
    roles = [arn("iam", f"role/{name}-*") for name in COMPONENTS]
    managed = [managed_policy(name) for name in MANAGED_POLICIES]
    state_objects = pulumi.Output.concat(backend.bucket_arn, "/*")
    other_state = [
        pulumi.Output.concat(backend.bucket_arn, "/.pulumi/stacks/*/", stack, ".json*")
        for stack in other_stacks
    ]
    trail = arn("cloudtrail", "trail/uploads-reads-trail-*")
    zones = arn("route53", "hostedzone/*")
    portal_objects = arn("s3", "edge-portal-*/*")
    return policy_document(
        [
            allow(
                [f"{service}:*" for service in SERVICES],
                "*",
                # CloudFront, its firewall and IAM are in the global one.
                condition={"StringEquals": {"aws:RequestedRegion": [*regions, GLOBAL_REGION]}},
            ),
            allow(ROLE_ACTIONS, roles),
            allow(POLICY_ACTIONS, arn("iam", "policy/evaluation-*")),
            allow(
                ["iam:AttachRolePolicy", "iam:DetachRolePolicy"],
                roles,
                condition={"ArnEquals": {"iam:PolicyARN": managed}},
            ),
            allow(
                ["iam:PassRole"],
                roles,
                condition={"StringEquals": {"iam:PassedToService": PASSED_TO}},
            ),
            allow(
                ["iam:CreateServiceLinkedRole"],
                "*",
                condition={"StringEquals": {"iam:AWSServiceName": SELF_MADE_ROLES}},
            ),
            allow(CLUSTER_PROVIDER_ACTIONS, arn("iam", "oidc-provider/oidc.eks.*")),
            allow(TRAIL_ACTIONS, trail),
            allow(["cloudtrail:DescribeTrails"], "*"),  # it knows no resource
            allow(SCAN_ACTIONS, arn("guardduty", "malware-protection-plan/*")),
            allow(ZONE_READ_ACTIONS, zones),
            allow(["route53:GetChange"], arn("route53", "change/*")),
            allow(
                ["route53:ChangeResourceRecordSets"],
                zones,
                condition={
                    "ForAllValues:StringEquals": {
                        "route53:ChangeResourceRecordSetsRecordTypes": HOST_RECORD_TYPES
                    },
                    # All of no values would be allowed, too.
                    "Null": {"route53:ChangeResourceRecordSetsRecordTypes": "false"},
                },
            ),
            deny(RECORD_ACTIONS, "*"),
            {
                "Effect": "Deny",
                "Action": ["s3:GetObject", "s3:GetObjectVersion"],
                "NotResource": [state_objects, portal_objects],
            },
            deny(STATE_SAFETY_ACTIONS, [backend.bucket_arn, state_objects]),
            deny(KEY_SAFETY_ACTIONS, [backend.bucket_key_arn, backend.secrets_key_arn]),
            *([deny(STATE_ACTIONS, other_state)] if other_state else []),
        ]
    )
