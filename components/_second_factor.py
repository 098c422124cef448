"""What a user pool asks before it signs tokens: some groups need a second factor."""

import json
from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from ._functions import Functions
from ._layer import FunctionPlatform
from ._policy_documents import allow, policy_document

SECONDS = 5  # Cognito waits no longer


class SecondFactor:
    """The function `second-factor`, for a pool that doesn't ask everybody for a code.

    The pool names the function, so what names the pool comes after both: until then the function
    can't ask, and nobody who needs it gets a token.
    """

    def __init__(
        self,
        name: str,
        *,
        exempt: Sequence[str],
        platform: FunctionPlatform,
        key: aws.kms.Key,
        log_retention_days: int,
        opts: pulumi.ResourceOptions,
    ) -> None:
        """`exempt` are the groups that need none."""
        self._name, self._opts = f"{name}-second-factor", opts
        functions = Functions(
            name, platform=platform, key=key, log_retention_days=log_retention_days, opts=opts
        )
        self._function = functions.function(
            "second-factor",
            "functions.second_factor.handler.handler",
            description="Keeps groups out of tokens whose user has no second factor",
            environment={"SINGLE_FACTOR_GROUPS": json.dumps(sorted(exempt))},
            statements=[],
            timeout=SECONDS,
            memory=512,
        )

    @property
    def function_name(self) -> pulumi.Output[str]:
        """Of the function."""
        return self._function.resource.name

    @property
    def trigger(self) -> aws.cognito.UserPoolLambdaConfigArgsDict:
        """The pool's setting. The second version speaks of both tokens."""
        arn = self._function.resource.arn
        return {"pre_token_generation_config": {"lambda_arn": arn, "lambda_version": "V2_0"}}

    def serve(self, pool: aws.cognito.UserPool) -> None:
        """Lets the pool, and no other, call the function, and the function ask it for users."""
        aws.iam.RolePolicy(
            f"{self._name}-users",
            role=self._function.role.name,
            policy=policy_document([allow(["cognito-idp:AdminGetUser"], pool.arn)]),
            opts=self._opts,
        )
        aws.lambda_.Permission(
            self._name,
            action="lambda:InvokeFunction",
            principal="cognito-idp.amazonaws.com",
            function=self._function.resource.arn,
            source_arn=pool.arn,
            source_account=aws.get_caller_identity_output().account_id,
            opts=self._opts,
        )
