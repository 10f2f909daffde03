"""The pass: one walk through the address space over all sets of all runs, by ranges of /16s, in threads."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Lock
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.across.pairing import Comparisons, Shared
from liveness.analysis.counting.comparing import GROUPS, count_retained, count_turnover, fill_mask, pack_bits
from liveness.analysis.counting.kernels import CELLS, EIGHT, IDLE, ROW, Request, Sheet, count_keys
from liveness.analysis.counting.opened import Buffer, OpenRun, Reader
from liveness.analysis.counting.scope import Scope
from liveness.analysis.counting.slicing import COLUMNS
from liveness.analysis.counting.table import Table, merge, new_table, with_room
from liveness.analysis.counting.views import ComparedBit, compared_bits, view_masks
from liveness.ipsets.portable_index import CONTAINERS
from liveness.space.intervals import Intervals

MOST_THREADS: Final = 8
SLOTS: Final = 1 << 15
"""Slots of a thread's table: it fits into a core's cache, and is merged into the run's table when half full."""
FIRST_SLOTS: Final = 1 << 10
COMPARED_KEYS: Final = 16
"""The number of /16s for which views of all addresses are kept for comparisons."""
LARGEST_UNIT: Final = 256
UNIT_BYTES: Final = 64 << 20
"""Approximate number of bytes that a thread holds of all runs at once."""


def threads() -> int:
    """Return the number of threads for the work."""
    return min(MOST_THREADS, len(os.sched_getaffinity(0)))


@dataclass(slots=True, eq=False)
class Counted:
    """Counts of one run."""

    table: Table
    prefixes24: NDArray[np.int64]
    alive24: NDArray[np.uint16]
    slice_counts: NDArray[np.int64]


@dataclass(slots=True, eq=False)
class Followed:
    """Retention in a chain of runs; i and j are indices in the chain."""

    later: NDArray[np.int64]
    """later[i, j]: addresses of run i that are alive in run j."""
    throughout: NDArray[np.int64]
    """throughout[i, j]: those alive in all runs from i to j."""


@dataclass(slots=True, eq=False)
class Compared:
    """Counts of several runs together: turnover by pair and bit, and retention by chain."""

    comparisons: Comparisons
    bits: tuple[ComparedBit, ...]
    turnovers: NDArray[np.int64]
    """Shape (pairs, bits, 3)."""
    chains: list[Followed]

    @classmethod
    def nothing_yet(cls, comparisons: Comparisons) -> "Compared":
        """Return counts of zero."""
        shared = [pair.shared for pair in comparisons.pairs] + [chain.shared for chain in comparisons.chains]
        bits = compared_bits(common.probes for common in shared)
        sizes = [(len(chain.places), len(chain.places)) for chain in comparisons.chains]
        return cls(
            comparisons,
            bits,
            np.zeros((len(comparisons.pairs), len(bits), 3), np.int64),
            [Followed(np.zeros(size, np.int64), np.zeros(size, np.int64)) for size in sizes],
        )


