"""How each resource type of the program is made on the local AWS: one table.

A type that isn't in it has no counterpart on this machine and is only recorded.
"""

from local.handlers import (
    apigateway,
    cloudwatch,
    cognito,
    dynamodb,
    iam,
    kms,
    lambda_,
    opensearch,
    random_,
    s3,
    secrets_manager,
    sqs,
)
from local.handlers.base import Handler

HANDLERS: dict[str, Handler] = {
    type_: handler
    for module in (
        apigateway,
        cloudwatch,
        cognito,
        dynamodb,
        iam,
        kms,
        lambda_,
        opensearch,
        random_,
        s3,
        secrets_manager,
        sqs,
    )
    for type_, handler in module.HANDLERS.items()
}
