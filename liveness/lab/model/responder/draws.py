"""Pseudo-random numbers of the network model: SplitMix64, one stream from the seed."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64
from liveness.mixing import GOLDEN_GAMMA, mix64

CERTAIN: Final = 1 << 32
"""A probability of 1 as a threshold of `chance`."""


@kernel
def draw(stream: NDArray[np.uint64]) -> int:
    """Return the next uint64 of a stream, whose state is stream[0]."""
    stream[0] += uint64(GOLDEN_GAMMA)
    return mix64(stream[0])


@kernel
def chance(stream: NDArray[np.uint64], threshold: int) -> bool:
    """Return True with probability threshold / CERTAIN; a threshold of 0 draws nothing from the stream."""
    if threshold == 0:
        return False
    return int64(draw(stream) >> uint64(32)) < threshold


@kernel
def exponential_ns(stream: NDArray[np.uint64], mean_ns: int) -> int:
    """Return an exponentially distributed time in nanoseconds, at least 1."""
    uniform = (float(int64(draw(stream) >> uint64(11))) + 0.5) / float(1 << 53)
    return int64(-math.log(uniform) * float(mean_ns)) + 1


def threshold(probability: float) -> int:
    """Return a probability as a threshold of `chance`."""
    return round(probability * CERTAIN)
