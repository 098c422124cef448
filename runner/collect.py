"""What a model wrote, handed in to be scored.

The folder is hostile: links may lead from it to a host's token, and pipes to nowhere.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO


class NoOutputError(Exception):
    """Nothing that can be handed in; the message is for the participant."""


def opened(folder: Path, name: str, max_bytes: int) -> IO[bytes]:
    """The output, open for reading. NoOutputError when it isn't a plain file of a decent size."""
    try:
        # Not a link, and without waiting for whoever writes to a pipe.
        descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        raise NoOutputError(f"The model didn't write a file {name} to $SUBMISSION_PATH.") from None
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        os.close(descriptor)
        raise NoOutputError(f"{name} is no plain file.")
    if not 0 < found.st_size <= max_bytes:
        os.close(descriptor)
        raise NoOutputError(f"{name} has {found.st_size} bytes; from 1 to {max_bytes} are taken.")
    return os.fdopen(descriptor, "rb")
