"""Uploads: `ai4h`'s presigned parts beside boto3's own multipart upload, memory, and signing."""

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from boto3.s3.transfer import TransferConfig

from benchmarks.figures import Figure, interleaved, milliseconds, ratios
from benchmarks.platform import ROOT, Platform, id_token
from cli.api import Api
from cli.datasets import create
from cli.files import files_below
from cli.journal import Journal
from cli.stack import Stack
from cli.upload import Upload

MEBIBYTE = 1024**2
PART = 8 * MEBIBYTE
SIZE = 256 * MEBIBYTE
WORKERS = 4
RUNS = 6
LARGE = (128 * MEBIBYTE, 1024 * MEBIBYTE)
URLS = 100
BATCHES = 10
SIGNINGS = 20


class Clock:
    """Between the first and the last bytes of the file; what comes after is its dataset's."""

    def __init__(self) -> None:
        self._moments: list[float] = []
        self._left = SIZE

    def moved(self, count: int, /) -> None:
        if self._left > 0:
            self._moments.append(time.perf_counter())
            self._left -= count

    def spared(self, count: int, /) -> None:
        """Nothing is resumed here."""

    @property
    def rate(self) -> float:
        """MB/s."""
        return SIZE / 1e6 / (max(self._moments) - min(self._moments))


def figures(platform: Platform) -> Iterator[Figure]:
    stack = platform.stack
    with tempfile.TemporaryDirectory(prefix="ai4h-bench-") as folder:
        yield from _throughput(stack, Path(folder))
        yield from _memory(stack, Path(folder))
    took = list(_signing(_api(stack)))
    yield Figure(f"a part's URL, of {URLS} asked for at once", "ms", took, at_most=1)
    yield from _signing_alone()


def _api(stack: dict[str, Any]) -> Api:
    known = Stack(
        stack["api_url"], stack["api_key"], stack["region"], stack["user_pool_id"], "bench"
    )
    token = id_token(stack, "data-owner")
    return Api(known, lambda refused: token, WORKERS)


def _throughput(stack: dict[str, Any], folder: Path) -> Iterator[Figure]:
    """In turn, to the same endpoint, by as many workers in parts as large."""
    api, ours, boto3s = _api(stack), [], []
    for run in range(RUNS):
        with _file(folder, SIZE) as path:
            clock, journal = Clock(), Journal(folder / f"journal-{run}")
            dataset = create(api, f"Bench {uuid.uuid4()}")
            report = Upload(api, dataset, journal, clock, WORKERS).run(files_below(path.parent))
            assert not report.failed, report.failed
            ours.append(clock.rate)
            boto3s.append(_boto3s_rate(stack, path))
    yield Figure("parts of an upload, `ai4h`", "MB/s", ours)
    yield Figure("the same by boto3's `upload_file`, with SHA-256 too", "MB/s", boto3s)
    compared = [mine / other for mine, other in zip(ours, boto3s, strict=True)]
    yield Figure("`ai4h`'s rate by boto3's", "×", compared, at_least=0.9)


def _boto3s_rate(stack: dict[str, Any], path: Path) -> float:
    s3 = boto3.client(
        "s3",
        region_name=stack["region"],
        endpoint_url=stack["aws_endpoint_url"],
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 (MiniStack's)
    )
    bucket, clock = f"bench-{uuid.uuid4()}", Clock()
    place = {"LocationConstraint": stack["region"]}
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
    config = TransferConfig(multipart_chunksize=PART, max_concurrency=WORKERS)
    checked = {"ChecksumAlgorithm": "SHA256"}  # as ours are
    s3.upload_file(str(path), bucket, "file", checked, clock.moved, config)
    s3.delete_object(Bucket=bucket, Key="file")
    s3.delete_bucket(Bucket=bucket)
    return clock.rate


def _memory(stack: dict[str, Any], folder: Path) -> Iterator[Figure]:
    """The command's largest resident memory, at two sizes of a file."""
    kept = folder / "stack.json"
    kept.write_text(json.dumps(stack))
    environment = {
        **os.environ,
        "AI4H_HOME": str(folder / "home"),
        "AI4H_STACK": str(kept),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }
    command = [sys.executable, "-m", "cli"]
    user = stack["users"]["data-owner"]
    subprocess.run(
        [*command, "login", "--username", user["username"], "--password-stdin"],
        cwd=ROOT,
        env=environment,
        input=user["password"],
        text=True,
        check=True,
        capture_output=True,
    )
    for size in LARGE:
        with _file(folder, size) as path:
            sending = subprocess.Popen(
                [*command, "upload", path.parent, "--dataset", f"Bench {size}", "--json"],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.DEVNULL,
            )
            _, status, used = os.wait4(sending.pid, 0)
            assert status == 0, f"ai4h upload ended with {os.waitstatus_to_exitcode(status)}"
        name = f"memory of `ai4h upload`, a file of {size // MEBIBYTE:,} MiB"
        yield Figure(name, "MB", [used.ru_maxrss * 1024 / 1e6], at_most=150)


def _signing(api: Api) -> Iterator[float]:
    """Milliseconds for each URL, the request through gateway and function included."""
    binary = api.call(
        "POST",
        "/Binary",
        {
            "resourceType": "Binary",
            "contentType": "application/octet-stream",
            "size": URLS * PART,
            "sha256": "A" * 43 + "=",
        },
    )
    digest = "A" * 43 + "="
    body = {"parts": [{"number": number, "sha256": digest} for number in range(1, URLS + 1)]}
    for _ in range(BATCHES):
        started = time.perf_counter()
        answer = api.call("POST", f"/Binary/{binary['id']}/$upload-parts", body)
        yield (time.perf_counter() - started) * 1000 / len(answer["parts"])
    api.call("POST", f"/Binary/{binary['id']}/$abort")


def _signing_alone() -> Iterator[Figure]:
    """CPU of the function's signing, beside boto3's client asked for each URL."""
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "BUCKET_NAME": "datasets",
    }
    from functions.uploads import bucket

    digest, key, upload = "A" * 43 + "=", "datasets/a/b/1", "u" * 60
    named = [(number, PART, digest) for number in range(1, URLS + 1)]

    def one_by_one() -> None:
        for number, size, sha256 in named:
            part = {"PartNumber": number, "ContentLength": size, "ChecksumSHA256": sha256}
            place = {"Bucket": "datasets", "Key": key, "UploadId": upload}
            bucket.s3().generate_presigned_url("upload_part", Params=place | part)

    times = interleaved(
        SIGNINGS,
        ours=lambda: bucket.presign_parts(key, upload, named),
        boto3s=one_by_one,
    )
    ours, boto3s = times["ours"].cpu, times["boto3s"].cpu
    each = [value / URLS for value in milliseconds(ours)]
    yield Figure("… signing it alone, CPU", "ms", each)
    yield Figure("… relative to boto3's client", "×", ratios(ours, boto3s, 1), at_most=0.6)


@contextmanager
def _file(folder: Path, size: int) -> Iterator[Path]:
    """A file of random bytes in a folder of its own."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = Path(place, "file.bin")
        with path.open("wb") as file:
            for _ in range(size // PART):
                file.write(secrets.token_bytes(PART))
        yield path
