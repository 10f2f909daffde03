"""The batch that a walk returns: newly drawn targets, and the probes that are due, to these and to earlier targets.

A target is named by its *position*, the number of targets that the same walk has drawn before it. The sender therefore
converts each index to an address only once, when the target is drawn, and keeps the addresses of the last `reach`
positions.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

FROM: Final = 0
DRAWN: Final = 1
STRIPS: Final = 2
"""Indices in `Due.counts`: position of the first target drawn, number of targets drawn, number of strips."""

POSITION: Final = 0
TICKS: Final = 1
WIDTH: Final = 2
PROBE: Final = 3
ATTEMPT: Final = 4
"""Columns of `Due.strips`."""
STRIP_COLUMNS: Final = 5


class Due(NamedTuple):
    """Targets drawn, and strips of probes that are due, in the order in which they are sent.

    A strip is one attempt of one probe, to `TICKS` consecutive targets that begin at `POSITION`. Strips that are sent
    together form a group: `WIDTH` consecutive rows, all with the same number of ticks. The frames of a group leave tick
    by tick, and each tick has one frame of every strip.
    """

    counts: NDArray[np.int64]
    drawn: NDArray[np.uint32]  # indices into the target list
    strips: NDArray[np.int64]  # (most strips, STRIP_COLUMNS)


def empty_due(targets: int, strips: int) -> Due:
    """Return an empty batch with room for `targets` targets and `strips` strips."""
    return Due(np.zeros(3, np.int64), np.zeros(targets, np.uint32), np.zeros((strips, STRIP_COLUMNS), np.int64))
