"""The local platform: its servers started, the program deployed, all of it stopped again."""

import contextlib
import os
import shutil
import time
from collections import Counter
from typing import Any

import urllib3

from local import downloads, lock, processes, program, servers, users
from local.edge import EdgeServer, Origins
from local.errors import LocalError
from local.files import StateDirectory, read_json, write_json
from local.handlers.base import Clients
from local.monitor import Event
from local.progress import step, warn
from local.servers import Aws, Search, Settings
from local.state import Resources

READY_SECONDS = 120
DRAIN_SECONDS = 15
STOP_SECONDS = 60
WATCH_SECONDS = 1.0
API_KEY = "portal"
MAPPING = "aws:lambda/eventSourceMapping:EventSourceMapping"
REST_API = "aws:apigateway/restApi:RestApi"
STAGE = "aws:apigateway/stage:Stage"


class Platform:
    """One platform in a state directory whose lock the caller holds.

    `start` until it is ready, `watch` while it runs, `stop` in any case.
    """

    def __init__(self, state: StateDirectory) -> None:
        self._state = state
        self._aws: Aws | None = None
        self._search: Search | None = None
        self._edge: EdgeServer | None = None
        self._deploying = False
        self.stack: dict[str, Any] = {}

    def start(self) -> None:
        """Raises LocalError when something fails; `stop` then ends what runs."""
        started = time.monotonic()
        end_leftovers(self._state)
        self._restore()
        _fetch()
        settings = Settings(self._state)
        with step("start the local AWS and the search engine"):
            aws, search = self._start_servers(settings)
        self._start_edge(settings)
        events, outputs = self._deploy()
        clients, resources = servers.clients(settings), Resources(self._state.resources)
        with step("create the demo users"):
            people = users.ensure(clients, resources, self._state.users)
        self._save(aws)
        if self._edge:
            self._edge.start(Origins(clients, resources))
        self.stack = description(aws, search, clients, resources, outputs, people)
        write_json(self._state.stack, self.stack)
        write_json(self._state.report, report(events))
        self.ready_seconds = time.monotonic() - started

    def watch(self) -> None:
        """Returns never; raises LocalError when a server has ended by itself."""
        while True:
            for server in (self._aws, self._search):
                if server and not server.process.running:
                    raise LocalError(
                        f"{server.process.name} ended unexpectedly. The end of"
                        f" {server.process.log}:\n{server.process.last_lines()}"
                    )
            time.sleep(WATCH_SECONDS)

    def stop(self) -> None:
        """Ends everything in order, so that the next start finds all data.

        If not all could be saved, what the next start reads of this one stays: it says so then."""
        self._state.stack.unlink(missing_ok=True)
        saved = True
        if self._edge:
            self._edge.stop()
        if self._aws:
            drained = self._deploying or servers.drain(self._aws.url, DRAIN_SECONDS) == 0
            if not drained:
                warn("The stop cut off some work: functions', or the search index's.")
            saved = self._aws.stop()
            if saved and not self._deploying:
                _copy(self._state.resources, self._state.saved)
        if self._search:
            self._search.stop()
        if saved:
            self._state.run.unlink(missing_ok=True)
        else:
            warn("The local AWS couldn't save all data: what is new since its start may be lost.")
        shutil.rmtree(self._state.root / "tmp", ignore_errors=True)

    def _start_servers(self, settings: Settings) -> tuple[Aws, Search]:
        """Both at once: the search engine takes longer, and the port of each is known at once."""
        self._search = Search(self._state, settings)
        self._aws = Aws(self._state, settings)
        self._note()

        def another_aws() -> Aws:
            self._aws = Aws(self._state, settings)
            return self._aws

        def another_search() -> Search:
            self._search = Search(self._state, settings)
            return self._search

        servers.await_ready(self._aws, another_aws, READY_SECONDS)
        servers.await_ready(self._search, another_search, READY_SECONDS)
        self._note()
        return self._aws, self._search

    def _start_edge(self, settings: Settings) -> None:
        for _ in range(servers.ATTEMPTS):
            try:
                self._edge = EdgeServer(settings.port("edge"))
            except OSError:
                continue
            return
        raise LocalError("No port on 127.0.0.1 could be had for the edge.")

    def _note(self) -> None:
        """Writes down what runs, so that it can be ended even if this process is killed."""
        running = {
            server.process.name: {
                "pid": server.process.pid,
                "started": processes.started_at(server.process.pid),
            }
            for server in (self._aws, self._search)
            if server
        }
        address = self._aws.url if self._aws else ""
        write_json(
            self._state.run,
            {"processes": running, "aws_url": address, "deploying": self._deploying},
        )

    def _deploy(self) -> tuple[list[Event], dict[str, Any]]:
        events: list[Event] = []
        self._deploying = True
        self._note()
        with step("deploy the program") as detail:

            def show(event: Event) -> None:
                events.append(event)
                detail(f"{len(events)} resources, {event.name} {event.action}")

            outputs = program.deploy(self._state, show)
        return events, outputs

    def _save(self, aws: Aws) -> None:
        aws.save()
        _copy(self._state.resources, self._state.saved)
        self._deploying = False
        self._note()

    def _restore(self) -> None:
        """What was made, as of the last time that the local AWS wrote its data."""
        if self._state.saved.exists():
            _copy(self._state.saved, self._state.resources)
        else:
            self._state.resources.unlink(missing_ok=True)
            shutil.rmtree(self._state.data("aws"), ignore_errors=True)


