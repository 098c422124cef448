"""Writes what the portal's page `reference` shows: the API's OpenAPI document, all types at once.

    python -m tools.api_reference

The viewer beside it, Swagger UI, is the files of npm's swagger-ui-dist at `VERSION`, unchanged.
"""

from collections.abc import Mapping
from pathlib import Path

from functions.api.openapi import document
from functions.shared.resources import indent, serialise

PAGE = Path(__file__).resolve().parents[1] / "portal" / "site" / "reference"
DOCUMENT = PAGE / "openapi.json"
VIEWER = PAGE / "swagger-ui"

VERSION = "5.35.0"
SHA256: Mapping[str, str] = {
    "LICENSE": "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30",
    "NOTICE": "0d20d1adef18aee3f40dd258172155521ce702ac445cb5f7b7d60ed32dad2fb2",
    "swagger-ui-bundle.js": "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2",
    "swagger-ui.css": "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d",
}
"""Of the viewer's files. For another version: `npm pack swagger-ui-dist@VERSION`."""


def reference() -> bytes:
    """The document as the page has it; the page adds the API's address."""
    return indent(serialise(document())) + b"\n"


if __name__ == "__main__":
    DOCUMENT.write_bytes(reference())
    print(DOCUMENT)
