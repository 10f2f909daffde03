"""The tuner of `rate: auto`: it reads the counters of a scan, updates the ramp, and sets the rate of the senders."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from liveness.errors import LivenessError
from liveness.net.links import interface_drops
from liveness.runs.course import RateSearch
from liveness.scan.plan import Plan
from liveness.scan.rate.ramp import Ramp
from liveness.scan.rate.slices import Sample
from liveness.scan.shared import Shared

SIGNAL_SHARE: Final = 0.05
"""Share by which one signal changes the rate, as in ZMap."""


@dataclass(slots=True)
class Tuner:
    """The search of one scan, in the supervisor's process, which calls `observe` several times a second."""

    plan: Plan
    shared: Shared
    interface: str
    earlier: RateSearch | None = None
    """Result of an earlier session of the run."""
    clock: Callable[[], float] = time.monotonic
    ramp: Ramp = field(init=False)
    _started_s: float = field(init=False)
    _requests: list[bool] = field(default_factory=list)
    _interface_drops: int = 0

    def __post_init__(self) -> None:
        """Begin at the planned start rate, or at half the rate found earlier, which may be too high by now."""
        start_pps, limit_pps = self.plan.load.start_pps, self.plan.rate_pps
        if self.earlier is not None:
            start_pps = max(start_pps, self.earlier.found_pps / 2)
            limit_pps = min(limit_pps, self.earlier.limit_pps)
        self.ramp = Ramp(start_pps, limit_pps, len(self.plan.probes))
        self._started_s = self.clock()
        self.shared.rate_pps[0] = self.ramp.rate_pps

    def request(self, *, faster: bool) -> None:
        """Note a request for a higher or lower rate. Safe in a signal handler."""
        self._requests.append(faster)

    def observe(self, lost: int = 0) -> None:
        """Read the counters and set the rate; `lost` frames were dropped at the interface or below it so far."""
        sample = self._sample(lost)
        while self._requests:
            if self._requests.pop(0):
                self.ramp.higher(sample.time_s, SIGNAL_SHARE)
            else:
                self.ramp.lower(sample.time_s, SIGNAL_SHARE)
        rate_pps = self.ramp.update(sample)
        if self.shared.rate_pps[0] != rate_pps:
            self.shared.rate_pps[0] = rate_pps

    def measure_again(self) -> None:
        """Restart the current measurement, because the counts since its start do not depend on the rate alone."""
        self.ramp.measure_again()

    def _sample(self, lost: int) -> Sample:
        shared = self.shared
        with suppress(LivenessError):  # an interface that is gone has no counters; the senders report it
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
        """Return the search as recorded in the manifest."""
        ramp = self.ramp
        return RateSearch(
            found_pps=round(ramp.good_pps, 6),
            checked=ramp.checked,
            limit_pps=round(ramp.limit_pps, 6),
            limited_by=None if ramp.limited_by is None else str(ramp.limited_by),
            steps=list(ramp.steps),
        )
