"""The busiest sources: who sent by far the most replies, found in bounded memory however many send."""

import secrets
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64

PLACES: Final = 1 << 14
TOLD: Final = 16
"""How many are told, at most."""
WORTH_TELLING: Final = 256
"""Replies from which on a source is told: many times what one address sends in a census."""


@kernel
def note(
    sources: NDArray[np.uint32], held: NDArray[np.uint32], counts: NDArray[np.int64], multiplier: np.uint64
) -> None:
    """Note who sent replies: each place keeps the source that has the majority of those that fall on it.

    (Boyer and Moore's majority vote, a place at a time.) `counts` is how far it leads, at most what it sent. Places
    follow from `multiplier`, odd, 64 bits (multiply-shift hashing): who does not know it cannot choose a source that
    shares a place with another, and hides both.
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


class BusiestSources:
    """Sources of replies, of whom `take` tells those that sent hundreds."""

    def __init__(self) -> None:
        self._held: NDArray[np.uint32] = np.zeros(PLACES, np.uint32)
        self._counts: NDArray[np.int64] = np.zeros(PLACES, np.int64)
        self._multiplier = np.uint64(secrets.randbits(64) | 1)

    def add(self, sources: NDArray[np.uint32]) -> None:
        """Note the sources of some replies, host-order uint32, one a reply."""
        note(sources, self._held, self._counts, self._multiplier)

    def take(self) -> dict[int, int]:
        """Return the busiest sources since the last call, each with replies it sent at least; begin anew."""
        order = np.argsort(-self._counts, kind="stable")[:TOLD]
        told = {
            int(self._held[place]): int(self._counts[place]) for place in order if self._counts[place] >= WORTH_TELLING
        }
        self._counts[:] = 0
        return told
