"""Where senders stand, in shared memory: each says so itself, and the supervisor reads it while they go on."""

from typing import TYPE_CHECKING, Final

import numpy as np

from liveness.order.order import Position
from liveness.scan.memory import shared_zeros
from liveness.scan.sealed import seal

if TYPE_CHECKING:
    from numpy.typing import NDArray

GENERATION, SEAL, TICK, BLOCK, LAGS = range(5)
"""Places in the record of a sender; behind them the lags of its lanes, then the ticks at which they begin."""
TICK_BITS: Final = 46
TAG_MASK: Final = 0xFFFF
UNSAID: Final = -1
"""In place of lags that no sender has said yet."""


class Positions:
    """A record for each sender, which writes it alone.

    Block, lags and beginnings are sealed (`scan.sealed`). The tick changes with every batch, and is one number by
    itself; its upper bits name the generation of the rest, so that it is never taken for a tick under other lags.
    """

    def __init__(self, senders: int, lanes: int) -> None:
        self._lanes = lanes
        self._records: NDArray[np.int64] = shared_zeros((senders, LAGS + 2 * lanes), np.int64)
        self._rows = list(self._records)  # a view of each: a tick is told with every batch
        for sender in range(senders):
            self.tell(sender, Position(block=0, tick=0))

    def tell(self, sender: int, position: Position) -> None:
        """Say where a sender stands."""
        record = self._rows[sender]
        following = int(record[GENERATION]) + 1
        record[BLOCK] = position.block
        record[LAGS:] = (*position.lags, *position.begins) or UNSAID
        record[TICK] = tagged(following, position.tick)
        record[SEAL] = seal(following, record[BLOCK:])
        record[GENERATION] = following

    def tell_tick(self, sender: int, tick: int) -> None:
        """Say how far a sender is, of whose position nothing else has changed."""
        record = self._rows[sender]
        record[TICK] = tagged(record.item(GENERATION), tick)

    def now(self) -> list[Position]:
        """Return where each sender stands."""
        return [self._read(record) for record in self._rows]

    def _read(self, record: "NDArray[np.int64]") -> Position:
        while True:
            copy = record.copy()
            generation, tick = int(copy[GENERATION]), int(copy[TICK])
            if tick >> TICK_BITS == generation & TAG_MASK and seal(generation, copy[BLOCK:]) == copy[SEAL]:
                break
        block, tick = int(copy[BLOCK]), tick & ((1 << TICK_BITS) - 1)
        lags, begins = copy[LAGS : LAGS + self._lanes].tolist(), copy[LAGS + self._lanes :].tolist()
        if lags[0] == UNSAID:
            return Position(block=block, tick=tick)
        return Position(block=block, tick=tick, lags=lags, begins=begins)


def tagged(generation: int, tick: int) -> int:
    """Return a tick with the lower bits of a generation above it."""
    return (generation & TAG_MASK) << TICK_BITS | tick
