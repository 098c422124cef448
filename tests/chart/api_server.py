"""A real Kubernetes API server over etcd, without nodes or controllers, on loopback ports."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from local.processes import Process, free_port
from tests.chart.rendering import Resource
from tools.go_programs import program

TOKEN = "only-for-tests"
READY_SECONDS = 120


@dataclass
class ApiServer:
    """Where it is and how to call it as administrator."""

    url: str
    certificate: Path
    _plurals: dict[tuple[str, str], tuple[str, bool]] = field(default_factory=dict)

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        return requests.request(
            method,
            f"{self.url}{path}",
            data=json.dumps(body) if body is not None else None,
            headers=headers | options.pop("headers", {}),
            verify=str(self.certificate),
            timeout=30,
            **options,
        )

    def apply(self, resource: Resource, **parameters: str) -> requests.Response:
        """Server-side apply, refusing fields that the server doesn't know."""
        return self.call(
            "PATCH",
            f"{self._collection(resource)}/{resource['metadata']['name']}",
            resource,
            headers={"Content-Type": "application/apply-patch+yaml"},
            params={"fieldManager": "tests", "fieldValidation": "Strict", **parameters},
        )

    def create(self, resource: Resource, **parameters: str) -> requests.Response:
        return self.call(
            "POST",
            self._collection(resource),
            resource,
            params={"fieldValidation": "Strict", **parameters},
        )

    def kubeconfig(self, path: Path) -> Path:
        cluster = {"server": self.url, "certificate-authority": str(self.certificate)}
        context = {"cluster": "test", "user": "test"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": context}],
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": TOKEN}}],
        }
        path.write_text(json.dumps(config), encoding="utf-8")
        return path

    def _collection(self, resource: Resource) -> str:
        version, kind = resource["apiVersion"], resource["kind"]
        root = f"/api/{version}" if version == "v1" else f"/apis/{version}"
        if (version, kind) not in self._plurals:
            for known in self.call("GET", root).json()["resources"]:
                if "/" not in known["name"]:
                    self._plurals[version, known["kind"]] = (known["name"], known["namespaced"])
        plural, namespaced = self._plurals[version, kind]
        namespace = resource["metadata"].get("namespace", "default")
        return f"{root}/namespaces/{namespace}/{plural}" if namespaced else f"{root}/{plural}"


@contextmanager
def running(folder: Path) -> Iterator[ApiServer]:
    """The server, ready, until the block ends. Logs and data are in the folder."""
    store = f"http://127.0.0.1:{free_port()}"
    etcd = _start("etcd", folder, _etcd(folder, store, f"http://127.0.0.1:{free_port()}"))
    try:
        port = free_port()
        api = _start("kube-apiserver", folder, _api_server(folder, store, port))
        server = ApiServer(f"https://127.0.0.1:{port}", folder / "apiserver.crt")
        try:
            assert api.await_ready(lambda: _ready(server), READY_SECONDS), api.last_lines()
            yield server
        finally:
            api.stop(10)
    finally:
        etcd.stop(10)


def _ready(server: ApiServer) -> bool:
    try:
        return server.certificate.exists() and server.call("GET", "/readyz").ok
    except requests.ConnectionError:
        return False


def _start(name: str, folder: Path, options: list[str]) -> Process:
    command = [str(program(name)), *options]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    return Process.start(name, command, folder / f"{name}.log", environment, folder)


def _etcd(folder: Path, store: str, peer: str) -> list[str]:
    return [
        f"--data-dir={folder / 'etcd'}",
        "--unsafe-no-fsync",
        f"--listen-client-urls={store}",
        f"--advertise-client-urls={store}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
    ]


def _api_server(folder: Path, store: str, port: int) -> list[str]:
    (folder / "tokens.csv").write_text(f"{TOKEN},admin,admin,system:masters\n", encoding="utf-8")
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (folder / "accounts.key").write_bytes(pem)
    return [
        f"--etcd-servers={store}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder}",
        "--endpoint-reconciler-type=none",
        "--service-cluster-ip-range=10.100.0.0/16",
        "--authorization-mode=RBAC",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder / 'accounts.key'}",
        f"--service-account-signing-key-file={folder / 'accounts.key'}",
        # No controller makes the accounts that pods name.
        "--disable-admission-plugins=ServiceAccount",
    ]
