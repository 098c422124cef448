"""CloudFront's access log: to CloudWatch, encrypted, without query strings and cookies."""

import pulumi
import pulumi_aws as aws

# All fields of a standard log but query and cookie, which may name patients or sessions.
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logs-reference.html
LOG_FIELDS = [
    *("date", "time", "x-edge-location", "sc-bytes", "c-ip", "cs-method", "cs(Host)"),
    *("cs-uri-stem", "sc-status", "cs(User-Agent)", "x-edge-result-type", "x-edge-request-id"),
    *("x-host-header", "cs-protocol", "cs-bytes", "time-taken", "ssl-protocol", "ssl-cipher"),
    *("x-edge-response-result-type", "cs-protocol-version", "time-to-first-byte"),
    *("x-edge-detailed-result-type", "sc-content-type", "sc-content-len"),
]


def access_log(
    name: str,
    distribution: aws.cloudfront.Distribution,
    *,
    key_arn: pulumi.Input[str],
    retention_days: int,
    region: str,
) -> None:
    """Standard logging of the second version, which needs no bucket with ACLs.

    https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logging.html
    """
    child = pulumi.ResourceOptions(parent=distribution)
    physical = f"{pulumi.get_project()}-{pulumi.get_stack()}-{name}"
    group = aws.cloudwatch.LogGroup(
        name,
        # The prefix lets the service find its permission without a policy per group.
        name_prefix=f"/aws/vendedlogs/{physical}-",
        kms_key_id=key_arn,
        retention_in_days=retention_days,
        region=region,
        opts=child,
    )
    source = aws.cloudwatch.LogDeliverySource(
        name,
        name=physical,
        log_type="ACCESS_LOGS",
        resource_arn=distribution.arn,
        region=region,
        opts=child,
    )
    target = aws.cloudwatch.LogDeliveryDestination(
        name,
        name=physical,
        output_format="json",
        delivery_destination_configuration={"destination_resource_arn": group.arn},
        region=region,
        opts=child,
    )
    aws.cloudwatch.LogDelivery(
        name,
        delivery_source_name=source.name,
        delivery_destination_arn=target.arn,
        record_fields=LOG_FIELDS,
        region=region,
        opts=child,
    )
