"""The AWS of the functions in process: moto, safe for threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def emulated() -> Iterator[pytest.MonkeyPatch]:
    """moto, for as long as the block runs, and a patch that ends with it.

    It takes one call after the other: by itself a transaction fails at times, since moto copies
    tables for it that another thread is just writing to.
    """
    from moto import mock_aws
    from moto.core.botocore_stubber import BotocoreStubber

    answer, turn = BotocoreStubber.__call__, threading.RLock()

    def in_turn(stubber: BotocoreStubber, event_name: str, request: Any, **more: Any) -> Any:
        with turn:
            return answer(stubber, event_name, request, **more)

    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setattr(BotocoreStubber, "__call__", in_turn)
        yield patch
