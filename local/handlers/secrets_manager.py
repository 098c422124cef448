"""Secrets Manager: secrets and their values."""

from typing import Any

from local.handlers.base import Aws, Handler, Properties, physical_name


class Secret(Handler):
    """A secret, without its value."""

    fixed = frozenset({"name", "namePrefix"})
    own = ("name", "namePrefix", "recoveryWindowInDays", "forceOverwriteReplicaSecret")

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        secret = physical_name(name, inputs, longest=512)
        made = aws.call("secretsmanager", "create_secret", inputs, leave=self.own, Name=secret)
        return made["ARN"], {"name": secret, "arn": made["ARN"]}

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        leave = (*self.own, "tags")
        aws.call("secretsmanager", "update_secret", inputs, leave=leave, SecretId=identity)
        return {}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        # Without a window: its name must be free for the next one.
        aws.of("secretsmanager", outputs).delete_secret(
            SecretId=identity, ForceDeleteWithoutRecovery=True
        )

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of("secretsmanager", outputs).describe_secret(SecretId=identity)


class SecretVersion(Handler):
    """A secret's value."""

    fixed = frozenset({"secretId"})

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        made = aws.call("secretsmanager", "put_secret_value", inputs)
        version = made["VersionId"]
        return f"{inputs['secretId']}|{version}", {"arn": made["ARN"], "versionId": version}

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        made = aws.call("secretsmanager", "put_secret_value", inputs)
        return {"versionId": made["VersionId"]}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        """A value goes with its secret, or when another takes its place."""

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of("secretsmanager", outputs).describe_secret(SecretId=outputs["secretId"])


HANDLERS: dict[str, Handler] = {
    "aws:secretsmanager/secret:Secret": Secret(),
    "aws:secretsmanager/secretVersion:SecretVersion": SecretVersion(),
}
