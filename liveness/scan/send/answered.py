"""The table of answered probes, which receivers and senders share if only unanswered probes are repeated.

The table is a hash table of 32-bit entries: the upper 16 bits are a tag, the lower 16 bits have one bit for each probe.
The place and the tag of a target are the lower and upper bits of a bijective hash of its address, so that an entry
cannot be mistaken for that of another target. If two targets have the same place, the later one replaces the earlier
one, whose repeats are then sent as if it had not answered.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel

MAX_PROBES: Final = 16
MIN_ENTRIES: Final = 1 << 16
"""Least number of entries: with fewer, the tag would need more than 16 bits."""


def entries_for(queue: int) -> int:
    """Return the number of entries for a queue of `queue` targets: a power of two, at least four for each target."""
    return max(MIN_ENTRIES, 1 << (4 * queue - 1).bit_length()) if queue > 0 else MIN_ENTRIES


@kernel
def _mix(address: int) -> int:
    """Return a bijective hash of a 32-bit number (the finalizer of MurmurHash3), which spreads near addresses."""
    mixed = address & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return mixed ^ (mixed >> 16)


@kernel
def _tag(mixed: int, entries: int) -> int:
    return (mixed // entries) << 16


@kernel
def mark_answered(table: NDArray[np.uint32], target: int, probe: int) -> None:
    """Record that a target has answered a probe."""
    mixed = _mix(target)
    place = mixed & (len(table) - 1)
    entry = int(table[place])
    tag = _tag(mixed, len(table))
    # The entry of another target is replaced, its probe bits are dropped.
    kept = entry & 0xFFFF if entry & 0xFFFF0000 == tag else 0
    table[place] = tag | kept | (1 << probe)


@kernel
def has_answered(table: NDArray[np.uint32], target: int, probe: int) -> bool:
    """Return whether the table says that a target has answered a probe."""
    mixed = _mix(target)
    entry = int(table[mixed & (len(table) - 1)])
    return entry & 0xFFFF0000 == _tag(mixed, len(table)) and (entry >> probe) & 1 == 1
