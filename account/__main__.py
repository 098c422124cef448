"""What exists once per AWS account: reads the configuration, makes it, exports what others need.

For an administrator, before the first stack of the platform: `cd account && pulumi up -s main`.
"""

import re
import sys
from pathlib import Path

import pulumi

# Pulumi runs this folder; the platform's components are beside it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from account.alarms import alarm_topics
from account.pipeline import github_provider, pipeline_roles
from account.settings import account_settings, service_linked_roles
from account.state import state_backend

REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
ENVIRONMENT = re.compile(r"[\w.-]+")
ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")

config = pulumi.Config()
repository = config.require("repository")
preview_environment = config.require("previewEnvironment")
deploy_environments: list[str] = config.require_object("deployEnvironments")
environments = [preview_environment, *deploy_environments]
alarm_emails: list[str] = config.require_object("alarmEmails")

problems = []
if repository and not REPOSITORY.fullmatch(repository):
    problems.append(f"repository: {repository!r} is not of the form owner/name")
for environment in environments:
    # The name ends up in a trust policy, where `*` and `:` have a meaning.
    if not ENVIRONMENT.fullmatch(environment):
        problems.append(f"environment {environment!r}: only letters, digits, '.', '-' and '_'")
if len(set(environments)) < len(environments):
    problems.append("previewEnvironment and deployEnvironments: a name occurs twice")
for email in alarm_emails:
    if not ADDRESS.fullmatch(email):
        problems.append(f"alarmEmails: {email!r} is no address")
if problems:
    raise pulumi.RunError("\n".join(["configuration:", *(f"  - {text}" for text in problems)]))

account_settings()
service_linked_roles(config.require_object("serviceLinkedRoles"))
backend = state_backend()

if alarm_emails:
    topics = alarm_topics(alarm_emails)
    pulumi.export("alarm_topic_arn", topics.arn)
    pulumi.export("edge_alarm_topic_arn", topics.edge_arn)
pulumi.export("state_backend_url", backend.url)
pulumi.export("state_secrets_provider", backend.secrets_provider)
if repository:
    provider_arn = config.require("githubProviderArn") or github_provider()
    roles = pipeline_roles(
        provider_arn,
        repository,
        preview_environment,
        deploy_environments,
        backend,
        backup_copy_region=config.require("backupCopyRegion"),
    )
    pulumi.export("preview_role_arn", roles.preview_arn)
    pulumi.export("deploy_role_arns", roles.deploy_arns)
