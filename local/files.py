"""Where the local platform keeps its files, and how it writes them."""

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.errors import LocalError

REPOSITORY = Path(__file__).resolve().parents[1]
NEEDED_BYTES = 1_000_000_000  # servers unpacked, a little data, room to save it


def cache_directory() -> Path:
    """Downloads and what is made from them; shared by all checkouts of this user."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).expanduser() / "ai4h"


@dataclass(frozen=True)
class StateDirectory:
    """The files of one local platform, by default `.local` in the checkout."""

    root: Path

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def stack(self) -> Path:
        """The contract for tools and tests; exists while the platform is ready."""
        return self.root / "stack.json"

    @property
    def resources(self) -> Path:
        return self.root / "state.json"

    @property
    def users(self) -> Path:
        return self.root / "users.json"

    @property
    def report(self) -> Path:
        return self.root / "report.json"

    @property
    def run(self) -> Path:
        """What must be known of a running platform even if its supervisor dies."""
        return self.root / "run.json"

    @property
    def settings(self) -> Path:
        """Ports and keys that stay the same from start to start."""
        return self.root / "settings.json"

    @property
    def saved(self) -> Path:
        """`resources` as it was when the local AWS last wrote its data: the two belong together."""
        return self.root / "data" / "state.json"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def archives(self) -> Path:
        return self.root / "archives"

    def data(self, server: str) -> Path:
        return self.root / "data" / server

    def scratch(self, server: str) -> Path:
        return self.root / "tmp" / server

    def prepare(self) -> None:
        """Makes the folders. Raises LocalError when they can't be written or space is short."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self.root.chmod(0o700)
            for folder in (self.logs, self.archives, self.root / "data", self.root / "tmp"):
                folder.mkdir(exist_ok=True)
        except OSError as error:
            raise LocalError(f"Can't write to {self.root}: {error.strerror}.") from error
        free = shutil.disk_usage(self.root).free
        if free < NEEDED_BYTES:
            raise LocalError(
                f"{self.root} has {free / 1e9:.1f} GB left; the platform needs"
                f" {NEEDED_BYTES / 1e9:.0f} GB. Make room or name another place: --state DIR."
            )

    def clear(self) -> None:
        """Forgets all data; the lock, which is held, and the logs stay."""
        for entry in self.root.iterdir():
            if entry not in (self.lock, self.logs):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def write_json(path: Path, value: Any, mode: int = 0o600) -> None:
    """Replaces the file in one step, so that no reader and no crash sees half of it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_json(path: Path, absent: Any = None) -> Any:
    """The file's value, or `absent` when there is none. Raises LocalError when it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return absent
    except (ValueError, UnicodeDecodeError) as error:
        raise LocalError(
            f"{path} is damaged ({error}). `python -m local up --fresh` starts empty."
        ) from error


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
