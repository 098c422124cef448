"""The page with the API's reference: it shows the document that the API serves."""

import hashlib
from collections.abc import Callable
from typing import Any

import requests

from tools import api_reference


def test_it_shows_what_the_api_says_of_itself(
    stack: dict[str, Any], client: Callable[[str], Any]
) -> None:
    page = f"{stack['portal_url']}/reference"
    answer = requests.get(f"{page}/openapi.json", timeout=10)
    assert "script-src 'self';" in answer.headers["Content-Security-Policy"]
    shown = answer.json()
    served = client("practitioner").get("/openapi.json").json()
    del served["servers"]
    assert shown == served, "run `make reference`"
    for name, digest in api_reference.SHA256.items():
        content = requests.get(f"{page}/swagger-ui/{name}", timeout=10).content
        assert hashlib.sha256(content).hexdigest() == digest, name
