"""Repair desk: a sender that has finished a block requests stretches of the order to send again, one at a time."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from liveness.scan.shared_memory import seal, shared_zeros

if TYPE_CHECKING:
    from numpy.typing import NDArray

REQUESTS, ANSWERS, UPTO, SEAL, BLOCK, FIRST, LAST, LOWEST, HIGHEST, LAGS = range(10)
"""Columns of a sender's row: requests, answers, the last block it requests for, and the last answer."""
NOTHING = -1


@dataclass(frozen=True, slots=True)
class Stretch:
    """Ticks to send again, and the share of the rate at which to send them."""

    block: int
    first: int
    last: int
    lags: list[int]
    begins: list[int]
    pace: float
    lowest: int = 0
    """Only targets from this address on are sent to,"""
    highest: int = 0xFFFFFFFF
    """and only up to this one."""
    number: int = 0
    """Number of the repair, by which the supervisor recognises what was lost during it; counted from 1."""


class RepairRequests:
    """Shared memory with one row per sender: the sender writes requests, the supervisor writes answers."""

    def __init__(self, senders: int, lanes: int) -> None:
        self.open: NDArray[np.int64] = shared_zeros((1,), np.int64)
        """1 if a supervisor answers. Otherwise senders send no requests."""
        self._rows: NDArray[np.int64] = shared_zeros((senders, LAGS + 2 * lanes), np.int64)
        self._pace: NDArray[np.float64] = shared_zeros((senders,), np.float64)
        self._lanes = lanes

    def request(self, sender: int, block: int) -> None:
        """Request the next stretch of blocks up to `block`. The stretch of the last answer has been sent."""
        self._rows[sender, UPTO] = block
        self._rows[sender, REQUESTS] += 1

    def requested_block(self, sender: int) -> int | None:
        """Return the last block that a sender requests stretches of, or None if it has no open request."""
        row = self._rows[sender]
        return int(row[UPTO]) if row[REQUESTS] > row[ANSWERS] else None

    def answer(self, sender: int, stretch: Stretch | None) -> int:
        """Answer the open request of a sender, with None if there is nothing to send again; return its number."""
        row = self._rows[sender]
        if stretch is None:
            row[BLOCK] = NOTHING
        else:
            row[BLOCK:LAGS] = stretch.block, stretch.first, stretch.last, stretch.lowest, stretch.highest
            row[LAGS:] = (*stretch.lags, *stretch.begins)
            self._pace[sender] = stretch.pace
        # The seal lets the sender detect that it sees the new number of answers before their content.
        row[SEAL] = seal(int(row[REQUESTS]), row[BLOCK:], self._pace[sender : sender + 1])
        row[ANSWERS] = row[REQUESTS]
        return int(row[ANSWERS])

    def is_answered(self, sender: int) -> bool:
        """Return whether the last request has been answered."""
        return self.requested_block(sender) is None

    def answered_stretch(self, sender: int) -> Stretch | None:
        """Return the last answer."""
        while True:  # until a copy fits its seal: see scan.shared_memory
            found, pace = self._rows[sender].copy(), self._pace[sender : sender + 1].copy()
            if seal(int(found[ANSWERS]), found[BLOCK:], pace) == found[SEAL]:
                break
        row = found.tolist()
        if row[BLOCK] == NOTHING:
            return None
        lags, begins = row[LAGS : LAGS + self._lanes], row[LAGS + self._lanes :]
        bounds = row[LOWEST], row[HIGHEST]
        return Stretch(row[BLOCK], row[FIRST], row[LAST], lags, begins, float(pace[0]), *bounds, row[ANSWERS])
