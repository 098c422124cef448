"""EvalAI in the cluster: its data, its images, its roles and, once there are images, itself."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from ._cluster_objects import restricted_namespace
from ._cluster_operators import OperatorInstaller, external_secrets, keda
from ._evalai_access import (
    MODELS_NAMESPACE,
    NAMESPACE,
    EvalAiResources,
    Identity,
    application_statements,
    scaling_policy,
    secrets_policy,
    worker_statements,
)
from ._evalai_chart import image_values, network_values, ranges, release, secret_store
from ._evalai_containers import (
    EvalClusterContainerArgs,
    Ground,
    check_container,
    container_settings,
    container_values,
    cost_tags,
    scoring_queue,
)
from ._evalai_database import database
from ._evalai_images import NAMES, EvalAiImages
from ._evalai_storage import application_secret, media_bucket, task_queue
from ._keys import encryption_key, log_statement

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?")
IMAGE = re.compile(r"[^/:]+(:\d+)?/[^:]+:[\w.-]+")
DATASET = re.compile(r"[A-Za-z0-9.-]{1,64}")
# What fits into the policy of a role. https://docs.aws.amazon.com/IAM/latest/UserGuide/
# reference_iam-quotas.html
MOST_DATASETS = 50


class EvalClusterChallengeArgs(TypedDict):
    """A challenge that EvalAI's workers score."""

    name: str
    """Of its workers: at most 30 lower-case letters, digits and -."""
    challenge_id: int
    """Primary key in EvalAI."""
    queue: str
    """Its queue, as Django's admin shows it."""
    dataset_ids: NotRequired[list[str]]
    """Ids of the datasets (DocumentReference) that its workers may read; 50 at most."""
    image: NotRequired[str]
    """Image of its workers, with tag: upstream's and further libraries. Default: upstream's."""
    max_workers: NotRequired[int]
    """Workers at the same time. Default: 4."""
    max_evaluation_seconds: NotRequired[int]
    """How long an evaluation may take. Default: 3600."""
    container: NotRequired[EvalClusterContainerArgs]
    """How submitted containers are run. Default: none; predictions are submitted."""


class EvalClusterEvalAiArgs(TypedDict):
    """EvalAI: data plane and images, and the application once the images are built."""

    host: str
    """Public host name, without scheme."""
    certificate_arn: str
    """ACM certificate of the host, in the region of the cluster."""
    environment: str
    """Part of the names of queues that EvalAI makes, so unique in account and region."""
    image_tag: NotRequired[str]
    """Tag of the images to run, as `make images` prints it. Default: none; it isn't installed."""
    email_sender: NotRequired[str]
    """Address that SES has verified, from which mail is sent. Default: none; no mail is sent."""
    web_acl_arn: NotRequired[str]
    """Firewall (WAFv2, regional) of its load balancer. Default: none."""
    database_class: NotRequired[str]
    """Instance class of the database. Default: db.t4g.medium."""
    multi_az: NotRequired[bool]
    """A standby of the database in another zone. Default: true."""
    challenges: NotRequired[list[EvalClusterChallengeArgs]]
    """Challenges with workers. Default: none."""


@dataclass(frozen=True)
class Surroundings:
    """What EvalAI needs of the cluster and its network."""

    cluster_name: str
    cluster: pulumi.Output[str]
    """The same name, once the cluster is there."""
    vpc_id: pulumi.Input[str]
    subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]]
    public_subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]]
    security_group_id: pulumi.Input[str]
    identity: Identity
    provider: kubernetes.Provider
    operators: OperatorInstaller
    depends_on: Sequence[pulumi.Resource]
    """What must be in the cluster before EvalAI."""
    dataset_bucket_arn: pulumi.Input[str] | None
    dataset_key_arn: pulumi.Input[str] | None
    alarm_topic_arn: pulumi.Input[str] | None
    log_retention_days: int
    protect: bool


