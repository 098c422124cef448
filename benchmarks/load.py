"""Load: 50 clients at once for a minute, against the whole local platform.

Its memory has a limit as a whole, and one for what the last third adds, which shows a leak. The
search engine's heap is of a fixed size, which it takes bit by bit: that counts as growth too.
"""

import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import requests

from benchmarks.figures import Figure, milliseconds
from benchmarks.platform import Platform, id_token, memory
from tests.e2e.aws import aws

CLIENTS = 50
SECONDS = 60
TIMEOUT = 35  # seconds: the gateway itself gives up after 29
SAMPLED_EVERY = 1.0
CONTENT = b"\x89PNG\r\n\x1a\n" + bytes(4088)


@dataclass
class Seen:
    """What clients were answered. Lists and counters grow under the interpreter's own lock."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def errors(self) -> int:
        """Answers that are none: of the server's side, or not of HTTP; and refusals but 429."""
        refused = sum(n for status, n in self.statuses.items() if status >= 400 and status != 429)
        return refused + self.failures.total()


class User:
    """A client that does one thing after the other: writes, reads, searches, uploads."""

    def __init__(self, stack: dict[str, Any], token: str, seen: Seen, seed: int) -> None:
        self._url, self._seen = stack["api_url"], seen
        self._chance = random.Random(seed)  # noqa: S311
        self._http = requests.Session()
        self._headers = {
            "Authorization": f"Bearer {token}",
            "x-api-key": stack["api_key"],
            "Content-Type": "application/fhir+json",
        }
        self._made: list[dict[str, Any]] = []
        self._family = f"L{uuid.uuid4().hex[:12]}"

    def act(self) -> None:
        """One of what users do; writes are a third of it."""
        if not self._made:
            self._create()
            return
        weighted: dict[Callable[[], object], int] = {
            self._create: 20,
            self._update: 10,
            self._read: 40,
            self._search: 25,
            self._upload: 5,
        }
        [action] = self._chance.choices([*weighted], [*weighted.values()])
        action()

    def _create(self) -> None:
        patient = {"resourceType": "Patient", "name": [{"family": self._family}]}
        if made := self._ask("POST", "/Patient", patient):
            self._made.append(made)

    def _update(self) -> None:
        number = self._chance.randrange(len(self._made))
        before = self._made[number]
        match = {"If-Match": f'W/"{before["meta"]["versionId"]}"'}
        changed = before | {"active": not before.get("active", False)}
        if made := self._ask("PUT", f"/Patient/{before['id']}", changed, match):
            self._made[number] = made

    def _read(self) -> None:
        self._ask("GET", f"/Patient/{self._chance.choice(self._made)['id']}")

    def _search(self) -> None:
        self._ask("GET", f"/Patient?family={self._family}&_count=10")

    def _upload(self) -> None:
        binary = {"resourceType": "Binary", "contentType": "image/png", "size": len(CONTENT)}
        if not (made := self._ask("POST", "/Binary", binary)):
            return
        self._noted(
            lambda: requests.put(
                made["presignedPutUrl"], CONTENT, headers=made["uploadHeaders"], timeout=TIMEOUT
            )
        )
        self._ask("GET", f"/Binary/{made['id']}")

    def _ask(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """The answer's JSON; nothing when it was refused."""
        answer = self._noted(
            lambda: self._http.request(
                method,
                self._url + path,
                json=body,
                headers=self._headers | (headers or {}),
                timeout=TIMEOUT,
            )
        )
        return answer.json() if answer is not None and answer.ok else {}

    def _noted(self, send: Callable[[], requests.Response]) -> requests.Response | None:
        started = time.perf_counter()
        try:
            answer = send()
        except requests.RequestException as error:
            self._seen.failures[type(error).__name__] += 1
            return None
        self._seen.seconds.append(time.perf_counter() - started)
        self._seen.statuses[answer.status_code] += 1
        if answer.status_code == 429:
            time.sleep(float(answer.headers.get("Retry-After", 1)))
        return answer


def _call_scheduled(stack: dict[str, Any]) -> None:
    """Calls what the clock calls each minute: its first start would be growth by chance."""
    events, functions = aws(stack, "events"), aws(stack, "lambda")
    scheduled = [rule for rule in events.list_rules()["Rules"] if "ScheduleExpression" in rule]
    for rule in scheduled:
        for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]:
            functions.invoke(FunctionName=target["Arn"], Payload=target["Input"].encode())


def figures(platform: Platform) -> Iterator[Figure]:
    stack, seen = platform.stack, Seen()
    token = id_token(stack, "practitioner")
    users = [User(stack, token, seen, seed) for seed in range(CLIENTS)]
    for user in users[:5]:
        user.act()  # warm up
    _call_scheduled(stack)
    end = time.monotonic() + SECONDS

    def use(user: User) -> None:
        while time.monotonic() < end:
            user.act()

    threads = [threading.Thread(target=use, args=(user,)) for user in users]
    for thread in threads:
        thread.start()
    used: list[float] = []
    while time.monotonic() < end:
        used.append(memory(stack))
        time.sleep(SAMPLED_EVERY)
    for thread in threads:
        thread.join()
    if seen.errors:
        print(f"answered {dict(seen.statuses)}, failed {dict(seen.failures)}")
    yield Figure(f"errors but 429, {CLIENTS} clients for {SECONDS} s", "", [seen.errors], at_most=0)
    yield Figure("… refused with 429", "", [seen.statuses[429]])
    yield Figure("… requests", "per second", [len(seen.seconds) / SECONDS])
    yield Figure("… a request", "ms", milliseconds(seen.seconds))
    third = len(used) // 3
    yield Figure("… memory of the platform at most", "MB", [max(used)], at_most=2000)
    grown = max(used[-third:]) - max(used[third : 2 * third])
    yield Figure("… of which came in the last third", "MB", [grown], at_most=100)
