"""Submissions from a message to their end, on a real API server, with the rights of the chart.

No controller and no kubelet is here: what they would do with the runner's Jobs, the tests do, and
nothing is ever collected, so each submission has an id of its own. Queues are moto's; EvalAI is a
stand-in.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from kubernetes import client
from moto import mock_aws

from local.processes import wait_until
from runner import __main__ as program
from runner import jobs
from runner.cluster import Cluster
from runner.evalai import EvalAi
from runner.jobs import Step
from runner.messages import Queue, Submission
from runner.outcomes import NO_OUTPUT_CODE
from runner.settings import Settings, load
from runner.submissions import Submissions, utc_now
from tests.chart import evalai_stand_in
from tests.chart.api_server import ApiServer
from tests.chart.evalai_stand_in import HOST, TOKEN, StandIn
from tests.chart.rendering import Resource, named, resources

NAMESPACE, ACCOUNT = "evalai-models", "evalai-runner-kidney-ct"
IMAGE = (
    f"111122223333.dkr.ecr.eu-central-1.amazonaws.com/ai4h/submissions/kidney-ct@sha256:{'a' * 64}"
)
CORE, BATCH = f"/api/v1/namespaces/{NAMESPACE}", f"/apis/batch/v1/namespaces/{NAMESPACE}"
IDS = itertools.count(100)
KINDS = ("ConfigMap", "NetworkPolicy", "Role", "RoleBinding", "ServiceAccount")


@dataclass
class Rig:
    """A runner, and everything around it."""

    server: ApiServer
    api: client.ApiClient
    settings: Settings
    evalai: StandIn
    sqs: Any
    token_file: Path
    submissions: Submissions

    def again(self) -> None:
        """Another runner, which knows nothing of the one before."""
        queue = Queue(self.sqs, self.settings.queue_url, self.settings.scoring_queue_url)
        evalai = EvalAi(self.settings.api_url, self.settings.api_host, self.token_file)
        cluster = Cluster(self.api, NAMESPACE, "kidney-ct")
        self.submissions = Submissions(self.settings, queue, evalai, cluster)

    def send(self, identity: int, image: str = IMAGE) -> None:
        body = {
            "challenge_pk": "1",
            "phase_pk": "2",
            "submission_pk": identity,
            "submitted_image_uri": image,
            "is_static_dataset_code_upload_submission": True,
        }
        self.sqs.send_message(QueueUrl=self.settings.queue_url, MessageBody=json.dumps(body))

    def submit(self, identity: int, image: str = IMAGE) -> None:
        self.send(identity, image)
        assert self.submissions.take(0)

    def advance(self, seconds: float = 0) -> None:
        """Looks after the submissions, as at a later time."""
        self.submissions.advance(utc_now() + timedelta(seconds=seconds))

    def jobs(self, identity: int) -> dict[str, Resource]:
        listed = self._list(f"{BATCH}/jobs", identity)
        return {job["metadata"]["labels"]["evalai/step"]: job for job in listed}

    def _list(self, path: str, identity: int) -> list[Resource]:
        answer = self.server.call(
            "GET", path, params={"labelSelector": f"evalai/submission={identity}"}
        )
        assert answer.ok, answer.text
        return answer.json()["items"]

    def disks(self, identity: int) -> list[Resource]:
        found = self._list(f"{CORE}/persistentvolumeclaims", identity)
        return [disk for disk in found if "deletionTimestamp" not in disk["metadata"]]

    def messages(self) -> int:
        """In the queue, hidden or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(
            QueueUrl=self.settings.queue_url, AttributeNames=names
        )
        return sum(int(found["Attributes"][name]) for name in names)

    def start_pod(self, identity: int, step: Step, name: str = "") -> str:
        """As the Job controller does: a pod of the template, which the server may refuse."""
        job = self.jobs(identity)[step]
        template = deepcopy(job["spec"]["template"])
        name = name or f"{job['metadata']['name']}-x"
        pod = {"apiVersion": "v1", "kind": "Pod", **template}
        pod["metadata"] |= {"name": name, "namespace": NAMESPACE}
        answer = self.server.create(pod)
        assert answer.status_code == 201, answer.text
        return name

    def pod_is(self, name: str, status: Resource) -> None:
        """As the kubelet says it."""
        self._patch(f"{CORE}/pods/{name}/status", status)

    def job_is(self, identity: int, step: Step, kind: str, reason: str = "") -> None:
        """As the Job controller says it."""
        now = utc_now().isoformat().replace("+00:00", "Z")
        kinds = {
            "Complete": ["SuccessCriteriaMet", "Complete"],
            "Failed": ["FailureTarget", "Failed"],
        }
        conditions = [
            {"type": each, "status": "True", "reason": reason, "lastTransitionTime": now}
            for each in kinds[kind]
        ]
        status: Resource = {"conditions": conditions, "startTime": now}
        if kind == "Complete":
            status |= {"completionTime": now, "succeeded": 1}
        self._patch(f"{BATCH}/jobs/{jobs.job_name(self.settings, identity, step)}/status", status)

    def _patch(self, path: str, status: Resource) -> None:
        kind = {"Content-Type": "application/merge-patch+json"}
        answer = self.server.call("PATCH", path, {"status": status}, headers=kind)
        assert answer.ok, answer.text

    def to_model(self, identity: int) -> str:
        """A submission whose model has a pod."""
        self.submit(identity)
        self.advance()
        self.job_is(identity, Step.FETCH, "Complete")
        self.advance()
        return self.start_pod(identity, Step.MODEL)

    def reported(self, identity: int) -> dict[str, str]:
        """The end, as EvalAI was told; nothing may be left of the submission."""
        *_, told = self.evalai.told(identity)
        assert told["submission_status"] == "failed"
        assert self.messages() == 0
        assert not self.disks(identity)
        assert not self.jobs(identity)
        assert identity not in self.submissions.held
        return told


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """As the chart makes them."""
    config = named(resources("containers"), "ConfigMap", ACCOUNT)
    path = tmp_path_factory.mktemp("runner") / "settings.json"
    path.write_text(config["data"]["settings.json"], encoding="utf-8")
    return load(path)


