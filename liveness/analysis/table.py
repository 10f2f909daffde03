"""The table of states: how many addresses are in each, as a hash table that kernels count into."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import inlined, int64, kernel, uint64

SPREAD: Final = 0x9E3779B97F4A7C15
"""2 ** 64 over the golden ratio: an odd factor that spreads keys over a table (Knuth, volume 3, section 6.4)."""


class Table(NamedTuple):
    """A table of states, never more than half full; a slot is free while its count is 0."""

    states: NDArray[np.uint64]
    """Shape (slots, words), a power of two of slots."""
    counts: NDArray[np.int64]
    views: NDArray[np.uint8]
    """What a state shows to slices, maps and comparisons, shape (slots, bytes)."""
    taken: NDArray[np.int32]
    """The slots that are taken, `used[0]` of them."""
    used: NDArray[np.int64]


def new_table(slots: int, words: int, views: int) -> Table:
    """Return an empty table."""
    return Table(
        np.zeros((slots, words), np.uint64),
        np.zeros(slots, np.int64),
        np.zeros((slots, views), np.uint8),
        np.zeros(slots // 2 + 1, np.int32),
        np.zeros(1, np.int64),
    )


def with_room(table: Table, more: int) -> Table:
    """Return a table that `more` states fit into: this one, or a larger one that has taken over its content."""
    needed, slots = 2 * (int(table.used[0]) + more), len(table.counts)
    if needed <= slots:
        return table
    larger = new_table(1 << (needed - 1).bit_length(), table.states.shape[1], table.views.shape[1])
    pour(table, larger)
    return larger


@inlined
def place_of(states: NDArray[np.uint64], counts: NDArray[np.int64], wanted: NDArray[np.uint64], which: int) -> int:
    """Return the slot of state wanted[which]: where it is, or the free one where it belongs."""
    spread = uint64(0)
    for word in range(states.shape[1]):
        spread = (spread ^ wanted[which, word]) * uint64(SPREAD)
    # the upper half is well mixed, and there are never more slots than it has numbers
    at = int64(spread >> uint64(32)) & (len(counts) - 1)
    while counts[at]:
        differs = uint64(0)
        for word in range(states.shape[1]):
            differs |= states[at, word] ^ wanted[which, word]
        if not differs:
            return at
        at = (at + 1) & (len(counts) - 1)
    return at


@kernel
def pour(source: Table, target: Table) -> None:
    """Add the counts of one table to another that has room for them, and empty it."""
    for i in range(source.used[0]):
        slot = int64(source.taken[i])
        at = place_of(target.states, target.counts, source.states, slot)
        if target.counts[at] == 0:
            target.states[at] = source.states[slot]
            target.views[at] = source.views[slot]
            target.taken[target.used[0]] = at
            target.used[0] += 1
        target.counts[at] += source.counts[slot]
        source.counts[slot] = 0
    source.used[0] = 0