class EvalAi:
    """The data plane, the images and the release."""

    def __init__(
        self,
        name: str,
        args: EvalClusterEvalAiArgs,
        around: Surroundings,
        *,
        opts: pulumi.ResourceOptions,
        kept: pulumi.ResourceOptions,
    ) -> None:
        """`kept` are the options of what holds data."""
        self._name, self._args, self._around, self._opts = name, args, around, opts
        region = aws.get_region_output().region
        key = encryption_key(
            f"{name}-data", "EvalAI's data", statements=[log_statement(region)], opts=kept
        )
        self._key = key
        self._database = database(
            f"{name}-database",
            vpc_id=around.vpc_id,
            subnet_ids=around.subnet_ids,
            client_group_id=around.security_group_id,
            instance_class=args.get("database_class", "db.t4g.medium"),
            multi_az=args.get("multi_az", True),
            key=key,
            protect=around.protect,
            opts=opts,
            kept=kept,
        )
        self._bucket = media_bucket(
            f"{name}-media",
            host=args["host"],
            key=key,
            log_retention_days=around.log_retention_days,
            opts=opts,
            kept=kept,
        )
        self._tasks = task_queue(f"{name}-tasks", key=key, opts=opts)
        self._secret = application_secret(f"{name}-application", key=key, opts=kept)
        self._images = EvalAiImages(
            f"{name}-images",
            prefix=around.cluster_name.lower(),
            key=key,
            log_retention_days=around.log_retention_days,
            protect=around.protect,
            opts=opts,
        )
        self.url = pulumi.Output.from_input(f"https://{args['host']}")
        self.image_project = self._images.project.name
        self.task_queue_name = self._tasks.name
        self._resources = EvalAiResources(
            args["environment"], self._bucket.arn, self._tasks.arn, key.arn
        )
        workers = [self._worker(challenge) for challenge in args.get("challenges", [])]
        tokens = [entry["container"]["tokenSecret"] for entry in workers if "container" in entry]
        ready = self._namespaces(tokens)
        if "image_tag" in args:
            self._release(args["image_tag"], workers, ready, region)

    def _namespaces(self, tokens: Sequence[pulumi.Input[str]]) -> list[pulumi.Resource]:
        """EvalAI's namespace and the store in it, after the operators of what is in them; and the
        same for models, if there are tokens of hosts.

        When the stack goes, the namespaces go before them: only they take their finalizers off
        Ingresses, ExternalSecrets and ScaledObjects, without which it would stay.
        """
        known = [self._database_secret(), self._secret.arn, *tokens]
        secrets = secrets_policy(known, self._key.arn)
        install = self._around.operators.install
        operators = [
            install(external_secrets(), secrets),
            install(keda(), scaling_policy(self._resources)),
            *self._around.depends_on,
        ]
        in_cluster = pulumi.ResourceOptions.merge(
            self._opts, pulumi.ResourceOptions(provider=self._around.provider)
        )
        made: list[pulumi.Resource] = []
        places = {self._name: NAMESPACE}
        if tokens:
            places[f"{self._name}-models"] = MODELS_NAMESPACE
        for name, place in places.items():
            after = pulumi.ResourceOptions(depends_on=operators)
            namespace = restricted_namespace(
                name, place, pulumi.ResourceOptions.merge(in_cluster, after)
            )
            after = pulumi.ResourceOptions(depends_on=[namespace])
            store = secret_store(name, place, pulumi.ResourceOptions.merge(in_cluster, after))
            made += [namespace, store]
        return made

    def _database_secret(self) -> pulumi.Output[str]:
        # RDS always names it for a password that it manages.
        return self._database.master_user_secrets.apply(lambda secrets: secrets[0].secret_arn or "")

    def _worker(self, challenge: EvalClusterChallengeArgs) -> dict[str, Any]:
        """The chart's entry for the workers of a challenge, with a role that is theirs."""
        label = f"worker-{challenge['name']}"
        accounts, queue = [f"evalai-{label}"], challenge["queue"]
        if "container" in challenge:
            # What fetches the datasets for models reads what the challenge's workers read.
            accounts.append(f"{MODELS_NAMESPACE}:evalai-fetch-{challenge['name']}")
            queue = scoring_queue(queue)
        role = self._around.identity.role(
            f"{self._name}-{label}",
            accounts,
            worker_statements(
                self._resources,
                queue=queue,
                dataset_ids=challenge.get("dataset_ids", []),
                dataset_bucket_arn=self._around.dataset_bucket_arn,
                dataset_key_arn=self._around.dataset_key_arn,
            ),
            self._opts,
            tags=cost_tags(self._around.cluster_name, challenge["name"]),
        )
        entry: dict[str, Any] = {
            "name": challenge["name"],
            "challengeId": int(challenge["challenge_id"]),
            "queue": queue,
            "roleArn": role.arn,
            "maxReplicas": int(challenge.get("max_workers", 4)),
            "maxEvaluationSeconds": int(challenge.get("max_evaluation_seconds", 3600)),
        }
        if "image" in challenge:
            repository, _, tag = challenge["image"].rpartition(":")
            entry["image"] = {"repository": repository, "tag": tag}
        if "container" in challenge:
            entry["container"] = container_values(
                self._name, challenge, challenge["container"], self._ground()
            )
        return entry

    def _ground(self) -> Ground:
        around = self._around
        return Ground(
            *(around.cluster_name, around.identity, self._key, self._images),
            *(around.alarm_topic_arn, around.protect, self._opts),
        )

    def _release(
        self,
        tag: str,
        workers: list[dict[str, Any]],
        ready: Sequence[pulumi.Resource],
        region: pulumi.Output[str],
    ) -> None:
        around, args = self._around, self._args
        application = around.identity.role(
            f"{self._name}-application",
            ["evalai-app", "evalai-migrate"],
            application_statements(self._resources, args.get("email_sender")),
            self._opts,
        )
        repositories = {image: self._images.repository_url(image) for image in NAMES}
        found = ranges(around.public_subnet_ids, around.subnet_ids)
        values = {
            "host": args["host"],
            "image": image_values(repositories, tag),
            "environment": args["environment"],
            "aws": {
                "region": region,
                "accountId": aws.get_caller_identity_output().account_id,
                "mediaBucket": self._bucket.id,
                "celeryQueue": self._tasks.name,
                "emailSender": args.get("email_sender", ""),
            },
            "database": {"host": self._database.address},
            "secrets": self._secret_values(),
            "roleArn": application.arn,
            "workers": workers,
            "containers": container_settings(
                workers, around.cluster, around.dataset_bucket_arn or ""
            ),
            "ingress": {
                "certificateArn": args["certificate_arn"],
                "webAclArn": args.get("web_acl_arn", ""),
            },
            "networkPolicy": network_values(found, sends_mail="email_sender" in args),
        }
        release(
            self._name,
            values,
            depends_on=[*ready, self._secret.version],
            opts=pulumi.ResourceOptions.merge(
                self._opts, pulumi.ResourceOptions(provider=around.provider)
            ),
        )

    def _secret_values(self) -> dict[str, Any]:
        return {
            "externalSecrets": {
                "store": {"kind": "SecretStore", "name": "evalai"},
                "database": self._database_secret(),
                "application": self._secret.arn,
            }
        }


