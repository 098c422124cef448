"""The headers that CloudFront adds to every answer, from the program's own policy of them."""

import re
from collections.abc import Mapping
from typing import Any

# Hosts of AWS that a page may talk to; on this machine all of them are one address.
_AWS_HOST = re.compile(r"https://[^\s;']+\.amazon(?:aws|cognito)\.com")


def security_headers(config: Mapping[str, Any], aws_url: str) -> dict[str, str]:
    """Name and value of each header of a response headers policy's `securityHeadersConfig`.

    https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_ResponseHeadersPolicySecurityHeadersConfig.html
    """
    headers: dict[str, str] = {}
    if policy := config.get("contentSecurityPolicy"):
        headers["Content-Security-Policy"] = _AWS_HOST.sub(aws_url, policy["contentSecurityPolicy"])
    if "contentTypeOptions" in config:
        headers["X-Content-Type-Options"] = "nosniff"
    if frame := config.get("frameOptions"):
        headers["X-Frame-Options"] = frame["frameOption"]
    if referrer := config.get("referrerPolicy"):
        headers["Referrer-Policy"] = referrer["referrerPolicy"]
    if transport := config.get("strictTransportSecurity"):  # browsers heed it with TLS only
        words = [f"max-age={int(transport['accessControlMaxAgeSec'])}"]
        words += ["includeSubDomains"] if transport.get("includeSubdomains") else []
        words += ["preload"] if transport.get("preload") else []
        headers["Strict-Transport-Security"] = "; ".join(words)
    return headers
