"""Pacing of a sender: the virtual time up to which it may send now, and the time until it has to look again.

A sender keeps its rate over every second. After a short stall it catches up at twice the rate, in bursts of one
millisecond at the rate. After a long stall it skips the missed time. Catching up never brings two probes to one address
closer together than `probe_spacing`.

A ring that sends each frame at its time takes frames ahead of it. The sender then works in the future: all times here
are those at which frames leave.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from liveness.order.lanes import spacing_margin_s

BURST_S: Final = 0.001
"""The longest burst, as time at the rate."""
LOOK_EVERY_S: Final = 0.0005
"""Shortest sleep when nothing is due: half a burst, so that no burst is late because of it."""
LONGEST_SLEEP_S: Final = 0.05
"""Longest sleep: within this time a sender at a very low rate notices a stop or a change of the rate."""
GIVE_UP_S: Final = 0.2
"""A sender does not catch up after a longer stall (a suspended machine, a full ring)."""
BATCH_S: Final = 0.001
"""Time within which the frames of a batch should leave, because they share one send time."""
FEWEST_FRAMES: Final = 64
"""The smallest batch, also if the kernel takes longer than BATCH_S for it."""
ON_THE_WAY_S: Final = 0.0025
"""Time that the guard adds to the spacing at most, because an earlier frame may take longer to leave."""
PASSED_EVERY_S: Final = 0.0002
PASSED_MOST: Final = 512
"""The guard notes the progress of the walk at most every PASSED_EVERY_S, and keeps about PASSED_MOST notes at most."""


@dataclass(slots=True)
class Pacer:
    """The clock of one walk, in virtual time of `units_per_s` per second: the rate times the time of one packet."""

    units_per_s: float
    clock: Callable[[], float] = time.monotonic
    give_up_s: float = GIVE_UP_S
    """The sender does not catch up after a longer stall. This bounds the packets that one second may have in excess."""
    lead_s: float = 0.0
    """How long before its time the ring takes a frame, 0 if frames leave when the ring gets them."""
    started_s: float = field(init=False)
    given_up_s: float = 0.0
    """Total time that was skipped because the sender could not keep up."""
    _limit: float = field(default=0.0, init=False)
    _resume_s: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        """Start the clock: the first frame leaves after the lead, so that it is as much ahead as all others."""
        self.started_s = self.clock() + self.lead_s

    def until(self, reached: int) -> int:
        """Return the virtual time up to which frames may be sent now; `reached` is when the next frame is due."""
        if reached < self._limit:
            return int(self._limit)  # the current burst is not finished
        now_s = self.clock() + self.lead_s
        if now_s < self._resume_s:  # between two bursts of catching up: nothing may leave
            return reached - 1
        allowed = (now_s - self.started_s) * self.units_per_s
        late_s = (allowed - reached) / self.units_per_s - self.lead_s  # of what the ring does not have yet
        if late_s > self.give_up_s:  # skip all but one burst of the missed time
            self.started_s += late_s - BURST_S
            self.given_up_s += late_s - BURST_S
            late_s = BURST_S
            allowed = reached + BURST_S * self.units_per_s
        if late_s > BURST_S - self.lead_s:
            allowed = reached + max(0.0, BURST_S * self.units_per_s - 1)  # the frame due at `reached` counts as well
            if late_s > BURST_S:  # catch up at twice the rate: one burst, and the next after half its time
                self._resume_s = now_s + BURST_S / 2
        self._limit = allowed
        return int(allowed)

    def leaves_s(self, due: int) -> float:
        """Return when a frame leaves that is put into the ring now; `due` is its virtual time."""
        now_s = self.clock()
        return max(now_s, self.started_s + due / self.units_per_s) if self.lead_s else now_s

    def change(self, units_per_s: float, reached: int, lead_s: float | None = None) -> None:
        """Continue at another rate, and with another lead of the ring if it has changed.

        `reached` is the virtual time at which the next frame is due. It leaves after those that the ring has.
        """
        self.lead_s = self.lead_s if lead_s is None else lead_s
        next_s = min(self.leaves_s(reached), self.clock() + self.lead_s)
        self.units_per_s = units_per_s
        self.started_s = next_s - reached / units_per_s
        self._limit = 0.0

    def wait_s(self, due: int) -> float:
        """Return the time in seconds to sleep until the ring takes the next frame, 0 if that is late already.

        `due` is the virtual time of that frame. The sleep is between LOOK_EVERY_S, or a quarter of a longer lead, and
        LONGEST_SLEEP_S.
        """
        now_s = self.clock() + self.lead_s
        if now_s < self._resume_s:
            return self._resume_s - now_s
        left_s = self.started_s + due / self.units_per_s - now_s
        shortest_s = max(LOOK_EVERY_S, self.lead_s / 4)
        return min(max(left_s, shortest_s), LONGEST_SLEEP_S) if left_s > -LOOK_EVERY_S else 0.0


@dataclass(slots=True)
class Batch:
    """Number of frames that are filled at once: as many as leave within BATCH_S, judged by the last batches."""

    most: int
    frames: int = 4 * FEWEST_FRAMES

    def __post_init__(self) -> None:
        """Limit the first batch to the largest size allowed."""
        self.frames = min(self.frames, self.most)

    def took(self, filled: int, seconds: float) -> None:
        """Adapt the size to a batch of `filled` frames that took `seconds` to be filled and to leave."""
        if seconds > BATCH_S:
            self.frames = min(self.most, max(FEWEST_FRAMES, self.frames // 2, int(filled * BATCH_S / seconds)))
        elif filled == self.frames and seconds < BATCH_S / 2:
            self.frames = min(self.most, 2 * self.frames)


@dataclass(slots=True)
class SpacingGuard:
    """Stops the schedule if its next probe to an address would leave too soon after the previous one.

    A sender that is late can therefore catch up by no more than the margin of the schedule (`spacing_margin_s`) within
    each spacing.
    """

    spacing_s: float
    tick: int
    """The probes of all ticks before this one left at least a spacing ago."""
    clock: Callable[[], float] = time.monotonic
    """When a frame leaves that is put into the ring now."""
    _passed: deque[tuple[float, int]] = field(default_factory=deque, init=False)
    """Pairs of a time and the tick before which all probes had left by then, oldest first."""
    _apart_s: float = field(init=False)
    _every_s: float = field(init=False)
    _again_s: float = field(default=0.0, init=False)
    """Time from which the next pair may be noted."""

    def __post_init__(self) -> None:
        """Compute what does not change, since the guard is used for every batch."""
        self._apart_s = self.spacing_s + min(spacing_margin_s(self.spacing_s) / 2, ON_THE_WAY_S)
        self._every_s = max(PASSED_EVERY_S, self._apart_s / PASSED_MOST)

    def passed(self, tick: int) -> None:
        """Note that all probes of ticks before `tick` have left."""
        now_s = self.clock()
        if not self._passed or now_s >= self._again_s:
            self._again_s = now_s + self._every_s
            self._passed.append((now_s, tick))

    def limit(self, lag: int) -> int:
        """Return the first tick that must not begin yet; `lag` is the spacing of probes to one address in ticks."""
        old_s = self.clock() - self._apart_s
        while self._passed and self._passed[0][0] <= old_s:
            self.tick = self._passed.popleft()[1]
        return self.tick + lag
