"""Watchers of a scan: objects that are called when it begins, once a second, and when it has ended."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from liveness.errors import explain
from liveness.runs.manifest import Manifest
from liveness.scan.plan import Plan
from liveness.scan.progress import Progress
from liveness.scan.record import Identity
from liveness.watch.reading import Meter, Reading


class Watcher(Protocol):
    """Watcher of a scan. An error from `open` stops the scan; the other methods should raise none."""

    def open(self) -> None:
        """Prepare. Called before anything of the scan exists."""

    def begin(self, plan: Plan, identity: Identity) -> None:
        """Take the plan and the run. Everything is open; no packet was sent and no process forked yet."""

    def read(self, reading: Reading) -> None:
        """Take a reading. From the first call on, threads may be started, because all processes have been forked."""

    def end(self, manifest: Manifest) -> None:
        """Take the final manifest."""

    def close(self) -> None:
        """Release all resources, also if the scan never began."""


@dataclass(slots=True)
class Watchers:
    """All watchers of one scan, as a context manager."""

    watchers: Sequence[Watcher]
    notice: Callable[[str], None]
    """Called with one line for the user."""
    _meter: Meter = field(default_factory=Meter)
    _failed: list[Watcher] = field(default_factory=list)
    _opened: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            for watcher in self.watchers:
                opened.callback(watcher.close)
                watcher.open()
            self._opened = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def begin(self, plan: Plan, identity: Identity) -> None:
        """Call `begin` of all watchers."""
        self._hand_on(lambda watcher: watcher.begin(plan, identity))

    def update(self, progress: Progress) -> None:
        """Call `read` of all watchers, if a new reading is due."""
        reading = self._meter.read(progress)
        if reading is not None:
            self._hand_on(lambda watcher: watcher.read(reading))

    def end(self, manifest: Manifest) -> None:
        """Call `end` of all watchers."""
        self._hand_on(lambda watcher: watcher.end(manifest))

    def _hand_on(self, call: Callable[[Watcher], None]) -> None:
        """Call every watcher. One that fails is not called again; the scan and the other watchers continue."""
        for watcher in self.watchers:
            if any(watcher is failed for failed in self._failed):
                continue
            try:
                call(watcher)
            except Exception as error:  # noqa: BLE001 - a faulty watcher must not end the scan
                self._failed.append(watcher)
                with suppress(Exception):
                    self.notice(f"WARNING: {type(watcher).__name__} watches no more: {explain(error)}")
