"""Challenges whose participants submit containers: what their runners need in AWS.

The chart runs them, in a namespace of its own. Each challenge has machines of its own, too, tagged
with its name: so models of two challenges never meet, and a bill says what each one costs.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from ._alarm_catalogue import submissions_alarm
from ._alarms import raise_alarms
from ._cluster_pools import GPU, NODE_ROLE_LABEL, NodePool, models_pool
from ._evalai_access import (
    FIND_QUEUE,
    KEY_ACTIONS,
    MODELS_NAMESPACE,
    TAKE_MESSAGES,
    Identity,
    queue_arn,
)
from ._evalai_budget import challenge_budget
from ._evalai_images import EvalAiImages
from ._evalai_storage import message_queue
from ._policy_documents import allow
from ._queues import FAILURE_RETENTION_SECONDS

REPOSITORY = re.compile(r"[a-z0-9][a-z0-9._-]*(:\d+)?(/[a-z0-9][a-z0-9._-]*)+")
DATASET = re.compile(r"(?!\.+$)[A-Za-z0-9.-]{1,64}")
MANIFEST = re.compile(r"[A-Za-z0-9.-]{1,64}/\d+")
COST_TAG = "challenge"
"""Key of the tag that bills are divided by."""
LONGEST_QUEUE = 80 - len("-scoring")
MOST_HIDDEN_SECONDS = 12 * 3600
# SQS hides a message for 12 hours at most, and the runner takes it anew before that.
LONGEST_RUN_SECONDS = 11 * 3600


class EvalClusterContainerArgs(TypedDict):
    """Submissions that are images, each run in isolation beside the challenge's datasets."""

    manifests: NotRequired[dict[str, str]]
    """By id of a dataset that is attached to the challenge: Binary and version of its manifest,
    e.g. `7c1d/1`. Models find the dataset's files at /dataset/<id>. Default: none."""
    image_repositories: NotRequired[list[str]]
    """Where images may come from besides the challenge's own repository. Default: none."""
    cpu: NotRequired[int]
    """vCPU of a model. Default: 2."""
    memory_gib: NotRequired[int]
    """Memory of a model. Default: 8."""
    gpus: NotRequired[int]
    """NVIDIA GPUs of a model; with any, the challenge's machines have some. Default: 0."""
    disk_gib: NotRequired[int]
    """Disk of a submission, for the datasets and what the model writes. Default: 50."""
    output: NotRequired[str]
    """Name of the file that a model writes, which is then scored. Default: submission.json."""
    max_seconds: NotRequired[int]
    """Longest run of a model. Default: 3600."""
    max_parallel: NotRequired[int]
    """Models at the same time; the challenge's machines are bounded by it. Default: 2."""
    log_phases: NotRequired[list[str]]
    """Code names of phases whose participants see what their model printed. Default: none."""
    monthly_budget_usd: NotRequired[int]
    """What the challenge's machines may cost in a month; then no further submission is started.
    Default: no limit."""
    budget_email: NotRequired[str]
    """Who is told when a budget is used up; required with one."""


@dataclass(frozen=True)
class Ground:
    """What all challenges with containers stand on."""

    cluster_name: str
    identity: Identity
    key: aws.kms.Key
    images: EvalAiImages
    alarm_topic_arn: pulumi.Input[str] | None
    protect: bool
    opts: pulumi.ResourceOptions


def scoring_queue(queue: str) -> str:
    """Name of the queue that a challenge's workers score from; EvalAI's own has both kinds of
    messages, and upstream's workers throw back what isn't theirs for minutes each time."""
    return f"{queue}-scoring"


def container_pool(
    challenge: Mapping[str, Any], cluster_name: str, gpu_families: Sequence[str]
) -> NodePool:
    """The machines of a challenge: as many as its models need at the same time."""
    container: EvalClusterContainerArgs = challenge["container"]
    return models_pool(
        f"models-{challenge['name']}",
        cpu=int(container.get("cpu", 2)),
        gpus=int(container.get("gpus", 0)),
        families=gpu_families,
        parallel=int(container.get("max_parallel", 2)),
        tags=cost_tags(cluster_name, challenge["name"]),
    )


def cost_tags(cluster_name: str, name: str) -> Mapping[str, str]:
    """What a bill is divided by. With the cluster's name, since an account may have two."""
    return {COST_TAG: f"{cluster_name}/{name}"}


def container_settings(
    workers: Sequence[Mapping[str, Any]],
    cluster: pulumi.Input[str],
    dataset_bucket_arn: pulumi.Input[str],
) -> dict[str, Any]:
    """What the chart is told of where containers run; nothing without any."""
    if not any("container" in entry for entry in workers):
        return {}
    endpoint = aws.eks.get_cluster_output(name=cluster).endpoint
    bucket = pulumi.Output.from_input(dataset_bucket_arn)
    return {
        "namespace": MODELS_NAMESPACE,
        "datasetBucket": bucket.apply(lambda arn: arn.rpartition(":")[2]),
        "kubernetesHost": endpoint.apply(lambda url: url.removeprefix("https://")),
    }


def failed_queue(label: str, challenge: Mapping[str, Any], ground: Ground) -> aws.sqs.Queue:
    """Where messages of a challenge go that nobody could handle, and somebody is told."""
    resource = f"{label}-{challenge['name']}"
    failed = message_queue(
        f"{resource}-failed",
        physical_name=f"{challenge['queue']}-failed",
        key=ground.key,
        retention_seconds=FAILURE_RETENTION_SECONDS,
        tags=cost_tags(ground.cluster_name, challenge["name"]),
        opts=ground.opts,
    )
    if ground.alarm_topic_arn is not None:
        alarm = submissions_alarm(failed.name)
        raise_alarms(resource, [alarm], ground.alarm_topic_arn, ground.opts)
    return failed


