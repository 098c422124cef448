"""Puts the provider of `local/provider.py` where the engine looks for plugins."""

import shlex
import sys
from importlib import metadata
from pathlib import Path

from local.assets import Contents
from local.errors import LocalError
from local.files import REPOSITORY, read_json, write_json
from local.handlers.base import Clients
from local.servers import ACCOUNT, REGION

PACKAGES = ("aws", "eks", "kubernetes", "random")
NOTHING_MADE = Clients(
    region=REGION,
    account=ACCOUNT,
    endpoint_url="",
    access_key="",
    secret_key="",
    search_url="",
    edge_url="",
)
"""No local AWS: everything is recorded."""
SCRIPT = """\
#!/bin/sh
export PYTHONPATH={repository}
exec {python} -P -m local.provider serve {package} {settings} "$@"
"""


def version(package: str) -> str:
    """Of the installed SDK, which asks for a plugin of just that version."""
    return metadata.version(f"pulumi-{package}")


def install(home: Path, clients: Clients = NOTHING_MADE) -> None:
    """Makes a plugin for each package in a Pulumi home, with what it must know.

    Raises LocalError for a home in use: real stacks would then be deployed by these plugins."""
    settings = _settings(home)
    if home.is_dir() and any(home.iterdir()) and not settings.exists():
        raise LocalError(f"{home} is in use: name a new folder, and set PULUMI_HOME to it.")
    (settings.parent / "contents").mkdir(parents=True, exist_ok=True)
    known = ("region", "account", "endpoint_url", "access_key", "secret_key", "search_url",
             "edge_url")  # fmt: skip
    write_json(settings, {name: getattr(clients, name) for name in known})
    for package in PACKAGES:
        add(home, package, version(package))


def add(home: Path, package: str, version: str) -> None:
    """Makes a plugin; the engine asks for that of another version when a state has it."""
    name = f"pulumi-resource-{package}"
    script = home / "plugins" / f"resource-{package}-v{version}" / name
    script.parent.mkdir(parents=True, exist_ok=True)
    places = {"repository": REPOSITORY, "python": sys.executable, "settings": _settings(home)}
    quoted = {key: shlex.quote(str(value)) for key, value in places.items()}
    script.write_text(SCRIPT.format(package=package, **quoted))
    script.chmod(0o700)


def _settings(home: Path) -> Path:
    return home / "local-provider" / "settings.json"


def read(settings: Path) -> tuple[Clients, Contents]:
    """What `install` wrote."""
    return Clients(**read_json(settings)), Contents(settings.parent / "contents")
