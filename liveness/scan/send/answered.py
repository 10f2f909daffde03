"""The table of answered probes that receiver and senders share when only unanswered probes are repeated.

One 32-bit entry holds a tag and a bit a probe. A target's place and tag are the lower and upper bits of a bijective mix
of its address, so an entry is never taken for another target's; where two targets share a place the later wins, and the
earlier one's repeats are sent as if it had not answered. 16 bits of the entry are probes.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel

MAX_PROBES: Final = 16
MIN_ENTRIES: Final = 1 << 16
"""With fewer places than this the tag would need more than the 16 bits that the probes leave."""


def entries_for(queue: int) -> int:
    """Return how many entries a table needs for a queue of so many targets: four a target, a power of two."""
    return max(MIN_ENTRIES, 1 << (4 * queue - 1).bit_length()) if queue > 0 else MIN_ENTRIES


@kernel
def _mix(address: int) -> int:
    """Return a bijection of 32-bit numbers (the finalizer of MurmurHash3), so that neighbours spread over the table."""
    mixed = address & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return mixed ^ (mixed >> 16)


@kernel
def _tag(mixed: int, entries: int) -> int:
    return (mixed // entries) << 16


@kernel
def mark_answered(table: NDArray[np.uint32], target: int, probe: int) -> None:
    """Note that a target has answered a probe."""
    mixed = _mix(target)
    place = mixed & (len(table) - 1)
    entry = int(table[place])
    tag = _tag(mixed, len(table))
    kept = entry & 0xFFFF if entry & 0xFFFF0000 == tag else 0
    table[place] = tag | kept | (1 << probe)


@kernel
def has_answered(table: NDArray[np.uint32], target: int, probe: int) -> bool:
    """Return whether a target is known to have answered a probe."""
    mixed = _mix(target)
    entry = int(table[mixed & (len(table) - 1)])
    return entry & 0xFFFF0000 == _tag(mixed, len(table)) and (entry >> probe) & 1 == 1
