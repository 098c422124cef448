"""The local edge: one address for portal and API, as CloudFront gives it on AWS.

It serves what the distribution's behaviours say (the API below its path, the portal's bucket for
the rest) with the headers of its policy, without cache, firewall or TLS.
"""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import urllib3
from botocore.exceptions import ClientError

from local.edge_headers import security_headers
from local.handlers.base import Clients
from local.state import Resources

DISTRIBUTION = "aws:cloudfront/distribution:Distribution"
HEADERS_POLICY = "aws:cloudfront/responseHeadersPolicy:ResponseHeadersPolicy"
# RFC 9110, section 7.6.1: what concerns one connection only.
HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
# The API gets one body at most as large as API Gateway takes.
MAX_BODY_BYTES = 10 * 1024 * 1024

_http = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=2, read=30))


class Origins:
    """Where the requests of a distribution go, by the path patterns of its behaviours."""

    def __init__(self, clients: Clients, resources: Resources) -> None:
        self._clients = clients
        (distribution,) = resources.of_type(DISTRIBUTION)
        inputs = distribution.inputs
        self._hosts = {origin["originId"]: origin["domainName"] for origin in inputs["origins"]}
        self._default = inputs["defaultCacheBehavior"]["targetOriginId"]
        self._root = inputs["defaultRootObject"]
        self._patterns = [
            (behaviour["pathPattern"], behaviour["targetOriginId"])
            for behaviour in inputs["orderedCacheBehaviors"]
        ]
        (policy,) = resources.of_type(HEADERS_POLICY)  # all behaviours have the same one
        self.headers = security_headers(
            policy.inputs["securityHeadersConfig"], clients.endpoint_url
        )

    def of(self, path: str) -> str:
        """The host that a path belongs to."""
        for pattern, origin in self._patterns:
            prefix = pattern.removesuffix("*")
            if path == pattern or (prefix != pattern and path.startswith(prefix)):
                return self._hosts[origin]
        return self._hosts[self._default]

    def api_address(self, host: str) -> str:
        """The address of the REST API with that host name."""
        return f"{self._clients.endpoint_url}/_aws/execute-api/{host.partition('.')[0]}"

    def object(self, host: str, path: str) -> dict[str, Any] | None:
        """The object at a path of the bucket with that host name."""
        try:
            return self._clients.of("s3").get_object(
                Bucket=host.partition(".s3.")[0], Key=unquote(path).lstrip("/") or self._root
            )
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in (403, 404):
                return None
            raise


class EdgeServer:
    """The server, in a thread of this process. Raises OSError when the port is taken."""

    def __init__(self, port: int) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _Request)
        self._server.daemon_threads = True
        self._started = False
        self.url = f"http://127.0.0.1:{port}"

    def start(self, origins: Origins) -> None:
        self._server.origins = origins  # type: ignore[attr-defined]
        threading.Thread(target=self._server.serve_forever, daemon=True, name="edge").start()
        self._started = True

    def stop(self) -> None:
        if self._started:  # it would wait for a loop that never ran
            self._server.shutdown()
        self._server.server_close()


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        origins: Origins = self.server.origins  # type: ignore[attr-defined]
        host = origins.of(urlsplit(self.path).path)
        if ".execute-api." in host:
            self._forward(origins.api_address(host))
        else:
            self._send_object(origins.object(host, urlsplit(self.path).path))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve

    def _forward(self, address: str) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY_BYTES:
            self.send_error(413)
            return
        headers = {k: v for k, v in self.headers.items() if k.lower() not in (*HOP_BY_HOP, "host")}
        try:
            answer = _http.request(
                self.command,
                address + self.path,
                headers={**headers, "X-Forwarded-Host": self.headers.get("Host", "")},
                body=self.rfile.read(length) if length else None,
                decode_content=False,
                redirect=False,
            )
        except urllib3.exceptions.HTTPError:
            self.send_error(502)
            return
        self._send(answer.status, dict(answer.headers.items()), answer.data)

    def _send_object(self, found: dict[str, Any] | None) -> None:
        if self.command not in ("GET", "HEAD"):
            self.send_error(405)
        elif found is None:
            self.send_error(404)
        else:
            headers = {
                "Content-Type": found["ContentType"],
                "Cache-Control": found.get("CacheControl", "no-cache"),
                "ETag": found["ETag"],
            }
            self._send(200, headers, found["Body"].read())

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        origins: Origins = self.server.origins  # type: ignore[attr-defined]
        self.send_response(status)
        ours = {name.lower() for name in origins.headers}
        kept = {name: value for name, value in headers.items() if name.lower() not in ours}
        for name, value in {**kept, **origins.headers}.items():
            if name.lower() not in (*HOP_BY_HOP, "content-length", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the gateway logs requests."""
