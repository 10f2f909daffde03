"""Engine of a passive run: takes the observations of one interval after another, and gives the results of each.

The verdict about interval i waits for i + 2: whether its flows are two-way depends on i + 1, whether two addresses have
a two-way flow in the interval after on i + 2. Parts are worked on side by side, in threads: kernels hold no lock.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from liveness.passive.aggregate import NO_TABLE, Part, divided, empty_part, part_of
from liveness.passive.config import Config
from liveness.passive.duplicates import Lasting
from liveness.passive.exporters import ExporterTimes
from liveness.passive.history import LOG_DTYPE, History, Walk, in_order, log_of
from liveness.passive.locals import Locals
from liveness.passive.measured import Measured
from liveness.passive.pairing import pair_part
from liveness.passive.peers import peer_endpoints
from liveness.passive.ports import p2p_ports, service_ports
from liveness.passive.records import Blocks, Rows
from liveness.passive.services import Services
from liveness.passive.signs import EVENT_DTYPE, Found, Known, Sums, finalise
from liveness.space.special import special_purpose

THREADS: Final = min(4, os.cpu_count() or 1)
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Finished:
    """The results of one interval."""

    interval: int
    sums: Sums
    events: list[NDArray[np.void]]
    """Clients that succeeded with a service or failed, a part at a time."""
    rows: list[Rows]


@dataclass(slots=True, eq=False)
class _Interval:
    number: int
    parts: list[Part]


@dataclass(slots=True, eq=False)
class Engine:
    """Turns observations into results, an interval at a time."""

    config: Config
    parts: int
    log_folder: Path | None
    """Where logs go that make walks again; None if the run is shorter than the history."""
    measured: Measured = field(default_factory=Measured)
    services: Services = field(init=False)
    locals: Locals = field(default_factory=Locals)
    duplicates: int = 0
    exporters: ExporterTimes = field(default_factory=ExporterTimes)
    _history: History = field(init=False)
    _lasting: list[Lasting] = field(init=False)
    _window: list[_Interval] = field(default_factory=list)
    """The intervals that wait for their verdict, and the one before them; without gaps."""
    _pool: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        """Make the tables."""
        scanners, services = self.config.scanners, self.config.services
        walk = Walk.of(scanners.theta0, scanners.theta1, scanners.alpha, scanners.beta)
        self._history = History(self.parts, walk, self.config.intervals_in(scanners.history), self.log_folder)
        self.services = Services.of(
            services.learn_clients, self.config.intervals_in(services.keep), services.known, self.measured.services
        )
        self.locals.note_measured(self.measured.alive)
        self._lasting = [Lasting() for _ in range(self.parts)]
        self._pool = ThreadPoolExecutor(THREADS)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)

    def _each(self, work: Callable[[int], T]) -> list[T]:
        """Return what some work gives for each part. The first part goes alone: it may have to compile kernels."""
        first = work(0)
        return [first, *self._pool.map(work, range(1, self.parts))]

    def add(self, interval: int, observations: Blocks, *, several: bool) -> Iterator[Finished]:
        """Take the observations of the next interval, and yield the results of those that waited for it.

        Intervals ascend; those left out are empty. `several` is whether there is more than one exporter.
        """
        if self._window and interval > self._window[-1].number + 3:
            yield from self.finish()
        if self._window:
            for missing in range(self._window[-1].number + 1, interval):
                self._append(missing, (), several=several)
                yield from self._advance()
        self._append(interval, observations, several=several)
        yield from self._advance()

    def _append(self, interval: int, observations: Blocks, *, several: bool) -> None:
        """Add an interval to the window, aggregated and without copies."""
        if not self._window:
            self._window = [self._empty(interval - 1)]
        of_parts = divided(observations, self.parts)
        before, end_ns = self._window[-1], (interval + 1) * self.config.interval_ns

        def work(part: int) -> tuple[Part, NDArray[np.void]]:
            mine, earlier = of_parts[part], before.parts[part]
            fresh, copies = self._lasting[part].without_copies(mine, interval, end_ns, earlier, several)
            return part_of(fresh), copies

        made = self._each(work)
        copies = np.concatenate([copies for _, copies in made])
        self.duplicates += len(copies)
        if len(copies):
            self.exporters.add_copies(copies)
        self._window.append(_Interval(interval, [part for part, _ in made]))

    def finish(self) -> Iterator[Finished]:
        """Yield the results of all intervals that wait, as if nothing came after them."""
        if not self._window:
            return
        last = self._window[-1].number
        for _ in range(2):
            self._window.append(self._empty(self._window[-1].number + 1))
            yield from (each for each in self._advance() if each.interval <= last)
        self._window = []

    def forget(self) -> None:
        """Free what only further intervals would need: the report is made in its place."""
        self._window = []
        self._history = History(0, self._history.walk, 0, None)
        self._lasting = []

    def _empty(self, number: int) -> _Interval:
        part = empty_part()
        return _Interval(number, [part] * self.parts)

    def _advance(self) -> Iterator[Finished]:
        """Pair the interval before the newest one, and give the verdict about the one before that."""
        window = self._window
        if len(window) >= 3:  # noqa: PLR2004 - an interval with both neighbours
            before, here, after = window[-3:]
            self._each(lambda part: pair_part(here.parts[part], before.parts[part], after.parts[part]))
            for part in before.parts:
                part.table = NO_TABLE  # nothing is looked up in these rows any more
        if len(window) >= 4:  # noqa: PLR2004 - an interval whose neighbours are both paired
            yield self._verdict(*window[-4:-1])
            del window[0]

    def _verdict(self, before: _Interval, here: _Interval, after: _Interval) -> Finished:
        """Give the signs of an interval's rows, whose neighbours are paired."""
        config, number = self.config, here.number
        self._history.begin(number, self.locals)
        for part in here.parts:
            self.locals.note(part.rows, number)
            self.services.learn(part.rows, number)
        peers = peer_endpoints([part.rows for part in here.parts])
        oldest_sent = number - config.intervals_in(config.scanners.history) + 1
        oldest_client = number - self.services.keep + 1
        special = special_purpose()

        free: SimpleQueue[Sums] = SimpleQueue()
        sums_of_threads = [Sums() for _ in range(THREADS)]
        for sums in sums_of_threads:
            free.put(sums)

        def work(place: int) -> tuple[NDArray[np.void], NDArray[np.void]]:
            part = here.parts[place]
            log = np.empty(len(part.rows), LOG_DTYPE)
            log = in_order(log[: log_of(part.rows, log)])
            history = self._history.parts[place]
            history.add(log, self.locals)
            known = Known(
                history.pairs.low, history.pairs.high, history.pairs.local_bits, history.remotes, self.locals.table,
                peers, self.services.listed, self.services.keys, self.services.last, service_ports(), p2p_ports(),
                special.first, special.last, number, oldest_sent, oldest_client, config.scanners.targets,
            )  # fmt: skip
            sums = free.get()  # each is large, and the sum does not depend on which part goes where
            try:
                events = np.empty(len(part.rows), EVENT_DTYPE)
                count = finalise(
                    _found(part), _found(before.parts[place]), _found(after.parts[place]), known,
                    sums.totals, sums.patterns, sums.ports, sums.symmetry, events,
                )  # fmt: skip
            finally:
                free.put(sums)  # or the other threads would wait for it for ever
            return log, events[:count].copy()

        done = self._each(work)
        self._history.keep(number, [log for log, _ in done])
        total = Sums()
        for sums in sums_of_threads:
            total.totals += sums.totals
            total.patterns += sums.patterns
            total.ports += sums.ports
            total.symmetry += sums.symmetry
        return Finished(number, total, [events for _, events in done], [part.rows for part in here.parts])


def _found(part: Part) -> Found:
    """Return what pairing found in a part, as kernels take it."""
    return Found(part.rows, part.clients, part.client_rows, part.pairs)


def run_all(engine: Engine, intervals: Iterable[tuple[int, Blocks]], *, several: bool) -> Iterator[Finished]:
    """Yield the results of intervals that come in ascending order."""
    for number, observations in intervals:
        yield from engine.add(number, observations, several=several)
    yield from engine.finish()
