"""An OpenSearch domain inside the VPC: encrypted, logged, and reached by named roles only."""

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from ._endpoints import url
from ._order import after
from ._policy_documents import policy_document

ENGINE = "OpenSearch_2.19"
TLS_POLICY = "Policy-Min-TLS-1-2-PFS-2023-10"
# AWS wants three in production, and this type will do for up to 30 data nodes.
# https://docs.aws.amazon.com/opensearch-service/latest/developerguide/managedomains-dedicatedmasternodes.html
MASTERS, MASTER_TYPE = 3, "m7g.large.search"
LOGS = {
    "audit": "AUDIT_LOGS",
    "errors": "ES_APPLICATION_LOGS",
    "slow-indexing": "INDEX_SLOW_LOGS",
    "slow-searches": "SEARCH_SLOW_LOGS",
}


class SearchDomain:
    """A domain with its log groups and its security group.

    From three nodes on, it is spread over zones and has dedicated cluster managers; with two, it
    is spread over two zones. Its users are IAM roles: `master_role_arn` maps all others.
    """

    def __init__(
        self,
        name: str,
        *,
        instance_type: str,
        instance_count: int,
        volume_gib: int,
        vpc_id: pulumi.Input[str],
        subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]],
        client_group_id: pulumi.Input[str],
        master_role_arn: pulumi.Input[str],
        key: aws.kms.Key,
        log_retention_days: int,
        opts: pulumi.ResourceOptions,
        child: pulumi.ResourceOptions,
    ) -> None:
        """`opts` are the domain's own, `child` those of what can be made again without loss.

        Raises ValueError when nodes can't be spread evenly.
        """
        zones = zone_count(instance_count)
        self._name, self._child, self._key = name, child, key
        self._log_retention_days = log_retention_days
        self.volume_gib = volume_gib
        group = self._security_group(vpc_id, client_group_id)
        log_groups, permission = self._log_groups()
        subnets = pulumi.Output.from_input(subnet_ids).apply(lambda ids: ids[:zones])
        self.resource = aws.opensearch.Domain(
            name,
            engine_version=ENGINE,
            cluster_config=cluster(instance_type, instance_count),  # type: ignore[arg-type]
            ebs_options={"ebs_enabled": True, "volume_type": "gp3", "volume_size": volume_gib},
            vpc_options={"subnet_ids": subnets, "security_group_ids": [group.id]},
            advanced_security_options={
                "enabled": True,
                "internal_user_database_enabled": False,
                "master_user_options": {"master_user_arn": master_role_arn},
            },
            domain_endpoint_options={"enforce_https": True, "tls_security_policy": TLS_POLICY},
            encrypt_at_rest={"enabled": True, "kms_key_id": key.arn},
            node_to_node_encryption={"enabled": True},
            log_publishing_options=[
                {"log_type": LOGS[purpose], "cloudwatch_log_group_arn": log_group.arn}
                for purpose, log_group in log_groups.items()
            ],
            software_update_options={"auto_software_update_enabled": True},
            opts=after(opts, permission),
        )
        self.arn = self.resource.arn
        self.url = self.resource.endpoint.apply(url)

    def restrict_to(self, role_arns: Sequence[pulumi.Input[str]]) -> aws.opensearch.DomainPolicy:
        """Refuses everybody but these roles, whatever their own policies allow them."""
        return aws.opensearch.DomainPolicy(
            f"{self._name}-policy",
            domain_name=self.resource.domain_name,
            access_policies=access_policy(self.arn, role_arns),
            opts=self._child,
        )

    def _security_group(
        self, vpc_id: pulumi.Input[str], client_group_id: pulumi.Input[str]
    ) -> aws.ec2.SecurityGroup:
        group = aws.ec2.SecurityGroup(
            self._name,
            vpc_id=vpc_id,
            description="Search domain: HTTPS from the functions, nothing out",
            tags={"Name": self._name},
            opts=self._child,
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{self._name}-https",
            security_group_id=group.id,
            description="HTTPS from the functions",
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            referenced_security_group_id=client_group_id,
            opts=self._child,
        )
        return group

    def _log_groups(
        self,
    ) -> tuple[dict[str, aws.cloudwatch.LogGroup], aws.cloudwatch.LogResourcePolicy]:
        groups = {
            purpose: aws.cloudwatch.LogGroup(
                f"{self._name}-{purpose}",
                retention_in_days=self._log_retention_days,
                kms_key_id=self._key.arn,
                opts=self._child,
            )
            for purpose in LOGS
        }
        permission = aws.cloudwatch.LogResourcePolicy(
            f"{self._name}-logs",
            policy_name=f"{pulumi.get_project()}-{pulumi.get_stack()}-{self._name}",
            policy_document=log_policy([group.arn for group in groups.values()]),
            opts=self._child,
        )
        return groups, permission


def zone_count(instance_count: int) -> int:
    """Zones that so many nodes are spread over evenly."""
    if instance_count == 1:
        return 1
    for zones in (3, 2):
        if instance_count > 0 and instance_count % zones == 0:
            return zones
    raise ValueError(f"{instance_count} search nodes: use 1, or a multiple of 2 or 3 zones")


def cluster(instance_type: str, instance_count: int) -> dict[str, Any]:
    """The nodes of a domain."""
    nodes: dict[str, Any] = {"instance_type": instance_type, "instance_count": instance_count}
    zones = zone_count(instance_count)
    if zones > 1:
        nodes["zone_awareness_enabled"] = True
        nodes["zone_awareness_config"] = {"availability_zone_count": zones}
    if instance_count >= MASTERS:
        nodes["dedicated_master_enabled"] = True
        nodes["dedicated_master_count"] = MASTERS
        nodes["dedicated_master_type"] = MASTER_TYPE
    return nodes


def access_policy(
    domain_arn: pulumi.Input[str], role_arns: Sequence[pulumi.Input[str]]
) -> pulumi.Output[str]:
    """Grants nothing: what a role may do is in its own policy."""
    others = {
        "Sid": "OnlyTheFunctions",
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": "es:ESHttp*",
        "Resource": pulumi.Output.concat(domain_arn, "/*"),
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": role_arns}},
    }
    return policy_document([others])


def log_policy(group_arns: Sequence[pulumi.Input[str]]) -> pulumi.Output[str]:
    """Lets domains of this account write into the log groups.

    https://docs.aws.amazon.com/opensearch-service/latest/developerguide/createdomain-configure-slow-logs.html
    """
    account = aws.get_caller_identity_output().account_id
    write = {
        "Effect": "Allow",
        "Principal": {"Service": "es.amazonaws.com"},
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": [pulumi.Output.concat(arn, ":*") for arn in group_arns],
        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
    }
    return policy_document([write])
