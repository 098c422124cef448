"""Key Management Service: keys and their aliases."""

from typing import Any

from local.handlers.base import Aws, Handler, Properties, physical_name

SHORTEST_WAIT_DAYS = 7


class Key(Handler):
    """A key with its policy, which the local AWS enforces."""

    fixed = frozenset({"customerMasterKeySpec", "keyUsage", "multiRegion"})
    own = ("deletionWindowInDays", "enableKeyRotation", "rotationPeriodInDays", "isEnabled",
           "bypassPolicyLockoutSafetyCheck")  # fmt: skip

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        rename = {"customerMasterKeySpec": "keySpec"}
        key = aws.call("kms", "create_key", inputs, leave=self.own, rename=rename)["KeyMetadata"]
        self._rotate(aws, key["KeyId"], inputs)
        return key["KeyId"], {
            "arn": key["Arn"], "keyId": key["KeyId"], "keyUsage": key["KeyUsage"],
            "customerMasterKeySpec": key["KeySpec"], "multiRegion": key.get("MultiRegion", False),
        }  # fmt: skip

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        kms = aws.of("kms", inputs)
        if "policy" in inputs:
            kms.put_key_policy(KeyId=identity, PolicyName="default", Policy=inputs["policy"])
        kms.update_key_description(KeyId=identity, Description=inputs.get("description", ""))
        self._rotate(aws, identity, inputs)
        return {}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        days = outputs.get("deletionWindowInDays", SHORTEST_WAIT_DAYS)
        aws.of("kms", outputs).schedule_key_deletion(KeyId=identity, PendingWindowInDays=days)

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        key = aws.of("kms", outputs).describe_key(KeyId=identity)["KeyMetadata"]
        return key["KeyState"] != "PendingDeletion"

    def _rotate(self, aws: Aws, identity: str, inputs: Properties) -> None:
        kms = aws.of("kms", inputs)
        if inputs.get("keyUsage", "ENCRYPT_DECRYPT") != "ENCRYPT_DECRYPT":
            return  # AWS rotates no others
        if inputs.get("enableKeyRotation"):
            kms.enable_key_rotation(KeyId=identity)
        else:
            kms.disable_key_rotation(KeyId=identity)


class Alias(Handler):
    """A name for a key."""

    fixed = frozenset({"name", "namePrefix"})
    delete_first = True

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        alias = physical_name(f"alias/{name}", inputs, longest=256)
        aws.of("kms", inputs).create_alias(AliasName=alias, TargetKeyId=inputs["targetKeyId"])
        return alias, self._outputs(aws, alias, inputs)

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        aws.of("kms", inputs).update_alias(AliasName=identity, TargetKeyId=inputs["targetKeyId"])
        return self._outputs(aws, identity, inputs)

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        aws.of("kms", outputs).delete_alias(AliasName=identity)

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of("kms", outputs).describe_key(KeyId=identity)

    def _outputs(self, aws: Aws, alias: str, inputs: Properties) -> Properties:
        key = aws.of("kms", inputs).describe_key(KeyId=inputs["targetKeyId"])["KeyMetadata"]
        return {"name": alias, "arn": aws.arn("kms", alias, inputs), "targetKeyArn": key["Arn"]}


HANDLERS: dict[str, Handler] = {
    "aws:kms/key:Key": Key(),
    "aws:kms/alias:Alias": Alias(),
}
