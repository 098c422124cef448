"""The demo: the whole path on real input, step by step, with the time each step took.

A practitioner stores a patient with an observation and an imaging study and finds them again; a
data owner uploads a DICOM file (one that pydicom ships) and a NIfTI volume; then the platform
refuses what it must refuse. It talks to the platform as any client would: HTTP and `stack.json`.
"""

import base64
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import boto3
import requests
from botocore import UNSIGNED
from botocore.config import Config
from pycognito.aws_srp import AWSSRP
from pydicom import dcmread
from rich.console import Console
from rich.markup import escape

from functions.shared.resources import serialise
from local.demo_input import checksum, dicom_file, load, nifti_volume

SEARCHABLE_WITHIN = 10.0  # seconds the index may lag before the demo calls it a failure
VERIFIED_WITHIN = 15.0
TIMEOUT = 15  # seconds for one HTTP request


class Refuted(Exception):
    """A step saw something other than what the platform promises."""


@dataclass
class Demo:
    """One run: the stack it talks to, what earlier steps made, and how many steps failed."""

    stack: dict[str, Any]
    console: Console
    failures: int = 0
    tokens: dict[str, str] = field(default_factory=dict)
    made: dict[str, dict[str, Any]] = field(default_factory=dict)
    family: str = field(default_factory=lambda: f"Müller-{uuid.uuid4().hex[:6]}")

    def step(self, title: str, action: Callable[[], str]) -> None:
        """Run one step and print its outcome: what it saw and the milliseconds it took."""
        started = time.perf_counter()
        try:
            seen, mark = action(), "[green]ok[/]"
        except (Refuted, OSError, KeyError) as problem:
            seen, mark = str(problem) or repr(problem), "[red]failed[/]"
            self.failures += 1
        took = (time.perf_counter() - started) * 1000
        self.console.print(f"  {mark:<14} {title:<52} {took:>7.0f} ms   [dim]{escape(seen)}[/]")

    def call(
        self, method: str, path: str, group: str, body: Any = None, **headers: str
    ) -> requests.Response:
        """One API call as a user of `group`; an empty header value leaves that header out."""
        sent = {
            "Authorization": f"Bearer {self.tokens[group]}",
            "x-api-key": self.stack["api_key"],
            "Content-Type": "application/fhir+json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return requests.request(
            method,
            self.stack["api_url"] + path,
            data=None if body is None else serialise(body),
            headers={name: value for name, value in sent.items() if value},
            timeout=TIMEOUT,
        )

    # -- signing in and the patient's record ---------------------------------------------------

    def sign_in(self, group: str) -> str:
        """Secure Remote Password: the password never leaves this machine."""
        user = self.stack["users"][group]
        cognito = boto3.client(
            "cognito-idp",
            region_name=self.stack["region"],
            endpoint_url=self.stack["aws_endpoint_url"],
            config=Config(signature_version=UNSIGNED),
        )
        answer = AWSSRP(
            username=user["username"],
            password=user["password"],
            pool_id=self.stack["user_pool_id"],
            client_id=self.stack["cli_client_id"],
            client=cognito,
        ).authenticate_user()
        self.tokens[group] = answer["AuthenticationResult"]["IdToken"]
        return user["username"]

    def metadata(self) -> str:
        answer = requests.get(self.stack["api_url"] + "/metadata", timeout=TIMEOUT)
        statement = expect(answer, 200)
        return f"FHIR {statement['fhirVersion']}, {len(answer.content) // 1024} kB"

    def store(self, name: str, resource: dict[str, Any], group: str = "practitioner") -> str:
        answer = self.call("POST", f"/{resource['resourceType']}", group, resource)
        self.made[name] = expect(answer, 201)
        return f"{reference(self.made[name])}, {answer.headers['ETag']}"

    def store_patient(self) -> str:
        patient = load("patient")
        patient["name"][0]["family"] = self.family
        return self.store("patient", patient)

    def store_observation(self) -> str:
        return self.store(
            "observation", load("observation") | {"subject": self.reference_to("patient")}
        )

    def store_study(self) -> str:
        slice_ = dcmread(dicom_file())
        study = load("imaging_study") | {
            "identifier": [
                {"system": "urn:dicom:uid", "value": f"urn:oid:{slice_.StudyInstanceUID}"}
            ],
            "subject": self.reference_to("patient"),
            "series": [
                {
                    "uid": str(slice_.SeriesInstanceUID),
                    "modality": {
                        "system": "http://dicom.nema.org/resources/ontology/DCM",
                        "code": str(slice_.Modality),
                    },
                    "numberOfInstances": 1,
                }
            ],
        }
        return self.store("study", study)

    def read_back(self) -> str:
        stored = self.made["observation"]
        answer = self.call("GET", f"/{reference(stored)}", "practitioner")
        if expect(answer, 200) != stored:
            raise Refuted("what was read differs from what was stored")
        if '"value":1.10' not in answer.text.replace(" ", ""):
            raise Refuted("the decimal 1.10 lost its precision")
        return f"{len(answer.content)} bytes, the decimal 1.10 kept as written"

    def find(self, query: str, name: str) -> str:
        """Search until the resource is found: the index follows the table by a moment."""
        wanted, started = self.made[name]["id"], time.perf_counter()
        while True:
            bundle = expect(self.call("GET", f"/{query}", "practitioner"), 200)
            if wanted in [entry["resource"]["id"] for entry in bundle.get("entry", [])]:
                return query
            if time.perf_counter() - started > SEARCHABLE_WITHIN:
                raise Refuted(f"not found within {SEARCHABLE_WITHIN:.0f} s by {query}")
            time.sleep(0.05)

    def update(self) -> str:
        patient = self.made["patient"] | {"active": False}
        path = f"/{reference(patient)}"
        answer = self.call("PUT", path, "practitioner", patient, If_Match='W/"1"')
        updated = expect(answer, 200)
        stale = self.call("PUT", path, "practitioner", patient, If_Match='W/"1"')
        expect(stale, 412)
        first = expect(self.call("GET", f"{path}/_history/1", "practitioner"), 200)
        if not first["active"] or updated["active"]:
            raise Refuted("version 1 and 2 are not what was written")
        return 'now W/"2"; a second writer with W/"1" got 412; version 1 is still there'

    # -- the private dataset -------------------------------------------------------------------

    def open_dataset(self) -> str:
        return self.store("dataset", load("document_reference"), "data-owner")

    def upload(self, name: str, file_name: str, media_type: str, content: bytes) -> str:
        request = {
            "resourceType": "Binary",
            "contentType": media_type,
            "securityContext": self.reference_to("dataset"),
            "size": len(content),
            "sha256": checksum(content),
            "fileName": file_name,
        }
        binary = expect(self.call("POST", "/Binary", "data-owner", request), 201)
        self.made[name] = binary
        self.put(binary, content, 200)
        deadline = time.perf_counter() + VERIFIED_WITHIN
        while True:
            seen = expect(self.call("GET", f"/Binary/{binary['id']}", "data-owner"), 200)
            if seen["uploadStatus"] == "available":
                break
            if seen["uploadStatus"] == "rejected" or time.perf_counter() > deadline:
                raise Refuted(f"the upload is {seen['uploadStatus']}: {seen.get('reason', 'late')}")
            time.sleep(0.05)
        received = requests.get(seen["presignedGetUrl"], timeout=TIMEOUT)
        if checksum(received.content) != checksum(content):
            raise Refuted("the downloaded bytes differ from the uploaded ones")
        return f"{len(content):,} bytes verified, downloaded and equal (SHA-256)"

    def upload_dicom(self) -> str:
        path = dicom_file()
        return self.upload("dicom", path.name, "application/dicom", path.read_bytes())

    def upload_volume(self) -> str:
        return self.upload("volume", "volume.nii", "application/x-nifti", nifti_volume())

    def put(self, binary: dict[str, Any], content: bytes, status: int) -> None:
        answer = requests.put(
            binary["presignedPutUrl"], data=content, headers=binary["uploadHeaders"], timeout=60
        )
        if answer.status_code != status:
            raise Refuted(f"the store answered {answer.status_code}, not {status}: {answer.text}")

    # -- what is refused -----------------------------------------------------------------------

    def wrong_token(self) -> str:
        head, payload, signature = self.tokens["practitioner"].split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
        claims["cognito:groups"] = ["admin"]
        forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
        token = f"Bearer {head}.{forged}.{signature}"
        path = f"/{reference(self.made['patient'])}"
        return refused(self.call("GET", path, "practitioner", Authorization=token), 401)

    def missing_key(self) -> str:
        path = f"/{reference(self.made['patient'])}"
        return refused(self.call("GET", path, "practitioner", **{"x-api-key": ""}), 403)

    def wrong_group(self) -> str:
        body = load("observation") | {"subject": self.reference_to("patient")}
        return refused(self.call("POST", "/Observation", "auditor", body), 403)

    def someone_elses(self) -> str:
        return refused(self.call("GET", f"/{reference(self.made['dicom'])}", "practitioner"), 403)

    def altered_upload(self) -> str:
        content = dicom_file().read_bytes()
        request = {
            "resourceType": "Binary",
            "contentType": "application/dicom",
            "size": len(content),
            "sha256": checksum(content),
        }
        binary = expect(self.call("POST", "/Binary", "data-owner", request), 201)
        self.put(binary, content[:-1] + bytes([content[-1] ^ 1]), 400)
        return "one bit changed on the way: the store refused it"

    def overwriting(self) -> str:
        self.put(self.made["dicom"], dicom_file().read_bytes(), 412)
        return "the same URL a second time: 412, nothing replaced"

    def reference_to(self, name: str) -> dict[str, str]:
        return {"reference": reference(self.made[name])}


