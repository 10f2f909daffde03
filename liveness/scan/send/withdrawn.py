"""The withdrawn list: the addresses that senders must not probe any more, published by the supervisor."""

from typing import TYPE_CHECKING, Final

import numpy as np

from liveness.errors import LivenessError
from liveness.scan.shared_memory import seal, shared_zeros
from liveness.space.intervals import Intervals

if TYPE_CHECKING:
    from numpy.typing import NDArray

CAPACITY: Final = 1 << 22
"""Largest number of intervals. The memory is allocated when it is used."""


class WithdrawnList:
    """A list in shared memory with one writer and many readers. There are two copies: one is read, one is written."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._bounds: NDArray[np.uint32] = shared_zeros((2, 2, capacity), np.uint32)
        self._lengths: NDArray[np.int64] = shared_zeros((2,), np.int64)
        self._seals: NDArray[np.int64] = shared_zeros((2,), np.int64)
        self._generation: NDArray[np.int64] = shared_zeros((1,), np.int64)
        self._seals[0] = seal(0, self._bounds[0, 0, :0], self._bounds[0, 1, :0])

    @property
    def generation(self) -> int:
        """Number of lists published so far."""
        return self._generation.item()

    def publish(self, withdrawn: Intervals) -> None:
        """Publish a new list in place of the last one. Raises LivenessError if it has too many intervals."""
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
