"""What is in what we ship: bills of materials (CycloneDX), and licences that aren't ours to use.

    python -m tools.supply_chain dist/sbom

Python's packages are installed from their locks into environments of their own, where
`cyclonedx-py` finds their licences; those of the portal's script are told by `npm sbom`.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from local.files import REPOSITORY

LOCKS = {
    "functions": "functions/requirements.txt",  # in Lambda
    "program": "requirements.txt",  # where `pulumi up` runs
    "policies": "policies/requirements.txt",
    "runner": "runner/requirements.txt",  # in the image of that name
}
PORTAL = REPOSITORY / "portal"
TOOLS = REPOSITORY / "tools" / ".venv" / "bin"

# Permissive ones, and the MPL, which asks for the sources of its own files only, if changed.
ALLOWED = {
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MIT-CMU"),
    *("MPL-2.0", "PSF-2.0", "Python-2.0", "Unlicense", "Zlib", "BSD-3-Clause-Open-MPI"),
}
# What packages write that name no SPDX identifier.
NAMES = {
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}

# What their metadata don't tell in a form that `cyclonedx-py` knows, but the files beside them do.
TOLD = {"protobuf": "BSD-3-Clause", "pulumi_policy": "Apache-2.0"}

Sbom = Mapping[str, Any]


class SupplyError(RuntimeError):
    """A bill can't be written, or has a licence that isn't allowed; the text says which."""


def licences(component: Mapping[str, Any]) -> list[str]:
    """The licences of a component, as SPDX expressions where it names them so."""
    found = []
    for entry in component.get("licenses", []):
        named = entry.get("expression") or entry["license"].get("id") or entry["license"]["name"]
        found.append(NAMES.get(named.removeprefix("License :: OSI Approved :: "), named))
    return found or [TOLD[name] for name in (component["name"],) if name in TOLD]


def allowed(expression: str) -> bool:
    """Whether an SPDX expression can be met with allowed licences."""
    choices = re.split(r"\s+OR\s+", expression.strip("() "))
    return any(
        all(part.strip("() ") in ALLOWED for part in re.split(r"\s+AND\s+", choice))
        for choice in choices
    )


def refused(sbom: Sbom) -> Iterator[str]:
    """Components of which no licence is known and allowed."""
    for component in sbom.get("components", []):
        named = licences(component)
        if not any(allowed(licence) for licence in named):
            yield f"{component['name']} {component['version']}: {', '.join(named) or 'no licence'}"


def markdown(sboms: Mapping[str, Sbom]) -> str:
    """All components with their licences, by what they are part of."""
    lines = ["# Licences of what is shipped\n"]
    for name, sbom in sboms.items():
        lines += [f"## {name}\n", "| package | version | licence |", "|---|---|---|"]
        for component in sorted(sbom.get("components", []), key=lambda found: found["name"]):
            named = "; ".join(dict.fromkeys(licences(component)))
            lines.append(f"| {component['name']} | {component['version']} | {named} |")
        lines.append("")
    return "\n".join(lines)


def of_lock(lock: Path) -> Sbom:
    """The bill of a Python lock."""
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "environment"
        _run("uv", "venv", "--quiet", "--python", sys.executable, str(environment))
        python = environment / "bin" / "python"
        options = ("--quiet", "--require-hashes", "--python", str(python))
        _run("uv", "pip", "sync", *options, str(lock))
        return json.loads(_run("cyclonedx-py", "environment", "--output-reproducible", str(python)))


def of_portal() -> Sbom:
    """The bill of what is bundled into the portal's script."""
    if shutil.which("npm") is None:
        raise SupplyError("There is no npm on PATH, which tells what the portal's script is of.")
    options = ("--sbom-format=cyclonedx", "--package-lock-only", "--omit=dev")
    return json.loads(_run("npm", "sbom", *options, folder=PORTAL))


def _run(program: str, *arguments: str, folder: Path = REPOSITORY) -> str:
    places = (TOOLS / program, Path(sys.executable).with_name(program))
    found = next((str(place) for place in places if place.exists()), program)
    command = [found, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SupplyError(f"{program} failed:\n{done.stderr.strip()}")
    return done.stdout


def main() -> None:
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    sboms = {name: of_lock(REPOSITORY / lock) for name, lock in LOCKS.items()}
    sboms["portal"] = of_portal()
    for name, sbom in sboms.items():
        (target / f"{name}.cdx.json").write_text(json.dumps(sbom, indent=1), "utf-8")
    (target / "licences.md").write_text(markdown(sboms), "utf-8")
    problems = [f"{name}: {line}" for name, sbom in sboms.items() for line in refused(sbom)]
    if problems:
        raise SupplyError("Licences that aren't allowed:\n" + "\n".join(problems))
    print(f"{sum(len(s['components']) for s in sboms.values())} components: {target}")


if __name__ == "__main__":
    try:
        main()
    except SupplyError as error:
        sys.exit(str(error))
