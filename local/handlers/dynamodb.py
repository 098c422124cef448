"""DynamoDB: tables with indexes, stream, expiry and backups."""

from typing import Any

from local.handlers.base import Aws, Handler, Properties, physical_name
from local.processes import wait_until

SECONDS = 30


class Table(Handler):
    """An on-demand or provisioned table."""

    fixed = frozenset({"name", "hashKey", "rangeKey", "localSecondaryIndexes"})
    own = ("name", "attributes", "hashKey", "rangeKey", "globalSecondaryIndexes", "ttl",
           "localSecondaryIndexes", "pointInTimeRecovery", "serverSideEncryption",
           "streamEnabled", "streamViewType", "readCapacity", "writeCapacity")  # fmt: skip

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        table = physical_name(name, inputs, longest=255)
        aws.call(
            "dynamodb", "create_table", inputs, leave=self.own,
            **{"TableName": table, "KeySchema": _keys(inputs), **_shared(inputs)},
            **_indexes(inputs, "globalSecondaryIndexes"),
            **_indexes(inputs, "localSecondaryIndexes"),
        )  # fmt: skip
        _await_active(aws, table, inputs)
        self._settings(aws, table, {}, inputs)
        return table, {"name": table} | _outputs(aws, table, inputs)

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        for change in changes(outputs, inputs):
            aws.of("dynamodb", inputs).update_table(TableName=identity, **change)
            _await_active(aws, identity, inputs)
        self._settings(aws, identity, outputs, inputs)
        return _outputs(aws, identity, inputs)

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        aws.of("dynamodb", outputs).delete_table(TableName=identity)

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of("dynamodb", outputs).describe_table(TableName=identity)

    def _settings(self, aws: Aws, table: str, old: Properties, inputs: Properties) -> None:
        """What has operations of its own."""
        dynamodb = aws.of("dynamodb", inputs)
        expiry = inputs.get("ttl") or {}
        if expiry != (old.get("ttl") or {}):
            attribute = expiry.get("attributeName") or (old.get("ttl") or {})["attributeName"]
            dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification={
                "AttributeName": attribute, "Enabled": bool(expiry.get("enabled")),
            })  # fmt: skip
        backups = inputs.get("pointInTimeRecovery") or {}
        if backups != (old.get("pointInTimeRecovery") or {}):
            specification = {"PointInTimeRecoveryEnabled": bool(backups.get("enabled"))}
            if days := backups.get("recoveryPeriodInDays"):
                specification["RecoveryPeriodInDays"] = days
            dynamodb.update_continuous_backups(
                TableName=table, PointInTimeRecoverySpecification=specification
            )


def changes(old: Properties, new: Properties) -> list[Properties]:
    """Arguments of UpdateTable, which takes one kind of change at a time."""
    found = _index_changes(old, new)
    if _stream(old) != _stream(new):
        found += [{"StreamSpecification": {"StreamEnabled": False}}] if _stream(old) else []
        found += [{"StreamSpecification": _stream(new)}] if _stream(new) else []
    for name in ("deletionProtectionEnabled", "tableClass"):
        if old.get(name) != new.get(name) and name in new:
            found.append({name[0].upper() + name[1:]: new[name]})
    if _billing(old) != _billing(new):
        found.append(_billing(new))
    if _encryption(old) != _encryption(new):
        found.append({"SSESpecification": _encryption(new) or {"Enabled": False}})
    return found


def _shared(inputs: Properties) -> Properties:
    """What a table is made with beside its keys and indexes."""
    arguments: Properties = {
        "AttributeDefinitions": [
            {"AttributeName": attribute["name"], "AttributeType": attribute["type"]}
            for attribute in inputs.get("attributes", [])
        ],
        **_billing(inputs),
    }
    if stream := _stream(inputs):
        arguments["StreamSpecification"] = stream
    if encryption := _encryption(inputs):
        arguments["SSESpecification"] = encryption
    return arguments


def _stream(inputs: Properties) -> Properties:
    if not inputs.get("streamEnabled"):
        return {}
    return {"StreamEnabled": True, "StreamViewType": inputs["streamViewType"]}


def _billing(inputs: Properties) -> Properties:
    if inputs.get("billingMode") == "PAY_PER_REQUEST":
        return {"BillingMode": "PAY_PER_REQUEST"}
    throughput = {
        "ReadCapacityUnits": inputs.get("readCapacity", 1),
        "WriteCapacityUnits": inputs.get("writeCapacity", 1),
    }
    return {"BillingMode": "PROVISIONED", "ProvisionedThroughput": throughput}


def _encryption(inputs: Properties) -> Properties:
    wanted = inputs.get("serverSideEncryption") or {}
    if not wanted.get("enabled"):
        return {}
    key = {"KMSMasterKeyId": wanted["kmsKeyArn"]} if wanted.get("kmsKeyArn") else {}
    return {"Enabled": True, "SSEType": "KMS", **key}


def _keys(owner: Properties) -> list[Properties]:
    """The key of a table or an index, which has its own older and newer form."""
    if schemas := owner.get("keySchemas"):
        return [
            {"AttributeName": key["attributeName"], "KeyType": key["keyType"]} for key in schemas
        ]
    keys = (("hashKey", "HASH"), ("rangeKey", "RANGE"))
    return [
        {"AttributeName": owner[name], "KeyType": kind} for name, kind in keys if owner.get(name)
    ]


def _index(index: Properties) -> Properties:
    projection: Properties = {"ProjectionType": index["projectionType"]}
    if index.get("nonKeyAttributes"):
        projection["NonKeyAttributes"] = index["nonKeyAttributes"]
    return {"IndexName": index["name"], "KeySchema": _keys(index), "Projection": projection}


def _indexes(inputs: Properties, kind: str) -> Properties:
    indexes = [_index(index) for index in inputs.get(kind) or []]
    return {kind[0].upper() + kind[1:]: indexes} if indexes else {}


def _index_changes(outputs: Properties, inputs: Properties) -> list[Properties]:
    """Updates that remove and add indexes; a changed one is removed and added."""
    old = {index["name"]: index for index in outputs.get("globalSecondaryIndexes") or []}
    new = {index["name"]: index for index in inputs.get("globalSecondaryIndexes") or []}
    gone = [{"Delete": {"IndexName": name}} for name in old if new.get(name) != old[name]]
    added = [{"Create": _index(new[name])} for name in new if new[name] != old.get(name)]
    definitions = {"AttributeDefinitions": _shared(inputs)["AttributeDefinitions"]}
    return [
        {"GlobalSecondaryIndexUpdates": [change], **(definitions if "Create" in change else {})}
        for change in [*gone, *added]
    ]


def _await_active(aws: Aws, table: str, properties: Properties) -> None:
    dynamodb = aws.of("dynamodb", properties)

    def active() -> bool:
        described = dynamodb.describe_table(TableName=table)["Table"]
        indexes = described.get("GlobalSecondaryIndexes", [])
        states = [described["TableStatus"], *(index["IndexStatus"] for index in indexes)]
        return set(states) == {"ACTIVE"}

    wait_until(active, SECONDS)


def _outputs(aws: Aws, table: str, properties: Properties) -> Properties:
    described = aws.of("dynamodb", properties).describe_table(TableName=table)["Table"]
    return {
        "arn": described["TableArn"],
        "streamArn": described.get("LatestStreamArn", ""),
        "streamLabel": described.get("LatestStreamLabel", ""),
    }


HANDLERS: dict[str, Handler] = {"aws:dynamodb/table:Table": Table()}
