"""Publication of metrics: a file for the textfile collector of node_exporter, and an HTTP endpoint."""

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import BoundedSemaphore, Thread
from typing import Final

from liveness.errors import LivenessError, UsageError
from liveness.files.atomic import replaced
from liveness.files.outputs import check_output
from liveness.files.reading import open_regular
from liveness.runs.manifest import Manifest
from liveness.scan.plan import Plan
from liveness.scan.record import Identity
from liveness.watch.metrics import CONTENT_TYPE, last_success_in, metrics_text, success_text
from liveness.watch.reading import Reading

FILE_EVERY: Final = 5
"""Readings per update of the file: Prometheus does not scrape more often, and each update is synced to disk."""
MOST_BYTES: Final = 1 << 20
LOOPBACK: Final = "127.0.0.1"
REQUEST_TIMEOUT_S: Final = 5.0
MOST_CLIENTS: Final = 32
"""Maximum number of connections at a time. Each of them has a thread."""
Request = socket.socket | tuple[bytes, socket.socket]
MAX_PORT: Final = 65_535


@dataclass(slots=True)
class Metrics:
    """Metrics as of the last reading, for the file and the endpoint."""

    census: str = ""
    run: str = ""
    last: Reading | None = None
    status: str = "running"
    last_success_s: float | None = None
    """When the last complete scan ended, Unix time."""

    def begin(self, plan: Plan, identity: Identity) -> None:
        """Record the names of census and run."""
        self.census, self.run, self.status = plan.config.name, identity.directory.path.name, "running"

    def text(self) -> str:
        """Return the metrics; before the first reading only the time of the last success, if known."""
        if self.last is None:
            return success_text(self.census, self.last_success_s)
        return metrics_text(self.census, self.run, self.last, self.status, self.last_success_s)

    def end(self, manifest: Manifest) -> None:
        """Record the final status of the scan."""
        self.status = manifest.status
        if manifest.status == "complete":
            self.last_success_s = time.time()


@dataclass(slots=True)
class MetricsFile:
    """Metrics file, replaced by rename. A failed update is reported once, and tried again with the next update."""

    path: Path
    warn: Callable[[str], None]
    census: str = ""
    _metrics: Metrics = field(default_factory=Metrics)
    _before: str = ""
    """Content that an earlier scan left in the file."""
    _reported: bool = False
    _readings: int = 0

    def open(self) -> None:
        """Check that the file can be written. Raises UsageError that names it.

        Until the first reading, the file holds only the time at which the census was last complete, if it is known.
        """
        check_output(self.path, "metrics")
        with suppress(OSError, UnicodeDecodeError), open_regular(self.path) as file:
            self._before = file.read(MOST_BYTES).decode()
        self._metrics.last_success_s = last_success_in(self._before, self.census)
        self._replace(success_text(self.census, self._metrics.last_success_s).encode())

    def begin(self, plan: Plan, identity: Identity) -> None:
        """Record the names of census and run."""
        self._metrics.begin(plan, identity)
        self._metrics.last_success_s = last_success_in(self._before, plan.config.name)

    def read(self, reading: Reading) -> None:
        """Write the file with every FILE_EVERY-th reading."""
        self._metrics.last = reading
        if self._readings % FILE_EVERY == 0:
            self._write()
        self._readings += 1

    def end(self, manifest: Manifest) -> None:
        """Write the file for the last time. It is kept and says that no scan is running."""
        self._metrics.end(manifest)
        self._write()

    def close(self) -> None:
        """Do nothing: the file is kept."""

    def _replace(self, content: bytes) -> None:
        with replaced(self.path) as file:
            os.fchmod(file.fileno(), 0o644)  # the collector is another user, who must read it despite our umask
            file.write(content)

    def _write(self) -> None:
        try:
            self._replace(self._metrics.text().encode())
        except LivenessError as error:
            if not self._reported:
                self.warn(str(error))
            self._reported = True


class MetricsEndpoint:
    """HTTP endpoint for ``GET /metrics``. Threads of this process answer from the first reading until the scan ends."""

    def __init__(self, address: str) -> None:
        self._host, self._port = parse_address(address)
        self._address = address
        self._metrics = Metrics()
        self._server: ThreadingHTTPServer | None = None
        self._thread: Thread | None = None

    @property
    def port(self) -> int:
        """Port of the endpoint; if 0 was given, the one that the kernel has chosen."""
        return self._port if self._server is None else self._server.server_port

    def open(self) -> None:
        """Bind the address; clients wait until the first reading. Raises UsageError that names the address."""
        try:
            self._server = _server(self._host, self._port, self._metrics)
        except OSError as problem:
            reason = problem.strerror or str(problem)
            raise UsageError(f"--metrics-address {self._address}: cannot listen there: {reason}") from problem

    def begin(self, plan: Plan, identity: Identity) -> None:
        """Record the names of census and run."""
        self._metrics.begin(plan, identity)

    def read(self, reading: Reading) -> None:
        """Keep the reading. The first one starts the thread: a process with threads should not fork."""
        self._metrics.last = reading
        if self._thread is None and self._server is not None:
            self._thread = Thread(target=self._server.serve_forever, args=(0.1,), name="metrics", daemon=True)
            self._thread.start()

    def end(self, manifest: Manifest) -> None:
        """Record the final status of the scan."""
        self._metrics.end(manifest)

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


def _server(host: str, port: int, metrics: Metrics) -> ThreadingHTTPServer:
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
            content = metrics.text().encode()
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
