"""Addresses of what AWS reaches by host name."""


def url(endpoint: str) -> str:
    """An endpoint as a URL.

    AWS gives a bare host name, which serves HTTPS only; what stands in for it elsewhere comes with
    its scheme.
    """
    return endpoint if "://" in endpoint else f"https://{endpoint}"
