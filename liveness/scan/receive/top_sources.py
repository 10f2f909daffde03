"""Top sources: the addresses that sent by far the most replies, found in bounded memory."""

import secrets
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64
from liveness.runs.manifest import MOST_SOURCES

PLACES: Final = 1 << 14
FEWEST_REPLIES: Final = 256
"""Fewest replies of a recorded source: many times what one address sends in a census."""


@kernel
def count_sources(
    sources: NDArray[np.uint32], held: NDArray[np.uint32], counts: NDArray[np.int64], multiplier: np.uint64
) -> None:
    """Count the sources of replies: each place keeps the source that has the majority of the replies hashed to it.

    This is the majority vote of Boyer and Moore, one per place. `counts` is the lead of the source in `held`, which is
    at most the number of its replies. The place is the multiply-shift hash of the source with the odd 64-bit number
    `multiplier`: an attacker who does not know it cannot choose sources that share a place, which would hide both.
    """
    mask = uint64(len(held) - 1)
    for i in range(len(sources)):
        source = int64(sources[i])
        # multiply-shift: of the product, bits 32 and up are well mixed, and the mask takes as many as there are places
        place = ((uint64(sources[i]) * uint64(multiplier)) >> uint64(32)) & mask
        leader, lead = int64(held[place]), counts[place]
        # Where no source leads, this one takes the place. Another source cancels one reply of the leader. Written
        # without branches, since which of these happens is as good as random.
        leader += (source - leader) * int64(lead == 0)
        counts[place] = lead + 2 * int64(leader == source) - 1
        held[place] = leader


class TopSources:
    """Sources of replies; `take` returns those that sent at least FEWEST_REPLIES."""

    def __init__(self) -> None:
        self._held: NDArray[np.uint32] = np.zeros(PLACES, np.uint32)
        self._counts: NDArray[np.int64] = np.zeros(PLACES, np.int64)
        self._multiplier = np.uint64(secrets.randbits(64) | 1)

    def add(self, sources: NDArray[np.uint32]) -> None:
        """Count the sources of replies, host-order uint32, one per reply."""
        count_sources(sources, self._held, self._counts, self._multiplier)

    def take(self) -> dict[int, int]:
        """Return the top sources since the last call with a lower bound of their replies, and start at zero."""
        order = np.argsort(-self._counts, kind="stable")[:MOST_SOURCES]
        top = {
            int(self._held[place]): int(self._counts[place]) for place in order if self._counts[place] >= FEWEST_REPLIES
        }
        self._counts[:] = 0
        return top