@pytest.fixture(scope="module")
def api(server: ApiServer) -> client.ApiClient:
    """The API as the runner's service account has it, after the chart's objects."""
    for resource in resources("containers"):
        if resource["kind"] in KINDS and resource["metadata"]["namespace"] == NAMESPACE:
            answer = server.apply(resource, force="true")
            assert answer.ok, answer.text
    answer = server.call(
        "POST",
        f"{CORE}/serviceaccounts/{ACCOUNT}/token",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
    )
    assert answer.ok, answer.text
    known = client.Configuration(host=server.url)
    known.ssl_ca_cert = str(server.certificate)
    known.api_key = {"authorization": f"Bearer {answer.json()['status']['token']}"}
    return client.ApiClient(known)


@pytest.fixture
def rig(
    server: ApiServer,
    api: client.ApiClient,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Rig]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n", encoding="utf-8")
    with evalai_stand_in.running() as evalai, mock_aws():
        sqs = boto3.client("sqs", region_name="eu-central-1")
        own, scoring = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("own", "scoring"))
        known = replace(
            settings, queue_url=own, scoring_queue_url=scoring, api_url=evalai.url, max_parallel=3
        )
        rig = Rig(server, api, known, evalai, sqs, token, None)  # type: ignore[arg-type]
        rig.again()
        yield rig


def ended(container: str, code: int, reason: str = "Error", message: str = "") -> Resource:
    terminated = {"exitCode": code, "reason": reason, "message": message}
    return container_is(container, {"terminated": terminated}) | {"phase": "Failed"}


def container_is(container: str, state: Resource) -> Resource:
    status = {"name": container, "state": state, "ready": False, "restartCount": 0,
              "image": "", "imageID": ""}  # fmt: skip
    return {"conditions": scheduled(), "containerStatuses": [status]}


def scheduled(status: str = "True", *further: str) -> list[Resource]:
    now = utc_now().isoformat().replace("+00:00", "Z")
    return [
        {"type": "PodScheduled", "status": status, "lastTransitionTime": now},
        *({"type": kind, "status": "True", "lastTransitionTime": now} for kind in further),
    ]


