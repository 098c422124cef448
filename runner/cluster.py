"""The runner's part of the Kubernetes API: disks, Jobs and their pods in one namespace."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from .jobs import CHALLENGE, LABEL, MODEL, Manifest

CONFLICT, GONE = 409, 404
REQUEST_SECONDS = 30
LOG_BYTES = 10_000


class Cluster:
    """Answers are plain JSON: what is judged is what the server said."""

    def __init__(self, api: client.ApiClient, namespace: str, challenge: str) -> None:
        self._core, self._batch = client.CoreV1Api(api), client.BatchV1Api(api)
        self._namespace, self._challenge = namespace, challenge

    def make(self, manifest: Manifest) -> None:
        """Makes a disk or a Job; one of that name that is there is the same."""
        create = {
            "Job": self._batch.create_namespaced_job,
            "PersistentVolumeClaim": self._core.create_namespaced_persistent_volume_claim,
        }[manifest["kind"]]
        try:
            create(
                self._namespace,
                manifest,
                field_validation="Strict",
                _preload_content=False,
                _request_timeout=REQUEST_SECONDS,
            )
        except ApiException as error:
            if error.status != CONFLICT:
                raise

    def disks(self) -> Sequence[Manifest]:
        """Those of the challenge."""
        return self._list(
            self._core.list_namespaced_persistent_volume_claim, f"{CHALLENGE}={self._challenge}"
        )

    def jobs(self, submission_id: int) -> Sequence[Manifest]:
        return self._list(self._batch.list_namespaced_job, self._selector(submission_id))

    def pods(self, submission_id: int) -> Sequence[Manifest]:
        """Of all its Jobs."""
        return self._list(self._core.list_namespaced_pod, self._selector(submission_id))

    def printed(self, pod: str) -> str:
        """The end of what a model printed; "" when there is nothing left of it."""
        try:
            answer: Any = self._core.read_namespaced_pod_log(
                pod,
                self._namespace,
                container=MODEL,
                limit_bytes=100 * LOG_BYTES,
                _preload_content=False,
                _request_timeout=REQUEST_SECONDS,
            )
        except ApiException:
            return ""
        return answer.data[-LOG_BYTES:].decode("utf-8", "replace")

    def remove(self, submission_id: int) -> None:
        """Ends what is left of a submission: its Jobs with their pods, and the disk."""
        selector = self._selector(submission_id)
        options: dict[str, Any] = {"label_selector": selector, "_request_timeout": REQUEST_SECONDS}
        self._batch.delete_collection_namespaced_job(
            self._namespace, propagation_policy="Background", _preload_content=False, **options
        )
        self._core.delete_collection_namespaced_persistent_volume_claim(
            self._namespace, _preload_content=False, **options
        )

    def _selector(self, submission_id: int) -> str:
        return f"{CHALLENGE}={self._challenge},{LABEL}={submission_id}"

    def _list(self, call: Any, selector: str) -> Sequence[Manifest]:
        answer = call(
            self._namespace,
            label_selector=selector,
            _preload_content=False,
            _request_timeout=REQUEST_SECONDS,
        )
        return json.loads(answer.data)["items"]
