"""What all handlers share: clients of the local AWS, and what a handler is."""

import secrets
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from local.assets import Contents
from local.errors import LocalError
from local.handlers.shapes import request

Properties = dict[str, Any]
"""Inputs or outputs of a resource, under the provider's names."""

ABSENT = ("NotFound", "NoSuch", "NonExistent", "DoesNotExist", "404")


@dataclass
class Clients:
    """The local AWS and its keys; a client per service and region, made once. Safe for threads."""

    region: str
    account: str
    endpoint_url: str
    access_key: str
    secret_key: str
    search_url: str
    """Address of the search engine, which stands in for search domains."""
    edge_url: str
    """Address of the local edge, which stands in for the distribution."""
    _made: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def of(self, service: str, region: str | None = None) -> Any:
        """The boto3 client of a service, e.g. `s3`; in the stack's region unless told."""
        key = (service, region or self.region)
        with self._lock:
            if key not in self._made:
                self._made[key] = self._make(*key)
            return self._made[key]

    @cached_property
    def _session(self) -> Any:
        # Large: a provider plugin that makes nothing starts in half the time without it.
        import boto3

        return boto3.Session(self.access_key, self.secret_key)

    def _make(self, service: str, region: str) -> Any:
        from botocore.config import Config

        return self._session.client(
            service,
            region_name=region,
            endpoint_url=self.endpoint_url,
            # The machine's own AWS configuration must not reach in here.
            config=Config(
                max_pool_connections=50,
                s3={"addressing_style": "path"},
                connect_timeout=5,
                read_timeout=300,
                retries={"total_max_attempts": 1},
                ignore_configured_endpoint_urls=True,
            ),
        )


@dataclass
class Aws:
    """What a handler works with; one per resource."""

    clients: Clients
    contents: Contents
    notes: list[str] = field(default_factory=list)
    """What the user should know: settings that the local AWS keeps but doesn't enforce."""

    def of(self, service: str, properties: Properties | None = None) -> Any:
        """The client of a service, in the region that the resource itself asks for if any."""
        return self.clients.of(service, (properties or {}).get("region"))

    def call(
        self, service: str, operation: str, inputs: Properties, *, leave: Iterable[str] = (),
        rename: dict[str, str] | None = None, **arguments: Any,
    ) -> Properties:  # fmt: skip
        """Calls an operation with the inputs, and says so when it doesn't know one of them.

        `leave` names inputs that the handler treats otherwise, `rename` those that AWS's API calls
        differently than the provider, `arguments` what comes from elsewhere, in the API's form."""
        client = self.of(service, inputs)
        names = rename or {}
        wanted = {
            names.get(name, name): value
            for name, value in inputs.items()
            if value is not None and name != "region" and name not in leave
        }
        built, unknown = request(client, operation, wanted)
        self.notes += [f"{name}: no such setting here" for name in unknown]
        return getattr(client, operation)(**built | arguments)

    def arn(self, service: str, rest: str, properties: Properties | None = None) -> str:
        region = (properties or {}).get("region") or self.clients.region
        return f"arn:aws:{service}:{region}:{self.clients.account}:{rest}"

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


class Handler:
    """Makes resources of one type on the local AWS.

    A handler has no state: what it must know later is among the outputs."""

    fixed: frozenset[str] = frozenset()
    """Inputs that can't be changed in place."""
    delete_first = False
    """Replaced by deleting the old one first, because both would have one name or place."""
    anew_at_start = False
    """Made anew at every start, even when nothing changed."""
    described: tuple[str, ...] = ()
    """Inputs that `read` learns from AWS by the id alone, for an import."""

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        """Id and outputs; outputs that are inputs too may be left out."""
        raise NotImplementedError

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        """Changes it in place; returns the outputs that may have changed and aren't inputs.

        `outputs` hold the previous inputs too. Never called when every change replaces."""
        raise LocalError("can't be changed in place")

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        """Deletes it; the AWS error when it is already gone may pass."""
        raise NotImplementedError

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        """Asks for it: raises AWS's error, or returns None or something empty, when it is gone."""
        raise NotImplementedError

    def replaces(self, differences: set[str]) -> bool:
        """Whether a change of these inputs needs a new resource."""
        return bool(differences & self.fixed)

    def delete(self, aws: Aws, identity: str, outputs: Properties) -> None:
        """Deletes it; fine when it is already gone."""
        with absent_is_fine():
            self.remove(aws, identity, outputs)

    def read(self, aws: Aws, identity: str, outputs: Properties) -> Properties | None:
        """The outputs and inputs as they are now, or None when it is gone."""
        with absent_is_fine():
            if self.look(aws, identity, outputs):
                return outputs
        return None


class Put(Handler):
    """A resource that is put as a whole, and so changed by making it again."""

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        self.create(aws, "", inputs)
        return {}


class Anew(Handler):
    """A resource that every change replaces."""

    def replaces(self, differences: set[str]) -> bool:
        return True


@contextmanager
def absent_is_fine() -> Iterator[None]:
    """Passes over AWS's error for something that isn't there."""
    try:
        yield
    except ClientError as error:
        if not is_absent(error):
            raise


def is_absent(error: ClientError) -> bool:
    """Whether AWS says that there is no such thing."""
    return any(mark in error.response["Error"]["Code"] for mark in ABSENT)


def physical_name(
    name: str, inputs: Properties, *, given: str = "name", prefix: str = "namePrefix",
    longest: int = 64,
) -> str:  # fmt: skip
    """The name in AWS: the given one, or made up as the provider does: logical name and digits."""
    if inputs.get(given):
        return inputs[given]
    digits = secrets.token_hex(4)[:7]
    start = inputs.get(prefix) or f"{name}-"
    return start[: longest - len(digits)] + digits