def test_a_submission_is_fetched_run_handed_in_and_forgotten(rig: Rig) -> None:
    rig.submit(1)
    rig.advance()
    assert set(rig.jobs(1)) == {"fetch"}
    rig.start_pod(1, Step.FETCH)
    rig.advance()
    assert set(rig.jobs(1)) == {"fetch"}, "one after the other"
    rig.job_is(1, Step.FETCH, "Complete")
    rig.advance()
    assert set(rig.jobs(1)) == {"fetch", "model"}
    assert rig.evalai.status[1] == "running"
    rig.start_pod(1, Step.MODEL)
    rig.job_is(1, Step.MODEL, "Complete")
    rig.advance()
    rig.start_pod(1, Step.COLLECT)
    assert rig.messages() == 1
    rig.job_is(1, Step.COLLECT, "Complete")
    rig.advance()
    assert rig.messages() == 0
    assert not rig.disks(1)
    assert not rig.jobs(1)
    assert [call["submission_status"] for call in rig.evalai.told(1)] == ["running"]


@pytest.mark.parametrize(
    ("status", "of_job", "later", "ending"),
    [
        (ended("model", 137, "OOMKilled"), "PodFailurePolicy", 0, "out-of-memory"),
        (ended("model", 3), "PodFailurePolicy", 0, "exit-code"),
        (container_is("model", {"waiting": {"reason": "InvalidImageName"}}), "", 0, "image-pull"),
        (container_is("model", {"waiting": {"reason": "ErrImagePull"}}), "", 901, "image-pull"),
        (container_is("model", {"running": {"startedAt": "2026-01-01T00:00:00Z"}}), "", 0,
         "deadline"),
        ({"conditions": scheduled("False")}, "", 901, "unschedulable"),
        (ended("model", 143) | {"conditions": scheduled("True", "DisruptionTarget")},
         "BackoffLimitExceeded", 0, "machine-taken"),
    ],
)  # fmt: skip
def test_each_failure_ends_the_submission_by_its_class(
    rig: Rig, status: Resource, of_job: str, later: float, ending: str
) -> None:
    identity = next(IDS)
    rig.pod_is(rig.to_model(identity), status)
    if of_job:
        rig.job_is(identity, Step.MODEL, "Failed", of_job)
    elif later:
        rig.advance()
        assert identity in rig.submissions.held, "not before its time"
    rig.advance(later)
    told = rig.reported(identity)
    assert told["stderr"].startswith(f"{ending}: ")
    assert json.loads(told["metadata"])["ending"] == ending
    assert told["stdout"] == ""


def test_steps_of_ours_that_fail_end_it_too(rig: Rig) -> None:
    rig.submit(3)
    rig.advance()
    rig.pod_is(rig.start_pod(3, Step.FETCH), ended("fetch", 1))
    rig.job_is(3, Step.FETCH, "Failed", "PodFailurePolicy")
    rig.advance()
    assert rig.reported(3)["stderr"].startswith("dataset-unavailable: ")
    rig.to_model(4)
    rig.job_is(4, Step.MODEL, "Complete")
    rig.advance()
    pod = rig.start_pod(4, Step.COLLECT)
    rig.pod_is(pod, ended("collect", NO_OUTPUT_CODE, message="submission.json is no plain file."))
    rig.job_is(4, Step.COLLECT, "Failed", "PodFailurePolicy")
    rig.advance()
    assert rig.reported(4)["stderr"] == "no-output: submission.json is no plain file."


def test_an_image_that_is_not_pinned_is_refused_before_anything_is_made(rig: Rig) -> None:
    rig.submit(5, IMAGE.replace("@sha256:", ":sha256-"))
    rig.advance()
    assert rig.reported(5)["stderr"].startswith("refused-image: Name your image by its digest")


