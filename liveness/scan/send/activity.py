"""Activities of senders in shared memory: the walk that each one sends, original or repair, and its current tick."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from liveness.order.order import Position
from liveness.scan.checksummed import seal
from liveness.scan.memory import shared_zeros
from liveness.scan.send.positions import TAG_MASK, TICK_BITS, tagged

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSION, SEAL, TICK, BLOCK, FIRST, LAST, LAGS = range(7)
"""Indices in a sender's row: version, checksum, tick, block, first and last tick, and then the lags of the lanes."""
NONE: Final = -1
"""Block of a sender that has not begun a walk."""


@dataclass(frozen=True, slots=True)
class Activity:
    """The walk that a sender sends: ticks `first` to `last` (exclusive) of a block, and its current tick."""

    block: int
    tick: int
    first: int
    last: int
    lags: tuple[int, ...]
    begins: tuple[int, ...]

    def same_walk(self, other: "Activity") -> bool:
        """Return whether both belong to one walk through the same ticks; its lags may have changed."""
        return (self.block, self.first, self.last) == (other.block, other.first, other.last)


class Activities:
    """One row for each sender in shared memory, which only that sender writes."""

    def __init__(self, senders: int, lanes: int) -> None:
        self._rows: NDArray[np.int64] = shared_zeros((senders, LAGS + 2 * lanes), np.int64)
        self._rows[:, BLOCK] = NONE
        self._lanes = lanes

    def begin(self, sender: int, position: Position, first: int, last: int) -> None:
        """Publish the walk that a sender sends from now on, or the new lags of its walk."""
        row = self._rows[sender]
        version = int(row[VERSION]) + 1
        row[BLOCK:LAGS] = position.block, first, last
        row[LAGS:] = (*position.lags, *position.begins)
        row[TICK] = tagged(version, position.tick)
        row[SEAL] = seal(version, row[BLOCK:])
        row[VERSION] = version

    def tick(self, sender: int, tick: int) -> None:
        """Publish the current tick of the walk."""
        row = self._rows[sender]
        row[TICK] = tagged(row.item(VERSION), tick)

    def now(self, sender: int) -> Activity | None:
        """Return the activity of a sender, or None before its first walk."""
        row = self._rows[sender]
        while True:
            found = row.copy()
            copy = found.tolist()
            if copy[BLOCK] == NONE:
                return None
            same = copy[TICK] >> TICK_BITS == copy[VERSION] & TAG_MASK
            if same and seal(copy[VERSION], found[BLOCK:]) == copy[SEAL]:
                break
        tick = copy[TICK] & ((1 << TICK_BITS) - 1)
        lags, begins = tuple(copy[LAGS : LAGS + self._lanes]), tuple(copy[LAGS + self._lanes :])
        return Activity(copy[BLOCK], tick, copy[FIRST], copy[LAST], lags, begins)
