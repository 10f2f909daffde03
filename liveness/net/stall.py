"""Notices a ring from which nothing leaves: its queue does not exist, or the card has stopped."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

STALL_S: Final = 5.0
"""No interface that works holds every frame so long: at 1 kbit/s a probe leaves in half a second."""
LOOK_EVERY_S: Final = 0.1
LONGEST_GAP_S: Final = 1.0
"""Whoever looks at longer intervals was paused or suspended, and its frames with it: that time does not count."""


@dataclass(slots=True)
class StallWatch:
    """The time since a ring with committed frames last made progress, for as long as somebody looks."""

    clock: Callable[[], float] = time.monotonic
    _left: int = -1
    _since_s: float = 0.0
    _looked_s: float = 0.0

    def due(self) -> bool:
        """Return whether it is time to look again."""
        return self.clock() - self._looked_s >= LOOK_EVERY_S

    def stalled(self, left: int, waiting: int) -> bool:
        """Return whether no frame left for STALL_S; `left` have since the ring was opened, `waiting` have not."""
        now_s = self.clock()
        if left != self._left or not waiting or now_s - self._looked_s > LONGEST_GAP_S:
            self._left = left
            self._since_s = now_s
        self._looked_s = now_s
        return now_s - self._since_s > STALL_S
