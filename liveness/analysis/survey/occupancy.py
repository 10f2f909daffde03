"""Occupancy of responding blocks: the share of a /24 that is active at a time, and the share that was ever active."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.planes.blocks import BLOCK_ADDRESSES

SPARSE_BELOW: Final = 0.05
DENSE_ABOVE: Final = 0.5
STABLE_FROM: Final = 0.95
"""Least U of a stable address after repair: it was up all the time, but for a twentieth."""
BINS: Final = 20


def distribution(addresses: NDArray[np.float64]) -> list[int]:
    """Return how many responding /24s have which share of their addresses, in twentieths; the last includes all 256."""
    shares = addresses[addresses > 0] / BLOCK_ADDRESSES
    counts = np.bincount(np.minimum((shares * BINS).astype(np.int64), BINS - 1), minlength=BINS)
    return [int(count) for count in counts]
