"""The portal's checked-in script: not older than its sources, and small."""

import gzip
import hashlib
from pathlib import Path

PORTAL = Path(__file__).resolve().parents[2] / "portal"
SITE = PORTAL / "site"
MOST_BYTES = 100_000


def test_the_script_was_built_from_these_sources() -> None:
    paths = [*(PORTAL / "source").rglob("*.ts"), *(PORTAL / "source").rglob("*.tsx")]
    paths += [PORTAL / name for name in ("build.js", "package-lock.json", "tsconfig.json")]
    digest = hashlib.sha256()
    for name, path in sorted((path.relative_to(PORTAL).as_posix(), path) for path in paths):
        digest.update(f"{name}\n".encode() + path.read_bytes())
    with (SITE / "portal.js").open() as script:
        assert digest.hexdigest() in script.readline(), "run `make portal`"


def test_the_page_is_small() -> None:
    """What a browser fetches, compressed as CloudFront sends it."""
    fetched = [
        path.read_bytes() for path in SITE.iterdir() if path.suffix in (".html", ".js", ".css")
    ]
    assert len(fetched) == 3
    assert sum(len(gzip.compress(content)) for content in fetched) <= MOST_BYTES
