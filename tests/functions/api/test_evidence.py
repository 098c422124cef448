"""Evidence: each decision is in the log that its write is in, each read before it is answered."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cli.evidence import Tampered, verify
from functions.shared.evidence import canonical
from tests.functions.api.conftest import EMPTY, Client, Reply
from tests.functions.api.test_grants import DATASET, consent
from tests.functions.key_outage import DISABLED_IN_KMS, answering
from tests.issuer import REGION
from tests.scripted_engine import ScriptedEngine

SEALS = "evidence-seals"
Sign = Callable[..., Client]


class Platform:
    """The evidence function, called in process by the queue, the schedule and the API."""

    def __init__(self, handler: Callable[[Any, Any], dict[str, Any]], key: str) -> None:
        self.handler, self.key = handler, key

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:
        try:
            answer = {"Payload": self.handler(json.loads(Payload), None)}
        except Exception as error:  # as Lambda tells of it
            told = {"errorType": type(error).__name__, "errorMessage": str(error)}
            answer = {"FunctionError": "Unhandled", "Payload": told}
        return answer | {"Payload": io.BytesIO(json.dumps(answer["Payload"]).encode())}

    def waiting(self) -> list[dict[str, Any]]:
        """The messages of the queue, taken from it, as Lambda gives them."""
        from functions.shared.clients import sqs

        found: list[dict[str, Any]] = []
        url = os.environ["EVIDENCE_QUEUE_URL"]
        asked = {"MaxNumberOfMessages": 10, "AttributeNames": ["All"]}
        while messages := sqs().receive_message(QueueUrl=url, **asked).get("Messages", ()):
            for message in messages:
                sqs().delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                found.append(
                    {
                        "messageId": message["MessageId"],
                        "body": message["Body"],
                        "attributes": message["Attributes"],
                    }
                )
        return found

    def deliver(self, messages: list[dict[str, Any]]) -> list[str]:
        """Ids of the messages that couldn't be appended."""
        failed = self.handler({"Records": messages}, None)["batchItemFailures"]
        return [failure["itemIdentifier"] for failure in failed]


@pytest.fixture(scope="module")
def platform(tables: Any) -> Iterator[Platform]:
    import boto3

    from functions.api import evidence
    from functions.evidence import handler, seals
    from functions.shared.clients import s3

    with pytest.MonkeyPatch.context() as patch:
        seals.kms.cache_clear()
        kms = boto3.client("kms")
        made = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
        der = kms.get_public_key(KeyId=made["KeyId"])["PublicKey"]
        place = {"LocationConstraint": REGION}
        s3().create_bucket(
            Bucket=SEALS, CreateBucketConfiguration=place, ObjectLockEnabledForBucket=True
        )
        patch.setenv("SEALS_BUCKET", SEALS)
        patch.setenv("SIGNING_KEY_ID", made["KeyId"])
        patch.setenv("SIGNING_PUBLIC_KEY", pem(der))
        patch.setenv("EVIDENCE_FUNCTION", "evidence")
        found = Platform(handler.handler, pem(der))
        patch.setattr(evidence, "lambda_", lambda: found)
        yield found
        seals.kms.cache_clear()


