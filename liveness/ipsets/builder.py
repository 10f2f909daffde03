"""The builder: a set that grows from bounds in any order, single addresses and ranges alike."""

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from liveness.ipsets.collector import Collector
from liveness.ipsets.runs import from_runs
from liveness.space.intervals import Intervals

Bounds = NDArray[np.uint32]

BUFFERED_RANGES = 1 << 20
"""How many ranges wait before they are merged and added: 8 MiB, and some 60 MiB while they are merged."""


class Builder:
    """A set under construction. Addresses go through a `Collector`; ranges are merged about a million at a time."""

    def __init__(self) -> None:
        self._single = Collector()
        self._low: list[Bounds] = []
        self._high: list[Bounds] = []
        self._waiting = 0
        self._ranges = BitMap()

    def add(self, low: Bounds, high: Bounds) -> None:
        """Add inclusive bounds in host byte order, overlapping or not. The arrays are copied."""
        single = low == high
        if single.all():
            self._single.add(low)
            return
        self._single.add(low[single])
        self._low.append(low[~single])
        self._high.append(high[~single])
        self._waiting += self._low[-1].size
        if self._waiting >= BUFFERED_RANGES:
            self._merge()

    def add_range(self, low: int, high: int) -> None:
        """Add one range by its inclusive bounds."""
        self.add(np.array([low], np.uint32), np.array([high], np.uint32))

    def finish(self) -> BitMap:
        """Return the set of everything added, and restart with an empty set."""
        self._merge()
        finished, self._ranges = self._ranges, BitMap()
        single = self._single.finish()
        if finished:
            single |= finished  # else a copy would be made of it
        return single

    def _merge(self) -> None:
        """Move the waiting ranges into the set."""
        if self._waiting:
            merged = Intervals.from_bounds(np.concatenate(self._low), np.concatenate(self._high))
            self._ranges |= from_runs(merged.first, merged.last)
        self._low, self._high, self._waiting = [], [], 0
