"""The part of EvalAI's API that runners call, as apps/jobs/views.py answers it, over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

HOST, TOKEN = "evalai.containers.example.org", "token-of-a-host"


@dataclass
class StandIn:
    """What it was told, by submission."""

    url: str = ""
    status: dict[int, str] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    phase: dict[str, Any] = field(default_factory=lambda: {"codename": "test"})
    away: bool = False

    def told(self, submission: int) -> list[dict[str, str]]:
        return [call for _, call in self.calls if call["submission"] == str(submission)]


@contextmanager
def running() -> Iterator[StandIn]:
    stand_in = StandIn()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = self.path.split("/")
            if self.path.startswith("/api/jobs/submission/"):
                return self._answer({"status": stand_in.status.get(int(parts[-1]), "submitted")})
            return self._answer(stand_in.phase)

        def do_PUT(self) -> None:
            self._update()

        def do_PATCH(self) -> None:
            self._update()

        def _update(self) -> None:
            assert self.path == "/api/jobs/challenge/1/update_submission/"
            members = self._members()
            stand_in.calls.append((self.command, members))
            if status := members.get("submission_status"):
                allowed = {"PUT": {"failed", "finished"}, "PATCH": {"queued", "running"}}
                assert status in allowed[self.command]
                stand_in.status[int(members["submission"])] = status
            self._answer({})

        def _members(self) -> dict[str, str]:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kind = self.headers["Content-Type"]
            if kind == "application/x-www-form-urlencoded":
                return dict(parse_qsl(body.decode(), keep_blank_values=True))
            parsed = BytesParser(policy=HTTP).parsebytes(
                f"Content-Type: {kind}\n\n".encode() + body
            )
            parts: list[Any] = parsed.get_payload()  # type: ignore[assignment]
            return {
                part.get_param("name", header="content-disposition"): part.get_payload(
                    decode=True
                ).decode()
                for part in parts
            }

        def _answer(self, content: Any) -> None:
            sound = (
                self.headers["Authorization"] == f"Bearer {TOKEN}"
                and self.headers["Host"] == HOST
                and self.headers["X-Forwarded-Proto"] == "https"
            )
            body = json.dumps(content).encode()
            self.send_response(503 if stand_in.away else 200 if sound else 400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stand_in.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield stand_in
    finally:
        server.shutdown()
        server.server_close()
