"""The AI4H platform: reads the stack's configuration, wires the components, exports outputs."""

import ipaddress
import re
from enum import Enum
from typing import Any, NotRequired, TypedDict, TypeVar

import pulumi
import pulumi_aws as aws

from components import (
    AccessRule,
    AuthPool,
    AuthPoolArgs,
    ChallengeDatasetsArgs,
    ChallengeRoles,
    ChallengeRolesArgs,
    Dashboard,
    DataStore,
    DataStoreArgs,
    Edge,
    EdgeArgs,
    FunctionPlatform,
    Gateway,
    GatewayArgs,
    GatewayKeyArgs,
    Mfa,
    Network,
    NetworkArgs,
    PriceClass,
    UploadBucket,
    UploadBucketArgs,
    parse_access_rules,
    parse_api_keys,
)
from components.auth_pool import GROUPS
from components.network import parse_cidr

Choice = TypeVar("Choice", bound=Enum)

PORTAL_KEY = "portal"
"""Who holds the API key that the portal's page sends."""


class Operation(TypedDict):
    """How long components keep logs, and whom their alarms tell."""

    log_retention_days: int
    alarm_topic_arn: NotRequired[str]


class Access(TypedDict):
    """Whose tokens functions take, and what these allow."""

    issuer: pulumi.Output[str]
    client_ids: list[pulumi.Input[str]]
    access_rules: NotRequired[dict[str, list[AccessRule]]]


config = pulumi.Config()
problems: list[str] = []


def check(satisfied: bool, problem: str) -> None:
    """Note a problem of the configuration, so that all are reported at once."""
    if not satisfied:
        problems.append(problem)


def choice(key: str, kind: type[Choice]) -> Choice:
    """The value of a key that knows only certain values."""
    value = config.require(key)
    for member in kind:
        if member.value == value:
            return member
    allowed = ", ".join(str(member.value) for member in kind)
    problems.append(f"{key}: {value!r} is none of {allowed}")
    return next(iter(kind))


production = config.require_bool("production")
protect = config.require_bool("protect")
retention_days = config.require_int("logRetentionDays")
domain_name, certificate_arn = config.require("domainName"), config.require("domainCertificateArn")
hosted_zone_id = config.require("domainHostedZoneId")
allowed_countries: list[str] = config.require_object("allowedCountries")
blocked_countries: list[str] = config.require_object("blockedCountries")
development_origins: list[str] = config.require_object("developmentOrigins")
with_cluster = config.require_bool("evaluationCluster")
cluster_cidrs: list[str] = config.require_object("clusterPublicAccessCidrs")
cluster_name = f"{pulumi.get_project()}-k8s-{pulumi.get_stack()}"
vpc_cidr = config.require("vpcCidr")
peer_cidrs: list[str] = config.require_object("peerCidrs")
mfa = choice("mfa", Mfa)
single_factor_groups: list[str] = config.require_object("singleFactorGroups")
platform = choice("functionPlatform", FunctionPlatform)
price_class = choice("priceClass", PriceClass)
password_sign_in = config.require_bool("passwordSignIn")
alarm_topic_arn = config.require("alarmTopicArn")
edge_alarm_topic_arn = config.require("edgeAlarmTopicArn")
backup_copy_region = config.require("backupCopyRegion")
evalai_host, evalai_certificate = (
    config.require("evalaiHost"),
    config.require("evalaiCertificateArn"),
)
with_evalai = with_cluster and bool(evalai_host)
challenges: list[Any] = config.require_object("evalaiChallenges")
worker_issuer = config.require("workerIssuer")

try:
    vpc = parse_cidr(vpc_cidr)
except ValueError as error:
    problems.append(f"vpcCidr: {error}")
else:
    for peer in peer_cidrs:
        try:
            apart = not vpc.overlaps(ipaddress.IPv4Network(peer))
        except ValueError as error:
            problems.append(f"peerCidrs: {error}")
        else:
            check(apart, f"vpcCidr: {vpc} overlaps with {peer} of peerCidrs")
rules: dict[str, list[AccessRule]] = {}
if access_rules := config.require("accessRules"):
    try:
        rules = parse_access_rules(access_rules)
    except ValueError as error:
        problems.append(f"accessRules: {error}")
api_keys: list[GatewayKeyArgs] = []
try:
    api_keys = parse_api_keys(config.require_object("apiKeys"))
except ValueError as error:
    problems.append(f"apiKeys: {error}")