def container_values(
    label: str,
    challenge: Mapping[str, Any],
    container: EvalClusterContainerArgs,
    failed: aws.sqs.Queue,
    ground: Ground,
) -> dict[str, Any]:
    """Makes what the runner of a challenge needs; the chart's values for it."""
    name, queue = challenge["name"], challenge["queue"]
    resource = f"{label}-{name}"
    tags = cost_tags(ground.cluster_name, name)
    scoring = message_queue(
        f"{resource}-scoring",
        physical_name=scoring_queue(queue),
        key=ground.key,
        # A worker doesn't ask for more time: so it is hidden for the longest evaluation.
        visibility_seconds=min(
            int(challenge.get("max_evaluation_seconds", 3600)) + 300, MOST_HIDDEN_SECONDS
        ),
        tries=3,
        failed=failed,
        tags=tags,
        opts=ground.opts,
    )
    token = aws.secretsmanager.Secret(
        f"{resource}-token",
        description=f"EvalAI: token of a host of {name}, put in by hand",
        kms_key_id=ground.key.arn,
        tags=tags,
        opts=ground.opts,
    )
    role = ground.identity.role(
        f"{resource}-runner",
        [f"{MODELS_NAMESPACE}:evalai-runner-{name}"],
        _runner_statements(queue, scoring, ground.key),
        ground.opts,
        tags=tags,
    )
    if "monthly_budget_usd" in container:
        challenge_budget(
            resource,
            name=f"{ground.cluster_name}-{name}",
            tags=tags,
            usd=int(container["monthly_budget_usd"]),
            email=container.get("budget_email", ""),
            role=role,
            queue_arn=queue_arn(queue),
            opts=ground.opts,
        )
    repository = _repository(resource, name, tags, ground)
    return {
        "queue": queue,
        "failedQueueArn": failed.arn,
        "roleArn": role.arn,
        "tokenSecret": token.arn,
        "repositories": [
            repository,
            *container.get("image_repositories", []),
        ],
        **_settings(name, container),
    }


def _settings(name: str, container: EvalClusterContainerArgs) -> dict[str, Any]:
    """What of the values comes from the arguments alone."""
    gpus, memory = int(container.get("gpus", 0)), f"{int(container.get('memory_gib', 8))}Gi"
    limits: dict[str, Any] = {"memory": memory, "ephemeral-storage": "20Gi"}
    requests = {"cpu": str(int(container.get("cpu", 2))), "memory": memory}
    pool = f"models-{name}"
    return {
        "datasets": [
            {"id": dataset, "manifest": manifest}
            for dataset, manifest in sorted(container.get("manifests", {}).items())
        ],
        "output": container.get("output", "submission.json"),
        "logPhases": container.get("log_phases", []),
        "maxParallel": int(container.get("max_parallel", 2)),
        "maxSeconds": int(container.get("max_seconds", 3600)),
        "volumeSize": f"{int(container.get('disk_gib', 50))}Gi",
        "resources": {
            "requests": {**requests, "ephemeral-storage": "2Gi"},
            "limits": {**limits, GPU: gpus} if gpus else limits,
        },
        "placement": {
            "nodeSelector": {
                "karpenter.sh/nodepool": pool,
                "kubernetes.io/arch": "amd64",
            },
            "tolerations": [{"key": NODE_ROLE_LABEL, "value": pool, "effect": "NoSchedule"}],
        },
    }


def _runner_statements(
    queue: str, scoring: aws.sqs.Queue, key: aws.kms.Key
) -> Sequence[dict[str, Any]]:
    """Take the challenge's messages, and hand on those to score. No dataset, no result."""
    return [
        allow([*FIND_QUEUE, *TAKE_MESSAGES, "sqs:SetQueueAttributes"], queue_arn(queue)),
        allow(["sqs:SendMessage"], scoring.arn),
        allow(KEY_ACTIONS, key.arn),
    ]


def _repository(
    resource: str, name: str, tags: Mapping[str, str], ground: Ground
) -> pulumi.Output[str]:
    """Where hosts, or participants whom they let, push images to; its address."""
    path = f"submissions/{name}"
    aws.ecr.Repository(
        f"{resource}-submissions",
        name=f"{ground.cluster_name.lower()}/{path}",
        image_tag_mutability="IMMUTABLE",
        image_scanning_configuration={"scan_on_push": True},
        encryption_configurations=[{"encryption_type": "KMS", "kms_key": ground.key.arn}],
        force_delete=not ground.protect,
        tags=tags,
        opts=ground.opts,
    )
    return ground.images.repository_url(path)


def check_container(
    place: str, challenge: Mapping[str, Any], container: EvalClusterContainerArgs
) -> None:
    """ValueError names the first argument that AWS or the chart would refuse."""
    for dataset, manifest in container.get("manifests", {}).items():
        if not DATASET.fullmatch(dataset):
            raise ValueError(f"{place}: manifests: {dataset!r} is no id of a dataset")
        if not MANIFEST.fullmatch(manifest):
            raise ValueError(f"{place}: manifest {manifest!r} must be <Binary>/<version>")
    for repository in container.get("image_repositories", []):
        if not REPOSITORY.fullmatch(repository):
            raise ValueError(f"{place}: {repository!r} must be <registry>/<name>, without tag")
    if not 10 <= int(container.get("max_seconds", 3600)) <= LONGEST_RUN_SECONDS:
        raise ValueError(f"{place}: max_seconds must be from 10 to {LONGEST_RUN_SECONDS}")
    if "monthly_budget_usd" in container and "@" not in container.get("budget_email", ""):
        raise ValueError(f"{place}: monthly_budget_usd needs budget_email, who is told")