def run(stack: dict[str, Any]) -> int:
    """Run every step against a running platform; the number of steps that failed."""
    console = Console(width=160, highlight=False)
    demo = Demo(stack, console)
    console.print(f"\n[bold]AI4H demo[/] against {stack['api_url']}\n")
    demo.step("sign in as practitioner (SRP)", lambda: demo.sign_in("practitioner"))
    demo.step("sign in as data owner (SRP)", lambda: demo.sign_in("data-owner"))
    demo.step("sign in as auditor (SRP)", lambda: demo.sign_in("auditor"))
    if demo.failures:
        console.print("\n[red]Nobody can sign in: the other steps were not tried.[/]")
        return demo.failures
    demo.step("read the capability statement, without a token", demo.metadata)
    demo.step("store a Patient", demo.store_patient)
    demo.step("store an Observation", demo.store_observation)
    demo.step("store an ImagingStudy", demo.store_study)
    demo.step("read it back", demo.read_back)
    searches = {
        "by name": (f"Patient?name={demo.family}", "patient"),
        "by name, accents and case folded": (
            f"Patient?family={demo.family.upper().replace('Ü', 'u')}",
            "patient",
        ),
        "by date": ("Patient?birthdate=1961-04&_sort=-_lastUpdated", "patient"),
        "by code": (
            "Observation?code=http://loinc.org|2160-0&_sort=-_lastUpdated",
            "observation",
        ),
    }
    for title, (query, name) in searches.items():
        demo.step(f"search {title}", lambda query=query, name=name: demo.find(query, name))
    demo.step(
        "search by reference",
        lambda: demo.find(f"ImagingStudy?subject={reference(demo.made['patient'])}", "study"),
    )
    demo.step("update with If-Match", demo.update)
    demo.step("open a private dataset (DocumentReference)", demo.open_dataset)
    demo.step("upload a DICOM file, see it verified, download it", demo.upload_dicom)
    demo.step("upload a NIfTI volume, see it verified, download it", demo.upload_volume)
    demo.step("refuse a forged token", demo.wrong_token)
    demo.step("refuse a call without API key", demo.missing_key)
    demo.step("refuse the wrong group (auditor writes)", demo.wrong_group)
    demo.step("refuse somebody else's file", demo.someone_elses)
    demo.step("refuse altered bytes", demo.altered_upload)
    demo.step("refuse to overwrite an upload", demo.overwriting)
    verdict = "[green]every step ok[/]" if not demo.failures else f"[red]{demo.failures} failed[/]"
    console.print(f"\nDemo: {verdict}\n")
    return demo.failures


def expect(answer: requests.Response, status: int) -> dict[str, Any]:
    """The JSON body of an answer that has the promised status (empty where there is none)."""
    if answer.status_code != status:
        raise Refuted(f"answered {answer.status_code}, not {status}: {answer.text[:300]}")
    return answer.json() if answer.content else {}


def refused(answer: requests.Response, status: int) -> str:
    """What the refusal said; refusals carry an OperationOutcome like every other error."""
    outcome = expect(answer, status)
    if outcome.get("resourceType") != "OperationOutcome":
        raise Refuted(f"refused, but not by an OperationOutcome: {answer.text[:300]}")
    return f"{status}: {outcome['issue'][0]['diagnostics']}"


def reference(resource: dict[str, Any]) -> str:
    return f"{resource['resourceType']}/{resource['id']}"
