"""What a submission becomes in Kubernetes: a disk, and three Jobs that use it one after another.

`fetch` fills the disk with the datasets, `model` runs the participant's image over them, `collect`
hands in what it wrote. Network policies hold for whole pods, so what may use the network and what
may not are different pods, and the disk is all that they share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from .messages import Submission
from .settings import COLLECT_SECONDS, Settings

Manifest = dict[str, Any]
LABEL, STEP, CHALLENGE = "evalai/submission", "evalai/step", "evalai/challenge"
MODEL = "model"
"""Name of the container with the participant's image."""
USER = 10001
CONFIG = "/etc/runner/settings.json"
DISK = "/data"
DATASETS, OUTPUT = "datasets", "output"
"""Folders on the disk. A model reads the one and writes the other."""
TOKEN = "/var/run/secrets/evalai/token"  # noqa: S105 (a path)
CONFIG_VOLUME: Mapping[str, Any] = {"name": "config", "mountPath": "/etc/runner", "readOnly": True}
# Taken away by a machine that goes: once more. Anything else would only fail again.
TRIES_AFTER_DISRUPTION = 1


class Step(StrEnum):
    """In the order in which they run."""

    FETCH = "fetch"
    MODEL = "model"
    COLLECT = "collect"


def name(settings: Settings, submission_id: int) -> str:
    """Of the disk; Jobs add their step. The same for each try, so that nothing runs twice."""
    return f"{settings.challenge}-{submission_id}"


def job_name(settings: Settings, submission_id: int, step: Step) -> str:
    return f"{name(settings, submission_id)}-{step}"


def seconds(settings: Settings, step: Step) -> int:
    """Longest run of a step's containers, without the wait for a machine and images."""
    return {
        Step.FETCH: settings.fetch_seconds,
        Step.MODEL: settings.max_seconds,
        Step.COLLECT: COLLECT_SECONDS,
    }[step]


def disk(settings: Settings, submission: Submission) -> Manifest:
    """The claim of the disk, encrypted as its storage class says."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": name(settings, submission.id),
            "namespace": settings.namespace,
            "labels": labels(settings, submission.id),
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": settings.storage_class,
            "resources": {"requests": {"storage": settings.volume_size}},
        },
    }


def job(settings: Settings, submission: Submission, step: Step) -> Manifest:
    """The Job of one step."""
    marks = {**labels(settings, submission.id), STEP: str(step)}
    # The backstop, for when no runner is there to end it in time.
    deadline = 2 * (seconds(settings, step) + 2 * settings.start_seconds)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(settings, submission.id, step),
            "namespace": settings.namespace,
            "labels": marks,
        },
        "spec": {
            "backoffLimit": TRIES_AFTER_DISRUPTION,
            "activeDeadlineSeconds": deadline,
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "Count",
                        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                    },
                    {"action": "FailJob", "onExitCodes": {"operator": "NotIn", "values": [0]}},
                ]
            },
            "template": {
                "metadata": {
                    "labels": marks,
                    # What has begun isn't moved to a cheaper machine.
                    "annotations": {"karpenter.sh/do-not-disrupt": "true"},
                },
                "spec": {
                    **_pod(settings, step),
                    **_STEPS[step](settings, submission),
                },
            },
        },
    }


def labels(settings: Settings, submission_id: int) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "evalai",
        "app.kubernetes.io/instance": settings.release,
        "app.kubernetes.io/component": "submission",
        CHALLENGE: settings.challenge,
        LABEL: str(submission_id),
    }


def _pod(settings: Settings, step: Step) -> Manifest:
    """What all steps have in common: no API, no privileges, and the machines of the challenge."""
    accounts = {Step.FETCH: f"fetch-{settings.challenge}"}
    return {
        "serviceAccountName": f"{settings.release}-{accounts.get(step, 'model')}",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 10,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "nodeSelector": dict(settings.node_selector),
        "tolerations": [dict(toleration) for toleration in settings.tolerations],
    }


def _fetch(settings: Settings, submission: Submission) -> Manifest:
    mounts = [{"name": "disk", "mountPath": DISK}, CONFIG_VOLUME]
    return {
        "containers": [_trusted(settings, "fetch", ["fetch"], mounts)],
        "volumes": [_claim(settings, submission), _config(settings)],
    }


def _model(settings: Settings, submission: Submission) -> Manifest:
    """The participant's image. It starts only when a probe has found the network closed: policies
    take hold of a pod a moment after it has begun."""
    temporary = settings.resources["limits"]["ephemeral-storage"]
    model = {
        "name": MODEL,
        "image": submission.image,
        "imagePullPolicy": "IfNotPresent",
        "env": [
            {"name": "DATASET_PATH", "value": "/dataset"},
            {"name": "SUBMISSION_PATH", "value": "/submission"},
            {"name": "CHALLENGE_PK", "value": str(settings.challenge_id)},
            {"name": "PHASE_PK", "value": str(submission.phase_id)},
            {"name": "HOME", "value": "/tmp"},  # noqa: S108 (of the container)
        ],
        "resources": dict(settings.resources),
        "securityContext": _container_security(),
        "volumeMounts": [
            {"name": "disk", "mountPath": "/dataset", "subPath": DATASETS, "readOnly": True},
            {"name": "disk", "mountPath": "/submission", "subPath": OUTPUT},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
        ],
    }
    return {
        "initContainers": [_trusted(settings, "isolated", ["isolated", "--wait", "120"], [])],
        "containers": [model],
        "volumes": [
            _claim(settings, submission),
            {"name": "tmp", "emptyDir": {"sizeLimit": temporary}},
        ],
    }


def _collect(settings: Settings, submission: Submission) -> Manifest:
    mounts: list[Mapping[str, Any]] = [
        {"name": "disk", "mountPath": DISK, "subPath": OUTPUT, "readOnly": True},
        {"name": "token", "mountPath": "/var/run/secrets/evalai", "readOnly": True},
        CONFIG_VOLUME,
    ]
    secret = f"{settings.release}-runner-{settings.challenge}"
    token = {
        "secretName": secret,
        "defaultMode": 0o440,
        "items": [{"key": "token", "path": "token"}],
    }
    return {
        "containers": [_trusted(settings, "collect", ["collect", str(submission.id)], mounts)],
        "volumes": [
            _claim(settings, submission),
            _config(settings),
            {"name": "token", "secret": token},
        ],
    }


_STEPS = {Step.FETCH: _fetch, Step.MODEL: _model, Step.COLLECT: _collect}


def _trusted(
    settings: Settings,
    container: str,
    arguments: Sequence[str],
    mounts: Sequence[Mapping[str, Any]],
) -> Manifest:
    return {
        "name": container,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "args": list(arguments),
        "resources": dict(settings.helper_resources),
        "securityContext": _container_security(),
        "volumeMounts": [dict(mount) for mount in mounts],
    }


def _container_security() -> Manifest:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def _claim(settings: Settings, submission: Submission) -> Manifest:
    claim = {"claimName": name(settings, submission.id)}
    return {"name": "disk", "persistentVolumeClaim": claim}


def _config(settings: Settings) -> Manifest:
    return {
        "name": "config",
        "configMap": {"name": f"{settings.release}-runner-{settings.challenge}"},
    }
