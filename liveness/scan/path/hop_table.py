"""The table of next hops in shared memory: the supervisor publishes it again when a MAC address has changed."""

from typing import TYPE_CHECKING, Final

import numpy as np

from liveness.errors import LivenessError
from liveness.probes.hops import MAC_WORDS, Hops
from liveness.scan.memory import shared_zeros
from liveness.scan.sealed import seal

if TYPE_CHECKING:
    from numpy.typing import NDArray

CAPACITY: Final = 1 << 18
"""Intervals of addresses it holds at most; its pages exist once they are used."""


class HopTable:
    """One writer, many readers, in memory that holds two tables: one is read while the other is written."""

    def __init__(self, senders: int, capacity: int = CAPACITY) -> None:
        self._first: NDArray[np.uint32] = shared_zeros((2, capacity), np.uint32)
        self._macs: NDArray[np.uint16] = shared_zeros((2, capacity, MAC_WORDS), np.uint16)
        self._own: NDArray[np.uint16] = shared_zeros((2, MAC_WORDS), np.uint16)
        self._lengths: NDArray[np.int64] = shared_zeros((2,), np.int64)
        self._seals: NDArray[np.int64] = shared_zeros((2,), np.int64)
        self._generation: NDArray[np.int64] = shared_zeros((1,), np.int64)
        self._seals[0] = seal(0, self._first[0, :0], self._macs[0, :0], self._own[0])
        self.taken: NDArray[np.int64] = shared_zeros((senders,), np.int64)
        """The generation that each sender sends by."""
        self.taken_ns: NDArray[np.int64] = shared_zeros((senders,), np.int64)
        """When each sender took it over, ns of the monotonic clock. Written before `taken`."""

    @property
    def generation(self) -> int:
        """How many tables were published so far; by 0 senders send as their run constants say."""
        return self._generation.item()

    def publish(self, hops: Hops) -> int:
        """Give senders a new table and return its generation. LivenessError if it is longer than there is room for."""
        capacity = self._first.shape[1]
        if len(hops.first) > capacity:
            raise LivenessError(
                f"the routes to the targets make {len(hops.first):,} intervals of next hops, {capacity:,} at most:"
                " scan the parts in a run each"
            )
        following = self.generation + 1
        place = following & 1
        self._first[place, : len(hops.first)] = hops.first
        self._macs[place, : len(hops.first)] = hops.macs
        self._own[place] = hops.own
        self._lengths[place] = len(hops.first)
        self._seals[place] = seal(following, *self._content(place))
        self._generation[0] = following
        return following

    def read(self) -> tuple[int, Hops]:
        """Return the newest table and its generation."""
        while True:
            generation = self.generation
            place = generation & 1
            expected = int(self._seals[place])
            found, next_macs, own_mac = self._content(place)
            first, macs, own = found.copy(), next_macs.copy(), own_mac.copy()
            if seal(generation, first, macs, own) == expected:
                return generation, Hops(first, macs, own)

    def _content(self, place: int) -> "tuple[NDArray[np.uint32], NDArray[np.uint16], NDArray[np.uint16]]":
        """Return the parts of one of the two tables, as they are now."""
        length = int(self._lengths[place])
        return self._first[place, :length], self._macs[place, :length], self._own[place]