def end_leftovers(state: StateDirectory) -> None:
    """Ends servers whose platform was killed, and says what that means for the data."""
    left = read_json(state.run)
    if left is None:
        return
    state.stack.unlink(missing_ok=True)
    alive = {
        name: process["pid"]
        for name, process in left["processes"].items()
        if process["started"] and processes.started_at(process["pid"]) == process["started"]
    }
    saved = False
    if left["aws_url"] and "aws" in alive:
        servers.drain(left["aws_url"], DRAIN_SECONDS)
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            saved = not servers.save(left["aws_url"])
    ended = {name: processes.end_group(pid, STOP_SECONDS) for name, pid in alive.items()}
    if saved and ended["aws"] and not left["deploying"]:
        _copy(state.resources, state.saved)
        warn("The last run was killed; its servers were still there and saved their data.")
    else:
        warn("The last run couldn't save its data: what was stored after its start may be lost.")
    state.run.unlink()


def report(events: list[Event]) -> dict[str, Any]:
    """What a start did: resources by action and type, and what the local AWS doesn't enforce."""
    return {
        "actions": dict(Counter(event.action for event in events)),
        "made": dict(sorted(Counter(e.type for e in events if e.action != "recorded").items())),
        "recorded": {
            reason: dict(sorted(Counter(e.type for e in events if e.reason == reason).items()))
            for reason in sorted({event.reason for event in events if event.reason})
        },
        "notes": sorted({f"{event.type}: {note}" for event in events for note in event.notes}),
    }


def description(
    aws: Aws,
    search: Search,
    clients: Clients,
    resources: Resources,
    outputs: dict[str, Any],
    people: users.Users,
) -> dict[str, Any]:
    """What tools and tests need to know: the content of `stack.json`."""
    (api,), (stage,) = resources.of_type(REST_API), resources.of_type(STAGE)
    return {
        "region": clients.region,
        "aws_endpoint_url": aws.url,
        "search_url": search.url,
        "portal_url": outputs["portal_url"],
        "api_url": f"{aws.url}/_aws/execute-api/{api.id}/{stage.inputs['stageName']}",
        "api_key": outputs["api_keys"][API_KEY],
        "user_pool_id": outputs["user_pool_id"],
        "issuer": outputs["issuer"],
        "cli_client_id": outputs["cli_client_id"],
        "browser_client_id": outputs["browser_client_id"],
        "users": people,
        "outputs": outputs,
        "pids": {"aws": aws.process.pid, "search": search.process.pid, "platform": os.getpid()},
    }


def _fetch() -> None:
    """Everything that is downloaded or built once, each with its own line if it takes a while."""
    for title, get in (
        ("Java runtime", downloads.java),
        (f"OpenSearch {downloads.OPENSEARCH}", downloads.opensearch),
        ("MiniStack, the local AWS", downloads.aws_python),
    ):
        with step(title):
            get()


def _copy(source: Any, target: Any) -> None:
    if source.exists():
        write_json(target, read_json(source))


def running(state: StateDirectory) -> int | None:
    """The process that runs the platform; None when none does."""
    return lock.holder(state.lock)
