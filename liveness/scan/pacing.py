"""Pacing: how far the schedule may run by now, in its own virtual time, and when to look again."""

import time
from dataclasses import dataclass
from typing import Final

MAX_BURST_S: Final = 0.01
"""A sender that fell behind (a stalled process, a full ring) catches up this much at most, and gives up the rest."""
LOOK_EVERY_S: Final = 0.001
"""How long a sender sleeps when nothing is due: 1 ms of the rate is the longest burst."""
LONGEST_SLEEP_S: Final = 0.05
"""A sender at a very low rate still notices within this time that it shall stop."""


@dataclass(slots=True)
class Pacer:
    """Virtual time of one walk: `units_per_s` is the rate a probe times the number of lanes."""

    units_per_s: float
    started_s: float

    @classmethod
    def start(cls, probe_rate_pps: float, lanes: int) -> "Pacer":
        """Return a pacer whose time begins now."""
        return cls(probe_rate_pps * lanes, time.monotonic())

    def until(self, reached: int) -> int:
        """Return the virtual time up to which frames may be sent now; `reached` is how far the schedule has come."""
        allowed = (time.monotonic() - self.started_s) * self.units_per_s
        behind_s = (allowed - reached) / self.units_per_s
        if behind_s > MAX_BURST_S:
            self.started_s += behind_s - MAX_BURST_S
            allowed = reached + MAX_BURST_S * self.units_per_s
        return int(allowed)

    def sleep(self, due: int) -> None:
        """Sleep until the schedule's next frame is due, at least LOOK_EVERY_S and at most LONGEST_SLEEP_S."""
        wait_s = self.started_s + due / self.units_per_s - time.monotonic()
        time.sleep(min(max(wait_s, LOOK_EVERY_S), LONGEST_SLEEP_S))
