"""What the engine does with changes, shown on small programs in the local AWS."""

from typing import Any

import pulumi
import pulumi_aws as aws
import pytest
from botocore.exceptions import ClientError
from pulumi.automation import CommandError

from tests.engine.conftest import LocalAws
from tests.engine.workspace import Workspace


def exists(s3: Any, bucket: str) -> bool:
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError:
        return False
    return True


def test_a_replacement_is_there_before_the_old_one_goes(
    making: Workspace, local_aws: LocalAws
) -> None:
    """A fixed name changes: the new bucket, its setting, then the old setting and bucket go."""

    def bucket_named(name: str) -> None:
        bucket = aws.s3.Bucket("store", bucket=name)
        aws.s3.BucketVersioning(
            "versions", bucket=bucket.id, versioning_configuration={"status": "Enabled"}
        )

    stack = making.program("replacement", lambda: bucket_named("store-one"))
    stack.up()
    course = stack.up(lambda: bucket_named("store-two"))
    happened = [(operation, urn.rpartition("::")[2]) for operation, urn in course.steps]
    order = [step for step in happened if step[0] in ("create-replacement", "delete-replaced")]
    assert order == [
        ("create-replacement", "store"),
        ("create-replacement", "versions"),
        ("delete-replaced", "versions"),
        ("delete-replaced", "store"),
    ]
    s3 = local_aws.clients.of("s3")
    assert not exists(s3, "store-one")
    assert s3.get_bucket_versioning(Bucket="store-two")["Status"] == "Enabled"


def test_protected_data_survive_removal_and_destroy(making: Workspace, local_aws: LocalAws) -> None:
    s3 = local_aws.clients.of("s3")

    def protected() -> None:
        options = pulumi.ResourceOptions(protect=True, retain_on_delete=True)
        aws.s3.Bucket("kept", bucket="kept", opts=options)

    def without() -> None:
        """The bucket is no longer in the program."""

    stack = making.program("protection", protected)
    stack.up()
    s3.put_object(Bucket="kept", Key="data", Body=b"1")
    for command in (lambda: stack.up(without), stack.destroy):
        with pytest.raises(CommandError, match="protected"):
            command()
    stack.unprotect()
    assert stack.destroy().of("discard", "delete")  # from the state only
    assert stack.resources() == []
    assert s3.get_object(Bucket="kept", Key="data")["Body"].read() == b"1"


def test_an_existing_bucket_is_imported(making: Workspace, local_aws: LocalAws) -> None:
    s3 = local_aws.clients.of("s3")
    s3.create_bucket(
        Bucket="adopted",
        CreateBucketConfiguration={"LocationConstraint": local_aws.clients.region},
    )
    s3.put_bucket_tagging(
        Bucket="adopted", Tagging={"TagSet": [{"Key": "owner", "Value": "clinic"}]}
    )
    s3.put_object(Bucket="adopted", Key="data", Body=b"1")

    def bucket(owner: str, **options: Any) -> None:
        aws.s3.Bucket(
            "data",
            bucket="adopted",
            tags={"owner": owner},
            opts=pulumi.ResourceOptions(**options),
        )

    stack = making.program("adoption", lambda: bucket("clinic", import_="adopted"))
    other = stack.preview(lambda: bucket("somebody else", import_="adopted"))
    (urn,) = other.of("update")
    assert other.diffs[urn] == {"tags"}
    course = stack.up()
    assert course.of("import") == [urn]
    assert course.operations == {"import", "create"}  # of the stack and its provider
    assert stack.preview(lambda: bucket("clinic"), expect_no_changes=True).steps == []
    assert s3.get_object(Bucket="adopted", Key="data")["Body"].read() == b"1"
