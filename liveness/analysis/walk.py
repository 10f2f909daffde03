"""The pass: all sets of all runs side by side, once through the address space, by ranges of /16s, in threads."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from queue import SimpleQueue
from threading import Lock
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.comparing import pack, retained, turnover
from liveness.analysis.counting import CELLS, EIGHT, IDLE, ROW, Pass, Sheet, count_keys
from liveness.analysis.opened import Buffer, OpenRun, Reader
from liveness.analysis.run import family_probes, port_of, probes_of
from liveness.analysis.scope import Scope
from liveness.analysis.slicing import COLUMNS
from liveness.analysis.table import Table, new_table, pour, with_room
from liveness.analysis.views import compared_bits, view_masks
from liveness.ipsets.portable import CONTAINERS

MOST_THREADS: Final = 8
SLOTS: Final = 1 << 15
"""Of a thread's table: it fits into a core's cache, and is emptied into the run's table when it is half full."""
FIRST_SLOTS: Final = 1 << 10
COMPARED_KEYS: Final = 16
"""The /16s of which two runs at a time are held address by address."""
LARGEST_UNIT: Final = 256
UNIT_BYTES: Final = 64 << 20
"""What a thread has read of all runs at once, about."""


def threads() -> int:
    """Return how many threads share the work."""
    return min(MOST_THREADS, len(os.sched_getaffinity(0)))


@dataclass(slots=True, eq=False)
class Counted:
    """What the pass found of one run."""

    table: Table
    prefixes24: NDArray[np.int64]
    alive24: NDArray[np.uint16]
    slice_counts: NDArray[np.int64]


@dataclass(slots=True, eq=False)
class Compared:
    """What the pass found of runs together: born, died and stayed by pair and bit, and who is alive in two runs."""

    bits: tuple[str, ...]
    turnovers: NDArray[np.int64]
    """Shape (runs - 1, bits, 3)."""
    later: NDArray[np.int64]
    """later[i, j]: addresses of run i that are alive in run j."""
    throughout: NDArray[np.int64]
    """throughout[i, j]: those alive in all runs from i to j."""


