"""The withdrawn list: addresses that running senders shall send nothing to any more, as the supervisor tells them."""

from typing import TYPE_CHECKING, Final

import numpy as np

from liveness.errors import LivenessError
from liveness.scan.memory import shared_zeros
from liveness.scan.sealed import seal
from liveness.space.intervals import Intervals

if TYPE_CHECKING:
    from numpy.typing import NDArray

CAPACITY: Final = 1 << 22
"""Intervals it holds at most; its pages exist once they are used."""


class WithdrawnList:
    """One writer, many readers, in shared memory that holds two lists: one is read while the other is written."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._bounds: NDArray[np.uint32] = shared_zeros((2, 2, capacity), np.uint32)
        self._lengths: NDArray[np.int64] = shared_zeros((2,), np.int64)
        self._seals: NDArray[np.int64] = shared_zeros((2,), np.int64)
        self._generation: NDArray[np.int64] = shared_zeros((1,), np.int64)
        self._seals[0] = seal(0, self._bounds[0, 0, :0], self._bounds[0, 1, :0])

    @property
    def generation(self) -> int:
        """How many lists were published so far."""
        return self._generation.item()

    def publish(self, withdrawn: Intervals) -> None:
        """Give senders a new list in place of the last one. LivenessError if it is longer than there is room for."""
        capacity = self._bounds.shape[2]
        if len(withdrawn) > capacity:
            raise LivenessError(
                f"{len(withdrawn):,} intervals of targets were blocked while this scan runs: it has room for"
                f" {capacity:,}; resume it"
            )
        following = self.generation + 1
        place = following & 1
        self._bounds[place, 0, : len(withdrawn)] = withdrawn.first
        self._bounds[place, 1, : len(withdrawn)] = withdrawn.last
        self._lengths[place] = len(withdrawn)
        self._seals[place] = seal(following, withdrawn.first, withdrawn.last)
        self._generation[0] = following

    def read(self) -> tuple[int, Intervals]:
        """Return the newest list and its generation."""
        while True:
            generation = self.generation
            place = generation & 1
            length, expected = int(self._lengths[place]), int(self._seals[place])
            first, last = self._bounds[place, :, :length].copy()
            if seal(generation, first, last) == expected:
                return generation, Intervals(first, last)
