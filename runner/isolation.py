"""Whether a pod's network is closed: every way out that a model might try, tried.

Before each model, and as `helm test` in a pod that is labelled like one.
"""

from __future__ import annotations

import os
import secrets
import socket
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_SECONDS = 2.0
RETRY_SECONDS = 1.0
INTERNET = ("1.1.1.1", 443)
METADATA = ("169.254.169.254", 80)
POD_IDENTITY = ("169.254.170.23", 80)
RESOLVERS = Path("/etc/resolv.conf")
DNS_PORT = 53


@dataclass(frozen=True)
class Way:
    """A way out, and how to try it: True when something answered."""

    name: str
    is_open: Callable[[], bool]


def ways(environment: Mapping[str, str], resolvers: Path = RESOLVERS) -> Sequence[Way]:
    """Those of a pod: the internet, the machine's and the cluster's credentials, the Kubernetes
    API, and names, by which data leave in questions."""
    api = (
        environment.get("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc"),
        int(environment.get("KUBERNETES_SERVICE_PORT_HTTPS", "443")),
    )
    servers = [
        (line.split()[1], DNS_PORT)
        for line in resolvers.read_text(encoding="utf-8").splitlines()
        if line.startswith("nameserver ")
    ]
    direct = {"internet": INTERNET, "instance metadata": METADATA, "pod identity": POD_IDENTITY}
    return [
        *(connection(name, address) for name, address in direct.items()),
        connection("Kubernetes API", api),
        *(connection(f"DNS server {server[0]} by TCP", server) for server in servers),
        *(question(f"DNS server {server[0]} by UDP", server) for server in servers),
        question("DNS server of the internet by UDP", (INTERNET[0], DNS_PORT)),
    ]


def connection(name: str, address: tuple[str, int]) -> Way:
    """By TCP. A refused connection is open, too: the packet went there and back."""

    def is_open() -> bool:
        try:
            socket.create_connection(address, TIMEOUT_SECONDS).close()
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return True

    return Way(name, is_open)


def question(name: str, server: tuple[str, int]) -> Way:
    """By DNS: a name that nobody has asked for, as a tunnel would do it. Any answer is open."""

    def is_open() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.settimeout(TIMEOUT_SECONDS)
            try:
                line.connect(server)
                line.send(_query(f"{secrets.token_hex(16)}.example.org"))
                line.recv(512)
            except ConnectionRefusedError:
                return True
            except OSError:
                return False
        return True

    return Way(name, is_open)


def open_ways(tried: Sequence[Way]) -> Sequence[str]:
    """Names of the ways that are open; all are tried at once."""
    with ThreadPoolExecutor(len(tried)) as pool:
        found = list(pool.map(lambda way: way.is_open(), tried))
    return [way.name for way, is_open in zip(tried, found, strict=True) if is_open]


def await_closed(tried: Sequence[Way], seconds: float) -> Sequence[str]:
    """Tries until all are closed; the names of those that are still open after so many seconds.

    Policies take hold a moment after a pod has begun, and stay.
    """
    end = time.monotonic() + seconds
    while (found := open_ways(tried)) and time.monotonic() < end:
        time.sleep(RETRY_SECONDS)
    return found


def credentials(root: Path = Path("/var/run/secrets")) -> Sequence[str]:
    """Names of credentials that a pod has been given, as files or in its environment."""
    files = (
        [str(path) for path in sorted(root.rglob("*")) if path.is_file()] if root.exists() else []
    )
    names = [name for name in sorted(os.environ) if name.startswith("AWS_")]
    return [*files, *names]


def _query(name: str) -> bytes:
    """A question for the address of a name. RFC 1035, 4.1."""
    header = struct.pack(">HHHHHH", secrets.randbits(16), 0x0100, 1, 0, 0, 0)
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return header + labels + b"\0" + struct.pack(">HH", 1, 1)
