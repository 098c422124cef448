"""What CloudFront keeps, and what of a request it hands on."""

import pulumi
import pulumi_aws as aws

# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html
CACHING_OPTIMIZED = "658327ea-f89d-4fab-a63d-7e88639e58f6"
CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-origin-request-policies.html
ALL_VIEWER_EXCEPT_HOST_HEADER = "b689b0a8-53d0-40ab-baf2-68738e2966ac"
LONGEST_SECONDS = 3600


def metadata_cache(name: str, opts: pulumi.ResourceOptions) -> aws.cloudfront.CachePolicy:
    """Keeps answers of `/metadata` by host, `Accept` and query, which alone reach the function.

    Since nothing else of a request does, no answer to one client is kept for others. How long is
    the function's to say.
    """
    return aws.cloudfront.CachePolicy(
        name,
        comment="Answers of /metadata",
        min_ttl=0,
        default_ttl=0,
        max_ttl=LONGEST_SECONDS,
        parameters_in_cache_key_and_forwarded_to_origin={
            "cookies_config": {"cookie_behavior": "none"},
            "enable_accept_encoding_brotli": True,
            "enable_accept_encoding_gzip": True,
            "headers_config": {
                "header_behavior": "whitelist",
                "headers": {"items": ["accept", "x-forwarded-host"]},
            },
            "query_strings_config": {"query_string_behavior": "all"},
        },
        opts=opts,
    )