def test_another_runner_goes_on_where_one_was_stopped(rig: Rig) -> None:
    rig.to_model(6)
    (before,) = rig.disks(6)
    rig.submissions.release()
    rig.again()
    assert rig.submissions.take(0), "the message is there at once"
    rig.advance()
    assert set(rig.jobs(6)) == {"fetch", "model"}
    assert rig.disks(6)[0]["metadata"]["uid"] == before["metadata"]["uid"]
    rig.evalai.status[6] = "cancelled"
    rig.advance()
    assert rig.messages() == 0
    assert not rig.jobs(6)


def test_what_fails_for_a_moment_is_tried_again_and_stops_nobody_else(rig: Rig) -> None:
    rig.submit(7)
    rig.submit(8)
    rig.evalai.away = True
    rig.advance()
    assert not rig.jobs(7)
    rig.evalai.away = False
    rig.advance()
    assert rig.jobs(7)
    assert rig.jobs(8)
    for identity in (7, 8):
        rig.evalai.status[identity] = "cancelled"
    rig.advance()


def test_no_more_than_agreed_at_a_time(rig: Rig) -> None:
    for identity in (11, 12, 13):
        rig.submit(identity)
    assert not rig.submissions.take(0)


def test_what_nobody_works_on_is_swept_up_after_its_time(rig: Rig) -> None:
    rig.submit(14)
    rig.advance()
    rig.again()
    rig.submissions.sweep(utc_now() + timedelta(seconds=rig.settings.bound_seconds - 60))
    assert rig.disks(14)
    rig.submissions.sweep(utc_now() + timedelta(seconds=rig.settings.bound_seconds + 60))
    assert not rig.disks(14)
    assert not rig.jobs(14)


def test_participants_see_what_was_printed_only_where_the_phase_says_so(rig: Rig) -> None:
    def printed(identity: int, phase: Resource, log_phases: list[str]) -> str:
        rig.evalai.phase = phase
        rig.settings = replace(rig.settings, log_phases=log_phases)
        rig.again()
        pod = rig.to_model(identity)
        rig.pod_is(pod, ended("model", 1))
        rig.job_is(identity, Step.MODEL, "Failed", "PodFailurePolicy")
        # Only a kubelet has logs: that the runner asks for them is what shows.
        asked.clear()
        rig.advance()
        rig.reported(identity)
        return asked[0] if asked else ""

    asked: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Cluster, "printed", lambda _, pod: asked.append(pod) or "text")
        assert printed(15, {"codename": "test"}, []) == ""
        assert printed(16, {"codename": "test"}, ["dev"]) == ""
        assert printed(17, {"codename": "dev", "disable_logs": True}, ["dev"]) == ""
        assert printed(18, {"codename": "dev"}, ["dev"]) == "kidney-ct-18-model-x"


@pytest.mark.parametrize("step", list(Step))
@pytest.mark.parametrize("challenge", ["kidney-ct", "segmentation"])
def test_jobs_are_applied_and_their_pods_are_restricted(
    server: ApiServer, tmp_path: Path, challenge: str, step: Step
) -> None:
    """Server-side apply refuses unknown fields; the namespace takes restricted pods only."""
    config = named(resources("containers"), "ConfigMap", f"evalai-runner-{challenge}")
    path = tmp_path / "settings.json"
    path.write_text(config["data"]["settings.json"], encoding="utf-8")
    known, wanted = load(path), Submission(99, 2, IMAGE)
    job = jobs.job(known, wanted, step)
    for resource in (jobs.disk(known, wanted), job):
        answer = server.apply(resource, dryRun="All")
        assert answer.ok, answer.text
        assert "Warning" not in answer.headers, answer.headers["Warning"]
    template = job["spec"]["template"]
    spec = template["spec"]
    assert spec["automountServiceAccountToken"] is False
    containers = [*spec["containers"], *spec.get("initContainers", [])]
    for container in containers:
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert {"memory", "ephemeral-storage"} <= set(container["resources"]["limits"])
    assert spec["nodeSelector"] == known.node_selector


