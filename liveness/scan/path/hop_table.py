"""Table of next hops in shared memory, which the supervisor publishes again when a MAC address changes."""

from typing import TYPE_CHECKING, Final

import numpy as np

from liveness.errors import LivenessError
from liveness.probes.hops import MAC_WORDS, Hops
from liveness.scan.shared_memory import seal, shared_zeros

if TYPE_CHECKING:
    from numpy.typing import NDArray

CAPACITY: Final = 1 << 18
"""Largest number of address intervals. Memory pages are allocated only when they are used."""


class HopTable:
    """Next hops with one writer and many readers. It has two tables: one is read while the other is written."""

    def __init__(self, senders: int, capacity: int = CAPACITY) -> None:
        self._first: NDArray[np.uint32] = shared_zeros((2, capacity), np.uint32)
        self._macs: NDArray[np.uint16] = shared_zeros((2, capacity, MAC_WORDS), np.uint16)
        self._own: NDArray[np.uint16] = shared_zeros((2, MAC_WORDS), np.uint16)
        self._lengths: NDArray[np.int64] = shared_zeros((2,), np.int64)
        self._seals: NDArray[np.int64] = shared_zeros((2,), np.int64)
        self._generation: NDArray[np.int64] = shared_zeros((1,), np.int64)
        self._seals[0] = seal(0, self._first[0, :0], self._macs[0, :0], self._own[0])
        self.taken: NDArray[np.int64] = shared_zeros((senders,), np.int64)
        """Generation of the table that each sender uses."""
        self.taken_ns: NDArray[np.int64] = shared_zeros((senders,), np.int64)
        """When each sender took it over, ns of the monotonic clock. Written before `taken`, as the next two."""
        self.taken_tick: NDArray[np.int64] = shared_zeros((senders,), np.int64)
        """Tick that each sender had reached then."""
        self.taken_handed: NDArray[np.int64] = shared_zeros((senders,), np.int64)
        """Frames that each sender had handed over by then, repairs included."""

    @property
    def generation(self) -> int:
        """Number of tables published so far. At 0, senders use the next hops in their run constants."""
        return self._generation.item()

    def publish(self, hops: Hops) -> int:
        """Publish a new table and return its generation. Raises LivenessError if it exceeds the capacity."""
        capacity = self._first.shape[1]
        if len(hops.first) > capacity:
            raise LivenessError(
                f"the routes to the targets make {len(hops.first):,} intervals of next hops, {capacity:,} at most:"
                " scan the parts in a run each"
            )
        following = self.generation + 1
        place = following & 1  # the table that readers of the current generation do not use
        self._first[place, : len(hops.first)] = hops.first
        self._macs[place, : len(hops.first)] = hops.macs
        self._own[place] = hops.own
        self._lengths[place] = len(hops.first)
        self._seals[place] = seal(following, *self._content(place))
        self._generation[0] = following  # last: readers switch to the new table
        return following

    def read(self) -> tuple[int, Hops]:
        """Return the newest table and its generation."""
        while True:  # until a copy fits its seal: see scan.shared_memory
            generation = self.generation
            place = generation & 1
            expected = int(self._seals[place])
            found, next_macs, own_mac = self._content(place)
            first, macs, own = found.copy(), next_macs.copy(), own_mac.copy()
            if seal(generation, first, macs, own) == expected:
                return generation, Hops(first, macs, own)

    def _content(self, place: int) -> "tuple[NDArray[np.uint32], NDArray[np.uint16], NDArray[np.uint16]]":
        """Return the parts of one of the two tables as they are now."""
        length = int(self._lengths[place])
        return self._first[place, :length], self._macs[place, :length], self._own[place]
