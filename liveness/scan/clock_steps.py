"""Steps of the clock: the time of day is set while a scan runs, and times that span that are no round-trip times."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

STEP_NS: Final = 1_000_000
"""The time of day that moves by more than this against the monotonic clock, from one look to the next, was set."""
UNKNOWN: Final = -1


@dataclass(slots=True)
class ClockSteps:
    """Looks whether the time of day was set; echo probes carry it, and the kernel stamps packets by it.

    Whoever takes packets looks before each block: what was stamped after a step is seen after that look. A probe whose
    send time lies at or before the later of what the clock showed before a step and after it may have been sent before
    that step, and so has no known round-trip time. (After a step backwards that holds for as long as the step was; the
    clock shows the same times twice.)
    """

    wall_ns: Callable[[], int] = time.time_ns
    steady_ns: Callable[[], int] = time.monotonic_ns
    steps: int = 0
    _offset_ns: int = field(init=False)
    _unknown_until_ns: int = UNKNOWN

    def __post_init__(self) -> None:
        """Look for the first time."""
        _, self._offset_ns, _ = self._read()

    def _read(self) -> tuple[int, int, int]:
        """Return the steady time, how far the time of day is ahead of it, and how unsure that is."""
        before_ns = self.steady_ns()
        wall_ns = self.wall_ns()
        after_ns = self.steady_ns()
        return after_ns, wall_ns - (before_ns + after_ns) // 2, after_ns - before_ns

    def look(self) -> None:
        """Notice a step since the last look. What slews slowly (NTP) is no step."""
        now_ns, offset_ns, unsure_ns = self._read()
        if abs(offset_ns - self._offset_ns) > STEP_NS + unsure_ns:
            self.steps += 1
            self._unknown_until_ns = now_ns + max(offset_ns, self._offset_ns) + STEP_NS
        self._offset_ns = offset_ns

    def correct(self, replies: NDArray[np.void]) -> None:
        """Make round-trip times (REPLY_DTYPE) unknown that may span a step."""
        if self._unknown_until_ns == UNKNOWN:
            return
        sent_ns = replies["time_ns"] - replies["rtt_ns"]
        replies["rtt_ns"][(replies["rtt_ns"] != UNKNOWN) & (sent_ns <= self._unknown_until_ns)] = UNKNOWN
