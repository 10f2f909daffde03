"""The desk of repairs: a sender that has sent a block asks for stretches of the order to send again, one at a time."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from liveness.scan.memory import shared_zeros
from liveness.scan.sealed import seal

if TYPE_CHECKING:
    from numpy.typing import NDArray

ASKED, ANSWERED, UPTO, SEAL, BLOCK, FIRST, LAST, LAGS = range(8)
"""Places of a sender's row: its questions, the answers so far, the last block it asks for, and the last answer."""
NOTHING = -1


@dataclass(frozen=True, slots=True)
class Stretch:
    """Ticks to send again, and the share of the rate to do so at."""

    block: int
    first: int
    last: int
    lags: list[int]
    begins: list[int]
    pace: float


class RepairDesk:
    """One row a sender in shared memory: it writes the questions, the supervisor the answers."""

    def __init__(self, senders: int, lanes: int) -> None:
        self.open: NDArray[np.int64] = shared_zeros((1,), np.int64)
        """1: a supervisor answers. Without one nobody asks."""
        self._rows: NDArray[np.int64] = shared_zeros((senders, LAGS + 2 * lanes), np.int64)
        self._pace: NDArray[np.float64] = shared_zeros((senders,), np.float64)
        self._lanes = lanes

    def ask(self, sender: int, block: int) -> None:
        """Ask for the next stretch of blocks up to `block`; what was answered before has been sent."""
        self._rows[sender, UPTO] = block
        self._rows[sender, ASKED] += 1

    def asked(self, sender: int) -> int | None:
        """Return up to which block a sender asks, None if it has no question open."""
        row = self._rows[sender]
        return int(row[UPTO]) if row[ASKED] > row[ANSWERED] else None

    def answer(self, sender: int, stretch: Stretch | None) -> None:
        """Answer the open question of a sender; None if there is nothing to send again."""
        row = self._rows[sender]
        if stretch is None:
            row[BLOCK] = NOTHING
        else:
            row[BLOCK:LAGS] = stretch.block, stretch.first, stretch.last
            row[LAGS:] = (*stretch.lags, *stretch.begins)
            self._pace[sender] = stretch.pace
        row[SEAL] = seal(int(row[ASKED]), row[BLOCK:], self._pace[sender : sender + 1])
        row[ANSWERED] = row[ASKED]

    def answered(self, sender: int) -> bool:
        """Return whether the last question has its answer."""
        return self.asked(sender) is None

    def given(self, sender: int) -> Stretch | None:
        """Return the last answer."""
        while True:
            found, pace = self._rows[sender].copy(), self._pace[sender : sender + 1].copy()
            if seal(int(found[ANSWERED]), found[BLOCK:], pace) == found[SEAL]:
                break
        row = found.tolist()
        if row[BLOCK] == NOTHING:
            return None
        lags, begins = row[LAGS : LAGS + self._lanes], row[LAGS + self._lanes :]
        return Stretch(row[BLOCK], row[FIRST], row[LAST], lags, begins, float(pace[0]))
