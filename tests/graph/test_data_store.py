"""DataStore: what is kept and how, who may do what, and what is ready before what."""

import json
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from components._endpoints import url
from components._functions import code_files, code_hash
from components._search_domain import zone_count
from components.data_store import DataStore
from functions.api import guards, idempotency
from functions.bulk import jobs
from functions.indexer import quarantine
from functions.shared import attachments, changes, evidence, grants
from functions.shared.items import Version, item_of
from tests.graph import stores
from tests.graph.stores import ISSUER, MINIMAL, SMALL, build, granted
from tests.graph.strict import Graph, Registration, evaluate

TABLE = "aws:dynamodb/table:Table"
DOMAIN = "aws:opensearch/domain:Domain"
FUNCTION = "aws:lambda/function:Function"
POLICY = "aws:iam/rolePolicy:RolePolicy"
MAPPING = "aws:lambda/eventSourceMapping:EventSourceMapping"
INVOCATION = "aws:lambda/invocation:Invocation"
VAULT = "aws:backup/vault:Vault"
KEY = "aws:kms/key:Key"
MACHINES = "arn:aws:sfn:eu-central-1:111122223333:"


@pytest.fixture(scope="module")
def graph() -> Graph:
    return stores.minimal()


@pytest.fixture(scope="module")
def small() -> Graph:
    return stores.small()


def outputs(graph: Graph) -> dict[str, Any]:
    return dict(graph.registered_outputs[graph.one("ai4h:index:DataStore").urn])


def test_same_resources_in_preview_and_update(graph: Graph, small: Graph) -> None:
    for args, update in ((MINIMAL, graph), (SMALL, small)):
        assert build(args, preview=True).urns == update.urns
        component = update.one("ai4h:index:DataStore")
        assert all(r.parent in update.resources for r in update if r is not component)
        assert set(outputs(update)) == set(DataStore.__annotations__)


def test_takes_what_other_components_give() -> None:
    """Which are outputs, unknown in a preview."""

    def program() -> None:
        vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")
        subnet = aws.ec2.Subnet("subnet", vpc_id=vpc.id, cidr_block="10.0.0.0/18")
        pool = aws.cognito.UserPool("pool")
        DataStore(
            "data",
            {
                "vpc_id": vpc.id,
                "subnet_ids": pulumi.Output.all(subnet.id),
                "issuer": pool.endpoint,
                "client_ids": [pool.id, "cli"],
                "search": {"instance_count": 1},
            },
        )

    update = evaluate(program)
    assert evaluate(program, preview=True).urns == update.urns
    assert update.one(DOMAIN).inputs["vpcOptions"]["subnetIds"] == ["subnet-id"]
    api = update.one(FUNCTION, "data-api").inputs["environment"]["variables"]
    assert api["CLIENT_IDS"] == "pool-id,cli"


def stateful(graph: Graph) -> list[Registration]:
    kinds = (TABLE, DOMAIN, VAULT, "aws:kms/key:Key")
    kept = [r for kind in kinds for r in graph.all(kind)]
    return [*kept, graph.one("aws:s3/bucket:Bucket", "data-overflow")]


def test_data_are_kept_unless_told_otherwise(graph: Graph, small: Graph) -> None:
    assert len(stateful(graph)) == 7
    for made, kept in ((graph, True), (small, False)):
        assert {(r.protect, r.retain_on_delete) for r in stateful(made)} == {(kept, kept)}
        for table in made.all(TABLE):
            assert table.inputs["deletionProtectionEnabled"] is kept
            assert table.inputs["pointInTimeRecovery"]["enabled"] is True


def test_versions_are_listed_by_what_the_store_writes(graph: Graph) -> None:
    table = graph.one(TABLE, "data-versions").inputs
    types = {a["name"]: a["type"] for a in table["attributes"]}
    item = item_of(Version("Patient/1", 1, b"{}", owner="o", updated="2026-01-01T00:00:00Z"))
    assert {name: kind for name in types for kind in item[name]} == types
    assert (table["hashKey"], table["rangeKey"]) == ("pk", "version")
    [index] = table["globalSecondaryIndexes"]
    assert index["name"] == changes.INDEX
    assert (index["hashKey"], index["rangeKey"]) == ("shard", "updated")
    assert "body" not in index["nonKeyAttributes"]


