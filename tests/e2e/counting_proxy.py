"""An HTTP proxy before the platform: counts what S3 acknowledges, and strikes on time."""

from __future__ import annotations

import http.client
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from urllib.parse import parse_qsl, urlsplit


class CountingProxy:
    """`acknowledged`: how often S3 has taken the bytes of a key, or of a part of it."""

    def __init__(self) -> None:
        self.acknowledged: Counter[tuple[str, str]] = Counter()
        self.requests = 0
        self._lock, self._strike, self._left = Lock(), lambda: None, 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def strike_after(self, requests: int, strike: Callable[[], None]) -> None:
        """Has `strike` called in the middle of a request to come."""
        with self._lock:
            self._left, self._strike = requests, strike

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def passed(self) -> None:
        """A request is on its way."""
        with self._lock:
            self.requests += 1
            self._left -= 1
            due = self._left == 0
        if due:
            self._strike()

    def answered(self, method: str, url: str, status: int) -> None:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        if method == "PUT" and "X-Amz-Signature" in query and status == 200:
            with self._lock:
                self.acknowledged[parts.path, query.get("partNumber", "")] += 1

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length)
                proxy.passed()
                if len(body) < length:  # the sender is gone
                    self.close_connection = True
                    return
                parts = urlsplit(self.path)
                line = http.client.HTTPConnection(parts.netloc, timeout=60)
                headers = {k: v for k, v in self.headers.items() if k.lower() != "connection"}
                line.request(self.command, f"{parts.path}?{parts.query}", body, headers)
                answer = line.getresponse()
                content = answer.read()
                line.close()
                proxy.answered(self.command, self.path, answer.status)
                self.send_response_only(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_DELETE = forward

            def log_message(self, format: str, *args: object) -> None:
                return

        return Handler