class Walk:
    """One pass over runs in the given order, which also compares them.

    `outside` has for each run the addresses that do not count in it, in addition to those outside the scope.
    """

    def __init__(
        self,
        runs: Sequence[OpenRun],
        scope: Scope,
        comparisons: Comparisons | None = None,
        outside: Sequence[Intervals] | None = None,
    ) -> None:
        self.runs, self.scope = runs, scope
        self.compared = Compared.nothing_yet(comparisons or Comparisons())
        self.planes = max((run.layout.planes for run in runs), default=1)
        self.words = -(-self.planes // EIGHT)
        self.bits = self.compared.bits
        self.slots, self.slot_count = _slots(len(runs), self.compared.comparisons)
        self.unit = _unit(runs)
        self.masks = [view_masks(run.manifest, run.layout, self.words, self.bits) for run in runs]
        self.readers = [Reader(run, self.planes, self.unit) for run in runs]
        self.inside = _touched(scope)
        beyond = Intervals.empty() if scope.within is None else scope.within.intervals.complement()
        self.outside = [beyond.union(addresses) for addresses in outside] if outside else [beyond] * len(runs)
        self.counted = [self._counted(is_last=place == len(runs) - 1) for place in range(len(runs))]
        self._lock = Lock()
        self._scratches: SimpleQueue[_Scratch] = SimpleQueue()

    def run_all(self, pool: ThreadPoolExecutor, workers: int) -> None:
        """Walk through the address space. Raises LivenessError that names a file that can no longer be read."""
        for _ in range(workers):
            self._scratches.put(_Scratch(self))
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
        """The number of bytes of a view."""
        return 1 + -(-len(self.bits) // EIGHT)

    @contextmanager
    def _scratch(self) -> Iterator["_Scratch"]:
        scratch = self._scratches.get()
        try:
            yield scratch
        finally:
            self._scratches.put(scratch)

    def _do(self, unit: int) -> None:
        """Process one range of /16s."""
        with self._scratch() as scratch:
            read = [reader.read(unit, buffer) for reader, buffer in zip(self.readers, scratch.buffers, strict=True)]
            first, stop = unit * self.unit, (unit + 1) * self.unit
            step = min(self.unit, COMPARED_KEYS) if self.bits else self.unit
            for key in range(first, stop, step):
                for place, containers in enumerate(read):
                    seen = scratch.seen[self.slots[place]]
                    at = key
                    while at < key + step:
                        at = count_keys(
                            at, key + step, containers, scratch.sheet, scratch.table, scratch.requests[place], seen
                        )
                        with self._lock:
                            self._take(self.counted[place], scratch, place)
                    self._compare(key, place, scratch)
                for alive, chain in zip(scratch.alive, scratch.compared.chains, strict=True):
                    count_retained(alive, chain.later, chain.throughout)
            with self._lock:
                self._take_compared(scratch)

    def _take(self, counted: Counted, scratch: "_Scratch", place: int) -> None:
        """Add a thread's counts of a run to the run's, and clear them."""
        counted.table = with_room(counted.table, int(scratch.table.used[0]))
        merge(scratch.table, counted.table)
        requests = scratch.requests[place]
        _move(requests.prefixes24, counted.prefixes24)
        _move(requests.slice_counts, counted.slice_counts)

    def _compare(self, key: int, place: int, scratch: "_Scratch") -> None:
        """Compare the views of a run, from one /16 on, with those of earlier runs."""
        now = scratch.seen[self.slots[place]].view(np.uint64)
        comparisons = self.compared.comparisons
        for number, pair in enumerate(comparisons.pairs):
            if pair.after == place:
                before = scratch.seen[self.slots[pair.before]].view(np.uint64)
                mask = scratch.mask_of(key, pair.shared)
                count_turnover(before, now, mask, len(self.bits), scratch.compared.turnovers[number])
        for alive, chain in zip(scratch.alive, comparisons.chains, strict=True):
            if place in chain.places:
                bit = self.bits.index((chain.shared.probes, "all"))
                pack_bits(now, scratch.mask_of(key, chain.shared), bit, alive[chain.places.index(place)])

    def _take_compared(self, scratch: "_Scratch") -> None:
        """Add a thread's counts of several runs together, and clear them."""
        _move(scratch.compared.turnovers, self.compared.turnovers)
        for mine, chain in zip(scratch.compared.chains, self.compared.chains, strict=True):
            _move(mine.later, chain.later)
            _move(mine.throughout, chain.throughout)


class _Scratch:
    """Working memory of one thread, so that threads do not wait for each other."""

    def __init__(self, walk: Walk) -> None:
        planes = np.zeros((walk.planes, CELLS), np.uint8)
        views = walk._views  # noqa: SLF001 - scratch memory is a part of its walk
        self.sheet = Sheet(
            planes=planes,
            groups=planes.view(np.uint64),
            row=np.zeros((walk.words, ROW), np.uint64),
            cells=np.zeros(CELLS + 1, np.uint16),  # the kernel writes one entry ahead
            shown=np.zeros((CELLS, views), np.uint8),
            progress=np.array([IDLE, 0]),
        )
        self.table = new_table(SLOTS, walk.words, views)
        self.buffers = [Buffer() for _ in walk.runs]
        keys = min(walk.unit, COMPARED_KEYS) if walk.bits else 0
        self.seen = np.zeros((walk.slot_count, keys, views, CELLS), np.uint8)
        comparisons = walk.compared.comparisons
        self.alive = [np.zeros((len(chain.places), keys, CELLS // 64), np.uint64) for chain in comparisons.chains]
        self.compared = Compared.nothing_yet(comparisons)
        self.everything = np.full((keys, GROUPS), ~np.uint64(0))
        self.mask = np.zeros((keys, CELLS), np.uint8)
        partition = walk.scope.partition
        self.requests = [
            Request(
                outside_first=outside.first,
                outside_last=outside.last,
                view_masks=masks,
                prefixes24=np.zeros_like(counted.prefixes24),
                alive24=counted.alive24,
                slice_first=np.zeros(0, np.uint32) if partition is None else partition.first,
                slice_label=np.zeros(0, np.int32) if partition is None else partition.label,
                slice_counts=np.zeros_like(counted.slice_counts),
            )
            for masks, counted, outside in zip(walk.masks, walk.counted, walk.outside, strict=True)
        ]

    def mask_of(self, key: int, shared: Shared) -> NDArray[np.uint64]:
        """Return the mask of the common addresses of runs, from one /16 on; the next call overwrites it."""
        if shared.addresses is None:
            return self.everything
        fill_mask(key, shared.addresses.first, shared.addresses.last, self.mask)
        return self.mask.view(np.uint64)


def _move(source: NDArray[np.int64], target: NDArray[np.int64]) -> None:
    """Add counts to others and clear them."""
    target += source
    source[:] = 0


def _slots(runs: int, comparisons: Comparisons) -> tuple[list[int], int]:
    """Return the index of the buffer that keeps each run until its last comparison, and the number of buffers."""
    last = list(range(runs))
    for pair in comparisons.pairs:
        last[pair.before] = max(last[pair.before], pair.after)
    slots: list[int] = []
    free: list[int] = []
    count = 0
    for place in range(runs):
        if free:
            slots.append(free.pop())
        else:
            slots.append(count)
            count += 1
        free += [slots[run] for run in range(place + 1) if last[run] == place]
    return slots, max(count, 1)


def _unit(runs: Sequence[OpenRun]) -> int:
    """Return the number of /16s that are read at once: a power of two, smaller for larger runs."""
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
