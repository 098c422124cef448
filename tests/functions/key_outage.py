"""A key of KMS that can't be used, as the services that need it tell.

AWS's answers replace moto's on the wire, so that botocore reads them: DynamoDB names KMS in the
message alone, S3 in the code, KMS itself has `DisabledException`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from botocore.awsrequest import AWSResponse

KEY = "arn:aws:kms:eu-central-1:111122223333:key/secret"
_KMS = "com.amazonaws.services.kms.model"
_AWSKMS = "(Service: AWSKMS; Status Code: 400; Error Code: {}; Request ID: r; Proxy: null)"

DENIED = json.dumps(
    {
        "__type": "com.amazon.coral.service#AccessDeniedException",
        "Message": f"KMS key access denied error: {_KMS}.AWSKMSException: The ciphertext refers to"
        " a customer master key that does not exist, does not exist in this region, or you are not"
        f" allowed to access. {_AWSKMS.format('AccessDeniedException')}",
    }
)
DISABLED = json.dumps(
    {
        "__type": "com.amazon.coral.validate#ValidationException",
        "message": f"KMS validation error: {_KMS}.DisabledException: {KEY} is disabled."
        f" {_AWSKMS.format('DisabledException')}",
    }
)
DISABLED_IN_S3 = (
    "<?xml version='1.0' encoding='UTF-8'?><Error><Code>KMS.DisabledException</Code>"
    f"<Message>{KEY} is disabled.</Message><RequestId>r</RequestId></Error>"
)
DISABLED_IN_KMS = json.dumps({"__type": "DisabledException", "message": f"{KEY} is disabled."})


class _Body:
    """What botocore reads of an answer."""

    def __init__(self, content: str) -> None:
        self._content = content.encode()

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self._content


@contextmanager
def answering(client: Any, text: str, *operations: str) -> Iterator[list[str]]:
    """Has a client's calls (all of them, if none is named) answered 400 with that text.

    Which ones were, in their order.
    """
    asked: list[str] = []

    def answer(request: Any, event_name: str, **_: Any) -> AWSResponse:
        asked.append(event_name.rpartition(".")[2])
        request.url = "https://nowhere.test/"  # moto would carry it out all the same
        headers: Mapping[str, str] = {"x-amzn-requestid": "r"}
        return AWSResponse(request.url, 400, headers, _Body(text))

    service = client.meta.service_model.service_id.hyphenize()
    events = [f"before-send.{service}{'.' + name if name else ''}" for name in operations or ("",)]
    for event in events:
        client.meta.events.register_first(event, answer)
    try:
        yield asked
    finally:
        for event in events:
            client.meta.events.unregister(event, answer)
