"""The layer with the functions' dependencies, built once per platform and lock into the cache."""

import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from enum import Enum
from pathlib import Path

FUNCTIONS = Path(__file__).resolve().parents[1] / "functions"
REQUIREMENTS = FUNCTIONS / "requirements.txt"
FORMAT = "1"  # part of the cache key: raise it when the layer is built differently

LAMBDA_PYTHON = "3.13"
# Amazon Linux 2023, under this runtime, has glibc 2.34: wheels for it or anything older fit.
# https://docs.aws.amazon.com/linux/al2023/ug/compare-with-al2.html
LAMBDA_GLIBC = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")

# What pip and uv write about an installation: it differs from machine to machine.
INSTALLATION_RECORDS = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"}


class FunctionPlatform(Enum):
    """Where functions run, hence what their native dependencies are built for."""

    LAMBDA = "lambda"
    """AWS Lambda: Python 3.13 on arm64."""
    HOST = "host"
    """This machine: the running interpreter's version and architecture."""

    @property
    def runtime(self) -> str:
        """Identifier of the Lambda runtime."""
        if self is FunctionPlatform.LAMBDA:
            return f"python{LAMBDA_PYTHON}"
        return f"python{sys.version_info.major}.{sys.version_info.minor}"

    @property
    def architecture(self) -> str:
        """Instruction set in Lambda's terms."""
        if self is FunctionPlatform.LAMBDA or platform.machine() in ("arm64", "aarch64"):
            return "arm64"
        return "x86_64"


class LayerError(RuntimeError):
    """The layer could not be built."""


def build_layer(target: FunctionPlatform, requirements: Path = REQUIREMENTS) -> Path:
    """Path of the layer's zip, built unless the cache has it.

    The same lock and platform give the same bytes. Raises LayerError when the packages can't be
    had; the cache then stays as it was.
    """
    folder = _cache() / _cache_key(target, requirements)
    layer = folder / "layer.zip"
    if layer.exists():
        return layer
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        packages, made = Path(work) / "python", Path(work) / layer.name
        _install(target, requirements, packages)
        _write_zip(packages, made)
        made.replace(layer)  # atomic: a parallel build of the same layer is harmless
    return layer


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ai4h" / "layers"


def _cache_key(target: FunctionPlatform, requirements: Path) -> str:
    kind = [FORMAT, target.value, target.runtime, target.architecture]
    if target is FunctionPlatform.HOST:
        kind.append(sys.platform)
    digest = hashlib.sha256("\n".join(kind).encode())
    digest.update(requirements.read_bytes())
    return digest.hexdigest()


def _install(target: FunctionPlatform, requirements: Path, folder: Path) -> None:
    command = [
        *_installer(target),
        "--no-deps",
        "--require-hashes",
        "--only-binary=:all:",
        f"--target={folder}",
        f"--requirement={requirements}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LayerError(
            f"The functions' dependencies ({requirements.name}) could not be installed for "
            f"{target.runtime} on {target.architecture}: is the package index reachable, and is "
            f"there a wheel for that platform?\n{done.stderr.strip() or done.stdout.strip()}"
        )


def _installer(target: FunctionPlatform) -> list[str]:
    """The install command of pip, or of uv in an environment that was made without pip."""
    if importlib.util.find_spec("pip"):
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input"]
        command += ["--no-compile", "--disable-pip-version-check"]
        if target is FunctionPlatform.LAMBDA:
            command += [f"--platform={glibc}_aarch64" for glibc in LAMBDA_GLIBC]
            command += ["--implementation=cp", f"--python-version={LAMBDA_PYTHON}"]
        return command
    if uv := shutil.which("uv"):
        command = [uv, "pip", "install", "--quiet", f"--python={sys.executable}"]
        if target is FunctionPlatform.LAMBDA:
            command += [f"--python-platform=aarch64-{LAMBDA_GLIBC[0]}"]
            command += [f"--python-version={LAMBDA_PYTHON}"]
        return command
    raise LayerError("Building the functions' layer needs pip in this environment, or uv on PATH.")


def _write_zip(folder: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            if path.is_dir() or inside.parts[0] in ("bin", ".lock") or path.suffix == ".pyc":
                continue
            if inside.parts[0].endswith(".dist-info") and path.name in INSTALLATION_RECORDS:
                continue
            entry = zipfile.ZipInfo((Path(folder.name) / inside).as_posix())  # dated 1980-01-01
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
