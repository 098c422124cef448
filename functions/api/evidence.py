"""The operation $evidence: a dataset's log and the seal on it, for its owner.

The answer is newline-delimited JSON: a record a line, exactly the bytes that are hashed, and on the
last page the seal. What the lines are: functions/shared/evidence.py; who checks them: the command.
"""

from __future__ import annotations

import json
import os
import re

from functions.shared import access, evidence, store
from functions.shared.clients import lambda_
from functions.shared.errors import FhirError, quote, unavailable
from functions.shared.http import MAX_ANSWER_BYTES, Request, Response, size_in_answer
from functions.shared.identity import Identity
from functions.shared.log import logger

NDJSON = "application/x-ndjson"

_ROOM = 4096  # for the seal
_NUMBER = re.compile(r"\d{1,10}")


def export(request: Request, identity: Identity, dataset: str) -> Response:
    """200 with the records behind `after`; a link leads to the next page, if they don't fit.

    403 for others' datasets, 404 for none, 503 when the log can't be sealed at the moment.
    """
    last = store.latest(f"DocumentReference/{dataset}", body=False)
    if last is None:
        raise FhirError(404, "not-found", f"There is no DocumentReference {quote(dataset)}.")
    access.require_owner(identity, "DocumentReference", last.owner)
    number = _after(request)
    seal, is_whole = _sealed(dataset)
    count = json.loads(seal)["count"] if seal and is_whole else None
    found: list[str] = []
    room = MAX_ANSWER_BYTES - _ROOM
    for line in evidence.lines(dataset, number) if count is None or number < count else ():
        room -= size_in_answer(line.encode()) + 2
        if room < 0:
            return _page(found, next_=f"{request.base_url}{request.path}?after={number}")
        found.append(line)
        number += 1
        if number == count:
            break
    return _page([*found, *filter(None, [seal])])


def _sealed(dataset: str) -> tuple[str, bool]:
    """The newest seal, and whether it is on what is there: else something was altered or lost."""
    answer = lambda_().invoke(
        FunctionName=os.environ["EVIDENCE_FUNCTION"],
        Payload=json.dumps({"dataset": dataset}).encode(),
    )
    told = json.loads(answer["Payload"].read())
    if answer.get("FunctionError"):
        logger.error("no seal", extra={"fields": {"dataset": dataset}})
        raise unavailable()
    return told["seal"], "problem" not in told


def _after(request: Request) -> int:
    text = dict(request.query).get("after", "0")
    if not _NUMBER.fullmatch(text):
        raise FhirError(400, "value", "after is the number of a record.")
    return int(text)


def _page(lines: list[str], next_: str = "") -> Response:
    headers = {"Content-Type": NDJSON, **({"Link": f'<{next_}>; rel="next"'} if next_ else {})}
    return Response(200, "".join(f"{line}\n" for line in lines).encode(), headers)
