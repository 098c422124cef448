"""Data at rest: closed, encrypted with our own keys, recoverable, and hard to delete."""

from collections.abc import Iterator

from policies.rule import UNKNOWN, Resource, both, listed, needs, read, rule, unless

BUCKET = "aws:s3/bucket:Bucket"
ACCESS_BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
TABLE = "aws:dynamodb/table:Table"
DATABASE = "aws:rds/instance:Instance"
DOMAIN = "aws:opensearch/domain:Domain"
KEY = "aws:kms/key:Key"
QUEUE = "aws:sqs/queue:Queue"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
STORED_VALUE = "aws:secretsmanager/secret:Secret"
REPOSITORY = "aws:ecr/repository:Repository"
VAULT = "aws:backup/vault:Vault"
USER_POOL = "aws:cognito/userPool:UserPool"

OWN_KEY = "data at rest are encrypted with a key of one's own"
DAYS_OF_LOGS = 90


def _public_acl(resource: Resource) -> Iterator[str]:
    acl = resource.inputs.get("acl")
    if acl not in (None, "private", UNKNOWN):
        yield f"the ACL {acl!r} opens the bucket: grant access in its policy, to a named principal"


def _kept_too_short(resource: Resource) -> Iterator[str]:
    days = resource.inputs.get("retentionInDays")
    if days is UNKNOWN:
        return
    if not days:
        yield "retentionInDays is missing: logs would be kept, and paid for, for ever"
    elif days < DAYS_OF_LOGS:
        yield f"retentionInDays is {days:.0f}: an incident is often found after weeks, keep 90"


def _unprotected(resource: Resource) -> Iterator[str]:
    if not resource.protect:
        yield "it isn't protected: set protect, so that no deployment deletes data"


def _in_one_region(resource: Resource) -> Iterator[str]:
    for backup in listed(resource.inputs.get("rules")):
        if read(backup, "copyActions") in (None, []):
            yield "a rule has no copyActions: copy the backups to another region"


RULES = (
    rule(
        "no-public-bucket",
        "Public access to buckets is blocked, even to the portal's",
        ACCESS_BLOCK,
        both(
            *(
                needs(flag, True, advice="no bucket is public")
                for flag in (
                    *("blockPublicAcls", "blockPublicPolicy"),
                    *("ignorePublicAcls", "restrictPublicBuckets"),
                )
            )
        ),
    ),
    rule(
        "no-public-acl",
        "No ACL opens a bucket or an object",
        (BUCKET, "aws:s3/bucketAcl:BucketAcl", "aws:s3/bucketObjectv2:BucketObjectv2"),
        _public_acl,
    ),
    rule(
        "encrypted-table", OWN_KEY, TABLE, needs("serverSideEncryption.kmsKeyArn", advice=OWN_KEY)
    ),
    rule("encrypted-database", OWN_KEY, DATABASE, needs("kmsKeyId", advice=OWN_KEY)),
    rule("encrypted-queue", OWN_KEY, QUEUE, needs("kmsMasterKeyId", advice=OWN_KEY)),
    rule("encrypted-logs", OWN_KEY, LOG_GROUP, needs("kmsKeyId", advice=OWN_KEY)),
    rule("encrypted-domain", OWN_KEY, DOMAIN, needs("encryptAtRest.kmsKeyId", advice=OWN_KEY)),
    rule("encrypted-credentials", OWN_KEY, STORED_VALUE, needs("kmsKeyId", advice=OWN_KEY)),
    rule("encrypted-backups", OWN_KEY, VAULT, needs("kmsKeyArn", advice="name a KMS key")),
    rule(
        "copied-backups",
        "Backups outlive their region",
        "aws:backup/plan:Plan",
        _in_one_region,
    ),
    rule(
        "rotated-key",
        "Keys that encrypt are rotated every year",
        KEY,
        unless(
            "keyUsage",
            "SIGN_VERIFY",  # AWS rotates none of them
            problems=needs(
                "enableKeyRotation", True, advice="AWS rotates it, and what it encrypted stays"
            ),
        ),
    ),
    rule(
        "recoverable-table",
        "A table can be restored to any second of the last weeks",
        TABLE,
        needs("pointInTimeRecovery.enabled", True, advice="a bad write could not be undone"),
    ),
    rule(
        "recoverable-database",
        "A database has backups",
        DATABASE,
        needs("backupRetentionPeriod", advice="keep backups for some days at least"),
    ),
    rule(
        "monitored-database",
        "What a database's machine does is seen",
        DATABASE,
        needs("monitoringInterval", advice="have RDS write its figures, each minute"),
    ),
    rule(
        "protected-data",
        "What holds data isn't deleted by a deployment",
        (DATABASE, DOMAIN, TABLE, USER_POOL),
        _unprotected,
    ),
    rule("kept-logs", "Logs are kept, but not for ever", LOG_GROUP, _kept_too_short),
    rule(
        "fixed-images",
        "An image's tag means one image, and each is scanned",
        REPOSITORY,
        both(
            needs("imageTagMutability", "IMMUTABLE", advice="a tag must not change its meaning"),
            needs("imageScanningConfiguration.scanOnPush", True, advice="scan what is pushed"),
        ),
    ),
)
