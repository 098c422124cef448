"""The engine's side of a Pulumi program, as far as one machine needs it.

Takes the registrations of a program and realises each through its handler: created, updated,
replaced or left as it is by comparing inputs with those of the last run.
"""

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pulumi
from google.protobuf import empty_pb2
from pulumi.runtime import mocks, rpc
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.sync_await import _ensure_event_loop, _sync_await

from local import recorded
from local.assets import Contents
from local.errors import LocalError
from local.handlers import HANDLERS
from local.handlers.base import Aws, Clients, Handler
from local.invokes import invoke
from local.state import Entry, Resources, changed

STACK = "pulumi:pulumi:Stack"


@dataclass(frozen=True)
class Event:
    """What happened to one resource."""

    action: str
    """created, updated, replaced, reused, recorded or deleted."""
    type: str
    name: str
    seconds: float
    notes: list[str]
    reason: str = ""


class Deployment:
    """Brings the resources of a program about, one registration at a time, from many threads."""

    def __init__(
        self, clients: Clients, resources: Resources, contents: Contents,
        show: Callable[[Event], None],
    ) -> None:  # fmt: skip
        self._clients = clients
        self._resources = resources
        self._contents = contents
        self._show = show
        self._registered: set[str] = set()
        self._lock = threading.Lock()
        self.failure: Exception | None = None

    def stop(self) -> None:
        """Lets calls that are under way end, and starts no more."""
        self.failure = self.failure or LocalError("The deployment was interrupted.")

    def register(self, urn: str, type_: str, name: str, raw: Any) -> Entry:
        """Makes a resource. Raises LocalError when that fails."""
        with self._lock:
            if self.failure is not None:
                raise LocalError("stopped")
            if urn in self._registered:
                self.failure = LocalError(f"Two resources have the URN {urn}.")
                raise self.failure
            self._registered.add(urn)
        started = time.monotonic()
        try:
            inputs = self._contents.plain(raw)
            entry, action = self._realise(urn, type_, name, inputs)
        except Exception as error:
            self.failure = self.failure or LocalError(f"{type_} {name!r}: {error}")
            raise
        self._resources.put(urn, entry)
        reason = recorded.reason(type_) if entry.recorded else ""
        seconds = time.monotonic() - started
        self._show(Event(action, type_, name, seconds, entry.notes, reason))
        return entry

    def _realise(
        self, urn: str, type_: str, name: str, inputs: dict[str, Any]
    ) -> tuple[Entry, str]:
        known = self._resources.get(urn)
        handler = HANDLERS.get(type_)
        if handler is None:
            identity, outputs = recorded.realise(
                urn, type_, name, inputs, self._clients.region, self._clients.account
            )
            order = known.order if known else 0
            return Entry(type_, name, identity, inputs, outputs, True, [], order), "recorded"
        aws = Aws(self._clients, self._contents)
        if known is None or known.recorded:
            identity, outputs = handler.create(aws, name, inputs)
            action = "created"
        else:
            differences = changed(known.inputs, inputs)
            if not differences and not handler.anew_at_start:
                return known, "reused"
            if handler.anew_at_start or handler.replaces(differences):
                identity, outputs = self._replace(aws, handler, known, inputs)
                action = "replaced" if differences else "reused"
            else:
                identity = known.id
                outputs = known.outputs | handler.update(aws, known.id, known.outputs, inputs)
                entry = Entry(
                    type_, name, identity, inputs, {**outputs, **inputs}, False, aws.notes,
                    known.order,
                )  # fmt: skip
                return entry, "updated"
        return Entry(type_, name, identity, inputs, {**inputs, **outputs}, False, aws.notes), action

    def _replace(
        self, aws: Aws, handler: Handler, known: Entry, inputs: dict[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        if handler.delete_first:
            handler.delete(aws, known.id, known.outputs)
            return handler.create(aws, known.name, inputs)
        created = handler.create(aws, known.name, inputs)
        self._resources.condemn(known)
        return created

    def delete_outdated(self) -> None:
        """Deletes what was replaced or is no longer in the program, users before what they use."""
        for entry in self._resources.outdated(self._registered):
            started = time.monotonic()
            handler = HANDLERS.get(entry.type)
            if handler is not None and not entry.recorded:
                try:
                    handler.delete(Aws(self._clients, self._contents), entry.id, entry.outputs)
                except Exception as error:
                    raise LocalError(f"{entry.type} {entry.name!r}: {error}") from error
            self._resources.remove(entry)
            seconds = time.monotonic() - started
            self._show(Event("deleted", entry.type, entry.name, seconds, []))
        self._contents.clean(self._resources.contents())


class Monitor(mocks.MockMonitor):
    """Speaks the resource monitor's protocol in this process, without an engine."""

    def __init__(self, deployment: Deployment, clients: Clients, contents: Contents) -> None:
        # The base class asks `mocks` in methods that are all overridden here.
        super().__init__(mocks=None)  # type: ignore[arg-type]
        self._deployment = deployment
        self._clients = clients
        self._contents = contents
        self.outputs: dict[str, Any] = {}

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """As the engine: the types of all ancestors but the stack, joined by `$`."""
        ancestry = parent.split("::")[2] if parent else ""
        if ancestry and ancestry != STACK:
            type_ = f"{ancestry}${type_}"
        project, stack = pulumi.get_project(), pulumi.get_stack()
        return f"urn:pulumi:{stack}::{project}::{type_}::{name}"

    def RegisterResource(self, request: Any) -> Any:
        urn = self.make_urn(request.parent, request.type, request.name)
        if not request.custom:
            return resource_pb2.RegisterResourceResponse(urn=urn)
        _ensure_event_loop()
        inputs = rpc.deserialize_properties(request.object)
        if request.type.startswith("pulumi:providers:"):
            identity, outputs = str(uuid.uuid5(uuid.NAMESPACE_URL, urn)), inputs
        else:
            entry = self._deployment.register(urn, request.type, request.name, inputs)
            identity, outputs = entry.id, _as_sent(entry, inputs)
        self.resources[urn] = mocks.MockMonitor.ResourceRegistration(urn, identity, outputs)
        properties = _sync_await(rpc.serialize_properties(outputs, {}))
        return resource_pb2.RegisterResourceResponse(urn=urn, id=identity, object=properties)

    def RegisterResourceOutputs(self, request: Any) -> Any:
        if request.urn.split("::")[2] == STACK:
            _ensure_event_loop()
            self.outputs = self._contents.plain(rpc.deserialize_properties(request.outputs))
        return empty_pb2.Empty()

    def ReadResource(self, request: Any) -> Any:
        raise LocalError(
            f"{request.type} {request.name!r} is looked up, not made: not possible here"
        )

    def Invoke(self, request: Any) -> Any:
        _ensure_event_loop()
        arguments = self._contents.plain(rpc.deserialize_properties(request.args))
        try:
            result = invoke(self._clients, request.tok, arguments)
        except Exception as error:
            self._deployment.failure = self._deployment.failure or LocalError(
                f"{request.tok}: {error}"
            )
            raise
        properties = _sync_await(rpc.serialize_properties(result, {}))
        answer = resource_pb2.ResourceInvokeResponse()
        getattr(answer, "return").CopyFrom(properties)
        return answer


def _as_sent(entry: Entry, inputs: dict[str, Any]) -> dict[str, Any]:
    """The outputs, with inputs among them as they were sent: archives as such, secrets marked."""
    unchanged = {
        name: value
        for name, value in inputs.items()
        if entry.outputs.get(name) == entry.inputs.get(name)
    }
    return entry.outputs | unchanged
