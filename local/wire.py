"""Properties as the engine and a provider exchange them: JSON, with marks for what JSON lacks."""

from typing import Any

import pulumi
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime import rpc

from local.assets import Contents
from local.handlers.base import Properties

MARK = rpc._special_sig_key


def plain(properties: Struct, contents: Contents | None = None) -> Properties:
    """Properties as handlers take them: secrets in clear, whole numbers as such, assets and
    archives by the engine's digest. What those contain is kept when a place for it is given."""
    return _plain(json_format.MessageToDict(properties), contents)


def answer(sent: Struct, made: Properties) -> Struct:
    """Outputs: what was sent, with its marks, and what was made of it where that differs."""
    properties = Struct()
    properties.CopyFrom(sent)
    known = plain(sent)
    properties.update({name: value for name, value in made.items() if known.get(name) != value})
    return properties


def _plain(value: Any, contents: Contents | None) -> Any:
    if isinstance(value, list):
        return [_plain(item, contents) for item in value]
    if not isinstance(value, dict):
        # Numbers come over the wire as floating point.
        return int(value) if isinstance(value, float) and value.is_integer() else value
    match value.get(MARK):
        case rpc._special_secret_sig:
            return _plain(value["value"], contents)
        case rpc._special_asset_sig | rpc._special_archive_sig as mark:
            if contents:
                contents.keep_as(value["hash"], _content(value))
            return {"asset" if mark == rpc._special_asset_sig else "archive": value["hash"]}
    return {name: _plain(item, contents) for name, item in value.items()}


def _content(value: dict[str, Any]) -> pulumi.Asset | pulumi.Archive:
    if value[MARK] == rpc._special_asset_sig:
        return pulumi.FileAsset(value["path"]) if value.get("path") else _text(value)
    if value.get("path"):
        return pulumi.FileArchive(value["path"])
    items = value.get("assets", {}).items()
    return pulumi.AssetArchive({name: _content(item) for name, item in items})


def _text(value: dict[str, Any]) -> pulumi.Asset:
    return pulumi.StringAsset(value.get("text", ""))
