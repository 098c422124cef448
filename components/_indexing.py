"""The search index of a table's versions: the functions that make it and keep it filled."""

import json
from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from ._documents import json_document
from ._functions import Function, Functions
from ._order import after
from ._policy_documents import allow
from ._search_domain import SearchDomain
from ._tables import follow_stream

# The indexer raises on what passes, so the engine may be away for this long without loss; a record
# that ends the function itself is given up after it, with time left to look it up in the stream,
# which keeps a day.
MAX_RECORD_AGE_SECONDS = 12 * 3600
BATCH = 100
PARALLEL_BATCHES = 2  # per shard; a resource's versions stay in order

INDEXER_SECONDS = 60
ADMIN_SECONDS = 180  # it waits a minute for a new domain
KEEPER_SECONDS = 900  # the longest there is: it says where to go on

# Of the control table, the partition of versions that the index refused.
QUARANTINE_ONLY = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["quarantine"]}}


class Indexing:
    """The functions `indexer` (table to index), `index-keeper` and `index-admin`.

    The keeper fills and repairs an index from the table when an operator says so; the admin makes
    indices and maps roles to their rights.
    """

    def __init__(
        self,
        name: str,
        *,
        functions: Functions,
        domain: SearchDomain,
        admin_role: aws.iam.Role,
        versions: aws.dynamodb.Table,
        control: aws.dynamodb.Table,
        overflow: aws.s3.Bucket,
        opts: pulumi.ResourceOptions,
    ) -> None:
        self._name, self._domain, self._opts = name, domain, opts
        self._versions = versions
        self.indexer = self._indexer(functions, control, overflow)
        self.keeper = self._index_keeper(functions, control, overflow)
        self.admin = self._index_admin(functions, admin_role)
        self._failures_arn = functions.failure_queue.arn

    def start(self, *, readers: Sequence[pulumi.Input[str]]) -> None:
        """Makes the index, lets the roles `readers` (ARNs) search it, and follows the stream."""
        roles = [self.indexer.role.arn, self.keeper.role.arn, self.admin.role.arn]
        policy = self._domain.restrict_to([*readers, *roles])
        prepared = self._prepare([*readers, self.keeper.role.arn], policy)
        self._follow_stream(prepared)

    def _indexer(
        self, functions: Functions, control: aws.dynamodb.Table, overflow: aws.s3.Bucket
    ) -> Function:
        return functions.function(
            "indexer",
            "functions.indexer.handler.handler",
            description="New versions to the search index",
            environment={
                "CONTROL_TABLE_NAME": control.name,
                "OVERFLOW_BUCKET": overflow.bucket,
                "SEARCH_ENDPOINT": self._domain.url,
            },
            statements=[
                *follow_stream(self._versions.arn),
                allow(["dynamodb:PutItem"], control.arn, condition=QUARANTINE_ONLY),
                allow(["s3:GetObject"], pulumi.Output.concat(overflow.arn, "/*")),
                # Without it, S3 calls an object that is gone forbidden, which might pass.
                allow(["s3:ListBucket"], overflow.arn),
                allow(["es:ESHttpPost"], pulumi.Output.concat(self._domain.arn, "/*/_bulk")),
                # Whether a new index is being built, which gets the versions as well.
                allow(["es:ESHttpHead"], pulumi.Output.concat(self._domain.arn, "/*/_alias/*")),
            ],
            timeout=INDEXER_SECONDS,
            memory=1024,
        )

    def _index_keeper(
        self, functions: Functions, control: aws.dynamodb.Table, overflow: aws.s3.Bucket
    ) -> Function:
        return functions.function(
            "index-keeper",
            "functions.index_keeper.handler.handler",
            description="Fills, compares and repairs the search index",
            environment={
                "TABLE_NAME": self._versions.name,
                "CONTROL_TABLE_NAME": control.name,
                "OVERFLOW_BUCKET": overflow.bucket,
                "SEARCH_ENDPOINT": self._domain.url,
            },
            statements=[
                allow(["dynamodb:GetItem", "dynamodb:Scan"], self._versions.arn),
                allow(
                    ["dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:Query"],
                    control.arn,
                    condition=QUARANTINE_ONLY,
                ),
                allow(["s3:GetObject"], pulumi.Output.concat(overflow.arn, "/*")),
                allow(["s3:ListBucket"], overflow.arn),
                *(
                    allow(["es:ESHttpPost"], pulumi.Output.concat(self._domain.arn, path))
                    for path in ("/*/_bulk", "/*/_search")
                ),
            ],
            timeout=KEEPER_SECONDS,
            memory=1024,
        )

    def _index_admin(self, functions: Functions, role: aws.iam.Role) -> Function:
        return functions.function(
            "index-admin",
            "functions.index_admin.handler.handler",
            description="Makes the search index and maps roles to its rights",
            environment={"SEARCH_ENDPOINT": self._domain.url},
            statements=[
                allow(
                    ["es:ESHttpGet", "es:ESHttpHead", "es:ESHttpPost", "es:ESHttpPut"],
                    pulumi.Output.concat(self._domain.arn, "/*"),
                )
            ],
            timeout=ADMIN_SECONDS,
            memory=512,
            role=role,
        )

    def _prepare(
        self, readers: Sequence[pulumi.Input[str]], policy: aws.opensearch.DomainPolicy
    ) -> aws.lambda_.Invocation:
        """Runs the index-admin function now and whenever what it does would differ."""
        return aws.lambda_.Invocation(
            f"{self._name}-index",
            function_name=self.admin.resource.name,
            input=json_document(
                {
                    "read_roles": readers,
                    "write_roles": [self.indexer.role.arn, self.keeper.role.arn],
                }
            ),
            triggers={"code": self.admin.code_hash, "domain": self._domain.url},
            opts=after(self._opts, policy),
        )

    def _follow_stream(self, prepared: aws.lambda_.Invocation) -> None:
        aws.lambda_.EventSourceMapping(
            f"{self._name}-indexer",
            event_source_arn=self._versions.stream_arn,
            function_name=self.indexer.resource.arn,
            starting_position="TRIM_HORIZON",
            filter_criteria={"filters": [{"pattern": json.dumps({"eventName": ["INSERT"]})}]},
            batch_size=BATCH,
            parallelization_factor=PARALLEL_BATCHES,
            bisect_batch_on_function_error=True,
            maximum_retry_attempts=-1,
            maximum_record_age_in_seconds=MAX_RECORD_AGE_SECONDS,
            destination_config={"on_failure": {"destination_arn": self._failures_arn}},
            opts=after(self._opts, prepared),
        )
