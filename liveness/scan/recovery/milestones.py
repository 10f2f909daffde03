"""Milestones: where the senders stood lately, so that a checkpoint can name a place whose replies are all on disk."""

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
"""The time between a packet's arrival and the match of its block, at most."""


@dataclass(frozen=True, slots=True)
class Milestone:
    """Where each sender stood at a time, in seconds of the run, and what had been sent by then."""

    at_s: float
    positions: Sequence[Position]
    sent: NDArray[np.int64]
    """(senders, probes, attempts)"""


@dataclass(slots=True)
class Milestones:
    """The milestones of the last while: as long as late replies are awaited."""

    wait_s: float
    """How long a probe's replies are awaited: the cooldown."""
    first: Milestone
    """Where this session began; it stands for all times before."""
    _lately: deque[Milestone] = field(default_factory=deque)

    def note(self, at_s: float, shared: Shared) -> None:
        """Note where the senders stand now, a few times a second at most."""
        if at_s >= (self._lately[-1].at_s if self._lately else self.first.at_s) + EVERY_S:
            self._lately.append(Milestone(at_s, shared.positions_now(), shared.sent_in_all))

    def answered(self, received_s: float) -> Milestone:
        """Return the last milestone up to which every probe was awaited, given that replies until then are on disk."""
        while self._lately and self._lately[0].at_s <= received_s - self.wait_s - GRACE_S:
            self.first = self._lately.popleft()
        return self.first
