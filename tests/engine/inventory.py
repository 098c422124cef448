"""What is in the local AWS, asked of it."""

from typing import Any

from local.handlers.base import Clients

REGIONS = ("eu-central-1", "us-east-1")
# Service, operation, what its answer calls the list, and the items' identifier in it if any.
LISTS = (
    ("apigateway", "get_rest_apis", "items", "id"),
    ("apigateway", "get_api_keys", "items", "id"),
    ("apigateway", "get_usage_plans", "items", "id"),
    ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    ("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    ("dynamodb", "list_tables", "TableNames", ""),
    ("iam", "list_roles", "Roles", "RoleName"),
    ("kms", "list_aliases", "Aliases", "AliasName"),
    ("lambda", "list_event_source_mappings", "EventSourceMappings", "UUID"),
    ("lambda", "list_functions", "Functions", "FunctionName"),
    ("lambda", "list_layers", "Layers", "LayerName"),
    ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    ("s3", "list_buckets", "Buckets", "Name"),
    ("secretsmanager", "list_secrets", "SecretList", "ARN"),
    ("sqs", "list_queues", "QueueUrls", ""),
)


def everything(clients: Clients) -> set[tuple[str, str]]:
    """Operation and identifier of each thing; keys that wait for their deletion don't count."""
    found = {
        (operation, item[identifier] if identifier else item)
        for region in REGIONS
        for service, operation, items, identifier in LISTS
        for item in getattr(clients.of(service, region), operation)().get(items, [])
    }
    own_policies = clients.of("iam").list_policies(Scope="Local")["Policies"]
    pools = clients.of("cognito-idp").list_user_pools(MaxResults=60)["UserPools"]
    return (
        found
        | {("list_policies", policy["Arn"]) for policy in own_policies}
        | {("list_user_pools", pool["Id"]) for pool in pools}
        | {("list_keys", key) for region in REGIONS for key in _keys(clients.of("kms", region))}
    )


def _keys(kms: Any) -> list[str]:
    keys = [key["KeyId"] for key in kms.list_keys()["Keys"]]
    described = [kms.describe_key(KeyId=key)["KeyMetadata"] for key in keys]
    return [key["Arn"] for key in described if key["KeyState"] != "PendingDeletion"]
