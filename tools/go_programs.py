"""Go programs that tests and make targets use, built from tools/go into the cache on first use.

    python -m tools.go_programs actionlint [arguments …]

As a command it becomes the program. Each folder of tools/go is a module of its own; what
belongs to a Kubernetes cluster shares one, hence Kubernetes' libraries, which are compiled once.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from local.files import cache_directory
from local.lock import wait

SOURCES = Path(__file__).parent / "go"
PULUMI = "github.com/pulumi/pulumi"
KUBERNETES = "k8s.io/component-base/version"


# Built to test with, not to serve: without optimisation a third less time to build, all alike so
# that they share what is compiled; without symbols, which take half of the time to link.
QUICK = ("-buildvcs=false", "-trimpath", "-gcflags=all=-N -l")
LINKING = "-s -w"


@dataclass(frozen=True)
class Program:
    """What to build: a package, from the module in a folder of tools/go."""

    module: str
    package: str
    variables: tuple[str, ...] = ()
    """Values of the program's string variables, `path.name=value`."""


PROGRAMS = {
    "actionlint": Program("actionlint", "github.com/rhysd/actionlint/cmd/actionlint"),
    "etcd": Program("cluster", "go.etcd.io/etcd/server/v3"),
    "generate_sdk": Program("pulumi", "./generate_sdk"),
    "govulncheck": Program("govulncheck", "golang.org/x/vuln/cmd/govulncheck"),
    "helm": Program("cluster", "helm.sh/helm/v3/cmd/helm"),
    "karpenter": Program("cluster", "github.com/aws/karpenter-provider-aws/kwok"),
    "kube-apiserver": Program(
        "cluster",
        "k8s.io/kubernetes/cmd/kube-apiserver",
        # What it answers at /version, by which Helm tells whether a chart may be installed.
        (
            f"{KUBERNETES}.gitVersion=v1.36.3",
            f"{KUBERNETES}.gitMajor=1",
            f"{KUBERNETES}.gitMinor=36",
        ),
    ),
    "kube-controller-manager": Program("cluster", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    "kube-scheduler": Program("cluster", "k8s.io/kubernetes/cmd/kube-scheduler"),
    "kubeconform": Program("kubeconform", "github.com/yannh/kubeconform/cmd/kubeconform"),
    "kwok": Program("cluster", "sigs.k8s.io/kwok/cmd/kwok"),
    "pulumi": Program(
        "pulumi",
        f"{PULUMI}/pkg/v3/cmd/pulumi",
        (f"{PULUMI}/sdk/v3/go/common/version.Version=3.258.0",),
    ),
}


class GoError(RuntimeError):
    """A program could not be built; the text says why and what helps."""


def program(name: str) -> Path:
    """Path of the program, built (minutes) unless the cache has it. Raises GoError."""
    built = cache_directory() / "go" / f"{name}-{_key(PROGRAMS[name])}" / name
    if not built.exists():
        with wait(built.parent.with_suffix(".lock")):
            if not built.exists():
                _build(PROGRAMS[name], built)
    return built


def _key(wanted: Program) -> str:
    folder = SOURCES / wanted.module
    digest = hashlib.sha256(repr((wanted, QUICK, LINKING)).encode())
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _build(wanted: Program, target: Path) -> None:
    go = shutil.which("go")
    if go is None:
        raise GoError("There is no go on PATH: install Go 1.25 or later (go.dev/doc/install).")
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".unfinished")
    linking = " ".join([LINKING, *(f"-X {variable}" for variable in wanted.variables)])
    done = subprocess.run(
        [go, "build", *QUICK, f"-ldflags={linking}", "-o", unfinished, wanted.package],
        cwd=SOURCES / wanted.module,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise GoError(f"{wanted.package} could not be built:\n{done.stderr.strip()}")
    unfinished.replace(target)


if __name__ == "__main__":
    try:
        binary = program(sys.argv[1])
    except GoError as error:
        sys.exit(str(error))
    os.execv(binary, [binary.name, *sys.argv[2:]])  # noqa: S606 (that is what it is for)
