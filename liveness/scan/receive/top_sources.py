"""The top sources: the addresses that sent by far the most replies, found in bounded memory."""

import secrets
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64

PLACES: Final = 1 << 14
MOST_SOURCES: Final = 16
"""How many are recorded, at most."""
FEWEST_REPLIES: Final = 256
"""Replies from which on a source is recorded: many times what one address sends in a census."""


@kernel
def count_sources(
    sources: NDArray[np.uint32], held: NDArray[np.uint32], counts: NDArray[np.int64], multiplier: np.uint64
) -> None:
    """Count the sources of replies: each place keeps the source that has the majority of those hashed to it.

    This is Boyer and Moore's majority vote, one for each place. `counts` is the lead of the source held, at most what
    it sent. The place of a source follows from `multiplier`, odd, 64 bits (multiply-shift hashing): an attacker who
    does not know it cannot choose sources that share a place, which would hide both.
    """
    mask = len(held) - 1
    for i in range(len(sources)):
        source = int64(sources[i])
        place = int64((uint64(sources[i]) * uint64(multiplier)) >> uint64(32)) & mask
        if counts[place] == 0:
            held[place] = sources[i]
            counts[place] = 1
        elif int64(held[place]) == source:
            counts[place] += 1
        else:
            counts[place] -= 1


class TopSources:
    """Sources of replies; `take` returns those that sent hundreds."""

    def __init__(self) -> None:
        self._held: NDArray[np.uint32] = np.zeros(PLACES, np.uint32)
        self._counts: NDArray[np.int64] = np.zeros(PLACES, np.int64)
        self._multiplier = np.uint64(secrets.randbits(64) | 1)

    def add(self, sources: NDArray[np.uint32]) -> None:
        """Count the sources of some replies, host-order uint32, one a reply."""
        count_sources(sources, self._held, self._counts, self._multiplier)

    def take(self) -> dict[int, int]:
        """Return the top sources since the last call, each with the replies it sent at least, and begin again."""
        order = np.argsort(-self._counts, kind="stable")[:MOST_SOURCES]
        top = {
            int(self._held[place]): int(self._counts[place]) for place in order if self._counts[place] >= FEWEST_REPLIES
        }
        self._counts[:] = 0
        return top
