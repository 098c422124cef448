"""DataStore: the resources' versions, the index to search them by, and the API's function."""

import json
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from ._access_rules import AccessRule, rules_environment
from ._alarm_catalogue import DataNames, data_alarms
from ._alarms import raise_alarms
from ._backup import daily_backup
from ._buckets import bucket_policy, log_access, private_bucket
from ._bulk import PARTITIONS, Bulk
from ._dashboard_parts import data_part
from ._erasure import erase_by_markers
from ._evidence import PARTITIONS as EVIDENCE_PARTITIONS
from ._evidence import Evidence
from ._functions import Function, Functions
from ._indexing import Indexing
from ._keys import encryption_key, log_statement
from ._layer import FunctionPlatform
from ._policy_documents import allow
from ._search_domain import SearchDomain
from ._tables import CHANGE_INDEX, control_table, partitions, versions_table

API_SECONDS = 29  # API Gateway waits no longer


class DataStoreSearchArgs(TypedDict):
    """Size of the search domain."""

    instance_type: NotRequired[str]
    """Type of the data nodes. Default: r7g.large.search."""
    instance_count: NotRequired[int]
    """Data nodes: 1, or a multiple of 2 or 3, the zones they are spread over. Default: 3."""
    volume_gib: NotRequired[int]
    """Disk per data node, in GiB. Default: 50."""


class DataStoreArgs(TypedDict):
    vpc_id: pulumi.Input[str]
    """VPC of the search domain and the functions."""
    subnet_ids: pulumi.Input[list[str]]
    """Its private subnets, one per zone, as many as the search nodes are spread over or more."""
    issuer: pulumi.Input[str]
    """`iss` of the tokens that the API accepts."""
    client_ids: list[pulumi.Input[str]]
    """`aud` of the tokens that the API accepts."""
    access_rules: NotRequired[dict[str, list[AccessRule]]]
    """What each group may do, instead of the rules in functions/shared/access.py."""
    update_create: NotRequired[bool]
    """A PUT to an unknown id makes the resource, so that clients choose ids. Default: false."""
    search: NotRequired[DataStoreSearchArgs]
    """How large the search domain is. Default: three nodes."""
    backup: NotRequired[bool]
    """Daily backups of tables and bucket, kept for 35 days. Default: true."""
    backup_copy_region: NotRequired[str]
    """Another region, which gets a copy of each backup. Default: none."""
    function_platform: NotRequired[FunctionPlatform]
    """Where the functions run. Default: AWS Lambda."""
    alarm_topic_arn: NotRequired[pulumi.Input[str]]
    """SNS topic that alarms go to. Default: no alarms, since nobody would hear them."""
    log_retention_days: NotRequired[int]
    """How long the logs of functions, search and bucket are kept, in days. Default: 365."""
    protect: NotRequired[bool]
    """Refuse to delete tables, bucket, domain, vault and key. Default: true."""


