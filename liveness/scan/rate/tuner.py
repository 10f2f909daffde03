"""The tuner of `rate: auto`: reads a scan's counters, asks the ramp, and sets the rate the senders keep to."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from liveness.errors import LivenessError
from liveness.net.links import interface_drops
from liveness.runs.course import RateSearch
from liveness.scan.plan import Plan
from liveness.scan.rate.ramp import Ramp, Sample
from liveness.scan.shared import Shared

SIGNAL_SHARE: Final = 0.05
"""What one signal changes, as ZMap's users know it."""


@dataclass(slots=True)
class Tuner:
    """The search of one scan, on the supervisor's side; `observe` several times a second."""

    plan: Plan
    shared: Shared
    interface: str
    earlier: RateSearch | None = None
    """What an earlier session of the run has found."""
    clock: Callable[[], float] = time.monotonic
    ramp: Ramp = field(init=False)
    _started_s: float = field(init=False)
    _asked: list[bool] = field(default_factory=list)
    _interface_drops: int = 0

    def __post_init__(self) -> None:
        """Begin where the plan says, or at half of what was found before: it may have become too much."""
        start_pps, limit_pps = self.plan.load.start_pps, self.plan.rate_pps
        if self.earlier is not None:
            start_pps = max(start_pps, self.earlier.found_pps / 2)
            limit_pps = min(limit_pps, self.earlier.limit_pps)
        self.ramp = Ramp(start_pps, limit_pps, len(self.plan.probes))
        self._started_s = self.clock()
        self.shared.rate_pps[0] = self.ramp.rate_pps

    def ask(self, *, faster: bool) -> None:
        """Note that somebody wants to go faster, or slower; safe in a signal handler."""
        self._asked.append(faster)

    def observe(self, lost: int = 0) -> None:
        """Look at the counters and set the rate; `lost` frames were dropped at the interface or below it so far."""
        sample = self._sample(lost)
        while self._asked:
            if self._asked.pop(0):
                self.ramp.higher(sample.time_s, SIGNAL_SHARE)
            else:
                self.ramp.lower(sample.time_s, SIGNAL_SHARE)
        rate_pps = self.ramp.update(sample)
        if self.shared.rate_pps[0] != rate_pps:
            self.shared.rate_pps[0] = rate_pps

    def measure_again(self) -> None:
        """Begin the current measurement again: what came meanwhile tells nothing of the rate."""
        self.ramp.measure_again()

    def _sample(self, lost: int) -> Sample:
        shared = self.shared
        with suppress(LivenessError):  # an interface that is gone drops nothing more; the senders will say so
            self._interface_drops = interface_drops(self.interface)
        return Sample(
            time_s=self.clock() - self._started_s,
            block=shared.blocks_drained(),
            sent=shared.sent[:, :, 0].sum(axis=0),
            hits=shared.first_replies.sum(axis=0),
            packets=int(shared.sent.sum() + shared.packets.sum()),
            drops=int(shared.kernel_drops.sum() + shared.send_errors.sum()) + self._interface_drops + lost,
            given_up_s=float(shared.given_up_s.mean()),
        )

    def record(self) -> RateSearch:
        """Return the search as the manifest keeps it."""
        ramp = self.ramp
        return RateSearch(
            found_pps=round(ramp.good_pps, 6),
            checked=ramp.checked,
            limit_pps=round(ramp.limit_pps, 6),
            limited_by=None if ramp.limited_by is None else str(ramp.limited_by),
            steps=list(ramp.steps),
        )
