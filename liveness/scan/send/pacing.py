"""Pacing: how far the schedule may run by now, in its own virtual time, and when to look again.

Over any second a sender keeps to its rate: what a short stall left undone is caught up, at twice the rate and in bursts
of a millisecond's worth; only what a long one left is given up. No catching up brings two probes to one address closer
together than their spacing.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from liveness.order.spacing import spacing_margin_s

BURST_S: Final = 0.001
"""The longest burst, as time at the rate."""
LOOK_EVERY_S: Final = 0.0005
"""How long a sender sleeps at least, when nothing is due: half a burst, so that none is ever late for that reason."""
LONGEST_SLEEP_S: Final = 0.05
"""A sender at a very low rate still notices within this time that it shall stop, or change its rate."""
GIVE_UP_S: Final = 0.2
"""A stall longer than this (a suspended machine, a full ring) is not caught up."""
BATCH_S: Final = 0.001
"""How long the frames of one batch take to leave at most: they share one send time."""
FEWEST_FRAMES: Final = 64
"""The smallest batch, whatever the kernel takes for it."""
ON_THE_WAY_S: Final = 0.0025
"""By how much more than the spacing the guard holds probes apart: an earlier frame may take longer on the way."""
PASSED_EVERY_S: Final = 0.0002
PASSED_MOST: Final = 512


@dataclass(slots=True)
class Pacer:
    """Virtual time of one walk, `units_per_s` to the second: the rate of one probe times the number of lanes."""

    units_per_s: float
    clock: Callable[[], float] = time.monotonic
    give_up_s: float = GIVE_UP_S
    """A stall longer than this is not caught up: what a second may hold beyond its own packets."""
    started_s: float = field(init=False)
    given_up_s: float = 0.0
    """Time whose frames were never sent: the sender could not keep up."""
    _limit: float = field(default=0.0, init=False)
    _resume_s: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        """Begin now."""
        self.started_s = self.clock()

    def until(self, reached: int) -> int:
        """Return the virtual time up to which frames may be sent now; `reached` is when the next frame is due."""
        if reached < self._limit:
            return int(self._limit)  # a burst is not finished
        now_s = self.clock()
        if now_s < self._resume_s:
            return reached - 1
        allowed = (now_s - self.started_s) * self.units_per_s
        behind_s = (allowed - reached) / self.units_per_s
        if behind_s > self.give_up_s:
            self.started_s += behind_s - BURST_S
            self.given_up_s += behind_s - BURST_S
            behind_s = BURST_S
            allowed = reached + BURST_S * self.units_per_s
        if behind_s > BURST_S:
            allowed = reached + max(0.0, BURST_S * self.units_per_s - 1)  # what is due then itself is one more
            self._resume_s = now_s + BURST_S / 2
        self._limit = allowed
        return int(allowed)

    def change(self, units_per_s: float, reached: int) -> None:
        """Go on at another rate from here; `reached` is when the next frame is due."""
        self.units_per_s = units_per_s
        self.started_s = self.clock() - reached / units_per_s
        self._limit = 0.0

    def wait_s(self, due: int) -> float:
        """Return how long to sleep until the schedule's next frame is due; not at all if it is late already."""
        now_s = self.clock()
        if now_s < self._resume_s:
            return self._resume_s - now_s
        left_s = self.started_s + due / self.units_per_s - now_s
        return min(max(left_s, LOOK_EVERY_S), LONGEST_SLEEP_S) if left_s > -LOOK_EVERY_S else 0.0


@dataclass(slots=True)
class Batch:
    """How many frames are filled at once: as many as leave within BATCH_S, by what the last ones took."""

    most: int
    frames: int = 4 * FEWEST_FRAMES

    def __post_init__(self) -> None:
        """Begin with few."""
        self.frames = min(self.frames, self.most)

    def took(self, filled: int, seconds: float) -> None:
        """Take in that so many frames took so long to be filled and to leave."""
        if seconds > BATCH_S:
            self.frames = min(self.most, max(FEWEST_FRAMES, self.frames // 2, int(filled * BATCH_S / seconds)))
        elif filled == self.frames and seconds < BATCH_S / 2:
            self.frames = min(self.most, 2 * self.frames)


@dataclass(slots=True)
class SpacingGuard:
    """Holds the schedule where going on would probe an address again too soon after the probe before has left.

    So a sender that is behind catches up by the margin of the schedule (`spacing_margin_s`) in each spacing, no more.
    """

    spacing_s: float
    tick: int
    """All ticks before it left long ago."""
    clock: Callable[[], float] = time.monotonic
    _passed: deque[tuple[float, int]] = field(default_factory=deque, init=False)
    """Times, each with the tick before which everything had left by then; the first as old as the spacing."""
    _apart_s: float = field(init=False)
    _every_s: float = field(init=False)
    _again_s: float = field(default=0.0, init=False)
    """When the next time is noted."""

    def __post_init__(self) -> None:
        """Find out what does not change: this is asked with every batch."""
        self._apart_s = self.spacing_s + min(spacing_margin_s(self.spacing_s) / 2, ON_THE_WAY_S)
        self._every_s = max(PASSED_EVERY_S, self._apart_s / PASSED_MOST)

    def passed(self, tick: int) -> None:
        """Take in that everything before `tick` has left."""
        now_s = self.clock()
        if not self._passed or now_s >= self._again_s:
            self._again_s = now_s + self._every_s
            self._passed.append((now_s, tick))

    def limit(self, lag: int) -> int:
        """Return the tick that must not begin yet; `lag` is the distance in ticks of two probes to one address."""
        old_s = self.clock() - self._apart_s
        while self._passed and self._passed[0][0] <= old_s:
            self.tick = self._passed.popleft()[1]
        return self.tick + lag
