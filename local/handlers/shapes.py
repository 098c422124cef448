"""From the provider's properties to the parameters of an AWS operation.

Both are the same names in different dress (`kmsMasterKeyId`, `KMSMasterKeyID`), so that botocore's
own description of an operation tells how each property is spelled and of which type it is.
"""

from typing import Any

# Provider: a map. AWS: a list of pairs under these names.
PAIRS = ({"Key", "Value"}, {"Name", "Value"}, {"TagKey", "TagValue"})


def request(
    client: Any, operation: str, properties: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Parameters of a boto3 client's method, and the paths of properties that it doesn't know."""
    called = client.meta.method_to_api_mapping[operation]
    shape = client.meta.service_model.operation_model(called).input_shape
    unknown: list[str] = []
    return _fit(shape, properties, "", unknown), unknown


def _fit(shape: Any, value: Any, path: str, unknown: list[str]) -> Any:
    match shape.type_name:
        case "structure":
            return _structure(shape, value, path, unknown)
        case "list":
            return _list(shape, value, path, unknown)
        case "map":
            return {
                key: _fit(shape.value, item, f"{path}.{key}", unknown)
                for key, item in value.items()
            }
        case "integer" | "long":
            return int(value)
        case "float" | "double":
            return float(value)
        case "boolean":
            return value if isinstance(value, bool) else value == "true"
        case "string":
            return str(value).lower() if isinstance(value, bool) else str(value)
        case _:
            return value


def _structure(shape: Any, value: dict[str, Any], path: str, unknown: list[str]) -> dict[str, Any]:
    members = {_fold(name): name for name in shape.members}
    fitted: dict[str, Any] = {}
    for name, item in value.items():
        inner = f"{path}.{name}" if path else name
        folded = _fold(name)
        # The provider's plural of AWS's singular, the other way round, its `…Arn` of no suffix.
        spellings = (folded, f"{folded}s", folded.removesuffix("s"), folded.removesuffix("arn"))
        member = next((members[spelling] for spelling in spellings if spelling in members), None)
        if member is None:
            unknown.append(inner)
        elif item is not None:
            fitted[member] = _fit(shape.members[member], item, inner, unknown)
    return fitted


def _list(shape: Any, value: Any, path: str, unknown: list[str]) -> list[Any]:
    member = shape.member
    if isinstance(value, dict) and member.type_name == "structure":
        names = sorted(member.members)
        if set(names) in PAIRS:
            name, content = names  # in the alphabet, the key comes before the value
            return [{name: key, content: item} for key, item in value.items()]
    items = value if isinstance(value, list) else [value]
    return [_fit(member, item, path, unknown) for item in items]


def _fold(name: str) -> str:
    return name.lower().replace("_", "")
