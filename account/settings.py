"""Settings and roles that AWS has one of per account (and region)."""

import pulumi
import pulumi_aws as aws

from components._arns import managed_policy
from components._policy_documents import service_trust


def account_settings() -> None:
    """Logging of API Gateway, no public buckets, encrypted disks."""
    api_gateway_logging()
    aws.s3.AccountPublicAccessBlock(
        "no-public-buckets",
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
    )
    aws.ebs.EncryptionByDefault("encrypted-disks", enabled=True)


def api_gateway_logging() -> None:
    """Lets the stages of all REST APIs write execution logs.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html
    """
    role = aws.iam.Role(
        "api-gateway-logs",
        description="API Gateway writes execution logs",
        assume_role_policy=service_trust("apigateway.amazonaws.com"),
    )
    policy = aws.iam.RolePolicyAttachment(
        "api-gateway-logs",
        role=role.name,
        policy_arn=managed_policy("service-role/AmazonAPIGatewayPushToCloudWatchLogs"),
    )
    aws.apigateway.Account(
        "api-gateway",
        cloudwatch_role_arn=role.arn,
        opts=pulumi.ResourceOptions(depends_on=[policy]),
    )


def service_linked_roles(services: list[str]) -> None:
    """Roles of services that don't make theirs by themselves when they are first used.

    AWS refuses a second one: `pulumi import aws:iam/serviceLinkedRole:ServiceLinkedRole <service>
    <ARN>` adopts what is there. They outlive this program, since others may use them.
    """
    for service in services:
        aws.iam.ServiceLinkedRole(
            service,
            aws_service_name=service,
            opts=pulumi.ResourceOptions(retain_on_delete=True),
        )
