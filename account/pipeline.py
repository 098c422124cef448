"""Roles that GitHub's workflows take: one to preview, and one to deploy per environment."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from account.pipeline_policies import deploy_policy, github_trust, preview_policy
from account.state import StateBackend
from components._arns import managed_policy

GITHUB_ISSUER = "https://token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
# The first `up` of a stack takes 40 minutes, most of it waiting for OpenSearch and EKS.
DEPLOY_SECONDS = 2 * 3600


@dataclass(frozen=True)
class PipelineRoles:
    """The roles' ARNs, for the workflows' `role-to-assume`."""

    preview_arn: pulumi.Output[str]
    deploy_arns: dict[str, pulumi.Output[str]]
    """By GitHub environment."""


def github_provider() -> pulumi.Output[str]:
    """ARN of a new identity provider for GitHub's workflows; an account has at most one."""
    provider = aws.iam.OpenIdConnectProvider(
        "github", url=GITHUB_ISSUER, client_id_lists=[AUDIENCE]
    )
    return provider.arn


def pipeline_roles(
    provider_arn: pulumi.Input[str],
    repository: str,
    preview_environment: str,
    deploy_environments: list[str],
    backend: StateBackend,
    *,
    backup_copy_region: str,
) -> PipelineRoles:
    """Each role trusts jobs of one environment of one repository, and nothing else."""
    regions = [
        aws.get_region_output().region,
        *([backup_copy_region] if backup_copy_region else []),
    ]
    preview = aws.iam.Role(
        "ci-preview",
        description=f"Previews of {repository}",
        assume_role_policy=github_trust(provider_arn, repository, preview_environment),
    )
    # Settings of resources, not what is in them: previews run the code of pull requests.
    aws.iam.RolePolicyAttachment(
        "ci-preview",
        role=preview.name,
        policy_arn=managed_policy("SecurityAudit"),
    )
    aws.iam.RolePolicy(
        "ci-preview",
        role=preview.name,
        policy=preview_policy(backend),
    )
    return PipelineRoles(
        preview.arn,
        {
            environment: deploy_role(
                provider_arn,
                repository,
                environment,
                [other for other in deploy_environments if other != environment],
                backend,
                regions,
            )
            for environment in deploy_environments
        },
    )


def deploy_role(
    provider_arn: pulumi.Input[str],
    repository: str,
    environment: str,
    others: list[str],
    backend: StateBackend,
    regions: Sequence[pulumi.Input[str]],
) -> pulumi.Output[str]:
    """ARN of the role that runs `pulumi up` on the stack named like the environment."""
    role = aws.iam.Role(
        f"ci-deploy-{environment}",
        description=f"Deployments of {repository} to {environment}",
        max_session_duration=DEPLOY_SECONDS,
        assume_role_policy=github_trust(provider_arn, repository, environment),
    )
    aws.iam.RolePolicy(
        f"ci-deploy-{environment}",
        role=role.name,
        policy=deploy_policy(backend, other_stacks=others, regions=regions),
    )
    return role.arn
