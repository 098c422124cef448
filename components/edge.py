"""Edge: the one public address, with the portal and the API behind it."""

from enum import Enum
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from ._access_log import access_log
from ._alarm_catalogue import certificate_alarm, edge_alarm
from ._alarms import raise_alarms
from ._arns import arn
from ._caching import (
    ALL_VIEWER_EXCEPT_HOST_HEADER,
    CACHING_DISABLED,
    CACHING_OPTIMIZED,
    metadata_cache,
)
from ._dashboard_parts import edge_part
from ._domain import EdgeDomainArgs, certificate_for, point_to, viewer_certificate
from ._endpoints import url
from ._keys import encryption_key, log_statement
from ._portal import portal_bucket, security_headers, serve
from ._regions import GLOBAL_REGION
from ._routes import STAGE
from ._web_acl import KEY_RATE_LIMIT, ORIGIN_SECRET_HEADER, Scope, baseline_rules, web_acl

PORTAL = Path(__file__).parent.parent / "portal" / "site"

ALL_METHODS = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]
# The API builds its links from the address that the viewer used; a viewer can't forge it.
FORWARD_HOST = """\
function handler(event) {
  event.request.headers["x-forwarded-host"] = { value: event.request.headers.host.value };
  return event.request;
}
"""


class PriceClass(Enum):
    """Which CloudFront locations serve."""

    ALL = "PriceClass_All"
    """All of them."""
    EUROPE_AMERICA_ASIA = "PriceClass_200"
    """All but South America, Australia and New Zealand."""
    EUROPE_AMERICA = "PriceClass_100"
    """North America, Europe and Israel."""


class EdgeArgs(TypedDict):
    domain: NotRequired[EdgeDomainArgs]
    """Own host name. Default: the distribution's, with CloudFront's certificate (TLS 1.0 floor)."""
    price_class: NotRequired[PriceClass]
    """Locations that serve. Default: Europe and North America."""
    allowed_countries: NotRequired[list[str]]
    """Countries (ISO 3166-1, two letters) that are served, and no other. Default: all."""
    blocked_countries: NotRequired[list[str]]
    """Countries that aren't served; instead of `allowed_countries`. Default: none."""
    rate_limit: NotRequired[int]
    """Requests per client address and five minutes before the firewall blocks. Default: 2,000."""
    key_rate_limit: NotRequired[int]
    """Requests per API key and five minutes before the firewall blocks. Default: 60,000."""
    origin_secret_version: NotRequired[int]
    """Counts up to rotate the secret between edge and API. Default: 1."""
    portal_path: NotRequired[str]
    """Directory with the portal's files. Default: the one of this project."""
    log_retention_days: NotRequired[int]
    """How long access and firewall logs are kept, in days. Default: 365."""
    alarm_topic_arn: NotRequired[pulumi.Input[str]]
    """SNS topic in us-east-1 that hears of errors and of an ending certificate. Default: none."""


