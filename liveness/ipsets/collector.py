"""The collector: a set that grows from unsorted batches of addresses, duplicates and all."""

import numpy as np
from pyroaring import BitMap

from liveness.ipsets.roaring import Addresses, as_array, sorted_unique

FIRST_ADDRESSES = 256
"""A run keeps hundreds of sets, most of them tiny: each begins with a kilobyte."""

BUFFER_ADDRESSES = 1 << 20
"""Where the buffer stops growing: sorted, about a million at a time, an address costs 17 ns on its way into the set;
feeding pyroaring unsorted numpy costs 250 to 400 ns."""

GROWTH = 4


class Collector:
    """An IP set under construction; `held` is its size at most, known exactly by `finish` alone.

    Addresses gather in a buffer. A full buffer is sorted and stripped of duplicates first; only if more than half of it
    remains does it grow, or, at full size, go into the roaring set. So a flood of duplicates costs time, not memory.
    """

    def __init__(self) -> None:
        self._buffer: Addresses = np.empty(FIRST_ADDRESSES, dtype=np.uint32)
        self._used = 0
        self._set = BitMap()

    @property
    def held(self) -> int:
        """An upper bound of the number of addresses: duplicates in the buffer count."""
        return len(self._set) + self._used

    def add(self, addresses: Addresses) -> None:
        """Add host-order uint32 addresses, in any order, duplicates allowed. The array is copied."""
        taken = 0
        while taken < addresses.size:
            if self._used == self._buffer.size:
                self._make_room()
            count = min(self._buffer.size - self._used, addresses.size - taken)
            self._buffer[self._used : self._used + count] = addresses[taken : taken + count]
            self._used += count
            taken += count

    def finish(self) -> BitMap:
        """Return the set of everything added, and restart with an empty set."""
        self._flush()
        finished, self._set = self._set, BitMap()
        self._buffer = np.empty(FIRST_ADDRESSES, dtype=np.uint32)
        return finished

    def _make_room(self) -> None:
        """Compact the buffer; if more than half of it is still in use, enlarge or empty it."""
        self._compact()
        if self._used <= self._buffer.size // 2:
            return
        if self._buffer.size >= BUFFER_ADDRESSES:
            self._flush()
            return
        larger = np.empty(min(self._buffer.size * GROWTH, BUFFER_ADDRESSES), dtype=np.uint32)
        larger[: self._used] = self._buffer[: self._used]
        self._buffer = larger

    def _compact(self) -> None:
        """Sort the buffer's content and drop its duplicates."""
        kept = sorted_unique(self._buffer[: self._used])
        self._buffer[: kept.size] = kept
        self._used = kept.size

    def _flush(self) -> None:
        """Move the buffer's content into the set."""
        self._compact()
        # update() adds the sorted array in place; a union with BitMap(array) would build a second set first
        self._set.update(as_array(self._buffer[: self._used]))
        self._used = 0
