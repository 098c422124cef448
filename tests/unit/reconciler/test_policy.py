"""The policy of a challenge's role: what it lists, its conditions, and that it always fits."""

import json
import uuid
from datetime import UTC, datetime

from functions.reconciler.policy import ENDS, LARGEST, document
from functions.shared.attachments import MOST

BUCKET = "arn:aws:s3:::datasets"
KEY = "arn:aws:kms:eu-central-1:111122223333:key/5e6a9d2b-4c1f-4a57-9d43-0e3f7a1c2b90"
ACTIONS = ["s3:GetObject", "s3:GetObjectVersion"]
DAY = 86_400_000_000
END = int(datetime(2027, 6, 30, 23, 59, 59, 999_999, UTC).timestamp()) * 1_000_000 + 999_999


def objects(*datasets: str) -> list[str]:
    return [f"{BUCKET}/datasets/{dataset}/*" for dataset in datasets]


def test_each_dataset_is_allowed_until_its_end_or_denied() -> None:
    made = document(BUCKET, KEY, {"b": END, "a": END, "c": END + DAY}, ["revoked"], ["detached"])
    first, second, key, denied = made["Statement"]
    assert first == {
        "Effect": "Allow",
        "Action": ACTIONS,
        "Resource": objects("a", "b"),
        "Condition": {"DateLessThanEquals": {"aws:CurrentTime": "2027-06-30T23:59:59Z"}},
    }
    assert second["Condition"]["DateLessThanEquals"]["aws:CurrentTime"] == "2027-07-01T23:59:59Z"
    assert key == {"Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": KEY}
    denial = {"Effect": "Deny", "Action": ACTIONS, "Resource": objects("detached", "revoked")}
    assert denied == denial


def test_without_a_grant_everything_is_denied() -> None:
    for ended in ([], ["revoked"]):
        (denied,) = document(BUCKET, KEY, {}, ended, ["detached"])["Statement"]
        assert denied == {"Effect": "Deny", "Action": ACTIONS, "Resource": [f"{BUCKET}/datasets/*"]}


def test_the_order_of_what_was_found_does_not_matter() -> None:
    one = document(BUCKET, KEY, {"a": END, "b": END}, ["c", "d"], [])
    assert one == document(BUCKET, KEY, {"b": END, "a": END}, ["d", "c"], [])


def test_the_soonest_ends_are_conditions_and_the_others_wait() -> None:
    readable = {f"d{number:02}": END + number * DAY for number in range(MOST)}
    statements = document(BUCKET, KEY, readable, [], [])["Statement"]
    timed = [s for s in statements if "Condition" in s]
    assert [s["Resource"] for s in timed] == [objects(f"d{number:02}") for number in range(ENDS)]
    (later,) = [s for s in statements if "Condition" not in s and s["Action"] == ACTIONS]
    assert later["Resource"] == objects(*sorted(readable)[ENDS:])


def test_the_longest_policy_fits_and_what_was_detached_long_ago_gives_way() -> None:
    bucket = f"arn:aws:s3:::{'b' * 63}"
    ids = [str(uuid.UUID(int=number)) for number in range(3 * MOST)]
    attached, detached = ids[:MOST], ids[MOST:]
    text = ""
    for count in range(MOST + 1):
        readable = {dataset: END + n * DAY for n, dataset in enumerate(attached[:count])}
        for gone in ([], detached):
            made = document(bucket, KEY, readable, attached[count:], gone)
            text = json.dumps(made, separators=(",", ":"))
            assert len(text) <= LARGEST
            named = [dataset for dataset in attached if f"/{dataset}/" in text]
            assert named == (attached if count else [])
    told = [dataset for dataset in detached if f"/{dataset}/" in text]
    assert told == detached[: len(told)] != []
