"""Discrete logarithms: the place of a group element in a permutation, by baby steps and giant steps (Shanks 1971)."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

LEAST_TABLE: Final = 1 << 10
LARGEST_TABLE: Final = 1 << 20
"""Powers that are kept at once; they take 16 MiB with their sorted order."""


def exponents_of(elements: NDArray[np.uint64], generator: int, prime: int) -> NDArray[np.int64]:
    """Return the exponent i in 0..prime-2 of each element, element = generator^i mod prime.

    `generator` generates the whole group mod `prime`, which is below 2**32, so that products fit 64 bits. Elements are
    1 to prime - 1.
    """
    order = prime - 1
    size = min(max(LEAST_TABLE, math.isqrt(order * max(1, len(elements)))), LARGEST_TABLE, order)
    powers = _powers(generator, size, prime)
    ascending = np.argsort(powers)
    powers = powers[ascending]
    back = np.uint64(pow(generator, -size, prime))
    found = np.full(len(elements), -1, np.int64)
    left = elements.astype(np.uint64)
    for giant in range(-(-order // size)):
        places = np.minimum(np.searchsorted(powers, left), size - 1)
        hits = (powers[places] == left) & (found < 0)
        found[hits] = giant * size + ascending[places[hits]]
        if (found >= 0).all():
            break
        left = left * back % np.uint64(prime)
    return found


def _powers(generator: int, count: int, prime: int) -> NDArray[np.uint64]:
    """Return generator^0 to generator^(count - 1) mod prime, doubling what is known."""
    powers = np.ones(1, np.uint64)
    while len(powers) < count:
        step = np.uint64(pow(generator, len(powers), prime))
        powers = np.concatenate([powers, powers * step % np.uint64(prime)])
    return powers[:count]
