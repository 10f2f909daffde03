"""What an order hands out at once: the targets that it draws, and the probes that are due to targets drawn by then.

A target is named by its *position*: how many targets the same walk has drawn before it. So whoever sends turns each
index into an address once, when it is drawn, and keeps the addresses as far back as the walk may name them (`reach`).
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

FROM: Final = 0
DRAWN: Final = 1
STRIPS: Final = 2
"""Places in `Due.counts`: the position of the first target drawn, how many were drawn, how many strips there are."""

POSITION: Final = 0
TICKS: Final = 1
WIDTH: Final = 2
PROBE: Final = 3
ATTEMPT: Final = 4
"""Columns of `Due.strips`."""
STRIP_COLUMNS: Final = 5


class Due(NamedTuple):
    """Targets drawn, and strips of probes that are due, in the order in which they leave.

    A strip is one probe's one attempt, to `TICKS` targets in a row from `POSITION` on. Strips that are sent together
    form a group of `WIDTH` strips in a row, all of the same number of ticks: the group's frames leave tick by tick, in
    each tick one of every strip.
    """

    counts: NDArray[np.int64]
    drawn: NDArray[np.uint32]  # indices into the target list
    strips: NDArray[np.int64]  # (most strips, STRIP_COLUMNS)


def empty_due(targets: int, strips: int) -> Due:
    """Return room for so many targets and strips at once."""
    return Due(np.zeros(3, np.int64), np.zeros(targets, np.uint32), np.zeros((strips, STRIP_COLUMNS), np.int64))
