"""Mixing of 64-bit words: the finalizer and the increment of SplitMix64 (Steele, Lea and Flood 2014)."""

from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel, uint64

GOLDEN_GAMMA: Final = 0x9E3779B97F4A7C15
"""2 ** 64 divided by the golden ratio, odd: the increment between the words of a stream."""


def _mix64(word: int) -> int:
    """Return a uint64 that depends on every bit of `word`, a uint64; distinct words have distinct results."""
    word = (word ^ (word >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> uint64(27))) * uint64(0x94D049BB133111EB)
    return word ^ (word >> uint64(31))


mix64: Final = kernel(_mix64)


def mix64_all(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return `mix64` of every word of an array."""
    return cast("NDArray[np.uint64]", _mix64(cast("int", words)))
