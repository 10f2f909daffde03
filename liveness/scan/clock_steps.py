"""Steps of the clock: if the time of day is set during a scan, times across the step are no round-trip times."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

STEP_NS: Final = 1_000_000
"""A larger change of the time of day against the monotonic clock between two looks is a step."""
UNKNOWN: Final = -1


@dataclass(slots=True)
class ClockSteps:
    """Detects steps of the time of day, which echo probes carry and by which the kernel stamps packets.

    The receiver calls `look` before each block, so that it knows of a step before it sees packets stamped after it. The
    clock shows one time before a step and one after it. A probe with a send time at or before the later of the two may
    have been sent before the step, so its round-trip time is unknown. (After a step backwards this holds for as long as
    the step was, because the clock shows the same times twice.)
    """

    wall_ns: Callable[[], int] = time.time_ns
    steady_ns: Callable[[], int] = time.monotonic_ns
    steps: int = 0
    offset_ns: int = field(init=False)
    """Time of day less time of the monotonic clock, at the last look."""
    _unknown_until_ns: int = UNKNOWN

    def __post_init__(self) -> None:
        """Read both clocks for the first time."""
        _, self.offset_ns, _ = self._read()

    def _read(self) -> tuple[int, int, int]:
        """Return the monotonic time, the offset of the time of day from it, and its uncertainty, all in ns."""
        before_ns = self.steady_ns()
        wall_ns = self.wall_ns()
        after_ns = self.steady_ns()
        return after_ns, wall_ns - (before_ns + after_ns) // 2, after_ns - before_ns

    def look(self) -> None:
        """Detect a step since the last look. A clock that is slewed slowly (NTP) has no step."""
        now_ns, offset_ns, unsure_ns = self._read()
        if abs(offset_ns - self.offset_ns) > STEP_NS + unsure_ns:
            self.steps += 1
            self._unknown_until_ns = now_ns + max(offset_ns, self.offset_ns) + STEP_NS
        self.offset_ns = offset_ns

    def correct(self, replies: NDArray[np.void]) -> None:
        """Set the round-trip time of replies (REPLY_DTYPE) to UNKNOWN where it may span a step."""
        if self._unknown_until_ns == UNKNOWN:
            return
        sent_ns = replies["time_ns"] - replies["rtt_ns"]
        replies["rtt_ns"][(replies["rtt_ns"] != UNKNOWN) & (sent_ns <= self._unknown_until_ns)] = UNKNOWN
