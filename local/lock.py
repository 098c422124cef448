"""One platform per state directory: a lock that the kernel lets go when its holder dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from local.errors import LocalError


class Held(LocalError):
    """Another process has the lock."""

    def __init__(self, path: Path, pid: int | None) -> None:
        self.pid = pid
        super().__init__(
            f"Already running from {path.parent}" + (f" (process {pid})" if pid else "") + ". "
            "`python -m local status` shows it, `python -m local down` stops it;"
            " --state DIR keeps a second one apart."
        )


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Holds the lock, its file naming this process. Raises Held at once when taken."""
    with _opened(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Held(path, _pid(file)) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


@contextmanager
def wait(path: Path) -> Iterator[None]:
    """Holds the lock, waiting for it as long as it takes."""
    with _opened(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def holder(path: Path) -> int | None:
    """The process that has the lock; None when it is free, whatever the file says."""
    if not path.exists():
        return None
    with _opened(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return _pid(file) or 0
        return None


def _opened(path: Path) -> IO[str]:
    # Append mode makes the file if need be and never empties one that another process wrote.
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a+", encoding="ascii")
    except OSError as error:
        raise LocalError(f"Can't write to {path.parent}: {error.strerror}.") from error


def _pid(file: IO[str]) -> int | None:
    file.seek(0)
    text = file.read().strip()
    return int(text) if text.isdigit() else None
