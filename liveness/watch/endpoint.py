"""HTTP endpoint for ``GET /metrics``: answers with a text that is made for each request."""

import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore, Thread
from typing import Final

from liveness.errors import UsageError
from liveness.watch.exposition import CONTENT_TYPE

LOOPBACK: Final = "127.0.0.1"
REQUEST_TIMEOUT_S: Final = 5.0
MOST_CLIENTS: Final = 32
"""Maximum number of connections at a time. Each of them has a thread."""
Request = socket.socket | tuple[bytes, socket.socket]
MAX_PORT: Final = 65_535


class Endpoint:
    """HTTP endpoint for ``GET /metrics``. Threads of this process answer once it is started."""

    def __init__(self, address: str, text: Callable[[], str]) -> None:
        self._host, self._port = parse_address(address)
        self._address = address
        self._text = text
        self._server: ThreadingHTTPServer | None = None
        self._thread: Thread | None = None

    @property
    def port(self) -> int:
        """Port of the endpoint; if 0 was given, the one that the kernel has chosen."""
        return self._port if self._server is None else self._server.server_port

    def open(self) -> None:
        """Bind the address; clients wait until `start`. Raises UsageError that names the address."""
        try:
            self._server = _server(self._host, self._port, self._text)
        except OSError as problem:
            reason = problem.strerror or str(problem)
            raise UsageError(f"--metrics-address {self._address}: cannot listen there: {reason}") from problem

    def start(self) -> None:
        """Answer clients from now on, in a thread: a process with threads should not fork."""
        if self._thread is None and self._server is not None:
            self._thread = Thread(target=self._server.serve_forever, args=(0.1,), name="metrics", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop the server."""
        if self._server is not None:
            if self._thread is not None:
                self._server.shutdown()
                self._thread.join()
            self._server.server_close()
            self._server = None


class _BoundedServer(ThreadingHTTPServer):
    """Server that limits the number of connections. Threads end with the process; client errors are not reported."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._room = BoundedSemaphore(MOST_CLIENTS)
        super().__init__(address, handler)

    def process_request(self, request: Request, client_address: object) -> None:
        """Answer in a new thread, or close the connection if there are too many."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Request, client_address: object) -> None:
        """Answer in this thread, and allow another connection afterwards."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, *_: object) -> None:
        """Print nothing: clients may close their connections."""


def _server(host: str, port: int, text: Callable[[], str]) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        """Handler of GET and HEAD requests for /metrics only."""

        server_version = "liveness"
        sys_version = ""
        timeout = REQUEST_TIMEOUT_S

        def do_GET(self) -> None:
            """Send the metrics."""
            self._answer()

        def do_HEAD(self) -> None:
            """Send only the headers."""
            self._answer()

        def _answer(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(404, explain="there is /metrics")
                return
            content = text().encode()
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Print nothing: standard error is used by the scan."""

    class Server(_BoundedServer):
        """Server for IPv4 or IPv6."""

        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    return Server((host, port), Handler)


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``, ``[IPv6]:PORT`` or ``:PORT`` (loopback). Raises UsageError."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not port.isascii() or not port.isdecimal() or int(port) > MAX_PORT or (":" in host) != bracketed:
        raise UsageError(
            f"--metrics-address {text!r}: expected HOST:PORT such as 127.0.0.1:9600, or :9600 for loopback"
        )
    return host.strip("[]") or LOOPBACK, int(port)
