"""The two servers: MiniStack in place of AWS, and OpenSearch."""

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import urllib3

from local.downloads import aws_python, java, opensearch
from local.errors import LocalError
from local.files import StateDirectory, read_json, write_json
from local.handlers.base import Clients
from local.processes import Process, free_port, wait_until

REGION = "eu-central-1"
ACCOUNT = "111122223333"
ATTEMPTS = 3  # another program may take a port between our look and the server's
HEAP = "384m"
# The engine refuses to run as root. This user has no rights of its own.
UNPRIVILEGED = "nobody"

AnyServer = TypeVar("AnyServer", "Search", "Aws")

_http = urllib3.PoolManager(retries=False, timeout=5)

LOGGING = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] [%node_name]%marker %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
"""


class Settings:
    """Ports and keys that a platform keeps from start to start, as far as it can."""

    def __init__(self, state: StateDirectory) -> None:
        self._path = state.settings
        self._values: dict[str, object] = read_json(self._path, {})
        if "access_key" not in self._values:
            self._values |= {
                "access_key": f"LOCAL{secrets.token_hex(7).upper()}",
                "secret_key": secrets.token_urlsafe(30),
            }

    def text(self, name: str) -> str:
        return str(self._values[name])

    def port(self, name: str) -> int:
        """The port of last time when it is free, else another one, which is then kept."""
        value = self._values.get(name)
        port = free_port(value if isinstance(value, int) else None)
        self._values[name] = port
        write_json(self._path, self._values)
        return port


class Search:
    """The search engine, without security plugin and on loopback only."""

    def __init__(self, state: StateDirectory, settings: Settings) -> None:
        self._home = opensearch()
        self._java = java()
        self._data = state.data("search")
        self._scratch = state.scratch("search")
        self.process, self.port = _start(
            settings, "search", lambda port: self._launch(state, settings, port)
        )
        self.url = f"http://127.0.0.1:{self.port}"

    def _launch(self, state: StateDirectory, settings: Settings, port: int) -> Process:
        configuration = self._scratch / "config"
        for folder in (self._data, configuration):
            folder.mkdir(parents=True, exist_ok=True)
        # JSON is YAML.
        write_json(configuration / "opensearch.yml", {
            "cluster.name": "local", "node.name": "local", "discovery.type": "single-node",
            "network.host": "127.0.0.1", "http.port": port,
            "transport.port": settings.port("search_transport"),
            "path.data": str(self._data), "path.logs": str(self._scratch),
            "cluster.routing.allocation.disk.threshold_enabled": False,
            "action.auto_create_index": False,
        }, mode=0o644)  # fmt: skip
        (configuration / "log4j2.properties").write_text(LOGGING)
        command = [
            str(self._java), f"-Xms{HEAP}", f"-Xmx{HEAP}", "-Xss1m", "-XX:+UseSerialGC",
            "-XX:+ExitOnOutOfMemoryError", "-Djava.security.manager=allow",
            "-Djava.awt.headless=true", "-Dfile.encoding=UTF-8", "-Djna.nosys=true",
            f"-Djava.io.tmpdir={self._scratch}", f"-Djna.tmpdir={self._scratch}",
            "-Dio.netty.noUnsafe=true", "-Dio.netty.noKeySetOptimization=true",
            "-Dio.netty.recycler.maxCapacityPerThread=0", "-Dio.netty.allocator.numDirectArenas=0",
            "-Dlog4j.shutdownHookEnabled=false", "-Dlog4j2.disable.jmx=true",
            "-Djava.util.concurrent.ForkJoinPool.common.threadFactory="
            "org.opensearch.secure_sm.SecuredForkJoinWorkerThreadFactory",
            f"-Dopensearch.path.home={self._home}", f"-Dopensearch.path.conf={configuration}",
            "-Dopensearch.distribution.type=zip", "-Dopensearch.bundled_jdk=false",
            "-cp", f"{self._home}/lib/*", "org.opensearch.bootstrap.OpenSearch",
        ]  # fmt: skip
        prefix, user = _unprivileged([self._data, self._scratch])
        environment = _environment(self._scratch)
        return Process.start(
            "search", [*prefix, *command], state.logs / "search.log", environment,
            self._scratch, user,
        )  # fmt: skip

    def ready(self) -> bool:
        return _answers(f"{self.url}/_cluster/health?timeout=1s")

    def stop(self) -> bool:
        return self.process.stop(20)


class Aws:
    """MiniStack: signatures, IAM, tokens and policies checked, as AWS does."""

    def __init__(self, state: StateDirectory, settings: Settings) -> None:
        self._python = aws_python()
        self._state = state
        self._settings = settings
        self.access_key = settings.text("access_key")
        self.secret_key = settings.text("secret_key")
        self.process, self.port = _start(settings, "aws", self._launch)
        self.url = f"http://127.0.0.1:{self.port}"

    def _launch(self, port: int) -> Process:
        data, scratch = self._state.data("aws"), self._state.scratch("aws")
        for folder in (data, scratch):
            folder.mkdir(parents=True, exist_ok=True)
        environment = {
            **_environment(scratch),
            "AUTH": "true", "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port),
            "MINISTACK_REGION": REGION, "MINISTACK_ACCOUNT_ID": ACCOUNT, "LOG_LEVEL": "INFO",
            "AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key,
            # Nothing here lags by half a minute: state machines wait, and pause, for a twentieth.
            "SFN_WAIT_SCALE": "0.05",
            # As on AWS, nobody gets a token when the function that decides on it fails.
            "MINISTACK_COGNITO_PRETOKEN_STRICT": "1",
            "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0",
            # Of a function's idle processes one stays, the others go after this time.
            "LAMBDA_WARM_TTL_SECONDS": "60",
            "PERSIST_STATE": "1", "STATE_DIR": str(data),
            "S3_PERSIST": "1", "S3_DATA_DIR": str(data / "s3"),
            # Functions run on this interpreter; no container must ever be started.
            "DOCKER_HOST": "unix:///nowhere", "LAMBDA_EXECUTOR": "local",
        }  # fmt: skip
        return Process.start(
            "aws", [str(self._python), "-P", str(Path(__file__).with_name("aws_server.py"))],
            self._state.logs / "aws.log", environment, scratch,
        )  # fmt: skip

    def ready(self) -> bool:
        return _answers(f"{self.url}/_local/lag")

    def save(self) -> None:
        """Writes all state to disk. Raises LocalError when that fails."""
        if unsaved := save(self.url):
            raise LocalError(
                f"The local AWS couldn't save {unsaved}: see {self.process.log}. Is the disk full?"
            )

    def stop(self) -> bool:
        """Saves and ends; whether it could save everything."""
        orderly = self.process.stop(60)
        shutil.rmtree(self._state.scratch("aws"), ignore_errors=True)
        return orderly


def clients(settings: Settings) -> Clients:
    """Of the servers that were last started with these settings, the edge among them."""

    def url(server: str) -> str:
        return f"http://127.0.0.1:{settings.text(server)}"

    return Clients(
        region=REGION,
        account=ACCOUNT,
        endpoint_url=url("aws"),
        access_key=settings.text("access_key"),
        secret_key=settings.text("secret_key"),
        search_url=url("search"),
        edge_url=url("edge"),
    )


def running(state: StateDirectory) -> Clients:
    """Of the servers that run from a state directory. Raises LocalError when none do."""
    with contextlib.suppress(KeyError):  # never started
        found = clients(Settings(state))
        if _answers(f"{found.endpoint_url}/_local/lag"):
            return found
    raise LocalError(f"No platform runs from {state.root}: `python -m local up` starts one.")


def save(aws_url: str) -> str:
    """Has MiniStack write all its state to disk; what it couldn't write."""
    answer = _http.request("POST", f"{aws_url}/_local/save", timeout=60)
    return "" if answer.status == 204 else answer.data.decode() or "its state"