def test_a_model_holds_nothing_and_writes_to_its_output_only(settings: Settings) -> None:
    spec = jobs.job(settings, Submission(1, 2, IMAGE), Step.MODEL)["spec"]["template"]["spec"]
    (model,), (probe,) = spec["containers"], spec["initContainers"]
    assert model["image"] == IMAGE
    assert probe["args"][0] == "isolated"
    assert {volume["name"]: set(volume) - {"name"} for volume in spec["volumes"]} == {
        "disk": {"persistentVolumeClaim"},
        "tmp": {"emptyDir"},
    }
    places = {m["mountPath"]: m.get("readOnly", False) for m in model["volumeMounts"]}
    assert places == {"/dataset": True, "/submission": False, "/tmp": False}  # noqa: S108
    accounts = named(resources("containers"), "ServiceAccount", "evalai-model")
    assert spec["serviceAccountName"] == accounts["metadata"]["name"]
    assert "annotations" not in accounts["metadata"]
    assert not {"AUTH_TOKEN", "AWS_ROLE_ARN"} & {entry["name"] for entry in model["env"]}


def test_the_runner_may_do_no_more_than_it_does(server: ApiServer, api: client.ApiClient) -> None:
    core: Any = client.CoreV1Api(api)
    batch: Any = client.BatchV1Api(api)
    refused: list[Any] = [
        lambda: core.list_namespaced_secret(NAMESPACE),
        lambda: core.read_namespaced_secret(ACCOUNT, NAMESPACE),
        lambda: core.list_namespaced_pod("evalai"),
        lambda: core.list_node(),
        lambda: batch.create_namespaced_job("evalai", {"metadata": {"name": "x"}}),
        lambda: core.create_namespaced_pod(NAMESPACE, {"metadata": {"name": "x"}}),
    ]
    for call in refused:
        with pytest.raises(client.ApiException) as error:
            call()
        assert error.value.status == 403


def test_an_output_is_handed_in(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "DISK", str(tmp_path))
    monkeypatch.setattr(jobs, "TOKEN", str(rig.token_file))
    monkeypatch.setattr(program, "LAST_WORDS", tmp_path / "last-words")
    assert program.hand_in(rig.settings, 20) == NO_OUTPUT_CODE
    assert "didn't write" in (tmp_path / "last-words").read_text()
    (tmp_path / "submission.json").write_text('[{"id": 1}]')
    assert program.hand_in(rig.settings, 20) == 0
    (told,) = rig.evalai.told(20)
    assert told == {"submission": "20", "submission_input_file": '[{"id": 1}]'}


def test_a_runner_serves_until_it_is_told_to_stop(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program itself, with what a pod would give it."""
    monkeypatch.setattr(program, "_aws", lambda _: rig.sqs)
    monkeypatch.setattr(program, "POLL_SECONDS", 0)
    monkeypatch.setattr(jobs, "TOKEN", str(rig.token_file))
    monkeypatch.setattr("kubernetes.config.load_incluster_config", lambda: None)
    monkeypatch.setattr(client, "ApiClient", lambda: rig.api)
    identity, handlers = next(IDS), [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    rig.send(identity)
    rig.sqs.create_queue(QueueName="failed")
    failed = "arn:aws:sqs:eu-central-1:123456789012:failed"

    def stop_once_it_has_begun() -> None:
        wait_until(lambda: bool(rig.jobs(identity)), 30)
        os.kill(os.getpid(), signal.SIGTERM)

    stopping = threading.Thread(target=stop_once_it_has_begun)
    stopping.start()
    try:
        program.serve(replace(rig.settings, failed_queue_arn=failed))
    finally:
        stopping.join()
        for number, handler in zip((signal.SIGTERM, signal.SIGINT), handlers, strict=True):
            signal.signal(number, handler)
    assert set(rig.jobs(identity)) == {"fetch"}
    assert rig.submissions.take(0), "given back"
    attributes = rig.sqs.get_queue_attributes(
        QueueUrl=rig.settings.queue_url, AttributeNames=["RedrivePolicy"]
    )["Attributes"]
    assert json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"] == failed


def test_the_stand_in_knows_its_host() -> None:
    assert (
        named(resources("containers"), "ConfigMap", "evalai-environment")["data"]["API_HOST_URL"]
        == f"https://{HOST}"
    )