else:
    check(
        any(key["name"] == PORTAL_KEY for key in api_keys),
        f"apiKeys: {PORTAL_KEY!r} must be among them, for the portal's page",
    )
groups = GROUPS | {group: GROUPS.get(group, "As accessRules say") for group in rules}
for challenge in challenges:
    groups[f"challenge-{challenge['challenge_id']}"] = f"Act for the challenge {challenge['name']}"
check(
    set(single_factor_groups) <= set(groups),
    f"singleFactorGroups: {single_factor_groups}; the groups are {', '.join(groups)}",
)
check(
    bool(domain_name) == bool(certificate_arn or hosted_zone_id),
    "domainName: set it with domainCertificateArn, domainHostedZoneId or both, or none of them",
)
check(
    not certificate_arn or certificate_arn.startswith("arn:aws:acm:us-east-1:"),
    "domainCertificateArn: CloudFront takes ACM certificates of us-east-1 only",
)
check(
    not edge_alarm_topic_arn or edge_alarm_topic_arn.startswith("arn:aws:sns:us-east-1:"),
    "edgeAlarmTopicArn: CloudFront's metrics, and so their alarms and topic, are in us-east-1",
)
check(
    not backup_copy_region or backup_copy_region != pulumi.Config("aws").get("region"),
    "backupCopyRegion: another region than the stack's",
)
check(
    not (allowed_countries and blocked_countries),
    "allowedCountries and blockedCountries: set one of them",
)
for country in (*allowed_countries, *blocked_countries):
    check(
        bool(re.fullmatch("[A-Z]{2}", country)),
        f"allowedCountries, blockedCountries: {country!r} is no ISO 3166-1 code, e.g. DE",
    )
check(
    not with_evalai or bool(evalai_certificate),
    "evalaiCertificateArn: the ACM certificate of evalaiHost, in the region of the stack",
)
check(
    not worker_issuer or (not with_cluster and bool(challenges)),
    "workerIssuer: for evalaiChallenges whose workers run elsewhere, with evaluationCluster false",
)
check(
    not with_cluster or bool(cluster_cidrs),
    "clusterPublicAccessCidrs: name the ranges that may reach the cluster, e.g. your office's",
)
if production:
    check(bool(domain_name), "domainName: required in production, for TLS 1.2 as the floor")
    check(protect, "protect: must be true in production")
    check(mfa is Mfa.ON, "mfa: must be ON in production")
    check(
        bool(alarm_topic_arn and edge_alarm_topic_arn),
        "alarmTopicArn and edgeAlarmTopicArn: required in production, or nobody hears of a failure",
    )
    check(bool(backup_copy_region), "backupCopyRegion: required in production")
    check(not password_sign_in, "passwordSignIn: for local development only")
    check(not development_origins, "developmentOrigins: none in production")
    check(
        "0.0.0.0/0" not in cluster_cidrs,
        "clusterPublicAccessCidrs: not the whole internet in production",
    )
if problems:
    listed = "\n".join(f"  - {problem}" for problem in problems)
    raise pulumi.RunError(f"configuration of stack {pulumi.get_stack()}:\n{listed}")

operation: Operation = {"log_retention_days": retention_days}
if alarm_topic_arn:
    operation["alarm_topic_arn"] = alarm_topic_arn

interface_endpoints: list[str] = config.require_object("interfaceEndpoints")
if with_evalai:
    # EvalAI's pods reach these, S3 and their database, and nothing outside the VPC.
    interface_endpoints = [*interface_endpoints, "sqs", "sts"]
network_args: NetworkArgs = {
    "cidr": vpc_cidr,
    "nat_per_az": config.require_bool("natPerAz"),
    "interface_endpoints": interface_endpoints,
    "log_retention_days": retention_days,
}
if with_cluster:
    network_args["cluster_name"] = cluster_name
network = Network("network", network_args)

edge_args: EdgeArgs = {
    "price_class": price_class,
    "allowed_countries": allowed_countries,
    "blocked_countries": blocked_countries,
    "origin_secret_version": config.require_int("originSecretVersion"),
    "log_retention_days": retention_days,
}
if domain_name:
    edge_args["domain"] = {"name": domain_name}
    if certificate_arn:
        edge_args["domain"]["certificate_arn"] = certificate_arn
    if hosted_zone_id:
        edge_args["domain"]["zone_id"] = hosted_zone_id
if edge_alarm_topic_arn:
    edge_args["alarm_topic_arn"] = edge_alarm_topic_arn
edge = Edge("edge", edge_args)
origins: list[pulumi.Input[str]] = [edge.portal_url, *development_origins]