def drain(aws_url: str, seconds: float) -> int:
    """Waits until every invocation has ended and every stream record is consumed.

    A stop of MiniStack would lose them. Returns how many are left when the time is over."""
    left = 0

    def done() -> bool:
        nonlocal left
        lag = _http.request("GET", f"{aws_url}/_local/lag").json()
        left = sum(lag.values())
        return left == 0

    with contextlib.suppress(urllib3.exceptions.HTTPError):
        wait_until(done, seconds)
    return left


def _start(settings: Settings, name: str, launch: Callable[[int], Process]) -> tuple[Process, int]:
    port = settings.port(name)
    return launch(port), port


def await_ready(server: AnyServer, relaunch: Callable[[], AnyServer], seconds: float) -> AnyServer:
    """Waits until the server answers; starts it anew when its port was taken meanwhile.

    Returns the one that runs."""
    for _ in range(ATTEMPTS):
        if server.process.await_ready(server.ready, seconds):
            return server
        if "in use" not in server.process.last_lines(60):
            break
        server = relaunch()
    raise LocalError(
        f"{server.process.name} ended at its start. The end of {server.process.log}:\n"
        f"{server.process.last_lines()}"
    )


def _answers(url: str) -> bool:
    try:
        return _http.request("GET", url).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def _environment(scratch: Path) -> Mapping[str, str]:
    """What servers see: nothing of the user's shell, least of all AWS credentials."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "TMPDIR": str(scratch), "TZ": "UTC"}


def _unprivileged(owned: list[Path]) -> tuple[list[str], str | None]:
    """How to start a program that refuses to run as root: a command prefix, or a user.

    With setpriv (util-linux) it may still pass through folders that only root may enter."""
    if os.geteuid() != 0:
        return [], None
    for folder in owned:
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, UNPRIVILEGED)
    prefix = [
        "setpriv", f"--reuid={UNPRIVILEGED}", "--clear-groups", "--securebits=+no_setuid_fixup",
        "--inh-caps=+dac_override", "--ambient-caps=+dac_override",
    ]  # fmt: skip
    if sys.platform == "linux" and shutil.which("setpriv"):
        tried = subprocess.run([*prefix, "true"], capture_output=True)
        if tried.returncode == 0:
            return prefix, None
    return [], UNPRIVILEGED
