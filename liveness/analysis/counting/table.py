"""The table of states: a hash table from state to number of addresses, for kernels."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64

SPREAD: Final = 0x9E3779B97F4A7C15
"""2 ** 64 divided by the golden ratio: an odd factor that distributes keys (Knuth, volume 3, section 6.4)."""


class Table(NamedTuple):
    """A table of states, at most half full; a slot is free while its count is 0."""

    slots: NDArray[np.uint64]
    """Count and words of the state for each slot, adjacent because they are used together; a power of two of slots."""
    views: NDArray[np.uint8]
    """The view of each state, for slices, maps and comparisons, shape (slots, bytes)."""
    taken: NDArray[np.int32]
    """Indices of occupied slots; the first `used[0]` entries are valid."""
    used: NDArray[np.int64]


def new_table(slots: int, words: int, views: int) -> Table:
    """Return an empty table."""
    return Table(
        np.zeros((slots, 1 + words), np.uint64),
        np.zeros((slots, views), np.uint8),
        np.zeros(slots // 2, np.int32),
        np.zeros(1, np.int64),
    )


def with_room(table: Table, more: int) -> Table:
    """Return a table with room for `more` states: this one, or a larger one to which its content is moved."""
    needed = 2 * (int(table.used[0]) + more)
    if needed <= len(table.slots):
        return table
    larger = new_table(1 << (needed - 1).bit_length(), table.slots.shape[1] - 1, table.views.shape[1])
    merge(table, larger)
    return larger


@kernel
def place_of(slots: NDArray[np.uint64], wanted: NDArray[np.uint64], which: int) -> int:
    """Return the slot of the state wanted[:, which], or the free slot in which to insert it."""
    spread = uint64(0)
    for word in range(len(wanted)):
        spread = (spread ^ wanted[word, which]) * uint64(SPREAD)
    # The upper half of the product is well mixed, and a table never has more than 2**32 slots.
    at = int64(spread >> uint64(32)) & (len(slots) - 1)
    while slots[at, 0]:
        differs = uint64(0)
        for word in range(len(wanted)):
            differs |= slots[at, 1 + word] ^ wanted[word, which]
        if not differs:
            return at
        at = (at + 1) & (len(slots) - 1)
    return at


@kernel
def merge(source: Table, target: Table) -> None:
    """Add the counts of one table to another that has room for them, and clear the first."""
    words = source.slots.shape[1] - 1
    state = np.zeros((words, 1), np.uint64)
    for i in range(source.used[0]):
        slot = int64(source.taken[i])
        for word in range(words):
            state[word, 0] = source.slots[slot, 1 + word]
        at = place_of(target.slots, state, 0)
        if target.slots[at, 0] == 0:
            for column in range(words + 1):  # an assignment of rows would bring its error message, which compiles long
                target.slots[at, column] = source.slots[slot, column]
            for view in range(source.views.shape[1]):
                target.views[at, view] = source.views[slot, view]
            target.taken[target.used[0]] = at
            target.used[0] += 1
        else:
            target.slots[at, 0] += source.slots[slot, 0]
        source.slots[slot, 0] = 0
    source.used[0] = 0
