"""EvalCluster: the Kubernetes cluster that evaluates models next to the data.

What runs in it gets a module of its own, on top of the cluster, its nodes and its add-ons.
"""

import re
from collections.abc import Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_eks as eks
import pulumi_kubernetes as kubernetes

from ._challenge_access import ChallengeDatasetsArgs
from ._cluster_access import ADMIN_POLICY, VIEW_POLICY, access_entries
from ._cluster_addons import NODE_ADDONS, AddonInstaller, addon_versions, workload_addons
from ._cluster_karpenter import Karpenter
from ._cluster_load_balancer_policy import load_balancer_policy
from ._cluster_nodes import node_role, system_nodes, volume_key
from ._cluster_objects import encrypted_storage_class
from ._cluster_operators import (
    OperatorInstaller,
    load_balancer_controller,
    nvidia_device_plugin,
)
from ._cluster_pools import GPU, NodePool, evaluation_pool, gpu_pool, platform_pool
from ._dashboard_parts import cluster_part
from ._evalai import EvalAi, EvalClusterEvalAiArgs, Surroundings
from ._evalai_access import Identity
from ._evalai_checks import check_evalai
from ._evalai_containers import container_pool
from ._keys import encryption_key, log_statement
from ._node_count import count_nodes

CONTROL_PLANE_LOGS = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
CLUSTER_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}")
GPU_FAMILY = re.compile(r"[gp][0-9][a-z0-9]*")


class EvalClusterArgs(TypedDict):
    vpc_id: pulumi.Input[str]
    """VPC of the cluster."""
    subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]]
    """Private subnets in two zones or more, tagged `karpenter.sh/discovery: <cluster_name>`."""
    public_subnet_ids: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]]]
    """Public subnets for internet-facing load balancers. Default: none."""
    cluster_name: str
    """Physical name of the cluster, as `aws eks update-kubeconfig` takes it."""
    kubernetes_version: NotRequired[str]
    """Minor version of Kubernetes. Default: 1.36."""
    public_access_cidrs: list[str]
    """IPv4 ranges that reach the API server from outside the VPC; at least one."""
    admin_role_arns: NotRequired[list[str]]
    """IAM roles that administer the cluster, beside whoever creates it. Default: none."""
    view_role_arns: NotRequired[list[str]]
    """IAM roles that see what runs in all namespaces, but no secrets. Default: none."""
    addon_versions: NotRequired[dict[str, str]]
    """Versions of add-ons that differ from those known for the version of Kubernetes."""
    platform_cpu_limit: NotRequired[int]
    """vCPU that all nodes for the platform's own pods may have together. Default: 32."""
    evaluation_cpu_limit: NotRequired[int]
    """vCPU that all nodes for evaluations may have together. Default: 64."""
    max_node_cpu: NotRequired[int]
    """vCPU of the largest node made on demand; one near the limit slows scaling. Default: 16."""
    evaluation_spot: NotRequired[bool]
    """Prefer spot machines for evaluations: cheaper, and cut off at times. Default: false."""
    evaluation_gpu_limit: NotRequired[int]
    """NVIDIA GPUs that all nodes for evaluations may have together, one each. Default: 0."""
    evaluation_gpu_families: NotRequired[list[str]]
    """Instance families that such nodes are of. Default: g5 and g6."""
    node_image_version: NotRequired[str]
    """Image release of nodes made on demand, e.g. v20261110. Default: latest, so patches come."""
    evalai: NotRequired[EvalClusterEvalAiArgs]
    """EvalAI. Default: none."""
    datasets: NotRequired[ChallengeDatasetsArgs]
    """The datasets that EvalAI's challenges may use. Default: none."""
    alarm_topic_arn: NotRequired[pulumi.Input[str]]
    """SNS topic that alarms go to. Default: no alarms, since nobody would hear them."""
    log_retention_days: NotRequired[int]
    """How long logs are kept, in days. Default: 365."""
    protect: NotRequired[bool]
    """Refuse to delete the cluster, its keys and EvalAI's data, here and in AWS. Default: true."""