class Walk:
    """One pass over runs in the order given; more than one are compared, each with the next."""

    def __init__(self, runs: Sequence[OpenRun], scope: Scope) -> None:
        self.runs, self.scope = runs, scope
        self.planes = max((run.layout.planes for run in runs), default=1)
        self.words = -(-self.planes // EIGHT)
        self.bits = compared_bits(_ports(runs)) if len(runs) > 1 else ()
        self.unit = _unit(runs)
        self.masks = [view_masks(run.manifest, run.layout, self.words, self.bits) for run in runs]
        self.readers = [Reader(run, self.planes, self.unit) for run in runs]
        self.inside = _touched(scope)
        outside = None if scope.within is None else scope.within.intervals.complement()
        self.outside_first = np.zeros(0, np.uint32) if outside is None else outside.first
        self.outside_last = np.zeros(0, np.uint32) if outside is None else outside.last
        self.counted = [self._counted(is_last=place == len(runs) - 1) for place in range(len(runs))]
        count = len(runs)
        self.compared = Compared(
            self.bits,
            np.zeros((max(0, count - 1), len(self.bits), 3), np.int64),
            np.zeros((count, count), np.int64),
            np.zeros((count, count), np.int64),
        )
        self._lock = Lock()
        self._desks: SimpleQueue[_Desk] = SimpleQueue()

    def go(self, pool: ThreadPoolExecutor, workers: int) -> None:
        """Walk through the address space. Raises LivenessError that names a file which can no longer be read."""
        for _ in range(workers):
            self._desks.put(_Desk(self))
        populated = [np.any(reader.spans[:, 1:] > reader.spans[:, :-1], axis=0) for reader in self.readers]
        units = np.flatnonzero(self.inside.reshape(-1, self.unit).any(axis=1) & np.any(populated, axis=0))
        futures = [pool.submit(self._do, int(unit)) for unit in units]
        try:
            for future in futures:
                future.result()
        except BaseException:
            for future in futures:
                future.cancel()
            raise

    def _counted(self, *, is_last: bool) -> Counted:
        partition = self.scope.partition
        return Counted(
            new_table(FIRST_SLOTS, self.words, self._views),
            np.zeros(1 << 3, np.int64),
            np.zeros(1 << 24 if self.scope.alive24 and is_last else 0, np.uint16),
            np.zeros((0 if partition is None else len(partition.names), COLUMNS), np.int64),
        )

    @property
    def _views(self) -> int:
        """The bytes of a view."""
        return 1 + -(-len(self.bits) // EIGHT)

    @contextmanager
    def _desk(self) -> Iterator["_Desk"]:
        desk = self._desks.get()
        try:
            yield desk
        finally:
            self._desks.put(desk)

    def _do(self, unit: int) -> None:
        """Walk through one range of /16s."""
        with self._desk() as desk:
            read = [reader.read(unit, buffer) for reader, buffer in zip(self.readers, desk.buffers, strict=True)]
            first, behind = unit * self.unit, (unit + 1) * self.unit
            step = min(self.unit, COMPARED_KEYS) if self.bits else self.unit
            for key in range(first, behind, step):
                for place, containers in enumerate(read):
                    seen = desk.seen[place % len(desk.seen)] if self.bits else desk.seen[0]
                    at = key
                    while at < key + step:
                        at = count_keys(at, key + step, containers, desk.sheet, desk.table, desk.asked[place], seen)
                        with self._lock:
                            self._take(self.counted[place], desk, place)
                    if self.bits:
                        self._compare(place, desk)
                if self.bits:
                    retained(desk.alive, desk.later, desk.throughout)
            with self._lock:
                self._take_compared(desk)

    def _take(self, counted: Counted, desk: "_Desk", place: int) -> None:
        """Add what a thread has counted of a run, and let it begin anew."""
        counted.table = with_room(counted.table, int(desk.table.used[0]))
        pour(desk.table, counted.table)
        asked = desk.asked[place]
        _move(asked.prefixes24, counted.prefixes24)
        _move(asked.slice_counts, counted.slice_counts)

    def _compare(self, place: int, desk: "_Desk") -> None:
        """Compare what was just seen of a run with what was seen of the one before."""
        now = desk.seen[place % 2].view(np.uint64)
        pack(now, desk.alive[place])
        if place:
            before = desk.seen[(place - 1) % 2].view(np.uint64)
            turnover(before, now, len(self.bits), desk.turnovers[place - 1])

    def _take_compared(self, desk: "_Desk") -> None:
        """Add what a thread has counted of runs together."""
        _move(desk.turnovers, self.compared.turnovers)
        _move(desk.later, self.compared.later)
        _move(desk.throughout, self.compared.throughout)


class _Desk:
    """What a thread works on: its own, so that nobody waits."""

    def __init__(self, walk: Walk) -> None:
        planes = np.zeros((walk.planes, CELLS), np.uint8)
        views = walk._views  # noqa: SLF001 - a desk is a part of its walk
        self.sheet = Sheet(
            planes=planes,
            groups=planes.view(np.uint64),
            row=np.zeros((walk.words, ROW), np.uint64),
            cells=np.zeros(CELLS + 1, np.uint16),  # one is written ahead
            shown=np.zeros((CELLS, views), np.uint8),
            progress=np.array([IDLE, 0]),
        )
        self.table = new_table(SLOTS, walk.words, views)
        self.buffers = [Buffer() for _ in walk.runs]
        keys = min(walk.unit, COMPARED_KEYS) if walk.bits else 0
        self.seen = np.zeros((2, keys, views, CELLS), np.uint8)
        self.alive = np.zeros((len(walk.runs), keys, CELLS // 64), np.uint64)
        self.turnovers = np.zeros_like(walk.compared.turnovers)
        self.later = np.zeros_like(walk.compared.later)
        self.throughout = np.zeros_like(walk.compared.throughout)
        partition = walk.scope.partition
        self.asked = [
            Pass(
                outside_first=walk.outside_first,
                outside_last=walk.outside_last,
                view_masks=masks,
                prefixes24=np.zeros_like(counted.prefixes24),
                alive24=counted.alive24,
                slice_first=np.zeros(0, np.uint32) if partition is None else partition.first,
                slice_label=np.zeros(0, np.int32) if partition is None else partition.label,
                slice_counts=np.zeros_like(counted.slice_counts),
            )
            for masks, counted in zip(walk.masks, walk.counted, strict=True)
        ]


def _move(source: NDArray[np.int64], target: NDArray[np.int64]) -> None:
    """Add counts to others and leave none."""
    target += source
    source[:] = 0


def _ports(runs: Sequence[OpenRun]) -> tuple[int, ...]:
    """Return the TCP ports that a run and the next one probed both, in the order of the later's config."""
    shared: dict[int, None] = {}
    for before, after in pairwise(family_probes(probes_of(run.manifest), "tcp") for run in runs):
        shared.update(dict.fromkeys(port_of(probe) for probe in after if probe in before))
    return tuple(shared)


def _unit(runs: Sequence[OpenRun]) -> int:
    """Return how many /16s are read at once: a power of two, fewer the more there is to read."""
    unit, total = LARGEST_UNIT, sum(run.bytes for run in runs)
    while unit > COMPARED_KEYS and total * unit // CONTAINERS > UNIT_BYTES:
        unit //= 2
    return unit


def _touched(scope: Scope) -> NDArray[np.bool_]:
    """Return by /16 whether any of its addresses count."""
    if scope.within is None:
        return np.ones(CONTAINERS, np.bool_)
    edges = np.zeros(CONTAINERS + 1, np.int64)
    np.add.at(edges, scope.within.intervals.first >> np.uint32(16), 1)
    np.add.at(edges, (scope.within.intervals.last >> np.uint32(16)).astype(np.int64) + 1, -1)
    return np.cumsum(edges[:-1]) > 0