auth_args: AuthPoolArgs = {
    **operation,
    "callback_urls": [pulumi.Output.concat(origin, "/") for origin in origins],
    "mfa": mfa,
    "single_factor_groups": single_factor_groups,
    "threat_protection": config.require_bool("threatProtection"),
    "groups": groups,
    "password_sign_in": password_sign_in,
    "domain_prefix": config.require("signInDomainPrefix"),
    "function_platform": platform,
    "protect": protect,
}
auth = AuthPool("auth", auth_args)
access: Access = {
    "issuer": auth.issuer,
    "client_ids": [auth.browser_client_id, auth.cli_client_id],
}
if rules:
    access["access_rules"] = rules

data_args: DataStoreArgs = {
    **operation,
    **access,
    "vpc_id": network.vpc_id,
    "subnet_ids": network.private_subnet_ids,
    "update_create": config.require_bool("updateCreate"),
    "search": {
        "instance_type": config.require("searchInstanceType"),
        "instance_count": config.require_int("searchInstanceCount"),
        "volume_gib": config.require_int("searchVolumeGib"),
    },
    "backup": config.require_bool("backup"),
    "function_platform": platform,
    "protect": protect,
}
if backup_copy_region:
    data_args["backup_copy_region"] = backup_copy_region
data = DataStore("data", data_args)
uploads_args: UploadBucketArgs = {
    **operation,
    **access,
    "table_name": data.table_name,
    "table_arn": data.table_arn,
    "control_table_name": data.control_table_name,
    "control_table_arn": data.control_table_arn,
    "table_key_arn": data.key_arn,
    "evidence_queue_arn": data.evidence_queue_arn,
    "evidence_queue_url": data.evidence_queue_url,
    "consistency_key": data.consistency_key,
    "import_role_name": data.import_role_name,
    "allowed_origins": origins,
    "max_object_bytes": config.require_int("maxObjectBytes"),
    "quota_bytes_per_user": config.require_int("quotaBytesPerUser"),
    "malware_scan": config.require_bool("malwareScan"),
    "read_trail": config.require_bool("readTrail"),
    "function_platform": platform,
    "protect": protect,
}
uploads = UploadBucket("uploads", uploads_args)

gateway_args: GatewayArgs = {
    **operation,
    "rest_api_id": edge.rest_api_id,
    "rest_api_name": edge.rest_api_name,
    "root_resource_id": edge.root_resource_id,
    "origin_secrets": edge.origin_secrets,
    "user_pool_arn": auth.user_pool_arn,
    "routes": {
        "GET /metadata": data.api_function_arn,
        "ANY /": data.api_function_arn,
        "ANY /{proxy+}": data.api_function_arn,
        "POST /Binary": uploads.function_arn,
        "ANY /Binary": data.api_function_arn,
        "POST /Binary/_search": data.api_function_arn,
        "ANY /Binary/_history": data.api_function_arn,
        "ANY /Binary/{id}": uploads.function_arn,
        "GET /Binary/{id}/_history": data.api_function_arn,
        "GET /Binary/{id}/_history/{vid}": uploads.function_arn,
        "ANY /Binary/{id}/{operation}": uploads.function_arn,
    },
    "api_keys": api_keys,
    "throttle": {
        "rate": config.require_int("apiRate"),
        "burst": config.require_int("apiBurst"),
        "requests_per_day": config.require_int("apiRequestsPerDay"),
    },
}
gateway = Gateway("gateway", gateway_args)

# What the portal's page can't know before the user pool exists; its key is no secret: keys meter.
settings: dict[str, Any] = {
    "apiUrl": edge.api_url,
    "apiKey": gateway.api_keys[PORTAL_KEY],
    "issuer": auth.issuer,
    "signInUrl": auth.hosted_ui_url,
    "clientId": auth.browser_client_id,
}
aws.s3.BucketObjectv2(
    "edge-portal-settings",
    bucket=edge.portal_bucket,
    key="settings.json",
    content=pulumi.Output.json_dumps(settings),
    content_type="application/json",
    cache_control="no-cache",
    opts=pulumi.ResourceOptions(parent=edge),
)

