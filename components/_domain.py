"""A host name of one's own: its certificate and its records in a Route 53 zone."""

from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

PROOF_SECONDS = 300


class EdgeDomainArgs(TypedDict):
    """A host name of one's own."""

    name: str
    """Host name, e.g. `ai4h.example.org`."""
    certificate_arn: NotRequired[pulumi.Input[str]]
    """ACM certificate for the name, in us-east-1. Default: makes one, with `zone_id`."""
    zone_id: NotRequired[pulumi.Input[str]]
    """Route 53 zone that gets the records. Default: you point the name to the distribution."""


def certificate_for(
    name: str, domain: EdgeDomainArgs, *, region: str, opts: pulumi.ResourceOptions
) -> pulumi.Input[str]:
    """ARN of the certificate that was given, or of one that is made.

    Raises ValueError if there is nothing to make it by.
    """
    if "certificate_arn" in domain:
        return domain["certificate_arn"]
    if "zone_id" not in domain:
        raise ValueError(f"domain {domain['name']}: give certificate_arn, zone_id or both")
    return certificate(name, domain["name"], domain["zone_id"], region=region, opts=opts)


def certificate(
    name: str,
    host: str,
    zone_id: pulumi.Input[str],
    *,
    region: str,
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str]:
    """ARN of a certificate for the host, once it is issued; ACM renews it by the same record.

    https://docs.aws.amazon.com/acm/latest/userguide/dns-validation.html
    """
    asked = aws.acm.Certificate(
        name, domain_name=host, validation_method="DNS", region=region, opts=opts
    )
    proof = asked.domain_validation_options[0]
    record = aws.route53.Record(
        f"{name}-proof",
        zone_id=zone_id,
        name=proof.resource_record_name,
        type=proof.resource_record_type,
        records=[proof.resource_record_value],
        ttl=PROOF_SECONDS,
        allow_overwrite=True,  # of the same host in the same account, which asks for the same one
        opts=opts,
    )
    issued = aws.acm.CertificateValidation(
        name,
        certificate_arn=asked.arn,
        validation_record_fqdns=[record.fqdn],
        region=region,
        opts=opts,
    )
    return issued.certificate_arn


def point_to(
    name: str,
    host: str,
    zone_id: pulumi.Input[str],
    distribution: aws.cloudfront.Distribution,
    opts: pulumi.ResourceOptions,
) -> None:
    """Records of the host for the distribution's addresses, of both versions of IP."""
    for kind in ("A", "AAAA"):
        aws.route53.Record(
            f"{name}-{kind.lower()}",
            zone_id=zone_id,
            name=host,
            type=kind,
            aliases=[
                {
                    "name": distribution.domain_name,
                    "zone_id": distribution.hosted_zone_id,
                    "evaluate_target_health": False,  # a distribution has none
                }
            ],
            opts=opts,
        )


def viewer_certificate(certificate_arn: pulumi.Input[str] | None) -> Any:
    """Own certificate with TLS 1.2 as the floor, or CloudFront's, whose floor can't be set."""
    if certificate_arn is None:
        return {"cloudfront_default_certificate": True}
    return {
        "acm_certificate_arn": certificate_arn,
        "minimum_protocol_version": "TLSv1.2_2021",
        "ssl_support_method": "sni-only",
    }
