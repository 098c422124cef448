"""Server processes: each leads a process group of its own, so that all it starts ends with it."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local.errors import LocalError

POLL_SECONDS = 0.05


def free_port(wanted: int | None = None) -> int:
    """A loopback port nobody listens on: the wanted one if possible."""
    for port in (wanted, 0):
        if port is not None:
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
                return probe.getsockname()[1]
    raise LocalError("No free port on 127.0.0.1.")


def started_at(pid: int) -> str | None:
    """When a process started, as `ps` tells it (Linux and macOS); None when there is none.

    A process id alone doesn't say who it is: ids are used again."""
    found = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True, text=True, env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
    )  # fmt: skip
    state, _, start = found.stdout.strip().partition(" ")
    return start.strip() if state and not state.startswith("Z") else None


def resident_bytes(group: int) -> int:
    """Memory in use by all processes of a group."""
    listed = subprocess.run(["ps", "-A", "-o", "pgid=,rss="], capture_output=True, text=True)
    rows = (line.split() for line in listed.stdout.splitlines())
    return sum(int(row[1]) * 1024 for row in rows if len(row) == 2 and row[0] == str(group))


def end_group(pid: int, seconds: float) -> bool:
    """Asks a group's leader to end, then ends whatever is left of the group.

    Returns whether the leader ended by itself within the time."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    orderly = wait_until(lambda: started_at(pid) is None, seconds, every=0.2)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    return orderly


def wait_until(done: Callable[[], bool], seconds: float, every: float = POLL_SECONDS) -> bool:
    """Polls until done or the time is over; says which."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


@dataclass
class Process:
    """A server started by us."""

    name: str
    log: Path
    popen: subprocess.Popen[bytes] = field(repr=False)

    @classmethod
    def start(
        cls, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str],
        directory: Path, user: str | None = None,
    ) -> "Process":  # fmt: skip
        """Raises LocalError when the command can't be run."""
        with log.open("ab") as output:
            try:
                popen = subprocess.Popen(
                    list(command), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                    env=dict(environment), cwd=directory, start_new_session=True, user=user,
                    extra_groups=[] if user else None,
                )  # fmt: skip
            except OSError as error:
                raise LocalError(f"Can't start {name}: {error}") from error
        return cls(name, log, popen)

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def running(self) -> bool:
        return self.popen.poll() is None

    def await_ready(self, ready: Callable[[], bool], seconds: float) -> bool:
        """True once ready, False when the process ended first. Raises LocalError on time-out."""
        if not wait_until(lambda: not self.running or ready(), seconds):
            raise LocalError(f"{self.name} isn't ready after {seconds:.0f} s: see {self.log}")
        return self.running

    def stop(self, seconds: float) -> bool:
        """Ends it and all it started; whether it ended in order."""
        if self.running:
            self.popen.send_signal(signal.SIGTERM)
        try:
            orderly = self.popen.wait(seconds) in (0, 143, -signal.SIGTERM)
        except subprocess.TimeoutExpired:
            orderly = False
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait()
        return orderly

    def last_lines(self, count: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])
