"""EvalAI's API as a challenge's host uses it: the protocol of its remote workers.

https://github.com/Cloud-CV/EvalAI, apps/jobs/urls.py and views.update_submission
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import requests

TIMEOUT_SECONDS = 60
ENDED = frozenset({"finished", "failed", "cancelled", "archived"})


@dataclass(frozen=True)
class EvalAi:
    """Web inside the cluster, called with a host's token."""

    url: str
    host: str
    token_file: Path
    """Read for each call: a token may be renewed."""

    def status(self, submission_id: int) -> str:
        return self._call("GET", f"/api/jobs/submission/{submission_id}")["status"]

    def phase(self, challenge_id: int, phase_id: int) -> Mapping[str, Any]:
        return self._call(
            "GET", f"/api/challenges/challenge/{challenge_id}/challenge_phase/{phase_id}"
        )

    def started(self, challenge_id: int, submission_id: int, job: str) -> None:
        """Says that a submission runs."""
        data = {"submission": submission_id, "submission_status": "running", "job_name": job}
        self._call("PATCH", self._update(challenge_id), data=data)

    def failed(
        self,
        challenge_id: int,
        phase_id: int,
        submission_id: int,
        *,
        reason: str,
        printed: str,
        details: Mapping[str, Any],
    ) -> None:
        """Ends a submission: `reason` and `printed` are for participants, `details` for hosts."""
        data = {
            "challenge_phase": phase_id,
            "submission": submission_id,
            "submission_status": "failed",
            "stdout": printed,
            "stderr": reason,
            "environment_log": "",
            "result": "[]",
            "metadata": json.dumps(details),
        }
        self._call("PUT", self._update(challenge_id), data=data)

    def predicted(self, challenge_id: int, submission_id: int, name: str, file: IO[bytes]) -> None:
        """Hands in what a model wrote; EvalAI then sends a message to have it scored."""
        self._call(
            "PATCH",
            self._update(challenge_id),
            data={"submission": submission_id},
            files={"submission_input_file": (name, file)},
        )

    def _update(self, challenge_id: int) -> str:
        return f"/api/jobs/challenge/{challenge_id}/update_submission/"

    def _call(self, method: str, path: str, **options: Any) -> Any:
        token = self.token_file.read_text(encoding="utf-8").strip()
        answer = requests.request(
            method,
            f"{self.url}{path}",
            # As the load balancer would say it: web redirects what came without TLS.
            headers={
                "Authorization": f"Bearer {token}",
                "Host": self.host,
                "X-Forwarded-Proto": "https",
            },
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
            **options,
        )
        answer.raise_for_status()
        return answer.json()
