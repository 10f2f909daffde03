"""Pseudo-random numbers of the network model: splitmix64 (Steele, Lea and Flood 2014), one stream from the seed."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import inlined, int64, kernel, uint64

CERTAIN: Final = 1 << 32
"""What a probability of 1 is as a threshold of `chance`."""


@inlined
def mixed(word: int) -> int:
    """Return a uint64 that depends on every bit of `word`, a uint64: the finaliser of splitmix64."""
    word = (word ^ (word >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> uint64(27))) * uint64(0x94D049BB133111EB)
    return word ^ (word >> uint64(31))


@kernel
def draw(stream: NDArray[np.uint64]) -> int:
    """Return the next uint64 of a stream, whose state is stream[0]."""
    stream[0] += uint64(0x9E3779B97F4A7C15)
    return mixed(stream[0])


@kernel
def chance(stream: NDArray[np.uint64], threshold: int) -> bool:
    """Return True with probability threshold / CERTAIN; a threshold of 0 takes nothing from the stream."""
    if threshold == 0:
        return False
    return int64(draw(stream) >> uint64(32)) < threshold


@kernel
def exponential_ns(stream: NDArray[np.uint64], mean_ns: int) -> int:
    """Return an exponentially distributed time, 1 ns at least."""
    uniform = (float(int64(draw(stream) >> uint64(11))) + 0.5) / float(1 << 53)
    return int64(-math.log(uniform) * float(mean_ns)) + 1


def threshold(probability: float) -> int:
    """Return a probability as a threshold of `chance`."""
    return round(probability * CERTAIN)
