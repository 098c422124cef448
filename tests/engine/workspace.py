"""The real engine on this machine: `pulumi` with our providers, its state in a folder.

Most programs run in this process, through Pulumi's Automation API; projects of their own are run
with commands, as users do.
"""

import gc
import json
import os
import runpy
import shlex
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pulumi import automation
from pulumi.automation.events import EngineEvent

from local.handlers.base import Clients
from local.plugins import NOTHING_MADE, add, install

ROOT = Path(__file__).resolve().parents[2]
LANGUAGE_HOST = Path(__file__).with_name("language_host.py")
PROJECT = "ai4h-mvp"
PASSPHRASE = "of the tests only"
UNCHANGED = "same"
PROVIDERS = "pulumi:providers:"

# The engine starts it in the project's folder.
HOST = """\
#!/bin/sh
exec .venv/bin/python -P {host} "$@"
"""

Program = Callable[[], None]


def environment(home: Path, pulumi: Path) -> dict[str, str]:
    """What the engine sees: a Pulumi home, and the backend and programs of its own in there.

    No command is cut off, so the state is written once per command instead of at each step."""
    backend, programs = home / "backend", home / "bin"
    for folder in (backend, programs):
        folder.mkdir(parents=True)
    (programs / "pulumi").symlink_to(pulumi)
    return {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PULUMI_HOME": str(home),
        "PULUMI_BACKEND_URL": f"file://{backend}",
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_EXPERIMENTAL": "true",
        "PULUMI_SKIP_CHECKPOINTS": "true",
        "NO_COLOR": "1",
    }


def environment_of_projects(home: Path, pulumi: Path) -> dict[str, str]:
    """The same, for projects on the disk, each with a .venv."""
    settings = environment(home, pulumi)
    script = HOST.format(host=shlex.quote(str(LANGUAGE_HOST)))
    add_program(home / "bin" / "pulumi-language-python", script)
    return settings


def add_program(path: Path, script: str) -> None:
    """A script in a folder on the engine's PATH."""
    path.write_text(script)
    path.chmod(0o700)


def platform() -> None:
    """The program of this repository."""
    runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")


@dataclass
class Course:
    """What one command of the engine did."""

    steps: list[tuple[str, str]] = field(default_factory=list)
    """Operation and URN, in order; not those of what stays the same, nor of providers."""
    unchanged: int = 0
    diffs: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By URN, the properties that differ."""
    messages: list[str] = field(default_factory=list)
    seconds: float = 0

    def note(self, event: EngineEvent) -> None:
        if event.diagnostic_event:
            self.messages.append(event.diagnostic_event.message)
        if event.resource_pre_event is None:
            return
        step = event.resource_pre_event.metadata
        if step.type.startswith(PROVIDERS):
            return
        if step.op.value == UNCHANGED:
            self.unchanged += 1
        else:
            self.steps.append((step.op.value, step.urn))
            self.diffs[step.urn] |= set(step.diffs or [])

    def of(self, *operations: str) -> list[str]:
        """URNs of the steps with one of these operations, in order."""
        return [urn for operation, urn in self.steps if operation in operations]

    @property
    def operations(self) -> set[str]:
        return {operation for operation, _ in self.steps}


class Stack:
    """A stack, and what each command does to it. All raise CommandError with the engine's text."""

    def __init__(self, stack: automation.Stack, folder: Path, backend: Path) -> None:
        self._stack = stack
        self._folder = folder
        self._backend = backend

    @contextmanager
    def configured(self, **values: Any) -> Iterator[None]:
        """With other values in the stack's configuration file."""
        file = self._folder / f"Pulumi.{self._stack.name}.yaml"
        before = file.read_text()
        settings = yaml.safe_load(before)
        settings["config"] |= {f"{PROJECT}:{key}": value for key, value in values.items()}
        file.write_text(yaml.safe_dump(settings))
        yield
        file.write_text(before)

    def preview(self, program: Program | None = None, **options: Any) -> Course:
        return _course(self._stack.preview, program=program, **options)

    def up(self, program: Program | None = None, **options: Any) -> Course:
        return _course(self._stack.up, program=program, **options)

    def refresh(self) -> Course:
        return _course(self._stack.refresh)

    def destroy(self) -> Course:
        return _course(self._stack.destroy)

    def outputs(self) -> dict[str, Any]:
        return {name: output.value for name, output in self._stack.outputs().items()}

    def resources(self) -> list[dict[str, Any]]:
        """What the state holds, secrets in clear."""
        deployment = self._stack.export_stack().deployment
        return (deployment or {}).get("resources", [])

    def load(self, exported: dict[str, Any]) -> None:
        self._stack.import_stack(automation.Deployment(**exported))

    def unprotect(self) -> None:
        """As `pulumi state unprotect --all`."""
        deployment = self._stack.export_stack()
        for resource in (deployment.deployment or {}).get("resources", []):
            resource.pop("protect", None)
        self._stack.import_stack(deployment)

    def written(self) -> bytes:
        """All that the engine has written to its backend: state, history and backups."""
        files = (path for path in self._backend.rglob("*") if path.is_file())
        return b"\n".join(path.read_bytes() for path in files)


def _course(command: Callable[..., Any], **options: Any) -> Course:
    course, started = Course(), time.monotonic()
    gc.disable()  # over the SDK's many classes, collections would take half of the program's time
    try:
        command(on_event=course.note, **options)
    finally:
        gc.enable()
    course.seconds = time.monotonic() - started
    return course


class Workspace:
    """A Pulumi home with our plugins, and a backend of its own."""

    def __init__(self, folder: Path, pulumi: Path, clients: Clients = NOTHING_MADE) -> None:
        self._folder = folder
        self._home = home = folder / "home"
        install(home, clients)
        self._environment = environment(home, pulumi)
        self.programs = home / "bin"
        """A folder on the engine's PATH."""
        self._backend = home / "backend"
        self._command = automation.PulumiCommand(str(home), skip_version_check=True)

    def project(self, stack: str) -> Stack:
        """A stack of this repository's program, with its configuration to change at will."""
        folder = self._folder / stack
        folder.mkdir()
        for name in ("Pulumi.yaml", f"Pulumi.{stack}.yaml"):
            shutil.copy(ROOT / name, folder)
        return self._stack(PROJECT, stack, platform, folder)

    def program(self, project: str, program: Program, state: Path | None = None) -> Stack:
        """A stack of a small program of the tests; `state` is what `pulumi stack export` gave."""
        folder = self._folder / project
        folder.mkdir()
        settings = automation.ProjectSettings(project, "python")
        stack = self._stack(project, "test", program, folder, project_settings=settings)
        if state:
            exported = json.loads(state.read_text())
            for resource in exported["deployment"]["resources"]:
                if resource["type"].startswith(PROVIDERS):
                    package = resource["type"].removeprefix(PROVIDERS)
                    add(self._home, package, resource["inputs"]["version"])
            stack.load(exported)
        return stack

    def _stack(
        self, project: str, name: str, program: Program, folder: Path, **settings: Any
    ) -> Stack:
        options = automation.LocalWorkspaceOptions(
            pulumi_command=self._command,
            env_vars=self._environment,
            secrets_provider="passphrase",
            work_dir=str(folder),
            **settings,
        )
        made = automation.create_stack(name, project, program, opts=options)
        return Stack(made, folder, self._backend)
