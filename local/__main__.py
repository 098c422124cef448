"""Command line of the local platform: `python -m local up | down | status | demo`."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from local import lock, processes
from local.errors import LocalError
from local.files import REPOSITORY, StateDirectory, read_json
from local.progress import console, warn
from local.supervisor import Platform, end_leftovers, running

STOPPED = 3  # exit code of `status`, as systemd's and LSB's tools have it
DOWN_SECONDS = 120


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    state = StateDirectory(Path(options.state).resolve())
    try:
        match options.command:
            case "up" if options.detach:
                return up_detached(state, options.fresh)
            case "up":
                return up(state, options.fresh, demo=not options.no_demo)
            case "down":
                return down(state)
            case "status":
                return status(state, options.json)
            case _:
                return demo(state)
    except LocalError as error:
        console.print(f"[red]Error:[/] {error}", markup=True)
        return 1
    except KeyboardInterrupt:
        return 130


def up(state: StateDirectory, fresh: bool, *, demo: bool) -> int:
    """Start, show the demo, stay until Ctrl-C or SIGTERM."""
    with lock.hold(state.lock):
        if fresh:
            end_leftovers(state)
            state.clear()
        state.prepare()
        signal.signal(signal.SIGTERM, _interrupt)
        platform = Platform(state)
        failed = 0
        try:
            platform.start()
            _show(platform, state)
            if demo:
                failed = _demo(platform.stack)
            console.print("Ctrl-C stops the platform; its data stay." if demo else "Ready.")
            platform.watch()
        except KeyboardInterrupt:
            console.print("\nStopping …")
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGINT, _wait)
            platform.stop()
        return 1 if failed else 0


def up_detached(state: StateDirectory, fresh: bool) -> int:
    """Start in the background; returns when the platform is ready or has failed."""
    if pid := running(state):
        raise lock.Held(state.lock, pid)
    state.prepare()
    log = state.logs / "platform.log"
    command = [sys.executable, "-m", "local", "up", "--no-demo", "--state", str(state.root)]
    with log.open("w") as output:
        child = subprocess.Popen(
            [*command, "--fresh"] if fresh else command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=REPOSITORY,
            start_new_session=True,
        )
    try:
        with log.open() as text:
            while not (_is_ready(state, child.pid) or child.poll() is not None):
                console.print(text.read(), end="", markup=False)
                time.sleep(processes.POLL_SECONDS)
            console.print(text.read(), end="", markup=False)
    except KeyboardInterrupt:
        child.terminate()
        child.wait()
        raise
    return child.poll() or 0


def down(state: StateDirectory) -> int:
    """Stop the platform, or what a killed one left behind."""
    pid = running(state)
    if pid is None:
        if state.run.exists():
            end_leftovers(state)
        else:
            console.print("Nothing is running.")
        return 0
    os.kill(pid, signal.SIGTERM)
    # It lets go of the lock a moment before it ends.
    if not processes.wait_until(lambda: processes.started_at(pid) is None, DOWN_SECONDS):
        raise LocalError(f"Process {pid} doesn't end: see {state.logs}.")
    if state.run.exists():
        raise LocalError(
            "Stopped, but what is new since the start may be lost: not all data could be saved."
            f" Is the disk full? See {state.logs}."
        )
    console.print("Stopped.")
    return 0


def status(state: StateDirectory, as_json: bool) -> int:
    """What is running, where, and how much memory it takes."""
    found = _status(state)
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        for name, value in found.items():
            console.print(f"{name:<14} {value}", markup=False)
    return 0 if found["state"] == "running" else STOPPED


def demo(state: StateDirectory) -> int:
    """Run the demo against the platform that is running."""
    stack = read_json(state.stack)
    if stack is None or running(state) is None:
        raise LocalError("The platform isn't running: `make up` starts it.")
    return 1 if _demo(stack) else 0


def _demo(stack: dict[str, Any]) -> int:
    from local import demo  # its libraries take a while to load

    return demo.run(stack)


def _status(state: StateDirectory) -> dict[str, Any]:
    pid = running(state)
    stack = read_json(state.stack)
    if pid is None:
        return {"state": "stopped", "state_directory": str(state.root)}
    if stack is None:
        return {"state": "starting", "state_directory": str(state.root), "pid": pid}
    groups = [stack["pids"]["aws"], stack["pids"]["search"], os.getpgid(pid)]
    return {
        "state": "running",
        "state_directory": str(state.root),
        "pid": pid,
        "api_url": stack["api_url"],
        "portal_url": stack["portal_url"],
        "aws_endpoint_url": stack["aws_endpoint_url"],
        "search_url": stack["search_url"],
        "memory_mb": round(sum(map(processes.resident_bytes, groups)) / 1e6),
        "resources": read_json(state.report, {}).get("actions", {}),
    }


def _show(platform: Platform, state: StateDirectory) -> None:
    """What was made, what was only recorded and why, and where things are."""
    found = read_json(state.report)
    made = sum(found["made"].values())
    console.print(f"\n[bold]{made} resources[/] in the local AWS ({_listed(found['actions'])})")
    console.print(f"  {_short(found['made'])}", markup=False)
    for reason, types in found["recorded"].items():
        console.print(f"[bold]{sum(types.values())} only recorded[/]: {reason}")
        console.print(f"  {_short(types)}", markup=False)
    for note in found["notes"]:
        warn(note)
    console.print(f"\nready after {platform.ready_seconds:.1f} s")
    for name in ("api_url", "portal_url", "aws_endpoint_url", "search_url"):
        console.print(f"  {name:<17} {platform.stack[name]}", markup=False)
    console.print(f"  users, key, ids   {state.stack}\n", markup=False)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {action}" for action, count in sorted(counts.items()))


def _short(types: dict[str, int]) -> str:
    """Types without their modules: `aws:s3/bucket:Bucket` is `s3.Bucket`."""
    names = (
        (f"{t.split(':')[1].split('/')[0]}.{t.rpartition(':')[2]}", n) for t, n in types.items()
    )
    return ", ".join(f"{name} ×{count}" if count > 1 else name for name, count in names)


def _is_ready(state: StateDirectory, pid: int) -> bool:
    stack = read_json(state.stack)
    return stack is not None and stack["pids"]["platform"] == pid


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _wait(number: int, frame: FrameType | None) -> None:
    console.print("Saving the data; a moment …")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description="The platform, here.")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--state",
        default=str(REPOSITORY / ".local"),
        metavar="DIR",
        help="where data, logs and stack.json are (default: .local)",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("up", parents=[shared], help="start the platform, run the demo")
    start.add_argument("--detach", action="store_true", help="in the background, without the demo")
    start.add_argument("--fresh", action="store_true", help="forget all data first")
    start.add_argument("--no-demo", action="store_true", help="don't run the demo")
    commands.add_parser("down", parents=[shared], help="stop the platform")
    state = commands.add_parser("status", parents=[shared], help="say what is running")
    state.add_argument("--json", action="store_true", help="for programs")
    commands.add_parser("demo", parents=[shared], help="run the demo on the running platform")
    return parser


if __name__ == "__main__":
    sys.exit(main())