def pem(der: bytes) -> str:
    from cryptography.hazmat.primitives import serialization

    return (
        serialization.load_der_public_key(der)
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


@pytest.fixture
def owner(client: Sign, platform: Platform) -> Client:
    platform.waiting()
    return client("data-owner", subject="owner")


@pytest.fixture
def reader(client: Sign) -> Client:
    return client("practitioner", subject="reader")


def done(owner: Client, dataset: str, platform: Platform) -> list[str]:
    """Event and user of a dataset's verified records, after all messages came."""
    assert platform.deliver(platform.waiting()) == []
    records = verify(lines(exported(owner, dataset)), platform.key, dataset).records
    return [f"{record['event']} {record['user']}" for record in records]


def exported(user: Client, dataset: str, query: str = "") -> Reply:
    return user.get(f"/DocumentReference/{dataset}/$evidence{query}")


def lines(reply: Reply) -> list[str]:
    assert reply.status == 200, reply.text
    return reply.text.split("\n")[:-1]


def test_every_way_to_decide_is_evidence(
    owner: Client, reader: Client, platform: Platform, engine: Callable[..., ScriptedEngine]
) -> None:
    engine(EMPTY, EMPTY, EMPTY)
    criteria = {"If-None-Exist": "description=new"}
    made = owner.call("POST", "/DocumentReference", DATASET, criteria).body
    dataset, path = made["id"], f"/DocumentReference/{made['id']}"
    asked = reader.make(consent(dataset, status="proposed"))
    why = {"extension": [{"url": "urn:ai4h:consent:reason", "valueString": "Say more."}]}
    at = f"/Consent/{asked['id']}"
    assert owner.call("PUT", at, asked | {"status": "rejected"} | why).status == 200
    patch = [{"op": "replace", "path": "/status", "value": "active"}]
    sent = {"Content-Type": "application/json-patch+json"}
    assert owner.call("PATCH", at, json.dumps(patch), sent).status == 200
    assert owner.call("DELETE", at).status == 204
    entries = [
        {"request": {"method": "POST", "url": "Consent"}, "resource": consent(dataset, whom)}
        for whom in (("Practitioner", "a"), ("Group", "b"))
    ]
    entries.append(
        {
            "request": {"method": "PUT", "url": path.removeprefix("/")},
            "resource": made | {"status": "superseded"},
        }
    )
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert owner.call("POST", "/", bundle).status == 200
    assert owner.call("PUT", path, made).status == 200
    assert owner.call("DELETE", path).status == 204
    assert done(owner, dataset, platform) == [
        *("created owner", "asked reader", "declined owner", "granted owner", "revoked owner"),
        *("granted owner", "granted owner", "withdrawn owner", "changed owner", "deleted owner"),
    ]


def test_reads_of_others_are_evidence_once_however_often_they_come(
    client: Sign, owner: Client, reader: Client, platform: Platform
) -> None:
    dataset = owner.make(DATASET)["id"]
    given = owner.make(consent(dataset))["id"]
    path = f"/DocumentReference/{dataset}"
    for user in (owner, reader, client("admin", subject="boss")):
        assert user.get(path).status == 200
    assert reader.get(f"{path}/_history/1").status == 200
    assert client("challenge-host", subject="stranger").get(path).status == 403
    messages = platform.waiting()
    assert len(messages) == 3
    for batch in (messages, messages[1:], messages):
        assert platform.deliver(batch) == []
    found = verify(lines(exported(owner, dataset)), platform.key).records[2:]
    assert [(r["user"], r.get("consents")) for r in found] == [
        ("reader", [given]),
        ("boss", None),
        ("reader", [given]),
    ]


def test_lists_of_others_are_evidence_a_record_for_each_dataset(
    owner: Client, reader: Client, platform: Platform, engine: Callable[..., ScriptedEngine]
) -> None:
    datasets = [owner.make(DATASET)["id"] for _ in range(2)]
    given = {dataset: owner.make(consent(dataset))["id"] for dataset in datasets}
    own = reader.make(DATASET)["id"]
    hits = [
        {"_id": f"DocumentReference/{dataset}", "_version": 1, "sort": [dataset]}
        for dataset in (*datasets, own)
    ]
    engine((200, {"hits": {"total": {"value": 3}, "hits": hits}}))
    assert len(reader.get("/DocumentReference").body["entry"]) == 3
    assert reader.get(f"/DocumentReference/{datasets[0]}/_history").status == 200
    assert reader.get("/DocumentReference/_history").status == 200
    assert owner.get("/DocumentReference/_history").status == 200
    messages = platform.waiting()
    assert platform.deliver(messages) == []
    for dataset, reads in zip(datasets, (3, 2), strict=True):
        records = verify(lines(exported(owner, dataset)), platform.key).records[2:]
        assert [(r["user"], r["consents"]) for r in records] == [
            ("reader", [given[dataset]])
        ] * reads
        assert {tuple(r["resources"]) for r in records} == {
            (f"DocumentReference/{dataset}/_history/1",)
        }


def test_what_is_no_datasets_or_the_users_own_costs_no_message(
    owner: Client, api: Client, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient, dataset = api.make({"resourceType": "Patient"}), owner.make(DATASET)
    monkeypatch.delenv("EVIDENCE_QUEUE_URL")
    assert api.get(f"/Patient/{patient['id']}").status == 200
    assert owner.get(f"/DocumentReference/{dataset['id']}").status == 200


def test_nobody_reads_what_cannot_be_recorded(
    owner: Client, reader: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = owner.make(DATASET)["id"]
    owner.make(consent(dataset))
    monkeypatch.setenv("EVIDENCE_QUEUE_URL", f"{os.environ['EVIDENCE_QUEUE_URL']}-gone")
    reply = reader.get(f"/DocumentReference/{dataset}")
    assert (reply.status, reply.code) == (503, "transient")


def test_a_message_that_cannot_be_appended_comes_again_and_keeps_no_other(
    owner: Client, reader: Client, platform: Platform
) -> None:
    datasets = [owner.make(DATASET)["id"] for _ in range(2)]
    for dataset in datasets:
        owner.make(consent(dataset))
        assert reader.get(f"/DocumentReference/{dataset}").status == 200
    bad, good = platform.waiting()
    assert platform.deliver([bad | {"body": "{}"}, good]) == [bad["messageId"]]
    assert platform.deliver([bad, good]) == []
    for dataset in datasets:
        assert done(owner, dataset, platform)[-1] == "read reader"


def test_a_decision_that_others_were_faster_than_is_written_once(
    owner: Client, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functions.shared import evidence

    dataset = owner.make(DATASET)["id"]
    stale, asked = evidence.head(dataset), []

    def head(name: str) -> Any:
        asked.append(name)
        return stale if len(asked) == 1 else original(name)

    original = evidence.head
    owner.make(consent(dataset))
    with monkeypatch.context() as patch:
        patch.setattr(evidence, "head", head)
        owner.make(consent(dataset, ("Group", "b")))
    assert len(asked) == 2
    assert done(owner, dataset, platform) == ["created owner", "granted owner", "granted owner"]


def test_evidence_is_the_owners(client: Sign, owner: Client, reader: Client) -> None:
    dataset = owner.make(DATASET)["id"]
    owner.make(consent(dataset))
    assert exported(client("admin", subject="boss"), dataset).status == 200
    assert exported(reader, dataset).status == 403
    plain = exported(owner, dataset).text
    assert exported(owner, dataset, "?_pretty=true").text == plain
    assert exported(owner, "none").status == 404
    assert exported(owner, dataset, "?after=x").status == 400
    assert owner.get("/Consent/1/$evidence").status == 404
    assert owner.call("POST", f"/DocumentReference/{dataset}/$evidence").status == 405


def test_long_evidence_comes_in_pages(
    owner: Client, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functions.api import evidence

    dataset = owner.make(DATASET)["id"]
    for number in range(5):
        owner.make(consent(dataset, ("Group", f"g{number}")))
    monkeypatch.setattr(evidence, "MAX_ANSWER_BYTES", 5200)
    found: list[str] = []
    query, pages = "", 0
    while query is not None:
        reply, pages = exported(owner, dataset, query), pages + 1
        found += lines(reply)
        link = reply.headers.get("Link")
        query = f"?{link.partition('?')[2].partition('>')[0]}" if link else None
    assert pages > 2
    assert len(verify(found, platform.key, dataset).records) == 6


def test_what_was_altered_is_not_signed_again_and_the_schedule_says_so(
    owner: Client, platform: Platform, tables: Any
) -> None:
    from functions.evidence.seals import BrokenError
    from functions.shared import evidence

    dataset, table = owner.make(DATASET)["id"], os.environ["CONTROL_TABLE_NAME"]
    owner.make(consent(dataset))
    assert platform.handler({"seal": "all"}, None)["sealed"] >= 1
    assert platform.handler({"seal": "all"}, None) == {"sealed": 0}
    head = evidence.head(dataset)
    assert head is not None
    key = {"pk": {"S": f"evidence#{dataset}"}, "sk": {"S": "head"}}
    shorter = {"count": {"N": "1"}, "hash": {"S": "0" * 64}, "recent": {"S": ""}}
    tables.put_item(TableName=table, Item=key | shorter)
    owner_sees = lines(exported(owner, dataset))
    assert json.loads(owner_sees[-1])["count"] == 2
    assert len(verify(owner_sees, platform.key).records) == 2, "the records are still there"
    tables.delete_item(TableName=table, Key=key | {"sk": {"S": "0000000002"}})
    with pytest.raises(Tampered, match="seal is on 2 records, 1 are here"):
        verify(lines(exported(owner, dataset)), platform.key)
    tables.put_item(TableName=table, Item={"pk": {"S": "unsealed"}, "sk": {"S": dataset},
                                           "count": {"N": "1"}})  # fmt: skip
    with pytest.raises(BrokenError, match="2 records were sealed, 1 are there"):
        platform.handler({"seal": "all"}, None)
    tables.delete_item(TableName=table, Key={"pk": {"S": "unsealed"}, "sk": {"S": dataset}})


def test_what_could_not_be_signed_without_the_key_is_signed_when_it_is_back(
    owner: Client, platform: Platform
) -> None:
    from functions.evidence import seals

    platform.handler({"seal": "all"}, None)
    datasets = [owner.make(DATASET)["id"] for _ in range(2)]
    with answering(seals.kms(), DISABLED_IN_KMS) as asked:
        # An error of the function, which is what the alarm counts.
        with pytest.raises(ClientError, match="DisabledException"):
            platform.handler({"seal": "all"}, None)
        assert len(asked) == 2, "each was tried"
        assert set(datasets) <= set(seals.unsealed())
        owner.make(consent(datasets[0]))
    assert platform.handler({"seal": "all"}, None)["sealed"] == 2
    assert seals.unsealed() == []
    for dataset, count in zip(datasets, (2, 1), strict=True):
        assert len(verify(lines(exported(owner, dataset)), platform.key, dataset).records) == count


def test_without_the_key_evidence_has_no_seal_and_the_owner_is_told_so(
    owner: Client, platform: Platform
) -> None:
    from functions.evidence import seals

    dataset = owner.make(DATASET)["id"]
    with answering(seals.kms(), DISABLED_IN_KMS):
        reply = exported(owner, dataset)
    assert (reply.status, reply.code) == (503, "transient")
    assert "Disabled" not in reply.text


def test_nothing_that_is_written_beside_the_seals_counts(owner: Client, platform: Platform) -> None:
    from functions.shared.clients import s3

    dataset = owner.make(DATASET)["id"]
    genuine = lines(exported(owner, dataset))[-1]
    key = s3().list_objects_v2(Bucket=SEALS, Prefix=dataset)["Contents"][0]["Key"]
    s3().delete_object(Bucket=SEALS, Key=key)
    assert lines(exported(owner, dataset))[-1] == genuine, "a delete marker hides nothing"
    forged = canonical(json.loads(genuine) | {"hash": "0" * 64})
    for place, body in ((key, forged), (f"{dataset}/0", genuine), (f"{dataset}/1", "junk")):
        s3().put_object(Bucket=SEALS, Key=place, Body=body.encode())
    assert lines(exported(owner, dataset))[-1] == genuine
    owner.make(consent(dataset))
    assert done(owner, dataset, platform) == ["created owner", "granted owner"]
