"""Publication of metrics: a file for the textfile collector of node_exporter, and an HTTP endpoint."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from liveness.files.outputs import check_output
from liveness.files.reading import open_regular
from liveness.runs.manifest import Manifest
from liveness.scan.plan import Plan
from liveness.scan.record import Identity
from liveness.watch.endpoint import Endpoint
from liveness.watch.metrics import last_success_in, metrics_text, success_text
from liveness.watch.reading import Reading
from liveness.watch.textfile import TextFile

FILE_EVERY: Final = 5
"""Readings per update of the file: Prometheus does not scrape more often, and each update is synced to disk."""
MOST_BYTES: Final = 1 << 20


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
    _file: TextFile = field(init=False)
    _metrics: Metrics = field(default_factory=Metrics)
    _before: str = ""
    """Content that an earlier scan left in the file."""
    _readings: int = 0

    def __post_init__(self) -> None:
        """Prepare the file."""
        self._file = TextFile(self.path, self.warn)

    def open(self) -> None:
        """Check that the file can be written. Raises UsageError that names it.

        Until the first reading, the file holds only the time at which the census was last complete, if it is known.
        """
        check_output(self.path, "metrics")
        with suppress(OSError, UnicodeDecodeError), open_regular(self.path) as file:
            self._before = file.read(MOST_BYTES).decode()
        self._metrics.last_success_s = last_success_in(self._before, self.census)
        self._file.replace(success_text(self.census, self._metrics.last_success_s))

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

    def _write(self) -> None:
        self._file.write(self._metrics.text())


class MetricsEndpoint:
    """HTTP endpoint for ``GET /metrics``. Threads of this process answer from the first reading until the scan ends."""

    def __init__(self, address: str) -> None:
        self._metrics = Metrics()
        self._endpoint = Endpoint(address, self._metrics.text)

    @property
    def port(self) -> int:
        """Port of the endpoint; if 0 was given, the one that the kernel has chosen."""
        return self._endpoint.port

    def open(self) -> None:
        """Bind the address; clients wait until the first reading. Raises UsageError that names the address."""
        self._endpoint.open()

    def begin(self, plan: Plan, identity: Identity) -> None:
        """Record the names of census and run."""
        self._metrics.begin(plan, identity)

    def read(self, reading: Reading) -> None:
        """Keep the reading. The first one starts the thread: a process with threads should not fork."""
        self._metrics.last = reading
        self._endpoint.start()

    def end(self, manifest: Manifest) -> None:
        """Record the final status of the scan."""
        self._metrics.end(manifest)

    def close(self) -> None:
        """Stop the server."""
        self._endpoint.close()
