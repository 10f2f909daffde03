"""Hash tables of kernels: open addressing with linear probing over flat arrays whose length is a power of two."""

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64
from liveness.mixing import GOLDEN_GAMMA, mix64


@kernel
def mixed(high: int, low: int) -> int:
    """Return a well-mixed 64-bit number of two."""
    added = (uint64(low) + uint64(0x632BE59BD9B4E019)) * uint64(0xC2B2AE3D27D4EB4F)
    return mix64(uint64(high) * uint64(GOLDEN_GAMMA) ^ added)


@kernel
def slot_of(keys: NDArray[np.uint64], key: int) -> int:
    """Return the place of a key, or the free place where it belongs. No key is 0: that marks a free place."""
    mask = uint64(len(keys) - 1)
    slot = mixed(uint64(key), uint64(0)) & mask
    while keys[slot] != uint64(0) and keys[slot] != uint64(key):
        slot = (slot + uint64(1)) & mask
    return int64(slot)


@kernel
def add_to_set(keys: NDArray[np.uint64], key: int) -> None:
    """Add a key to a set that has room."""
    keys[slot_of(keys, key)] = uint64(key)


@kernel
def is_in(keys: NDArray[np.uint64], key: int) -> bool:
    """Return whether a set holds a key."""
    found: bool = keys[slot_of(keys, key)] != uint64(0)
    return found


def size_for(count: int) -> int:
    """Return the length of a table for so many keys: a power of two, at most half full."""
    return 1 << max(4, (2 * count).bit_length())


def set_of(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return a table with these keys."""
    table = np.zeros(size_for(len(keys)), np.uint64)
    fill_set(table, keys)
    return table


@kernel
def fill_set(table: NDArray[np.uint64], keys: NDArray[np.uint64]) -> None:
    """Add keys to a set that has room; 0 is none, so that `keys` may be a set itself."""
    for at in range(len(keys)):
        if keys[at] != uint64(0):
            add_to_set(table, int64(keys[at]))
