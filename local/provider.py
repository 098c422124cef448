"""A Pulumi provider plugin: the real engine deploys to the local AWS instead of to an account.

Resources are made by the handlers of `make local`; those that have none, and all of them when
there is no local AWS, are recorded: they keep their inputs and get plausible outputs. The second
is enough for the preview of any stack without credentials:

    python -m local.provider install /tmp/recorded
    PULUMI_HOME=/tmp/recorded pulumi preview --stack dev

The first puts plugins for all packages that the program uses into a Pulumi home of its own. With
the state directory of a platform that runs, they deploy to that one:

    python -m local.provider install /tmp/made .local
"""

import contextlib
import importlib
import secrets
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from botocore.exceptions import BotoCoreError, ClientError
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, plugin_pb2, provider_pb2_grpc
from pulumi.runtime.proto import provider_pb2 as messages

from local import eks_cluster, plugins, recorded, wire
from local.assets import Contents
from local.errors import LocalError
from local.files import StateDirectory
from local.handlers import HANDLERS
from local.handlers.base import Aws, Clients, Handler, Properties
from local.invokes import invoke
from local.servers import running
from local.state import changed

THREADS = 32  # the engine asks for as many resources at once as it may
LARGEST_MESSAGE_BYTES = 1 << 28
NEEDS_NO_CLOUD = "random:"


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """Serves one package. The engine holds all state; here is none but what was already said."""

    def __init__(self, package: str, clients: Clients, contents: Contents, engine: str) -> None:
        """`clients` without an address: nothing is made. `engine` is where its log is."""
        with contextlib.suppress(ImportError):
            importlib.import_module(f"pulumi_{package}")  # declares the outputs of its types
        self._version = plugins.version(package)
        self._clients = clients
        self._contents = contents
        self._log = engine_pb2_grpc.EngineStub(grpc.insecure_channel(engine))
        self._said: set[str] = set()

    def Handshake(self, request: Any, context: Any) -> Any:
        return messages.ProviderHandshakeResponse(accept_secrets=True)

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=self._version)

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return messages.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        same = wire.plain(request.old_inputs) == wire.plain(request.news)
        kinds = messages.DiffResponse
        return messages.DiffResponse(changes=kinds.DIFF_NONE if same else kinds.DIFF_SOME)

    def Configure(self, request: Any, context: Any) -> Any:
        return messages.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Check(self, request: Any, context: Any) -> Any:
        return messages.CheckResponse(inputs=request.news)

    def Diff(self, request: Any, context: Any) -> Any:
        old, new = wire.plain(request.old_inputs), wire.plain(request.news)
        return difference(request.type, old, new)

    def Create(self, request: Any, context: Any) -> Any:
        if request.preview:
            return messages.CreateResponse(properties=request.properties)
        handler = self._handler(request)
        with told(context):
            inputs = wire.plain(request.properties, self._contents if handler else None)
            if handler:
                aws = Aws(self._clients, self._contents)
                identity, outputs = handler.create(aws, request.name, inputs)
                self._say(request, *(f"{request.type}: {note}" for note in aws.notes))
            else:
                # A resource that takes another's place has the same URN, but is another one.
                urn = f"{request.urn}#{secrets.token_hex(4)}"
                places = (self._clients.region, self._clients.account)
                identity, outputs = recorded.realise(
                    urn, request.type, request.name, inputs, *places
                )
                self._say(request, self._reason(request.type))
        properties = wire.answer(request.properties, outputs)
        return messages.CreateResponse(id=identity, properties=properties)

    def Update(self, request: Any, context: Any) -> Any:
        computed = {
            name: value for name, value in request.olds.items() if name not in request.old_inputs
        }
        properties = Struct()
        properties.update({**computed, **dict(request.news.items())})
        handler = None if request.preview else self._handler(request)
        if handler:
            outputs = wire.plain(request.olds)
            aws = Aws(self._clients, self._contents)
            with told(context):
                inputs = wire.plain(request.news, self._contents)
                made = handler.update(aws, request.id, outputs, inputs)
            self._say(request, *(f"{request.type}: {note}" for note in aws.notes))
            properties = wire.answer(properties, made)
        return messages.UpdateResponse(properties=properties)

    def Read(self, request: Any, context: Any) -> Any:
        """For refresh, and without inputs for import. An answer without id: there is none."""
        handler = self._handler(request)
        if handler is None:
            return messages.ReadResponse(
                id=request.id, properties=request.properties, inputs=request.inputs
            )
        known = wire.plain(request.properties)
        with told(context):
            found = handler.read(Aws(self._clients, self._contents), request.id, known)
        if found is None:
            return messages.ReadResponse()
        still, inputs = Struct(), Struct()
        still.update({k: v for k, v in request.properties.items() if k in found})
        properties = wire.answer(still, found)
        # An output may stand in for an input: only what is another one now has drifted.
        drifted = {name for name in changed(known, found) if name in request.inputs}
        inputs.update({k: v for k, v in request.inputs.items() if k not in drifted})
        seen = drifted if known else set(handler.described)
        inputs.update({name: properties[name] for name in seen & found.keys()})
        return messages.ReadResponse(id=request.id, properties=properties, inputs=inputs)

    def Delete(self, request: Any, context: Any) -> Any:
        handler = self._handler(request)
        if handler:
            aws = Aws(self._clients, self._contents)
            with told(context):
                handler.delete(aws, request.id, wire.plain(request.properties))
        return Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        answer = Struct()
        with told(context):
            answer.update(invoke(self._clients, request.tok, wire.plain(request.args)))
        response = messages.InvokeResponse()
        getattr(response, "return").CopyFrom(answer)
        return response

    def Construct(self, request: Any, context: Any) -> Any:
        with told(context):
            return eks_cluster.construct(request)

    def Cancel(self, request: Any, context: Any) -> Any:
        return Empty()

    def _handler(self, request: Any) -> Handler | None:
        """What makes resources of the type; None when they are only recorded."""
        made = bool(self._clients.endpoint_url) or request.type.startswith(NEEDS_NO_CLOUD)
        return HANDLERS.get(request.type) if made else None

    def _reason(self, type_: str) -> str:
        if not self._clients.endpoint_url:
            return "There is no local AWS: resources are only recorded."
        return f"{type_}: only recorded, since there is {recorded.reason(type_)}"

    def _say(self, request: Any, *messages_: str) -> None:
        """Tells the user, once."""
        for message in messages_:
            if message not in self._said:
                self._said.add(message)
                self._log.Log(
                    engine_pb2.LogRequest(
                        severity=engine_pb2.INFO, message=message, urn=request.urn
                    )
                )