def test_only_versions_are_streamed(graph: Graph) -> None:
    versions = graph.one(TABLE, "data-versions").inputs
    assert (versions["streamEnabled"], versions["streamViewType"]) == (True, "NEW_IMAGE")
    control = graph.one(TABLE, "data-control").inputs
    assert "streamEnabled" not in control
    assert (control["hashKey"], control["rangeKey"]) == ("pk", "sk")


def test_everything_is_encrypted_with_the_own_key(graph: Graph) -> None:
    key = outputs(graph)["key_arn"]
    domain = graph.one(DOMAIN).inputs
    used = [
        *(table.inputs["serverSideEncryption"]["kmsKeyArn"] for table in graph.all(TABLE)),
        *(group.inputs["kmsKeyId"] for group in graph.all("aws:cloudwatch/logGroup:LogGroup")),
        *(function.inputs["kmsKeyArn"] for function in graph.all(FUNCTION)),
        domain["encryptAtRest"]["kmsKeyId"],
        graph.one(VAULT).inputs["kmsKeyArn"],
        *(queue.inputs["kmsMasterKeyId"] for queue in graph.all("aws:sqs/queue:Queue")),
    ]
    assert len(used) == 29
    assert set(used) == {key}


def test_search_is_reached_by_the_functions_only(graph: Graph) -> None:
    domain = graph.one(DOMAIN).inputs
    assert domain["domainEndpointOptions"]["enforceHttps"] is True
    assert domain["domainEndpointOptions"]["tlsSecurityPolicy"].startswith("Policy-Min-TLS-1-2")
    assert domain["nodeToNodeEncryption"] == {"enabled": True}
    access = domain["advancedSecurityOptions"]
    assert (access["enabled"], access["internalUserDatabaseEnabled"]) == (True, False)
    admin = graph.one(FUNCTION, "data-index-admin").inputs["role"]
    assert access["masterUserOptions"] == {"masterUserArn": admin}
    [rule] = graph.all("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    assert domain["vpcOptions"]["securityGroupIds"] == [rule.inputs["securityGroupId"]]
    [clients] = graph.one(FUNCTION, "data-api").inputs["vpcConfig"]["securityGroupIds"]
    assert rule.inputs["referencedSecurityGroupId"] == clients
    assert (rule.inputs["fromPort"], rule.inputs["toPort"]) == (443, 443)


def searching(graph: Graph) -> list[Registration]:
    """The functions that reach the domain: all but those that see the tables only."""
    others = ("data-eraser", "data-evidence", "data-importer")
    return [function for function in graph.all(FUNCTION) if function.name not in others]


def test_other_roles_are_refused_by_the_domain(graph: Graph) -> None:
    token = "aws:opensearch/domainPolicy:DomainPolicy"
    [refusal] = json.loads(graph.one(token).inputs["accessPolicies"])["Statement"]
    assert refusal["Effect"] == "Deny"
    roles = {function.inputs["role"] for function in searching(graph)}
    assert set(refusal["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]) == roles
    assert len(roles) == 5


def test_search_may_write_its_logs_first(graph: Graph) -> None:
    policy = graph.one("aws:cloudwatch/logResourcePolicy:LogResourcePolicy")
    [statement] = json.loads(policy.inputs["policyDocument"])["Statement"]
    logs = graph.one(DOMAIN).inputs["logPublishingOptions"]
    assert {f"{log['cloudwatchLogGroupArn']}:*" for log in logs} == set(statement["Resource"])
    assert "AUDIT_LOGS" in {log["logType"] for log in logs}
    assert policy.urn in graph.one(DOMAIN).depends_on


@pytest.mark.parametrize(("nodes", "zones"), [(1, 1), (2, 2), (3, 3), (4, 2), (6, 3), (9, 3)])
def test_nodes_are_spread_evenly(nodes: int, zones: int) -> None:
    assert zone_count(nodes) == zones


@pytest.mark.parametrize("nodes", [-3, 0, 5, 7])
def test_uneven_nodes_are_refused(nodes: int) -> None:
    with pytest.raises(ValueError, match=f"{nodes} search nodes: use 1, or a multiple"):
        zone_count(nodes)


def test_size_of_search(graph: Graph, small: Graph) -> None:
    three, one = graph.one(DOMAIN).inputs, small.one(DOMAIN).inputs
    assert three["clusterConfig"]["zoneAwarenessConfig"] == {"availabilityZoneCount": 3}
    assert three["clusterConfig"]["dedicatedMasterCount"] == 3
    assert three["vpcOptions"]["subnetIds"] == MINIMAL["subnet_ids"]
    assert one["clusterConfig"] == {"instanceType": "t3.small.search", "instanceCount": 1}
    assert one["vpcOptions"]["subnetIds"] == ["subnet-a"]
    assert one["ebsOptions"]["volumeSize"] == 10


def test_address_of_search(graph: Graph) -> None:
    assert url("vpc-data.es.amazonaws.com") == "https://vpc-data.es.amazonaws.com"
    assert url("http://127.0.0.1:9200") == "http://127.0.0.1:9200"
    for function in searching(graph):
        endpoint = function.inputs["environment"]["variables"]["SEARCH_ENDPOINT"]
        assert endpoint == outputs(graph)["search_endpoint"] == "https://data-search-endpoint"


def test_functions_are_told_what_they_ask_for(graph: Graph) -> None:
    told = {f.name: f.inputs["environment"]["variables"] for f in graph.all(FUNCTION)}
    assert told["data-api"] == {
        "TABLE_NAME": "data-versions-name",
        "CONTROL_TABLE_NAME": "data-control-name",
        "OVERFLOW_BUCKET": "data-overflow-bucket",
        "SEARCH_ENDPOINT": "https://data-search-endpoint",
        "UPDATE_CREATE": "false",
        "ISSUER": ISSUER,
        "CLIENT_IDS": "browser,cli",
        "CONSISTENCY_KEY": "data-consistency-key-result",
        "JOBS_BUCKET": "data-jobs-bucket",
        "EVIDENCE_FUNCTION": "data-evidence-name",
        "EVIDENCE_QUEUE_URL": "data-evidence-reads-url",
        "EXPORT_MACHINE": f"{MACHINES}data-export/arn",
        "IMPORT_MACHINE": f"{MACHINES}data-import/arn",
    }
    assert told["data-indexer"] == {
        "CONTROL_TABLE_NAME": "data-control-name",
        "OVERFLOW_BUCKET": "data-overflow-bucket",
        "SEARCH_ENDPOINT": "https://data-search-endpoint",
    }
    assert told["data-index-keeper"] == {
        **told["data-indexer"],
        "TABLE_NAME": "data-versions-name",
    }
    assert set(told["data-index-admin"]) == {"SEARCH_ENDPOINT"}


def test_the_api_appends_and_reads(graph: Graph) -> None:
    assert granted(graph, "data-api-policy", "dynamodb", "s3", "es") == {
        *((f"dynamodb:{act}", "data-versions/arn") for act in ("PutItem", "ConditionCheckItem")),
        *((f"dynamodb:{act}", "data-versions/arn") for act in ("GetItem", "BatchGetItem", "Query")),
        ("dynamodb:Query", f"data-versions/arn/index/{changes.INDEX}"),
        *((f"dynamodb:{act}Item", "data-control/arn") for act in ("Get", "Put", "Update")),
        *((f"dynamodb:{act}", "data-control/arn") for act in ("BatchGetItem", "Query")),
        *((f"s3:{act}Object", "data-overflow/arn/*") for act in ("Get", "Put", "Delete")),
        *(("s3:ListBucket", f"data-{bucket}/arn") for bucket in ("jobs", "overflow")),
        *((f"s3:{act}Object", "data-jobs/arn/*") for act in ("Get", "Delete")),
        ("es:ESHttpPost", "data-search/arn/*/_search"),
    }


def test_the_api_guards_its_writes_and_touches_no_other_record(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = graph.one(POLICY, "data-api-policy").inputs["policy"]
    control = outputs(graph)["control_table_arn"]
    [limited] = [s for s in json.loads(text)["Statement"] if s["Resource"] == control]
    assert limited["Condition"] == {
        "ForAllValues:StringLike": {
            "dynamodb:LeadingKeys": [
                f"{jobs.PREFIX}*",
                f"{attachments.PREFIX}*",
                changes.REGISTER,
                f"{grants.STATES}*",
                f"{grants.PREFIX}*",
                f"{guards.PREFIX}*",
                f"{idempotency.PREFIX}*",
                f"{evidence.PREFIX}*",
                evidence.UNSEALED,
            ]
        }
    }
    ttl = graph.one(TABLE, "data-control").inputs["ttl"]
    monkeypatch.setenv("CONTROL_TABLE_NAME", "control")
    assert ttl["attributeName"] in guards.action("guard", "Patient/1")["Put"]["Item"]


def test_ids_may_be_the_clients_by_configuration(graph: Graph, small: Graph) -> None:
    for made, told in ((small, "true"), (graph, "false")):
        api = made.one(FUNCTION, "data-api").inputs["environment"]["variables"]
        assert api["UPDATE_CREATE"] == told


def test_the_indexer_reads_the_stream_and_fills_the_index(graph: Graph) -> None:
    stream = ("DescribeStream", "GetRecords", "GetShardIterator")
    assert granted(graph, "data-indexer-policy", "dynamodb", "s3", "es") == {
        ("dynamodb:ListStreams", "*"),
        *((f"dynamodb:{action}", "data-versions/arn/stream/*") for action in stream),
        ("dynamodb:PutItem", "data-control/arn"),
        ("s3:GetObject", "data-overflow/arn/*"),
        ("s3:ListBucket", "data-overflow/arn"),
        ("es:ESHttpPost", "data-search/arn/*/_bulk"),
        ("es:ESHttpHead", "data-search/arn/*/_alias/*"),
    }
    text = graph.one(POLICY, "data-indexer-policy").inputs["policy"]
    [limited] = [s for s in json.loads(text)["Statement"] if "dynamodb:PutItem" in s["Action"]]
    assert limited["Condition"] == {
        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [quarantine.PARTITION]}
    }


def test_the_index_keeper_reads_the_table_and_empties_the_quarantine(graph: Graph) -> None:
    assert granted(graph, "data-index-keeper-policy", "dynamodb", "s3", "es") == {
        *((f"dynamodb:{action}", "data-versions/arn") for action in ("GetItem", "Scan")),
        *((f"dynamodb:{act}", "data-control/arn") for act in ("DeleteItem", "PutItem", "Query")),
        ("s3:GetObject", "data-overflow/arn/*"),
        ("s3:ListBucket", "data-overflow/arn"),
        *(("es:ESHttpPost", f"data-search/arn/*/{path}") for path in ("_bulk", "_search")),
    }
    text = graph.one(POLICY, "data-index-keeper-policy").inputs["policy"]
    [limited] = [s for s in json.loads(text)["Statement"] if "dynamodb:PutItem" in s["Action"]]
    assert limited["Condition"] == {
        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [quarantine.PARTITION]}
    }


def test_the_index_admin_touches_the_index_only(graph: Graph) -> None:
    assert granted(graph, "data-index-admin-policy", "dynamodb", "s3", "es") == {
        (f"es:ESHttp{method}", "data-search/arn/*") for method in ("Get", "Head", "Post", "Put")
    }


def test_the_index_is_ready_before_the_stream_is_read(graph: Graph) -> None:
    prepared, mapping = graph.one(INVOCATION), graph.one(MAPPING, "data-indexer")
    assert prepared.urn in mapping.depends_on
    for earlier in (
        graph.one("aws:opensearch/domainPolicy:DomainPolicy"),
        graph.one(FUNCTION, "data-index-admin"),
        graph.one(POLICY, "data-index-admin-policy"),
        graph.one(DOMAIN),
    ):
        assert graph.waits_for(prepared, earlier)
    assert graph.waits_for(mapping, graph.one(POLICY, "data-indexer-policy"))


def test_the_index_is_prepared_anew_when_code_or_roles_change(graph: Graph) -> None:
    prepared = graph.one(INVOCATION).inputs
    roles = {f.name: f.inputs["role"] for f in graph.all(FUNCTION)}
    assert prepared["functionName"] == "data-index-admin-name"
    assert json.loads(prepared["input"]) == {
        "read_roles": [roles["data-api"], roles["data-exporter"], roles["data-index-keeper"]],
        "write_roles": [roles["data-indexer"], roles["data-index-keeper"]],
    }
    code = code_hash(code_files("functions.index_admin.handler.handler"))
    assert prepared["triggers"]["code"].startswith(code)
    assert prepared["triggers"]["domain"] == outputs(graph)["search_endpoint"]


def test_the_stream_is_read_from_its_start_without_loss(graph: Graph) -> None:
    mapping = graph.one(MAPPING, "data-indexer").inputs
    assert mapping["eventSourceArn"] == outputs(graph)["stream_arn"]
    assert mapping["startingPosition"] == "TRIM_HORIZON"
    assert mapping["bisectBatchOnFunctionError"] is True
    assert mapping["maximumRetryAttempts"] == -1
    assert 3600 <= mapping["maximumRecordAgeInSeconds"] < 24 * 3600
    # What the function doesn't raise is done: it has a quarantine of its own.
    assert "functionResponseTypes" not in mapping
    [chosen] = mapping["filterCriteria"]["filters"]
    assert json.loads(chosen["pattern"]) == {"eventName": ["INSERT"]}
    failures = mapping["destinationConfig"]["onFailure"]["destinationArn"]
    assert ("sqs:SendMessage", failures.split(":", 5)[5]) in granted(
        graph, "data-indexer-policy", "sqs"
    )


def test_erased_markers_and_nothing_else_have_versions_removed(graph: Graph) -> None:
    mapping = graph.one(MAPPING, "data-eraser").inputs
    [chosen] = mapping["filterCriteria"]["filters"]
    assert json.loads(chosen["pattern"]) == {
        "eventName": ["INSERT"],
        "dynamodb": {"NewImage": {"erased": {"BOOL": [True]}}},
    }
    assert mapping["eventSourceArn"] == outputs(graph)["stream_arn"]
    assert mapping["maximumRetryAttempts"] == -1
    versions = outputs(graph)["table_arn"].split(":", 5)[5]
    removing = {
        policy.name
        for policy in graph.all(POLICY)
        for action, resource in granted(graph, policy.name, "dynamodb")
        if resource == versions and action in ("dynamodb:DeleteItem", "dynamodb:BatchWriteItem")
    }
    assert removing == {"data-eraser-policy"}


def test_backups_reach_everything_and_end_with_erasure(graph: Graph, small: Graph) -> None:
    [rule] = graph.one("aws:backup/plan:Plan").inputs["rules"]
    assert rule["lifecycle"] == {"deleteAfter": 35}
    assert rule["targetVaultName"] == graph.one(VAULT).inputs.get("name", "data-backup-name")
    lock = graph.one("aws:backup/vaultLockConfiguration:VaultLockConfiguration")
    assert lock.inputs["maxRetentionDays"] == 35
    assert graph.one(VAULT).inputs["forceDestroy"] is False
    selection = graph.one("aws:backup/selection:Selection")
    bucket = "arn:aws:s3:eu-central-1:111122223333:data-overflow/arn"
    kept = {outputs(graph)["table_arn"], outputs(graph)["control_table_arn"], bucket}
    assert set(selection.inputs["resources"]) == kept
    assert graph.waits_for(selection, graph.one(POLICY, "data-backup-policy"))
    assert not [r for r in small if r.type.startswith("aws:backup/")]


def test_copies_are_in_another_region_under_a_key_of_it() -> None:
    graph = build({**MINIMAL, "backup_copy_region": "eu-west-1"})
    vault, key = graph.one(VAULT, "data-backup-copy"), graph.one(KEY, "data-backup-copy")
    lock = graph.one("aws:backup/vaultLockConfiguration:VaultLockConfiguration", "data-backup-copy")
    for resource in (vault, key, lock):
        assert resource.inputs["region"] == "eu-west-1"
    assert vault.protect
    assert key.protect
    assert graph.waits_for(vault, key)
    assert lock.inputs["maxRetentionDays"] == 35
    [rule] = graph.one("aws:backup/plan:Plan").inputs["rules"]
    [copy] = rule["copyActions"]
    assert copy["lifecycle"] == rule["lifecycle"]
    assert copy["destinationVaultArn"].endswith(":data-backup-copy/arn")
    allowed = granted(graph, "data-backup-policy", "backup", "kms")
    for action, of in (
        ("backup:CopyIntoBackupVault", "data-backup-copy/arn"),
        ("backup:CopyFromBackupVault", "recovery-point:*"),
        ("kms:GenerateDataKey", "data-backup-copy/arn"),
        ("kms:CreateGrant", "data-backup-copy/arn"),
    ):
        assert any(a == action and resource.endswith(of) for a, resource in allowed), action
    assert "region" not in graph.one(VAULT, "data-backup").inputs
    policy = graph.one(POLICY, "data-backup-policy").inputs["policy"]
    assert ":backup:eu-west-1:111122223333:recovery-point:*" in policy, "copies have tags, too"


def test_bodies_never_expire(graph: Graph) -> None:
    token = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    rules = graph.one(token, "data-overflow").inputs["rules"]
    assert not [rule for rule in rules if "expiration" in rule]


def test_logs_are_kept_for_so_long(graph: Graph, small: Graph) -> None:
    for made, days in ((graph, 365), (small, 30)):
        groups = made.all("aws:cloudwatch/logGroup:LogGroup")
        assert {group.inputs["retentionInDays"] for group in groups} == {days}
