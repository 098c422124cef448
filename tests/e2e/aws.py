"""The platform's AWS as its administrator sees it, for what the API doesn't offer."""

from typing import Any

import boto3


def aws(stack: dict[str, Any], service: str) -> Any:
    """A boto3 client of a service."""
    return boto3.client(
        service,
        region_name=stack["region"],
        endpoint_url=stack["aws_endpoint_url"],
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