pulumi.export("region", aws.get_region_output().region)
pulumi.export("api_url", edge.api_url)
pulumi.export("portal_url", edge.portal_url)
pulumi.export("stage_url", gateway.stage_url)
pulumi.export("user_pool_id", auth.user_pool_id)
pulumi.export("issuer", auth.issuer)
pulumi.export("hosted_ui_url", auth.hosted_ui_url)
pulumi.export("browser_client_id", auth.browser_client_id)
pulumi.export("cli_client_id", auth.cli_client_id)
pulumi.export("table_name", data.table_name)
pulumi.export("control_table_name", data.control_table_name)
pulumi.export("overflow_bucket", data.overflow_bucket)
pulumi.export("search_endpoint", data.search_endpoint)
pulumi.export("evidence_public_key", data.evidence_public_key)
pulumi.export("api_function_name", data.api_function_name)
pulumi.export("indexer_function_name", data.indexer_function_name)
pulumi.export("index_keeper_function_name", data.index_keeper_function_name)
pulumi.export("index_admin_function_name", data.index_admin_function_name)
pulumi.export("bucket_name", uploads.bucket_name)
pulumi.export("api_key_ids", gateway.api_key_ids)
pulumi.export("api_keys", gateway.api_keys)
pulumi.export("api_key_secret_arns", gateway.api_key_secret_arns)
pulumi.export("usage_plan_id", gateway.usage_plan_id)

datasets: ChallengeDatasetsArgs = {
    "bucket_arn": uploads.bucket_arn,
    "key_arn": uploads.key_arn,
    "control_table_name": data.control_table_name,
    "control_table_arn": data.control_table_arn,
    "table_key_arn": data.key_arn,
}
if worker_issuer:
    account = aws.get_caller_identity_output().account_id
    partition = aws.get_partition_output().partition
    roles_args: ChallengeRolesArgs = {
        **operation,
        "datasets": datasets,
        "oidc_provider_arn": pulumi.Output.concat(
            *("arn:", partition, ":iam::", account, f":oidc-provider/{worker_issuer}"),
        ),
        "oidc_issuer": worker_issuer,
        "challenges": [
            {
                "challenge_id": challenge["challenge_id"],
                # As charts/evalai names them.
                "service_account": f"evalai:evalai-worker-{challenge['name']}",
            }
            for challenge in challenges
        ],
        "function_platform": platform,
    }
    roles = ChallengeRoles("evaluation", roles_args)
    pulumi.export("challenge_role_arns", roles.role_arns)
    pulumi.export("reconciler_function_name", roles.reconciler_function_name)

# From top to bottom as a request goes.
parts: list[pulumi.Input[str]] = [
    *(edge.dashboard, auth.dashboard, gateway.dashboard, data.dashboard, uploads.dashboard),
]
if with_cluster:
    from components import EvalCluster, EvalClusterArgs  # the cluster's SDKs are large

    cluster_args: EvalClusterArgs = {
        **operation,
        "vpc_id": network.vpc_id,
        "subnet_ids": network.private_subnet_ids,
        "public_subnet_ids": network.public_subnet_ids,
        "cluster_name": cluster_name,
        "kubernetes_version": config.require("kubernetesVersion"),
        "public_access_cidrs": cluster_cidrs,
        "admin_role_arns": config.require_object("clusterAdminRoleArns"),
        "view_role_arns": config.require_object("clusterViewRoleArns"),
        "evaluation_spot": config.require_bool("evaluationSpot"),
        "evaluation_cpu_limit": config.require_int("evaluationCpuLimit"),
        "evaluation_gpu_limit": config.require_int("evaluationGpuLimit"),
        "evaluation_gpu_families": config.require_object("evaluationGpuFamilies"),
        "datasets": datasets,
        "protect": protect,
    }
    if with_evalai:
        cluster_args["evalai"] = {
            "host": evalai_host,
            "certificate_arn": evalai_certificate,
            "environment": pulumi.get_stack(),
            "database_class": config.require("evalaiDatabaseClass"),
            "multi_az": config.require_bool("evalaiMultiAz"),
            "challenges": challenges,
        }
        if image_tag := config.require("evalaiImageTag"):
            cluster_args["evalai"]["image_tag"] = image_tag
        if email_sender := config.require("evalaiEmailSender"):
            cluster_args["evalai"]["email_sender"] = email_sender
    cluster = EvalCluster("evaluation", cluster_args)
    parts.append(cluster.dashboard)
    pulumi.export("cluster_name", cluster.cluster_name)
    pulumi.export("kubeconfig_command", cluster.kubeconfig_command)
    pulumi.export("oidc_provider_arn", cluster.oidc_provider_arn)
    if with_evalai:
        pulumi.export("evalai_url", cluster.evalai_url)
        pulumi.export("evalai_image_project", cluster.evalai_image_project)
pulumi.export("dashboard_name", Dashboard("overview", {"parts": parts}).name)
