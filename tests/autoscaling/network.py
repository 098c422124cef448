"""A network namespace with nothing but loopback: Karpenter opens its ports on all interfaces."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NEW_NETWORK = 0x40000000  # CLONE_NEWNET, of sched.h
CURRENT = Path("/proc/thread-self/ns/net")


class NoNamespaceError(RuntimeError):
    """This machine or this user can't have one; the text says why."""


@contextmanager
def own_network() -> Iterator[None]:
    """This thread, and what it starts, in a network of its own until the block ends."""
    if not sys.platform.startswith("linux"):
        raise NoNamespaceError("network namespaces are Linux's")
    kernel = ctypes.CDLL(None, use_errno=True)
    with CURRENT.open() as before:
        if kernel.unshare(NEW_NETWORK):
            reason = os.strerror(ctypes.get_errno())
            raise NoNamespaceError(f"no network namespace to be had, which takes root: {reason}")
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            yield
        finally:
            kernel.setns(before.fileno(), NEW_NETWORK)
