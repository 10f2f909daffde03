"""Owns those who watch a scan: each is told when it begins, once a second, and when it has ended."""

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
    """Someone who watches. What it raises when it is opened stops the scan; after that it may raise nothing."""

    def open(self) -> None:
        """Make ready: before anything of the scan is."""

    def begin(self, plan: Plan, identity: Identity) -> None:
        """Learn what begins: everything is open, no packet has left, no process been forked."""

    def read(self, reading: Reading) -> None:
        """Learn how it stands. From the first call on threads may be started: every process has been forked."""

    def end(self, manifest: Manifest) -> None:
        """Learn what came of it."""

    def close(self) -> None:
        """Let go of everything, also where the scan never began."""


@dataclass(slots=True)
class Watchers:
    """All who watch one scan; a context manager."""

    watchers: Sequence[Watcher]
    notice: Callable[[str], None]
    """Told in one line of what somebody ought to know at once."""
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
        """Hand on what begins."""
        self._hand_on(lambda watcher: watcher.begin(plan, identity))

    def update(self, progress: Progress) -> None:
        """Hand a reading on, if it is time for one."""
        reading = self._meter.read(progress)
        if reading is not None:
            self._hand_on(lambda watcher: watcher.read(reading))

    def end(self, manifest: Manifest) -> None:
        """Hand on what came of it."""
        self._hand_on(lambda watcher: watcher.end(manifest))

    def _hand_on(self, call: Callable[[Watcher], None]) -> None:
        """Call every watcher; one that fails is left alone from then on, and neither the scan nor the others notice."""
        for watcher in self.watchers:
            if any(watcher is failed for failed in self._failed):
                continue
            try:
                call(watcher)
            except Exception as error:  # noqa: BLE001 - whoever watches a scan must not end it
                self._failed.append(watcher)
                with suppress(Exception):
                    self.notice(f"WARNING: {type(watcher).__name__} watches no more: {explain(error)}")
