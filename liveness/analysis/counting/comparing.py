"""Kernels that compare runs, one /16 after the other: addresses born, died and stayed, and retention.

The view of each address of a /16 is given as bytes, eight addresses in a 64-bit number, in arrays of shape (/16s,
bytes of a view, 8192); bit b of a view is bit b mod 8 of byte b / 8. A mask of shape (/16s, 8192) has all ones in the
bytes of addresses that count.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64

Seen = NDArray[np.uint64]

BORN, DIED, STAYED = range(3)
EIGHT: Final = 8
GROUPS: Final = 8192
"""Numbers of eight addresses in a /16."""
STRETCH: Final = 16
"""Numbers that are added before a sum of all eight bytes could exceed a byte."""
ONES: Final = 0x0101010101010101
GATHER: Final = 0x0102040810204080
"""A multiplier that gathers eight bytes of 0 or 1 as bits in the highest byte."""


@kernel
def fill_mask(key: int, first: NDArray[np.uint32], last: NDArray[np.uint32], mask: NDArray[np.uint8]) -> None:
    """Write a mask, beginning at a /16, of the addresses first[i] to last[i], inclusive and ascending."""
    keys, addresses = mask.shape
    base = key * addresses
    end = base + keys * addresses
    mask[:] = 0
    at = int64(np.searchsorted(last, base))
    while at < len(first) and int64(first[at]) < end:
        for row in range(keys):
            begin = max(int64(first[at]) - base - row * addresses, 0)
            stop = min(int64(last[at]) + 1 - base - row * addresses, addresses)
            if begin < stop:
                mask[row, begin:stop] = 255
        at += 1


@kernel
def count_turnover(before: Seen, after: Seen, mask: Seen, bits: int, counts: NDArray[np.int64]) -> None:
    """Add the numbers born, died and stayed to counts[bit], for every bit of a view after the first byte."""
    ones = uint64(ONES)
    for key in range(len(before)):
        for octet in range(1, before.shape[1]):
            for begin in range(0, GROUPS, STRETCH):
                old, new = before[key, octet, begin : begin + STRETCH], after[key, octet, begin : begin + STRETCH]
                within = mask[key, begin : begin + STRETCH]
                # Most stretches have no alive address in either run: skip them before looking at single bits.
                combined = uint64(0)
                for i in range(STRETCH):
                    combined |= (old[i] | new[i]) & within[i]
                if not combined:
                    continue
                for bit in range((octet - 1) * EIGHT, min(octet * EIGHT, bits)):
                    place = uint64(bit % EIGHT)
                    born, died, stayed = uint64(0), uint64(0), uint64(0)
                    for i in range(STRETCH):
                        counted = within[i] & ones
                        then, now = (old[i] >> place) & counted, (new[i] >> place) & counted
                        born += now & ~then
                        died += then & ~now
                        stayed += then & now
                    # Each of the eight bytes is a sum of at most STRETCH; the multiplication adds them in the highest
                    # byte.
                    counts[bit, BORN] += (born * ones) >> uint64(56)
                    counts[bit, DIED] += (died * ones) >> uint64(56)
                    counts[bit, STAYED] += (stayed * ones) >> uint64(56)


@kernel
def pack_bits(seen: Seen, mask: Seen, bit: int, alive: NDArray[np.uint64]) -> None:
    """Write one bit of all views as a bit per address; `bit` counts after the first byte. `alive`: (/16s, 1024)."""
    place = uint64(bit % EIGHT)
    for key in range(len(seen)):
        groups = seen[key, 1 + bit // EIGHT]
        for word in range(alive.shape[1]):
            packed = uint64(0)
            for i in range(EIGHT):
                group = (groups[word * EIGHT + i] >> place) & mask[key, word * EIGHT + i] & uint64(ONES)
                packed |= ((group * uint64(GATHER)) >> uint64(56)) << uint64(8 * i)
            alive[key, word] = packed


@kernel
def popcount(number: int) -> int:
    """Return the number of set bits of a uint64 (Warren, Hacker's Delight, section 5-1)."""
    number -= (number >> uint64(1)) & uint64(0x5555555555555555)
    number = (number & uint64(0x3333333333333333)) + ((number >> uint64(2)) & uint64(0x3333333333333333))
    number = (number + (number >> uint64(4))) & uint64(0x0F0F0F0F0F0F0F0F)
    return (number * uint64(ONES)) >> uint64(56)


@kernel
def count_retained(alive: NDArray[np.uint64], later: NDArray[np.int64], throughout: NDArray[np.int64]) -> None:
    """Count the addresses of run i that are alive in run j >= i, and those alive in all runs from i to j.

    The counts are added to later[i, j] and throughout[i, j]. `alive` has the shape (runs, /16s, 1024).
    """
    runs, keys, words = alive.shape
    always = np.zeros(words, np.uint64)
    for key in range(keys):
        for first in range(runs):
            always[:] = alive[first, key]
            for last in range(first, runs):
                now = alive[last, key]
                both, unbroken = uint64(0), uint64(0)
                for word in range(words):
                    always[word] &= now[word]
                    both += popcount(alive[first, key, word] & now[word])
                    unbroken += popcount(always[word])
                later[first, last] += both
                throughout[first, last] += unbroken