def difference(type_: str, old: Properties, new: Properties) -> Any:
    """What has changed among the inputs, and whether it takes a new resource.

    Of types without handler it isn't known what does: they are shown as changed in place."""
    names = changed(old, new)
    if not names:
        return messages.DiffResponse(changes=messages.DiffResponse.DIFF_NONE)
    handler = HANDLERS.get(type_)
    replacing = names if handler and handler.replaces(names) else set()
    if handler and replacing and names & handler.fixed:
        replacing = names & handler.fixed
    return messages.DiffResponse(
        changes=messages.DiffResponse.DIFF_SOME,
        diffs=sorted(names),
        replaces=sorted(replacing),
        deleteBeforeReplace=bool(replacing and handler and handler.delete_first),
    )


@contextlib.contextmanager
def told(context: Any) -> Iterator[None]:
    """Tells the engine what failed, in the words of the one who refused it."""
    try:
        yield
    except (LocalError, OSError, BotoCoreError, ClientError) as error:
        context.abort(grpc.StatusCode.INTERNAL, str(error))


def serve(package: str, settings: Path, engine: str) -> None:
    """Returns when the engine closes our standard input, at the latest when it ends."""
    server = grpc.server(
        ThreadPoolExecutor(THREADS),
        options=[("grpc.max_receive_message_length", LARGEST_MESSAGE_BYTES)],
    )
    clients, contents = plugins.read(settings)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(
        Provider(package, clients, contents, engine), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    with contextlib.suppress(KeyboardInterrupt):  # its other way to end us
        sys.stdin.buffer.read()
    server.stop(grace=None)


if __name__ == "__main__":
    try:
        match sys.argv[1:]:
            case ["install", home]:
                plugins.install(Path(home))
            case ["install", home, state]:
                plugins.install(Path(home), running(StateDirectory(Path(state).resolve())))
            case ["serve", package, settings, engine]:
                serve(package, Path(settings), engine)
            case _:
                sys.exit(__doc__)
    except LocalError as error:
        sys.exit(str(error))