class DataStore(pulumi.ComponentResource):
    """An append-only table of resource versions with an index for search, and the FHIR API on both.

    Creates: key, versions table with its stream, control table, bucket for large bodies, search
    domain, and the functions `api`, `indexer` (table to index) and `index-admin` (index and its
    access rights; run whenever its code or the roles change), state machines for bulk exports and
    imports with their functions and a bucket, a backup plan, and alarms when there is a topic;
    for the evidence of datasets a queue, the function `evidence`, its signing key, a locked bucket.
    """

    table_name: pulumi.Output[str]
    """The table of versions."""
    table_arn: pulumi.Output[str]
    """ARN of the table of versions."""
    control_table_name: pulumi.Output[str]
    """The table of what isn't a version: upload state, quotas, quarantine."""
    control_table_arn: pulumi.Output[str]
    """ARN of the control table."""
    stream_arn: pulumi.Output[str]
    """Stream of new versions (NEW_IMAGE)."""
    key_arn: pulumi.Output[str]
    """The key that encrypts tables, bucket, domain and logs."""
    overflow_bucket: pulumi.Output[str]
    """Bucket of the bodies that are too large for an item."""
    search_endpoint: pulumi.Output[str]
    """URL of the search engine; on AWS inside the VPC."""
    consistency_key: pulumi.Output[str]
    """What signs the tokens by which searches wait for writes (secret)."""
    evidence_queue_arn: pulumi.Output[str]
    """ARN of the queue that reads of datasets are sent to."""
    evidence_queue_url: pulumi.Output[str]
    """URL of that queue."""
    evidence_public_key: pulumi.Output[str]
    """What the evidence of datasets is verified with (PEM)."""
    api_function_arn: pulumi.Output[str]
    """ARN of the API's function."""
    api_function_name: pulumi.Output[str]
    """Name of the API's function."""
    import_role_name: pulumi.Output[str]
    """Role of the function that imports: to read files, it needs rights from their bucket."""
    indexer_function_name: pulumi.Output[str]
    """Name of the function that fills the index."""
    index_keeper_function_name: pulumi.Output[str]
    """Name of the function that fills an index anew, or repairs it."""
    index_admin_function_name: pulumi.Output[str]
    """Name of the function that makes indices."""
    dashboard: pulumi.Output[str]
    """Its part of a `Dashboard`."""

    def __init__(
        self, name: str, args: DataStoreArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ai4h:index:DataStore", name, {}, opts)
        self._name = name
        protect = args.get("protect", True)
        self._child = pulumi.ResourceOptions(parent=self)
        self._stateful = pulumi.ResourceOptions(
            parent=self, protect=protect, retain_on_delete=protect
        )
        self._access_rules = rules_environment(args.get("access_rules"))
        self._retention = int(args.get("log_retention_days", 365))
        self._key = encryption_key(
            f"{name}-key",
            f"Tables, large bodies, index and logs of {name}",
            statements=[log_statement(aws.get_region_output().region)],
            opts=self._stateful,
        )
        self._versions = versions_table(
            f"{name}-versions", key_arn=self._key.arn, protect=protect, opts=self._stateful
        )
        self._control = control_table(
            f"{name}-control", key_arn=self._key.arn, protect=protect, opts=self._stateful
        )
        self._overflow = self._overflow_bucket()
        if args.get("backup", True):
            daily_backup(
                f"{name}-backup",
                tables=[self._versions, self._control],
                buckets=[self._overflow],
                key=self._key,
                copy_region=args.get("backup_copy_region"),
                alarm_topic_arn=args.get("alarm_topic_arn"),
                protect=protect,
                opts=self._child,
            )
        functions = Functions(
            name,
            platform=args.get("function_platform", FunctionPlatform.LAMBDA),
            key=self._key,
            log_retention_days=self._retention,
            vpc_id=args["vpc_id"],
            subnet_ids=args["subnet_ids"],
            opts=self._child,
        )
        # Signs consistency tokens, which live for seconds: replacing it costs a retry.
        self._tokens = random.RandomPassword(
            f"{name}-consistency-key", length=48, special=False, opts=self._child
        )
        admin_role = functions.role("index-admin")
        domain = self._domain(args, functions, admin_role)
        evidence = Evidence(
            name,
            functions=functions,
            key=self._key,
            control=self._control,
            log_retention_days=self._retention,
            protect=protect,
            opts=self._child,
            kept=self._stateful,
        )
        bulk = Bulk(
            name,
            functions=functions,
            platform=args.get("function_platform", FunctionPlatform.LAMBDA),
            domain=domain,
            key=self._key,
            versions=self._versions,
            control=self._control,
            overflow=self._overflow,
            reads=evidence.queue,
            access_rules=self._access_rules,
            log_retention_days=self._retention,
            opts=self._child,
            kept=self._stateful,
        )
        api = self._api(functions, domain, bulk, evidence, args)
        indexing = Indexing(
            name,
            functions=functions,
            domain=domain,
            admin_role=admin_role,
            versions=self._versions,
            control=self._control,
            overflow=self._overflow,
            opts=self._child,
        )
        indexing.start(readers=[api.role.arn, bulk.exporter.role.arn])
        erase_by_markers(
            name,
            functions=functions,
            versions=self._versions,
            overflow=self._overflow,
            opts=self._child,
        )
        names = DataNames(
            api=api.resource.name,
            indexer=indexing.indexer.resource.name,
            evidence=evidence.function.resource.name,
            failures=functions.failure_queue.name,
            evidence_reads=evidence.queue.name,
            evidence_failures=evidence.failures.name,
            versions_table=self._versions.name,
            control_table=self._control.name,
            export_machine_arn=bulk.export_machine.arn,
            import_machine_arn=bulk.import_machine.arn,
            search_domain=domain.resource.domain_name,
            search_volume_gib=domain.volume_gib,
            account_id=aws.get_caller_identity_output().account_id,
        )
        topic_arn = args.get("alarm_topic_arn")
        if topic_arn is not None:
            raise_alarms(name, data_alarms(names), topic_arn, self._child)

        self.table_name = self._versions.name
        self.table_arn = self._versions.arn
        self.control_table_name = self._control.name
        self.control_table_arn = self._control.arn
        self.stream_arn = self._versions.stream_arn
        self.key_arn = self._key.arn
        self.overflow_bucket = self._overflow.bucket
        self.search_endpoint = domain.url
        self.consistency_key = self._tokens.result
        self.evidence_queue_arn = evidence.queue.arn
        self.evidence_queue_url = evidence.queue.url
        self.evidence_public_key = evidence.public_key
        self.api_function_arn = api.resource.arn
        self.api_function_name = api.resource.name
        self.import_role_name = bulk.importer.role.name
        self.indexer_function_name = indexing.indexer.resource.name
        self.index_keeper_function_name = indexing.keeper.resource.name
        self.index_admin_function_name = indexing.admin.resource.name
        self.dashboard = data_part(names)
        self.register_outputs({name: getattr(self, name) for name in DataStore.__annotations__})

    def _overflow_bucket(self) -> aws.s3.Bucket:
        name = f"{self._name}-overflow"
        bucket = private_bucket(name, key_arn=self._key.arn, opts=self._stateful)
        bucket_policy(name, bucket)
        log_access(f"{name}-logs", bucket, opts=self._child, days=self._retention)
        return bucket

    def _domain(
        self, args: DataStoreArgs, functions: Functions, admin_role: aws.iam.Role
    ) -> SearchDomain:
        size = args.get("search", {})
        assert functions.security_group is not None  # a VPC was given
        return SearchDomain(
            f"{self._name}-search",
            instance_type=size.get("instance_type", "r7g.large.search"),
            instance_count=int(size.get("instance_count", 3)),
            volume_gib=int(size.get("volume_gib", 50)),
            vpc_id=args["vpc_id"],
            subnet_ids=args["subnet_ids"],
            client_group_id=functions.security_group.id,
            master_role_arn=admin_role.arn,
            key=self._key,
            log_retention_days=self._retention,
            opts=self._stateful,
            child=self._child,
        )

    def _api(
        self,
        functions: Functions,
        domain: SearchDomain,
        bulk: Bulk,
        evidence: Evidence,
        args: DataStoreArgs,
    ) -> Function:
        return functions.function(
            "api",
            "functions.api.handler.handler",
            description="FHIR API: interactions and search",
            environment={
                "TABLE_NAME": self._versions.name,
                "CONTROL_TABLE_NAME": self._control.name,
                "OVERFLOW_BUCKET": self._overflow.bucket,
                "SEARCH_ENDPOINT": domain.url,
                "UPDATE_CREATE": json.dumps(args.get("update_create", False)),
                "ISSUER": args["issuer"],
                "CLIENT_IDS": pulumi.Output.all(*args["client_ids"]).apply(",".join),
                "CONSISTENCY_KEY": self._tokens.result,
                **self._access_rules,
                **bulk.environment,
                **evidence.environment,
            },
            statements=[
                allow(
                    [
                        "dynamodb:BatchGetItem",
                        "dynamodb:ConditionCheckItem",
                        "dynamodb:GetItem",
                        "dynamodb:PutItem",
                        "dynamodb:Query",
                    ],
                    self._versions.arn,
                ),
                allow(
                    ["dynamodb:Query"],
                    pulumi.Output.concat(self._versions.arn, f"/index/{CHANGE_INDEX}"),
                ),
                partitions(
                    [
                        "dynamodb:BatchGetItem",
                        "dynamodb:GetItem",
                        "dynamodb:PutItem",
                        "dynamodb:Query",
                        "dynamodb:UpdateItem",
                    ],
                    self._control.arn,
                    [
                        *(PARTITIONS, "challenge#*", "changes", "dataset#*", "grant#*"),
                        *("guard#*", "idempotency#*", *EVIDENCE_PARTITIONS),
                    ],
                ),
                allow(
                    ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
                    pulumi.Output.concat(self._overflow.arn, "/*"),
                ),
                # Without it, S3 calls an object that is gone forbidden.
                allow(["s3:ListBucket"], self._overflow.arn),
                allow(["es:ESHttpPost"], pulumi.Output.concat(domain.arn, "/*/_search")),
                *bulk.statements,
                *evidence.statements,
            ],
            timeout=API_SECONDS,
            memory=1024,
        )
