"""The AWS endpoints in memory: DynamoDB's answers and a user pool's keys, over HTTP.

It keeps nothing: each key that is asked for has a patient at that version, and each write succeeds.
What a request costs the function is thus the function's own, SDK and connection included.

`python -m benchmarks.stand_in` reads the keys from standard input and prints its port.
"""

import asyncio
import base64
import json
import sys
from functools import lru_cache
from typing import Any

from functions.shared.items import Version, item_of

UPDATED = "2026-01-31T12:00:00.000Z"
CONTROL = "control"
"""Name of the table that has nothing."""

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:oid:1.2.276.0.76.4.8", "value": "4711"}],
    "active": True,
    "name": [{"use": "official", "family": "Müller", "given": ["Anna", "Maria"]}],
    "telecom": [{"system": "phone", "value": "+49 30 1234567", "use": "home"}],
    "gender": "female",
    "birthDate": "1970-01-01",
    "address": [{"line": ["Hauptstraße 1"], "city": "Berlin", "postalCode": "10827"}],
}


class StandIn(asyncio.Protocol):
    """One kept connection."""

    def __init__(self, keys: bytes) -> None:
        self._keys, self._received = keys, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while True:
            head, end, rest = self._received.partition(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (x.partition(": ") for x in lines)}
            length = int(headers.get("content-length", 0))
            if not end or len(rest) < length:
                return
            self._received = rest[length:]
            self._answer(headers.get("x-amz-target", ""), rest[:length])

    def _answer(self, target: str, body: bytes) -> None:
        content = _answered(target.rpartition(".")[2], body) if target else self._keys
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {_TYPE}\r\nContent-Length: {len(content)}\r\n\r\n"
        self._transport.write(head.encode() + content)


_TYPE = "application/x-amz-json-1.0"


@lru_cache(maxsize=4096)
def _answered(operation: str, body: bytes) -> bytes:
    request = json.loads(body)
    answer: dict[str, Any] = {}
    if operation == "Query":
        pk = request["ExpressionAttributeValues"][":pk"]["S"]
        answer = {"Items": [_item(pk, 1)]}
    elif operation == "GetItem" and request["TableName"] != CONTROL:
        answer = {"Item": _item(request["Key"]["pk"]["S"], int(request["Key"]["version"]["N"]))}
    elif operation == "BatchGetItem":
        answer["Responses"] = {
            table: [_item(key["pk"]["S"], int(key["version"]["N"])) for key in asked["Keys"]]
            for table, asked in request["RequestItems"].items()
        }
    return json.dumps(answer, default=lambda value: base64.b64encode(value).decode()).encode()


def _item(pk: str, version: int) -> dict[str, Any]:
    kind, _, name = pk.partition("/")
    meta = {"versionId": str(version), "lastUpdated": UPDATED}
    body = json.dumps(PATIENT | {"resourceType": kind, "id": name, "meta": meta}).encode()
    return item_of(Version(pk, version, body, "subject-1", UPDATED, nonce="0" * 24))


async def _serve(keys: bytes) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: StandIn(keys), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(sys.stdin.buffer.read()))
