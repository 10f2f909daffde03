"""Milestones: recent positions of senders, so that a checkpoint can name positions whose replies are all on disk."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.order.order import Position
from liveness.scan.shared import Shared

EVERY_S: Final = 0.25
GRACE_S: Final = 1.0
"""Longest time between the arrival of a packet and the matching of its block."""


@dataclass(frozen=True, slots=True)
class Milestone:
    """The position of each sender at a time, in seconds since the session began, and the counts sent by then."""

    at_s: float
    positions: Sequence[Position]
    sent: NDArray[np.int64]
    """(senders, probes, attempts)"""


@dataclass(slots=True)
class Milestones:
    """The recent milestones, as far back as late replies are awaited."""

    wait_s: float
    """Time for which the replies to a probe are awaited: the cooldown."""
    first: Milestone
    """The last milestone returned by `answered`; at first, the beginning of the session."""
    _recent: deque[Milestone] = field(default_factory=deque)

    def note(self, at_s: float, shared: Shared) -> None:
        """Add a milestone with the current positions of senders, unless the last one is younger than EVERY_S."""
        if at_s >= (self._recent[-1].at_s if self._recent else self.first.at_s) + EVERY_S:
            self._recent.append(Milestone(at_s, shared.positions_now(), shared.sent_in_all))

    def answered(self, received_s: float) -> Milestone:
        """Return the last milestone whose probes all had their time for replies, if replies are on disk up to a time.

        `received_s` is the time up to which all packets received are on disk, in seconds since the session began.
        """
        while self._recent and self._recent[0].at_s <= received_s - self.wait_s - GRACE_S:
            self.first = self._recent.popleft()
        return self.first
