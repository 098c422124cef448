"""ARNs, for what is named before it is made and for what others have made.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
"""

import pulumi
import pulumi_aws as aws

WITHOUT_REGION = frozenset({"cloudfront", "iam", "route53", "s3"})
WITHOUT_ACCOUNT = frozenset({"route53", "s3"})


def arn(
    service: str,
    *resource: pulumi.Input[str],
    region: pulumi.Input[str] | None = None,
    account: pulumi.Input[str] | None = None,
) -> pulumi.Output[str]:
    """The ARN of a service's resource, which is given in one or more pieces.

    It is of the stack's region and account, as far as the service's ARNs have them, or of those
    that are given.
    """
    if region is None:
        region = "" if service in WITHOUT_REGION else aws.get_region_output().region
    if account is None:
        owned = service not in WITHOUT_ACCOUNT
        account = aws.get_caller_identity_output().account_id if owned else ""
    partition = aws.get_partition_output().partition
    return pulumi.Output.concat(
        "arn:", partition, ":", service, ":", region, ":", account, ":", *resource
    )


def managed_policy(name: pulumi.Input[str]) -> pulumi.Output[str]:
    """The ARN of a policy of AWS's own, by its path and name."""
    return arn("iam", "policy/", name, account="aws")
