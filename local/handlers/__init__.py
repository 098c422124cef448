"""How each resource type of the program is made on the local AWS: one table.

A type that isn't in it has no counterpart on this machine and is only recorded.
"""

from local.handlers import (
    apigateway,
    cloudfront,
    cloudwatch,
    cognito,
    dynamodb,
    eventbridge,
    iam,
    kms,
    lambda_,
    opensearch,
    random_,
    s3,
    secrets_manager,
    sqs,
    step_functions,
)
from local.handlers.base import Handler

HANDLERS: dict[str, Handler] = {
    **apigateway.HANDLERS,
    **cloudfront.HANDLERS,
    **cloudwatch.HANDLERS,
    **cognito.HANDLERS,
    **dynamodb.HANDLERS,
    **eventbridge.HANDLERS,
    **iam.HANDLERS,
    **kms.HANDLERS,
    **lambda_.HANDLERS,
    **opensearch.HANDLERS,
    **random_.HANDLERS,
    **s3.HANDLERS,
    **secrets_manager.HANDLERS,
    **sqs.HANDLERS,
    **step_functions.HANDLERS,
}
"""By type token."""
