"""The local edge's headers: CloudFront's, with the hosts of AWS on this machine."""

from local.edge_headers import security_headers


def test_every_header_of_the_policy_is_sent() -> None:
    config = {
        "contentSecurityPolicy": {
            "contentSecurityPolicy": "default-src 'none'; connect-src 'self' "
            "https://*.s3.eu-central-1.amazonaws.com https://a.auth.eu-central-1.amazoncognito.com "
            "https://example.org; base-uri 'none'",
            "override": True,
        },
        "contentTypeOptions": {"override": True},
        "frameOptions": {"frameOption": "DENY", "override": True},
        "referrerPolicy": {"referrerPolicy": "no-referrer", "override": True},
        "strictTransportSecurity": {"accessControlMaxAgeSec": 60, "includeSubdomains": True},
    }
    here = "http://127.0.0.1:4566"
    assert security_headers(config, here) == {
        "Content-Security-Policy": f"default-src 'none'; connect-src 'self' {here} {here} "
        "https://example.org; base-uri 'none'",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Strict-Transport-Security": "max-age=60; includeSubDomains",
    }
    assert security_headers({}, here) == {}