class EvalCluster(pulumi.ComponentResource):
    """An EKS cluster with private nodes, whose system pods have machines of their own.

    Creates: cluster (public endpoint for given ranges, private endpoint, access entries, OIDC
    provider), keys for secrets, disks and logs, log group, node role, system node group, add-ons
    with their roles, an encrypted default storage class, Karpenter with the node pools `platform`
    and `evaluation`, one with GPUs when asked for, and the load balancer controller. With `evalai`
    also its database, media bucket, task queue, secret, image repositories and build,
    external-secrets and KEDA, a namespace for restricted pods, roles per challenge with the
    function that has them read the datasets attached to it, and, given the tag of its images, the
    application; for challenges with containers queues, a runner, machines of their own and a
    budget.
    """

    cluster_name: pulumi.Output[str]
    """Name of the cluster, known once it is there."""
    kubeconfig_command: pulumi.Output[str]
    """Shell command that adds the cluster to one's kubeconfig."""
    oidc_provider_arn: pulumi.Output[str]
    """IAM identity provider of the cluster, which roles of service accounts (IRSA) trust."""
    oidc_issuer: pulumi.Output[str]
    """The provider's address without scheme, as the conditions of such trust policies name it."""
    evalai_url: pulumi.Output[str | None]
    """Where EvalAI answers; none without `evalai`."""
    evalai_image_project: pulumi.Output[str | None]
    """CodeBuild project that builds EvalAI's images; none without `evalai`."""
    dashboard: pulumi.Output[str]
    """Its part of a `Dashboard`."""

    def __init__(
        self, name: str, args: EvalClusterArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ai4h:index:EvalCluster", name, {}, opts)
        check_arguments(args)
        self._name = name
        self._child = pulumi.ResourceOptions(parent=self)
        self._region = aws.get_region_output().region
        protect = args.get("protect", True)
        self._protected = pulumi.ResourceOptions(
            parent=self, protect=protect, retain_on_delete=protect
        )
        version = args.get("kubernetes_version", "1.36")
        versions = addon_versions(version, args.get("addon_versions", {}))

        logging = [log_statement(self._region)]
        self._logs_key = encryption_key(
            f"{name}-logs", "Logs of the cluster", statements=logging, opts=self._child
        )
        cluster = self._cluster(args, version, protect)
        # By way of the cluster itself: what is named by this waits for it, and goes before it.
        self.cluster_name = cluster.eks_cluster.apply(lambda _: args["cluster_name"])
        self._volume_key = volume_key(f"{name}-volumes", opts=self._protected)
        self._node_role = node_role(f"{name}-node", opts=self._child)
        addons = AddonInstaller(
            name, cluster_name=self.cluster_name, versions=versions, opts=self._child
        )
        self._system_nodes = system_nodes(
            f"{name}-system",
            cluster_name=self.cluster_name,
            kubernetes_version=version,
            subnet_ids=args["subnet_ids"],
            security_group_id=cluster.cluster_security_group_id,
            role=self._node_role,
            key=self._volume_key,
            depends_on=addons.install(NODE_ADDONS),
            opts=self._child,
        )
        workloads = addons.install(workload_addons(self._volume_key.arn), [self._system_nodes])
        self._kubernetes = kubernetes.Provider(
            f"{name}-kubernetes", kubeconfig=cluster.kubeconfig_json, opts=self._child
        )
        in_cluster = pulumi.ResourceOptions(
            parent=self, provider=self._kubernetes, depends_on=workloads
        )
        encrypted_storage_class(f"{name}-gp3", self._volume_key.arn, in_cluster)
        pools = Karpenter(
            f"{name}-karpenter",
            cluster_name=args["cluster_name"],
            cluster=self.cluster_name,
            security_group_id=cluster.cluster_security_group_id,
            volume_key=self._volume_key,
            provider=self._kubernetes,
            depends_on=workloads,
            opts=self._child,
        ).make_pools(on_demand_pools(args), args.get("node_image_version", "latest"))

        self.kubeconfig_command = pulumi.Output.concat(
            *("aws eks update-kubeconfig --name ", self.cluster_name, " --region ", self._region)
        )
        self.oidc_provider_arn = cluster.oidc_provider_arn
        self.oidc_issuer = cluster.oidc_issuer
        operators = OperatorInstaller(
            name,
            cluster_name=self.cluster_name,
            provider=self._kubernetes,
            depends_on=workloads,
            opts=self._child,
        )
        if with_gpus := [pool.name for pool in on_demand_pools(args) if GPU in pool.limits]:
            operators.install(nvidia_device_plugin(with_gpus))
        balancing = self._load_balancing(args, operators, cluster.cluster_security_group_id)
        evalai = self._evalai(args, cluster, operators, [balancing, *pools])
        self.evalai_url = pulumi.Output.from_input(evalai and evalai.url)
        self.evalai_image_project = pulumi.Output.from_input(evalai and evalai.image_project)
        pool_names = [pool.name for pool in on_demand_pools(args)]
        count_nodes(
            name,
            cluster_name=args["cluster_name"],
            pools=pool_names,
            key=self._logs_key,
            log_retention_days=int(args.get("log_retention_days", 365)),
            opts=self._child,
        )
        tasks = evalai.task_queue_name if evalai else None
        self.dashboard = cluster_part(args["cluster_name"], ["system", *pool_names], tasks)
        self.register_outputs({it: getattr(self, it) for it in EvalCluster.__annotations__})

    def _cluster(self, args: EvalClusterArgs, version: str, protect: bool) -> eks.Cluster:
        secrets = encryption_key(
            f"{self._name}-secrets", "Secrets of the cluster", opts=self._protected
        )
        logs = self._log_group(args["cluster_name"], int(args.get("log_retention_days", 365)))
        return eks.Cluster(
            f"{self._name}-eks",
            name=args["cluster_name"],
            version=version,
            vpc_id=args["vpc_id"],
            private_subnet_ids=args["subnet_ids"],
            public_subnet_ids=args.get("public_subnet_ids"),
            endpoint_private_access=True,
            endpoint_public_access=True,
            public_access_cidrs=args["public_access_cidrs"],
            authentication_mode=eks.AuthenticationMode.API,
            access_entries={
                **access_entries("admin", args.get("admin_role_arns", []), ADMIN_POLICY),
                **access_entries("view", args.get("view_role_arns", []), VIEW_POLICY),
            },
            create_oidc_provider=True,
            enabled_cluster_log_types=CONTROL_PLANE_LOGS,
            encryption_config_key_arn=secrets.arn,
            deletion_protection=protect,
            # Nodes share the security group that EKS makes for the cluster, and add-ons are ours.
            skip_default_node_group=True,
            skip_default_security_groups=True,
            bootstrap_self_managed_addons=False,
            use_default_vpc_cni=True,  # means: don't install an own one
            kube_proxy_addon_options={"enabled": False},
            coredns_addon_options={"enabled": False},
            opts=pulumi.ResourceOptions(parent=self, protect=protect, depends_on=[logs]),
        )

    def _log_group(self, cluster_name: str, retention_days: int) -> aws.cloudwatch.LogGroup:
        """EKS would make this group itself, unencrypted and kept forever."""
        return aws.cloudwatch.LogGroup(
            f"{self._name}-control-plane",
            name=f"/aws/eks/{cluster_name}/cluster",
            kms_key_id=self._logs_key.arn,
            retention_in_days=retention_days,
            opts=self._child,
        )

    def _load_balancing(
        self,
        args: EvalClusterArgs,
        operators: OperatorInstaller,
        security_group_id: pulumi.Output[str],
    ) -> pulumi.Resource:
        controller = load_balancer_controller(
            cluster_name=self.cluster_name, region=self._region, vpc_id=args["vpc_id"]
        )
        policy = load_balancer_policy(
            cluster_name=args["cluster_name"],
            vpc_id=args["vpc_id"],
            security_group_id=security_group_id,
        )
        return operators.install(controller, policy)

    def _evalai(
        self,
        args: EvalClusterArgs,
        cluster: eks.Cluster,
        operators: OperatorInstaller,
        depends_on: Sequence[pulumi.Resource],
    ) -> EvalAi | None:
        if "evalai" not in args:
            return None
        around = Surroundings(
            component=self._name,
            cluster_name=args["cluster_name"],
            cluster=self.cluster_name,
            vpc_id=args["vpc_id"],
            subnet_ids=args["subnet_ids"],
            public_subnet_ids=args.get("public_subnet_ids", []),
            security_group_id=cluster.cluster_security_group_id,
            identity=Identity(cluster.oidc_provider_arn, cluster.oidc_issuer),
            provider=self._kubernetes,
            operators=operators,
            depends_on=depends_on,
            datasets=args.get("datasets"),
            alarm_topic_arn=args.get("alarm_topic_arn"),
            log_retention_days=int(args.get("log_retention_days", 365)),
            protect=args.get("protect", True),
        )
        return EvalAi(
            f"{self._name}-evalai",
            args["evalai"],
            around,
            opts=self._child,
            kept=self._protected,
        )


def check_arguments(args: EvalClusterArgs) -> None:
    """ValueError names the first argument that EKS would refuse, or take for something else."""
    if not CLUSTER_NAME.fullmatch(args["cluster_name"]):
        raise ValueError(
            f"cluster_name: {args['cluster_name']!r} must be 1 to 100 letters, digits, - and _, "
            "and start with a letter or digit"
        )
    if not args["public_access_cidrs"]:
        raise ValueError("public_access_cidrs: name at least one range; EKS takes none for all")
    largest = int(args.get("max_node_cpu", 16))
    for pool in on_demand_pools(args):
        if pool.tags:
            continue  # of a challenge, made to measure
        limit = pool.limits.get("cpu", largest)
        if not 2 <= largest <= limit:
            raise ValueError(
                f"max_node_cpu: {largest} vCPU must be 2 or more, and at most "
                f"{pool.name}_cpu_limit, {limit}"
            )
    if int(args.get("evaluation_gpu_limit", 0)) < 0:
        raise ValueError("evaluation_gpu_limit: 0 or more GPUs")
    for family in args.get("evaluation_gpu_families", []):
        if not GPU_FAMILY.fullmatch(family):
            raise ValueError(f"evaluation_gpu_families: {family!r} is no family such as g5 or p4d")
    if "evalai" in args:
        check_evalai(
            args["evalai"],
            has_public_subnets="public_subnet_ids" in args,
        )
    both = set(args.get("admin_role_arns", [])) & set(args.get("view_role_arns", []))
    if both:
        raise ValueError(
            f"admin_role_arns and view_role_arns: {', '.join(sorted(both))} is in both"
        )


def on_demand_pools(args: EvalClusterArgs) -> Sequence[NodePool]:
    """The pools that the arguments ask for; challenges with containers have one each."""
    largest, spot = int(args.get("max_node_cpu", 16)), args.get("evaluation_spot", False)
    pools = [
        platform_pool(cpu_limit=int(args.get("platform_cpu_limit", 32)), max_node_cpu=largest),
        evaluation_pool(
            cpu_limit=int(args.get("evaluation_cpu_limit", 64)), max_node_cpu=largest, spot=spot
        ),
    ]
    families = args.get("evaluation_gpu_families", ["g5", "g6"])
    if gpus := int(args.get("evaluation_gpu_limit", 0)):
        pools.append(gpu_pool(gpu_limit=gpus, families=families, max_node_cpu=largest, spot=spot))
    for challenge in args["evalai"].get("challenges", []) if "evalai" in args else []:
        if "container" in challenge:
            pools.append(container_pool(challenge, args["cluster_name"], families))
    return pools
