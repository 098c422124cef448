"""ChallengeRoles: what workers of challenges need of AWS, where their cluster isn't EvalCluster."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from ._challenge_access import (
    Challenge,
    ChallengeAccess,
    ChallengeDatasetsArgs,
    Operation,
    service_account_trust,
)
from ._keys import encryption_key, log_statement
from ._layer import FunctionPlatform


class ChallengeRolesWorkersArgs(TypedDict):
    """The workers of a challenge."""

    challenge_id: int
    """Primary key in EvalAI, by which datasets are granted and attached."""
    service_account: str
    """Their service account, as `namespace:name`."""


class ChallengeRolesArgs(TypedDict):
    datasets: ChallengeDatasetsArgs
    """The datasets that challenges may use."""
    oidc_provider_arn: pulumi.Input[str]
    """IAM identity provider of the cluster that the workers are in."""
    oidc_issuer: pulumi.Input[str]
    """The provider's address without scheme."""
    challenges: list[ChallengeRolesWorkersArgs]
    """Challenges with workers; at least one."""
    function_platform: NotRequired[FunctionPlatform]
    """Where the function runs. Default: AWS Lambda."""
    alarm_topic_arn: NotRequired[pulumi.Input[str]]
    """SNS topic that alarms go to. Default: no alarms, since nobody would hear them."""
    log_retention_days: NotRequired[int]
    """How long the function's logs are kept, in days. Default: 365."""


class ChallengeRoles(pulumi.ComponentResource):
    """A role for the workers of each challenge, which reads the datasets attached to it.

    Creates: roles that one service account each can take (IRSA), the limit of what they may ever
    do, and the reconciler: a function that writes each minute what they may read now, as owners'
    grants and hosts' attachments say. EvalCluster makes the same for EvalAI in it.
    """

    role_arns: pulumi.Output[dict[str, str]]
    """Role of each challenge's workers, by the challenge's number."""
    reconciler_function_name: pulumi.Output[str]
    """Name of the function that writes what the roles may read."""

    def __init__(
        self, name: str, args: ChallengeRolesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ai4h:index:ChallengeRoles", name, {}, opts)
        check_workers(args["challenges"])
        child = pulumi.ResourceOptions(parent=self)
        key = encryption_key(
            f"{name}-key",
            f"Logs of {name}",
            statements=[log_statement(aws.get_region_output().region)],
            opts=child,
        )
        access = ChallengeAccess(
            name,
            [
                Challenge(
                    int(workers["challenge_id"]),
                    service_account_trust(
                        args["oidc_provider_arn"],
                        args["oidc_issuer"],
                        [workers["service_account"]],
                    ),
                )
                for workers in args["challenges"]
            ],
            limits=[],
            datasets=args["datasets"],
            operation=Operation(
                key,
                args.get("function_platform", FunctionPlatform.LAMBDA),
                int(args.get("log_retention_days", 365)),
                args.get("alarm_topic_arn"),
            ),
            opts=child,
        )
        assert access.reconciler is not None  # there are challenges and datasets
        self.role_arns = pulumi.Output.all(
            **{str(number): role.arn for number, role in access.roles.items()}
        )
        self.reconciler_function_name = access.reconciler.resource.name
        self.register_outputs(
            {
                "role_arns": self.role_arns,
                "reconciler_function_name": self.reconciler_function_name,
            }
        )


def check_workers(challenges: list[ChallengeRolesWorkersArgs]) -> None:
    """ValueError names the first argument that would be taken for something else."""
    numbers = [int(workers["challenge_id"]) for workers in challenges]
    if not numbers:
        raise ValueError("challenges: name at least one")
    if twice := {number for number in numbers if numbers.count(number) > 1}:
        raise ValueError(f"challenges: challenge_id {min(twice)} is given twice")
    for workers in challenges:
        namespace, _, account = workers["service_account"].partition(":")
        if not namespace or not account or "*" in workers["service_account"]:
            raise ValueError(
                f"challenges: service_account {workers['service_account']!r} must be namespace:name"
            )
