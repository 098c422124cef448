"""Runs `__main__.py` on this machine: the stack's configuration, and the monitor as its engine.

A process of its own does so, `python -m local.program STATE`, since what a program loads takes
200 MB. It says what it did in lines of JSON: an event each, then the outputs or an error.
"""

import asyncio
import contextvars
import json
import logging
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
from google.protobuf import empty_pb2
from pulumi.runtime import mocks, settings
from pulumi.runtime.config import set_all_config
from pulumi.runtime.stack import run_in_stack

from local import servers
from local.assets import Contents
from local.configuration import PROJECT, STACK, stack_config
from local.errors import LocalError
from local.files import REPOSITORY, StateDirectory
from local.monitor import Deployment, Event, Monitor
from local.servers import Settings
from local.state import Resources


def deploy(state: StateDirectory, show: Callable[[Event], None]) -> dict[str, Any]:
    """Brings about what the program asks for; the stack's outputs. Raises LocalError."""
    command = [sys.executable, "-m", "local.program", str(state.root.resolve())]
    # In a session of its own, so that Ctrl-C reaches it once: through us.
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout
        try:
            for line in process.stdout:
                match json.loads(line):
                    case {"event": event}:
                        show(Event(**event))
                    case {"error": error}:
                        raise LocalError(error)
                    case {"outputs": outputs}:
                        return outputs
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            raise
    raise LocalError(f"The program ended with status {process.returncode}: see above.")


def main(state: StateDirectory) -> None:
    """Deploys for another process, which reads what is printed and interrupts by SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    told, sys.stdout = sys.stdout, sys.stderr  # the program itself may print, too

    def tell(**message: Any) -> None:
        told.write(json.dumps(message) + "\n")
        told.flush()

    try:
        tell(outputs=_deploy(state, lambda event: tell(event=vars(event))))
    except LocalError as error:
        tell(error=str(error))
    except KeyboardInterrupt:
        sys.exit(130)


def _deploy(state: StateDirectory, show: Callable[[Event], None]) -> dict[str, Any]:
    clients, contents = servers.clients(Settings(state)), Contents(state.archives)
    deployment = Deployment(clients, Resources(state.resources), contents, show)
    monitor = Monitor(deployment, clients, contents)
    try:
        contextvars.copy_context().run(_run, monitor)
    except KeyboardInterrupt:
        deployment.stop()
        raise
    except pulumi.RunError as error:
        raise LocalError(str(error)) from error
    except Exception as error:
        # What the program sees is often a consequence; the deployment knows what came first.
        failure = deployment.failure
        if failure is None:
            raise
        raise failure from error
    deployment.delete_outdated()
    return monitor.outputs


def _run(monitor: Monitor) -> None:
    """One evaluation of the program, as Pulumi's own entry point does it."""
    os.environ.setdefault("PULUMI_ERROR_OUTPUT_STRING", "true")
    # The engine's log is what the monitor shows; Pulumi's own would say each failure again.
    logger = logging.getLogger("pulumi.local")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    settings.ROOT.set(None)  # run_in_stack makes it
    settings.configure(
        mocks.MockSettings(
            monitor=monitor,
            monitor_features=set(monitor.GetDeploymentInfo(empty_pb2.Empty()).supportedFeatures),
            engine=mocks.MockEngine(logger),
            project=PROJECT,
            stack=STACK,
            dry_run=False,
            organization=None,
            callbacks=None,
        )
    )
    set_all_config(stack_config(STACK))
    if str(REPOSITORY) not in sys.path:
        sys.path.insert(0, str(REPOSITORY))

    def program() -> None:
        runpy.run_path(str(REPOSITORY / "__main__.py"), run_name="__main__")

    async def main() -> None:
        # What depends on a resource that failed fails too; the first failure is what counts.
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        await run_in_stack(program)

    asyncio.run(main())


if __name__ == "__main__":
    main(StateDirectory(Path(sys.argv[1])))