class Edge(pulumi.ComponentResource):
    """CloudFront with a firewall: `/api` and below goes to a REST API, the rest to the portal.

    Creates: distribution, web ACL with logs, security headers, private portal bucket with its
    files and access logs, an empty regional REST API, the secret by which the API's stage
    knows requests that came through here, and alarms when there is a topic.
    """

    portal_url: pulumi.Output[str]
    """Public address, without trailing slash."""
    api_url: pulumi.Output[str]
    """Public base address of the API."""
    rest_api_id: pulumi.Output[str]
    """The REST API, without methods; deploy it to a stage named `api`."""
    rest_api_name: pulumi.Output[str]
    """The REST API's name, by which its metrics are found."""
    root_resource_id: pulumi.Output[str]
    """The REST API's root resource."""
    portal_bucket: pulumi.Output[str]
    """Name of the bucket that holds the portal's files."""
    origin_secrets: pulumi.Output[list[str]]
    """Values of the header `x-origin-secret` that the API may accept (secret)."""
    dashboard: pulumi.Output[str]
    """Its part of a `Dashboard`."""

    def __init__(
        self, name: str, args: EdgeArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ai4h:index:Edge", name, {}, opts)
        self._name = name
        self._child = pulumi.ResourceOptions(parent=self)
        self._region = aws.get_region_output().region
        retention = int(args.get("log_retention_days", 365))
        domain = args.get("domain")

        key = self._key()
        sent, self.origin_secrets = self._origin_secrets(int(args.get("origin_secret_version", 1)))
        bucket = portal_bucket(
            f"{name}-portal",
            Path(args.get("portal_path", PORTAL)),
            key_arn=key.arn,
            log_retention_days=retention,
            opts=self._child,
        )
        api = aws.apigateway.RestApi(
            f"{name}-api",
            description=f"FHIR API of {pulumi.get_project()} ({pulumi.get_stack()})",
            endpoint_configuration={"types": "REGIONAL"},
            minimum_compression_size="1024",
            opts=self._child,
        )
        global_key = encryption_key(
            f"{name}-global-logs",
            f"Edge logs of {name}",
            statements=[log_statement(GLOBAL_REGION)],
            region=GLOBAL_REGION,
            opts=self._child,
        )
        firewall = web_acl(
            f"{name}-firewall",
            scope=Scope.EDGE,
            rules=baseline_rules(
                [f"/{STAGE}"],
                int(args.get("rate_limit", 2000)),
                int(args.get("key_rate_limit", KEY_RATE_LIMIT)),
            ),
            key_arn=global_key.arn,
            retention_days=retention,
            region=GLOBAL_REGION,
            opts=self._child,
        )
        certificate_arn = (
            None
            if domain is None
            else certificate_for(f"{name}-domain", domain, region=GLOBAL_REGION, opts=self._child)
        )
        distribution = self._distribution(bucket, api, firewall, sent, certificate_arn, args)
        access_log(
            f"{name}-access",
            distribution,
            key_arn=global_key.arn,
            retention_days=retention,
            region=GLOBAL_REGION,
        )
        if (topic_arn := args.get("alarm_topic_arn")) is not None:
            watched = [edge_alarm(distribution.id)]
            if certificate_arn is not None:
                watched.append(certificate_alarm(certificate_arn))
            raise_alarms(name, watched, topic_arn, self._child, region=GLOBAL_REGION)
        serve(f"{name}-portal", bucket, distribution.arn)
        if domain is not None and (zone_id := domain.get("zone_id")) is not None:
            point_to(f"{name}-domain", domain["name"], zone_id, distribution, self._child)

        host = (
            distribution.domain_name if domain is None else pulumi.Output.from_input(domain["name"])
        )
        self.portal_url = host.apply(url)
        self.api_url = pulumi.Output.concat(self.portal_url, "/", STAGE)
        self.rest_api_id = api.id
        self.rest_api_name = api.name
        self.root_resource_id = api.root_resource_id
        self.portal_bucket = bucket.bucket
        self.dashboard = edge_part(distribution, firewall)
        self.register_outputs(
            {
                "portal_url": self.portal_url,
                "api_url": self.api_url,
                "rest_api_id": self.rest_api_id,
                "rest_api_name": self.rest_api_name,
                "root_resource_id": self.root_resource_id,
                "portal_bucket": self.portal_bucket,
                "origin_secrets": self.origin_secrets,
                "dashboard": self.dashboard,
            }
        )

    def _key(self) -> aws.kms.Key:
        # Any distribution of this account, since this one needs the bucket and so the key first;
        # the bucket's policy names the one distribution that may read.
        distributions = arn("cloudfront", "distribution/*")
        return encryption_key(
            f"{self._name}-key",
            f"Portal of {self._name}",
            statements=[
                {
                    "Sid": "CloudFront",
                    "Effect": "Allow",
                    "Principal": {"Service": "cloudfront.amazonaws.com"},
                    "Action": "kms:Decrypt",
                    "Resource": "*",
                    "Condition": {"ArnLike": {"aws:SourceArn": distributions}},
                }
            ],
            opts=self._child,
        )

    def _origin_secrets(self, version: int) -> tuple[pulumi.Output[str], pulumi.Output[list[str]]]:
        """The value that CloudFront sends, and all that the API accepts.

        The next value is accepted before CloudFront sends it and the previous one after, so that
        no order of the two updates refuses a request.
        """
        values = {
            number: random.RandomPassword(
                f"{self._name}-origin-secret-{number}", length=48, special=False, opts=self._child
            ).result
            for number in (version - 1, version, version + 1)
            if number > 0
        }
        return values[version], pulumi.Output.all(*values.values())

    def _distribution(
        self,
        bucket: aws.s3.Bucket,
        api: aws.apigateway.RestApi,
        firewall: aws.wafv2.WebAcl,
        origin_secret: pulumi.Output[str],
        certificate_arn: pulumi.Input[str] | None,
        args: EdgeArgs,
    ) -> aws.cloudfront.Distribution:
        name, child, domain = self._name, self._child, args.get("domain")
        access = aws.cloudfront.OriginAccessControl(
            f"{name}-portal",
            origin_access_control_origin_type="s3",
            signing_behavior="always",
            signing_protocol="sigv4",
            opts=child,
        )
        forward_host = aws.cloudfront.Function(
            f"{name}-forward-host", runtime="cloudfront-js-2.0", code=FORWARD_HOST, opts=child
        )
        headers = aws.cloudfront.ResponseHeadersPolicy(
            f"{name}-headers",
            security_headers_config=self._region.apply(security_headers),
            opts=child,
        )
        api_behaviour: Any = {
            "target_origin_id": "api",
            "viewer_protocol_policy": "https-only",
            "allowed_methods": ALL_METHODS,
            "cached_methods": ["GET", "HEAD"],
            "cache_policy_id": CACHING_DISABLED,
            "origin_request_policy_id": ALL_VIEWER_EXCEPT_HOST_HEADER,
            "response_headers_policy_id": headers.id,
            "function_associations": [
                {"event_type": "viewer-request", "function_arn": forward_host.arn}
            ],
        }
        metadata_behaviour = api_behaviour | {
            "path_pattern": f"/{STAGE}/metadata",
            "cache_policy_id": metadata_cache(f"{name}-metadata", child).id,
            "origin_request_policy_id": None,
            "compress": True,
        }
        api_host = pulumi.Output.concat(api.id, ".execute-api.", self._region, ".amazonaws.com")
        return aws.cloudfront.Distribution(
            f"{name}-distribution",
            comment=f"{pulumi.get_project()} ({pulumi.get_stack()})",
            enabled=True,
            is_ipv6_enabled=True,
            http_version="http2and3",
            price_class=args.get("price_class", PriceClass.EUROPE_AMERICA).value,
            default_root_object="index.html",
            aliases=[domain["name"]] if domain else [],
            web_acl_id=firewall.arn,
            origins=[
                {
                    "origin_id": "portal",
                    "domain_name": bucket.bucket_regional_domain_name,
                    "origin_access_control_id": access.id,
                },
                {
                    "origin_id": "api",
                    # The stage has the name of the path, so that `/api/x` needs no rewriting.
                    "domain_name": api_host,
                    "custom_headers": [{"name": ORIGIN_SECRET_HEADER, "value": origin_secret}],
                    "custom_origin_config": {
                        "http_port": 80,
                        "https_port": 443,
                        "origin_protocol_policy": "https-only",
                        "origin_ssl_protocols": ["TLSv1.2"],
                    },
                },
            ],
            default_cache_behavior={
                "target_origin_id": "portal",
                "viewer_protocol_policy": "redirect-to-https",
                "allowed_methods": ["GET", "HEAD", "OPTIONS"],
                "cached_methods": ["GET", "HEAD"],
                "cache_policy_id": CACHING_OPTIMIZED,
                "response_headers_policy_id": headers.id,
                "compress": True,
            },
            ordered_cache_behaviors=[
                metadata_behaviour,
                api_behaviour | {"path_pattern": f"/{STAGE}"},
                api_behaviour | {"path_pattern": f"/{STAGE}/*"},
            ],
            restrictions={"geo_restriction": served_countries(args)},
            viewer_certificate=viewer_certificate(certificate_arn),
            opts=child,
        )


def served_countries(args: EdgeArgs) -> Any:
    """Where requests may come from. Raises ValueError for two lists that exclude each other."""
    allowed, blocked = args.get("allowed_countries", []), args.get("blocked_countries", [])
    if allowed and blocked:
        raise ValueError("allowed_countries and blocked_countries: give one of them")
    if not allowed and not blocked:
        return {"restriction_type": "none"}
    kind = "whitelist" if allowed else "blacklist"  # CloudFront's words
    return {"restriction_type": kind, "locations": sorted(allowed or blocked)}
