"""Positions of senders in shared memory: each sender writes its own, and the supervisor reads them meanwhile."""

from typing import TYPE_CHECKING, Final

import numpy as np

from liveness.order.order import Position
from liveness.scan.checksummed import seal
from liveness.scan.memory import shared_zeros

if TYPE_CHECKING:
    from numpy.typing import NDArray

GENERATION, SEAL, TICK, BLOCK, LAGS = range(5)
"""Indices in the record of a sender; from LAGS on, the lags of its lanes, then the ticks at which they begin."""
TICK_BITS: Final = 46
"""Bits of a tick; the bits above hold the tag, the lower bits of the generation."""
TAG_MASK: Final = 0xFFFF
NO_LAGS: Final = -1
"""Stands for lags that are not known yet."""


class Positions:
    """One record for each sender, which only that sender writes.

    Block, lags and beginnings are protected by a checksum (`scan.sealed`). The tick changes with every batch and is
    written as a single number; its upper bits name the generation of the other fields, so that a reader never combines
    it with other lags.
    """

    def __init__(self, senders: int, lanes: int) -> None:
        self._lanes = lanes
        self._records: NDArray[np.int64] = shared_zeros((senders, LAGS + 2 * lanes), np.int64)
        self._rows = list(self._records)  # views are made once, because a tick is written with every batch
        for sender in range(senders):
            self.publish(sender, Position(block=0, tick=0))

    def publish(self, sender: int, position: Position) -> None:
        """Publish the position of a sender."""
        record = self._rows[sender]
        following = int(record[GENERATION]) + 1
        record[BLOCK] = position.block
        record[LAGS:] = (*position.lags, *position.begins) or NO_LAGS
        record[TICK] = tagged(following, position.tick)
        record[SEAL] = seal(following, record[BLOCK:])
        record[GENERATION] = following

    def publish_tick(self, sender: int, tick: int) -> None:
        """Publish the current tick of a sender, if nothing else of its position has changed."""
        record = self._rows[sender]
        record[TICK] = tagged(record.item(GENERATION), tick)

    def now(self) -> list[Position]:
        """Return the position of each sender."""
        return [self._read(record) for record in self._rows]

    def _read(self, record: "NDArray[np.int64]") -> Position:
        while True:
            copy = record.copy()
            generation, tick = int(copy[GENERATION]), int(copy[TICK])
            if tick >> TICK_BITS == generation & TAG_MASK and seal(generation, copy[BLOCK:]) == copy[SEAL]:
                break
        block, tick = int(copy[BLOCK]), tick & ((1 << TICK_BITS) - 1)
        lags, begins = copy[LAGS : LAGS + self._lanes].tolist(), copy[LAGS + self._lanes :].tolist()
        if lags[0] == NO_LAGS:
            return Position(block=block, tick=tick)
        return Position(block=block, tick=tick, lags=lags, begins=begins)


def tagged(generation: int, tick: int) -> int:
    """Return a number of a tick in the lower TICK_BITS bits, and the lower 16 bits of a generation above them."""
    return (generation & TAG_MASK) << TICK_BITS | tick
