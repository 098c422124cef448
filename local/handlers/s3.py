"""S3: buckets, their settings, and objects."""

from collections.abc import Callable
from typing import Any

from local.handlers.base import Aws, Handler, Properties, Put, absent_is_fine, physical_name
from local.handlers.policies import enforceable

PAGE = 1000  # what one request may delete


class Bucket(Handler):
    """A bucket. Deleting it deletes what is in it: nothing on this machine is worth a refusal."""

    fixed = frozenset({"bucket", "bucketPrefix", "objectLockEnabled"})
    described = ("bucket", "tags")

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        bucket = physical_name(name, inputs, given="bucket", prefix="bucketPrefix", longest=63)
        region = inputs.get("region") or aws.clients.region
        aws.call(
            "s3", "create_bucket", inputs,
            leave=("bucket", "bucketPrefix", "forceDestroy", "objectLockEnabled", "tags"),
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region},
            ObjectLockEnabledForBucket=bool(inputs.get("objectLockEnabled")),
        )  # fmt: skip
        self._tag(aws, bucket, inputs)
        return bucket, self._outputs(bucket, region)

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        self._tag(aws, identity, inputs)
        return {}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        s3 = aws.of("s3", outputs)
        while True:
            page = s3.list_object_versions(Bucket=identity, MaxKeys=PAGE)
            versions = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            if not versions:
                break
            objects = [{"Key": v["Key"], "VersionId": v["VersionId"]} for v in versions]
            s3.delete_objects(
                Bucket=identity, Delete={"Objects": objects, "Quiet": True},
                BypassGovernanceRetention=True,
            )  # fmt: skip
        s3.delete_bucket(Bucket=identity)

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of("s3", outputs).head_bucket(Bucket=identity)

    def read(self, aws: Aws, identity: str, outputs: Properties) -> Properties | None:
        if super().read(aws, identity, outputs or {"bucket": identity}) is None:
            return None
        tags: Properties = {}
        with absent_is_fine():
            answer = aws.of("s3", outputs).get_bucket_tagging(Bucket=identity)
            tags = {"tags": {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}}
        untagged = {name: value for name, value in outputs.items() if name != "tags"}
        region = outputs.get("bucketRegion") or aws.clients.region
        return untagged | self._outputs(identity, region) | tags

    def _outputs(self, bucket: str, region: str) -> Properties:
        return {
            "bucket": bucket, "arn": f"arn:aws:s3:::{bucket}", "bucketRegion": region,
            "bucketDomainName": f"{bucket}.s3.amazonaws.com",
            "bucketRegionalDomainName": f"{bucket}.s3.{region}.amazonaws.com",
        }  # fmt: skip

    def _tag(self, aws: Aws, bucket: str, inputs: Properties) -> None:
        if tags := inputs.get("tags"):
            pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
            aws.of("s3", inputs).put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": pairs})


class Setting(Put):
    """A setting of a bucket, put as a whole."""

    fixed = frozenset({"bucket"})

    def __init__(
        self, operation: str, document: Callable[[Properties], Properties],
        off: Properties | None = None, note: str = "",
    ) -> None:  # fmt: skip
        """`operation` without its verb; `document` makes its arguments from the inputs, in the
        provider's spelling; `off` is what to put when it is deleted, if there is no `delete_…`."""
        self._operation = operation
        self._document = document
        self._off = off
        self._note = note

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        self._put(aws, inputs["bucket"], self._document(inputs) | _place(inputs))
        if self._note:
            aws.note(self._note)
        return inputs["bucket"], {}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        if self._off is not None:
            self._put(aws, outputs["bucket"], self._off | _place(outputs))
        else:
            operation = f"delete_{self._operation.removesuffix('_configuration')}"
            aws.call("s3", operation, _place(outputs), Bucket=outputs["bucket"])

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of("s3", outputs).head_bucket(Bucket=outputs["bucket"])

    def _put(self, aws: Aws, bucket: str, document: Properties) -> None:
        aws.call("s3", f"put_{self._operation}", document, Bucket=bucket)


class Policy(Put):
    """A bucket's policy, which the local AWS enforces but for a few conditions."""

    fixed = frozenset({"bucket"})

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        s3 = aws.of("s3", inputs)
        policy = enforceable(aws, inputs["policy"])
        if policy is None:
            s3.delete_bucket_policy(Bucket=inputs["bucket"])
        else:
            s3.put_bucket_policy(Bucket=inputs["bucket"], Policy=policy)
        return inputs["bucket"], {}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        aws.of("s3", outputs).delete_bucket_policy(Bucket=outputs["bucket"])

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of("s3", outputs).head_bucket(Bucket=outputs["bucket"])


