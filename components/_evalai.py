"""EvalAI in the cluster: its data, its images, its roles and, once there are images, itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from ._alarm_catalogue import certificate_alarm
from ._alarms import raise_alarms
from ._challenge_access import Challenge, ChallengeAccess, ChallengeDatasetsArgs, Operation
from ._cluster_objects import restricted_namespace
from ._cluster_operators import OperatorInstaller, external_secrets, keda
from ._evalai_access import (
    MODELS_NAMESPACE,
    NAMESPACE,
    EvalAiResources,
    Identity,
    application_statements,
    queue_arn,
    scaling_policy,
    secrets_policy,
    worker_statements,
)
from ._evalai_chart import image_values, network_values, ranges, release, secret_store
from ._evalai_containers import (
    EvalClusterContainerArgs,
    Ground,
    container_settings,
    container_values,
    cost_tags,
    failed_queue,
    scoring_queue,
)
from ._evalai_database import database
from ._evalai_images import NAMES, EvalAiImages
from ._evalai_storage import application_secret, media_bucket, task_queue
from ._keys import encryption_key, log_statement
from ._layer import FunctionPlatform
from ._order import after


class EvalClusterChallengeArgs(TypedDict):
    """A challenge that EvalAI's workers score."""

    name: str
    """Of its workers: at most 30 lower-case letters, digits and -."""
    challenge_id: int
    """Primary key in EvalAI, by which datasets are granted and attached."""
    queue: str
    """Its queue, as Django's admin shows it."""
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

    component: str
    """Name of the component that all of it belongs to."""
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
    datasets: ChallengeDatasetsArgs | None
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
        self._ground = Ground(
            *(around.cluster_name, around.identity, key, self._images),
            *(around.alarm_topic_arn, around.protect, opts),
        )
        if around.alarm_topic_arn is not None:
            watched = certificate_alarm(args["certificate_arn"])
            raise_alarms(name, [watched], around.alarm_topic_arn, opts)
        workers = self._workers(args.get("challenges", []))
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
            namespace = restricted_namespace(name, place, after(in_cluster, *operators))
            store = secret_store(name, place, after(in_cluster, namespace))
            made += [namespace, store]
        return made

    def _database_secret(self) -> pulumi.Output[str]:
        # RDS always names it for a password that it manages.
        return self._database.master_user_secrets.apply(lambda secrets: secrets[0].secret_arn or "")

    def _workers(self, challenges: Sequence[EvalClusterChallengeArgs]) -> list[dict[str, Any]]:
        """The chart's entries for the workers of challenges, each with a role that is theirs."""
        around = self._around
        access = ChallengeAccess(
            around.component,
            [self._challenge(challenge) for challenge in challenges],
            limits=worker_statements(self._resources, self._resources.challenge_queues()),
            datasets=around.datasets,
            operation=Operation(
                self._key,
                FunctionPlatform.LAMBDA,  # where there is EKS, there is Lambda
                around.log_retention_days,
                around.alarm_topic_arn,
            ),
            opts=self._opts,
        )
        return [
            self._worker(challenge, access.roles[int(challenge["challenge_id"])])
            for challenge in challenges
        ]

    def _challenge(self, challenge: EvalClusterChallengeArgs) -> Challenge:
        accounts = [f"evalai-worker-{challenge['name']}"]
        if "container" in challenge:
            # What fetches the datasets for models reads what the challenge's workers read.
            accounts.append(f"{MODELS_NAMESPACE}:evalai-fetch-{challenge['name']}")
        return Challenge(
            int(challenge["challenge_id"]),
            self._around.identity.trust(accounts),
            worker_statements(
                self._resources,
                queue_arn(_scored(challenge)),
                of_evalai="container" not in challenge,
            ),
            cost_tags(self._around.cluster_name, challenge["name"]),
        )

    def _worker(self, challenge: EvalClusterChallengeArgs, role: aws.iam.Role) -> dict[str, Any]:
        """The chart's entry for the workers of a challenge."""
        entry: dict[str, Any] = {
            "name": challenge["name"],
            "challengeId": int(challenge["challenge_id"]),
            "queue": _scored(challenge),
            "roleArn": role.arn,
            "maxReplicas": int(challenge.get("max_workers", 4)),
            "maxEvaluationSeconds": int(challenge.get("max_evaluation_seconds", 3600)),
        }
        if "image" in challenge:
            repository, _, tag = challenge["image"].rpartition(":")
            entry["image"] = {"repository": repository, "tag": tag}
        failed = failed_queue(self._name, challenge, self._ground)
        if "container" in challenge:
            entry["container"] = container_values(
                self._name, challenge, challenge["container"], failed, self._ground
            )
        else:
            entry["failedQueueArn"] = failed.arn
        return entry

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
                workers, around.cluster, around.datasets["bucket_arn"] if around.datasets else ""
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


def _scored(challenge: EvalClusterChallengeArgs) -> str:
    """Name of the queue that a challenge's workers score from."""
    return scoring_queue(challenge["queue"]) if "container" in challenge else challenge["queue"]