def check_evalai(
    args: EvalClusterEvalAiArgs, *, has_public_subnets: bool, has_datasets: bool
) -> None:
    """ValueError names the first argument that AWS or the chart would refuse."""
    if not LABEL.fullmatch(args["environment"]):
        raise ValueError(
            f"evalai.environment: {args['environment']!r} must be 1 to 30 lower-case letters, "
            "digits and -"
        )
    if not has_public_subnets:
        raise ValueError("public_subnet_ids: EvalAI's load balancer needs them")
    names = [challenge["name"] for challenge in args.get("challenges", [])]
    if len(set(names)) != len(names):
        raise ValueError(f"evalai.challenges: a name is given twice in {', '.join(names)}")
    for challenge in args.get("challenges", []):
        _check_challenge(challenge, has_datasets)


def _check_challenge(challenge: EvalClusterChallengeArgs, has_datasets: bool) -> None:
    place = f"evalai.challenges: {challenge['name']!r}"
    datasets = challenge.get("dataset_ids", [])
    if not LABEL.fullmatch(challenge["name"]):
        raise ValueError(f"{place} must be 1 to 30 lower-case letters, digits and -")
    if "image" in challenge and not IMAGE.fullmatch(challenge["image"]):
        raise ValueError(f"{place}: {challenge['image']!r} must be <registry>/<name>:<tag>")
    if len(datasets) > MOST_DATASETS:
        raise ValueError(f"{place} has {len(datasets)} datasets; at most {MOST_DATASETS}")
    # A * in it would open other datasets, by way of the policy.
    if wrong := [dataset for dataset in datasets if not DATASET.fullmatch(dataset)]:
        raise ValueError(f"{place}: {wrong[0]!r} is no id of a dataset")
    if datasets and not has_datasets:
        raise ValueError(f"{place} has datasets: give dataset_bucket_arn and dataset_key_arn too")
    if "container" in challenge:
        check_container(place, challenge, challenge["container"])