class Object(Handler):
    """An object whose content is part of the program."""

    fixed = frozenset({"bucket", "key"})
    own = ("source", "content", "contentBase64", "sourceHash", "forceDestroy", "tags")

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        return f"{inputs['bucket']}/{inputs['key']}", self.update(aws, "", {}, inputs)

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        if "source" in inputs:
            body = aws.contents.read(inputs["source"]["asset"])
        else:
            body = inputs.get("content", "").encode()
        rename = {"kmsKeyId": "ssekmsKeyId"}
        put = aws.call("s3", "put_object", inputs, leave=self.own, rename=rename, Body=body)
        return {
            "etag": put["ETag"].strip('"'), "versionId": put.get("VersionId", ""),
            "arn": f"arn:aws:s3:::{inputs['bucket']}/{inputs['key']}",
        }  # fmt: skip

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        aws.of("s3", outputs).delete_object(Bucket=outputs["bucket"], Key=outputs["key"])

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of("s3", outputs).head_object(Bucket=outputs["bucket"], Key=outputs["key"])


def _place(properties: Properties) -> Properties:
    return {"region": properties["region"]} if properties.get("region") else {}


def _only(*names: str) -> Callable[[Properties], Properties]:
    """The inputs of these names."""
    return lambda inputs: {name: inputs[name] for name in names if name in inputs}


def _public_access(inputs: Properties) -> Properties:
    names = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    return {"publicAccessBlockConfiguration": _only(*names)(inputs)}


def _logging(inputs: Properties) -> Properties:
    target = _only("targetBucket", "targetPrefix", "targetObjectKeyFormat")(inputs)
    return {"bucketLoggingStatus": {"loggingEnabled": target}}


def _lock(inputs: Properties) -> Properties:
    return {"objectLockConfiguration": {
        "objectLockEnabled": inputs.get("objectLockEnabled", "Enabled"),
        **_only("rule")(inputs),
    }}  # fmt: skip


def _notification(inputs: Properties) -> Properties:
    kinds = (
        ("lambdaFunctions", "lambdaFunctionConfigurations"),
        ("queues", "queueConfigurations"),
        ("topics", "topicConfigurations"),
    )
    configuration: Properties = {
        kind: [_listener(item) for item in inputs[name]] for name, kind in kinds if name in inputs
    }
    if inputs.get("eventbridge"):
        configuration["eventBridgeConfiguration"] = {}
    return {"notificationConfiguration": configuration}


def _listener(item: Properties) -> Properties:
    rules = [
        {"name": place, "value": item[name]}
        for name, place in (("filterPrefix", "prefix"), ("filterSuffix", "suffix"))
        if item.get(name)
    ]
    listener = {name: value for name, value in item.items() if not name.startswith("filter")}
    return listener | ({"filter": {"key": {"filterRules": rules}}} if rules else {})


HANDLERS: dict[str, Handler] = {
    "aws:s3/bucket:Bucket": Bucket(),
    "aws:s3/bucketPolicy:BucketPolicy": Policy(),
    "aws:s3/bucketObjectv2:BucketObjectv2": Object(),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": Setting(
        "public_access_block", _public_access
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": Setting(
        "bucket_ownership_controls",
        lambda inputs: {"ownershipControls": {"rules": [inputs["rule"]]}},
    ),
    "aws:s3/bucketVersioning:BucketVersioning": Setting(
        "bucket_versioning",
        _only("versioningConfiguration"),
        off={"versioningConfiguration": {"status": "Suspended"}},
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        Setting(
            "bucket_encryption",
            lambda inputs: {"serverSideEncryptionConfiguration": _only("rules")(inputs)},
            note="rights on the key aren't checked for objects here",
        )
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": Setting(
        "bucket_lifecycle_configuration",
        lambda inputs: {"lifecycleConfiguration": _only("rules")(inputs)},
    ),
    "aws:s3/bucketLogging:BucketLogging": Setting(
        "bucket_logging", _logging, off={"bucketLoggingStatus": {}}
    ),
    "aws:s3/bucketCorsConfiguration:BucketCorsConfiguration": Setting(
        "bucket_cors", lambda inputs: {"corsConfiguration": _only("corsRules")(inputs)}
    ),
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": Setting(
        "object_lock_configuration",
        _lock,
        # Object Lock itself stays with its bucket; what goes is the retention by default.
        off={"objectLockConfiguration": {"objectLockEnabled": "Enabled"}},
    ),
    "aws:s3/bucketNotification:BucketNotification": Setting(
        "bucket_notification_configuration", _notification, off={"notificationConfiguration": {}}
    ),
}
