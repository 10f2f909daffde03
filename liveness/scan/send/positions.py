"""Positions of senders, and the walks that they send, in shared memory: senders write and the supervisor reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from liveness.order.order import Position
from liveness.scan.shared_memory import seal, shared_zeros

if TYPE_CHECKING:
    from numpy.typing import NDArray

GENERATION, SEAL, TICK, CONTENT = range(4)
"""Indices in the row of a sender; the numbers that change rarely are from CONTENT on."""
TICK_BITS: Final = 46
"""Bits of a tick; the bits above hold the tag, the lower bits of the generation."""
TAG_MASK: Final = 0xFFFF
NO_LAGS: Final = -1
"""Stands for lags that are not known yet."""
NO_WALK: Final = -1
"""Block of a sender that has not begun a walk."""


class TickRows:
    """One row for each sender, which only that sender writes: a tick, and numbers that change rarely.

    The numbers are protected by a checksum (`scan.shared_memory`). The tick changes with every batch and is written as
    a single number; its upper bits name the generation of the numbers, so that a reader never combines it with others.
    """

    def __init__(self, senders: int, width: int) -> None:
        self.records: NDArray[np.int64] = shared_zeros((senders, CONTENT + width), np.int64)
        self._rows = list(self.records)  # views are made once, because a tick is written with every batch

    def publish(self, sender: int, tick: int, content: Sequence[int]) -> None:
        """Publish the tick and the numbers of a sender."""
        row = self._rows[sender]
        following = int(row[GENERATION]) + 1
        row[CONTENT:] = content
        row[TICK] = tagged(following, tick)
        row[SEAL] = seal(following, row[CONTENT:])
        row[GENERATION] = following

    def publish_tick(self, sender: int, tick: int) -> None:
        """Publish the tick of a sender, if its numbers have not changed."""
        row = self._rows[sender]
        row[TICK] = tagged(row.item(GENERATION), tick)

    def read(self, sender: int) -> tuple[int, list[int]]:
        """Return the tick and the numbers of a sender, which were published together. Called after `publish` only."""
        while True:
            copy = self._copied(sender)
            generation, tick = int(copy[GENERATION]), int(copy[TICK])
            if tick >> TICK_BITS == generation & TAG_MASK and seal(generation, copy[CONTENT:]) == copy[SEAL]:
                return tick & ((1 << TICK_BITS) - 1), copy[CONTENT:].tolist()

    def _copied(self, sender: int) -> "NDArray[np.int64]":
        copy: NDArray[np.int64] = self._rows[sender].copy()
        return copy


class Positions:
    """The position of each sender in the order, from which its run could be resumed."""

    def __init__(self, senders: int, lanes: int) -> None:
        self.rows = TickRows(senders, 1 + 2 * lanes)
        self._senders, self._lanes = senders, lanes
        for sender in range(senders):
            self.publish(sender, Position(block=0, tick=0))

    def publish(self, sender: int, position: Position) -> None:
        """Publish the position of a sender."""
        lags = (*position.lags, *position.begins) or (NO_LAGS,) * (2 * self._lanes)
        self.rows.publish(sender, position.tick, (position.block, *lags))

    def publish_tick(self, sender: int, tick: int) -> None:
        """Publish the current tick of a sender, if nothing else of its position has changed."""
        self.rows.publish_tick(sender, tick)

    def now(self) -> list[Position]:
        """Return the position of each sender."""
        return [self._read(sender) for sender in range(self._senders)]

    def _read(self, sender: int) -> Position:
        tick, (block, *lags) = self.rows.read(sender)
        if lags[0] == NO_LAGS:
            return Position(block=block, tick=tick)
        return Position(block=block, tick=tick, lags=lags[: self._lanes], begins=lags[self._lanes :])


@dataclass(frozen=True, slots=True)
class Activity:
    """The walk that a sender sends: ticks `first` to `last` (exclusive) of a block, and its current tick."""

    block: int
    tick: int
    first: int
    last: int
    lags: tuple[int, ...]
    begins: tuple[int, ...]
    repair: int = 0
    """Number of the repair that it is (`Stretch.number`), 0 for a walk of the order itself."""

    def same_walk(self, other: "Activity") -> bool:
        """Return whether both belong to one walk through the same ticks; its lags may have changed."""
        mine, others = (self.block, self.first, self.last), (other.block, other.first, other.last)
        return (self.repair, mine) == (other.repair, others)


class Activities:
    """The walk that each sender sends, original or repair."""

    def __init__(self, senders: int, lanes: int) -> None:
        self.rows = TickRows(senders, 4 + 2 * lanes)
        self._lanes = lanes
        for sender in range(senders):
            self.rows.publish(sender, 0, (NO_WALK,) * (4 + 2 * lanes))

    def begin(self, sender: int, position: Position, first: int, last: int, repair: int = 0) -> None:
        """Publish the walk that a sender sends from now on, or the new lags of its walk."""
        self.rows.publish(
            sender, position.tick, (position.block, first, last, repair, *position.lags, *position.begins)
        )

    def tick(self, sender: int, tick: int) -> None:
        """Publish the current tick of the walk."""
        self.rows.publish_tick(sender, tick)

    def now(self, sender: int) -> Activity | None:
        """Return the activity of a sender, or None before its first walk."""
        tick, (block, first, last, repair, *lags) = self.rows.read(sender)
        if block == NO_WALK:
            return None
        return Activity(block, tick, first, last, tuple(lags[: self._lanes]), tuple(lags[self._lanes :]), repair)


def tagged(generation: int, tick: int) -> int:
    """Return a number of a tick in the lower TICK_BITS bits, and the lower 16 bits of a generation above them."""
    return (generation & TAG_MASK) << TICK_BITS | tick
