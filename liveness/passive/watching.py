"""A passive run under watch: its status and metrics as files, an endpoint, and its notifications."""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from liveness.files.outputs import check_output
from liveness.passive.config import PassiveNotify
from liveness.passive.failing import FailingServices
from liveness.passive.manifest import Manifest
from liveness.passive.message import PassiveMessage
from liveness.passive.progress import Progress, StatusLine
from liveness.passive.results import start_of
from liveness.passive.state import State, metrics_of
from liveness.passive.status import RunStatus
from liveness.watch.endpoint import Endpoint
from liveness.watch.line_file import LineFile
from liveness.watch.message import failure_of
from liveness.watch.notify import Notifier
from liveness.watch.textfile import TextFile
from liveness.watch.ticking import Ticker


class RunWatch:
    """Watches one run. Used as a context, it opens the outputs, and sends how the run ended.

    Notifications are sent by the calling thread: reading waits for a slow webhook, and catches up.
    """

    def __init__(
        self,
        notify: PassiveNotify,
        name: str,
        directory: Path,
        warn: Callable[[str], None],
        metrics_file: Path | None = None,
        metrics_address: str | None = None,
        status_file: Path | None = None,
        show: Callable[[StatusLine], None] = lambda _line: None,
    ) -> None:
        """Prepare the outputs; `directory` is that of the run, or of its parent until it is begun.

        `show` is called once a second with the status line, by another thread.
        """
        self._name, self._run, self._directory = name, "", directory
        self._notifier = Notifier(notify, notify.on, warn)
        self._file = None if metrics_file is None else TextFile(metrics_file, warn)
        self._endpoint = None if metrics_address is None else Endpoint(metrics_address, self._text)
        self._status = RunStatus(None if status_file is None else LineFile(status_file, warn), show)
        self._ticker = Ticker(self._status.take, warn)
        self._failing = FailingServices()
        self._state: State | None = None

    def __enter__(self) -> Self:
        """Check the metrics file and bind the address. UsageError names what is wrong."""
        if self._file is not None:
            check_output(self._file.path, "metrics")
        if self._endpoint is not None:
            self._endpoint.open()
        if self._status.file is not None:
            try:
                self._status.file.open()
            except BaseException:
                self._close()
                raise
        return self

    def begin(
        self, directory: Path, manifest: Manifest, progress: Callable[[], Progress], *, resumed: bool = False
    ) -> None:
        """Take the run, and how to learn its progress. `resumed`: an earlier process has reported its events."""
        self._directory, self._name, self._run = directory, manifest.name, manifest.run_id
        self._failing.resumed = resumed
        self._status.begin(f"{manifest.name}/{manifest.run_id}", progress)
        self._ticker.begin()

    def update(self, state: State) -> None:
        """Publish a state, and notify of services that began to fail or recovered."""
        self._state = self._status.published = state
        if self._file is not None:
            self._file.write(self._text())
        if self._endpoint is not None:
            self._endpoint.start()
        if state.newest is None or state.status != "running":
            return
        changes = self._failing.update(state.stretches, state.newest)
        if changes:
            message = PassiveMessage.of_changes(
                self._name, self._run, self._place, changes, len(self._failing.now),
                lambda number: start_of(number, state.interval_ns),
            )  # fmt: skip
            self._notifier.send(message)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Send how the run ended, unless it was interrupted, and close what is open."""
        del kind, trace
        try:
            self._ticker.end(lambda: self._status.take("" if self._state is None else self._state.status))
            if error is None and self._state is not None:
                done = self._state
                self._notifier.send(
                    PassiveMessage.of_end(self._name, self._run, self._place, done.status, done.counts.read)
                )
            elif isinstance(error, Exception):
                self._notifier.send(
                    PassiveMessage.of_failure(self._name, self._run or None, self._place, *failure_of(error))
                )
        finally:
            self._close()

    def _close(self) -> None:
        if self._endpoint is not None:
            self._endpoint.close()
        if self._status.file is not None:
            self._status.file.close()

    @property
    def _place(self) -> str:
        return str(self._directory.absolute())

    def _text(self) -> str:
        return "" if self._state is None else metrics_of(self._name, self._state)
