"""The totals of a session: its clock, the interface's counters, the timeline, and the sums of all counters."""

import time
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from msgspec import UNSET

from liveness.errors import LivenessError
from liveness.net.links import InterfaceCounters, interface_counters
from liveness.runs.checkpoint import Totals
from liveness.runs.counter_views import unrecorded
from liveness.runs.course import RateChange
from liveness.scan.losses.watch import LossWatch
from liveness.scan.path.record import PathRecord
from liveness.scan.rate.tuner import Tuner
from liveness.scan.shared import Shared
from liveness.scan.timeline import TimelineRecord


@dataclass(slots=True)
class SessionTotals:
    """The counts of a session. Its clock is the monotonic one, because the time of day may be set meanwhile."""

    interface: str
    shared: Shared
    started_s: float = field(default_factory=time.monotonic)
    tuner: Tuner | None = None
    """The tuner if the rate is searched for, else None."""
    losses: LossWatch | None = None
    """The watch that knows which of the completed frames were lost below the interface."""
    path: PathRecord = field(init=False)
    """Record of events on the path to the targets."""
    rate_changes: list[RateChange] = field(default_factory=list)
    timeline: TimelineRecord = field(init=False)
    _before: InterfaceCounters = field(init=False)
    _now: InterfaceCounters = field(init=False)

    def __post_init__(self) -> None:
        """Read the interface's counters for the first time."""
        self.path = PathRecord(self.started_s)
        self._before = self._now = interface_counters(self.interface)
        self.timeline = TimelineRecord(self._before)

    @property
    def elapsed_s(self) -> float:
        """Time in seconds since the session began."""
        return time.monotonic() - self.started_s

    @property
    def nic_drops(self) -> int:
        """Number of packets that the interface received and dropped, as of the last look."""
        return max(0, self._now.rx_lost - self._before.rx_lost)

    def change_rate(self, rate_pps: float) -> None:
        """Set the rate of senders, in packets per second of each probe, and record the change."""
        self.shared.rate_pps[0] = rate_pps
        self.rate_changes.append(RateChange(after_s=round(self.elapsed_s, 3), rate_pps=round(rate_pps, 6)))

    def look(self, *, last: bool = False) -> None:
        """Record all counters if an interval of the timeline has ended, or at the end of the session (`last`)."""
        elapsed_s = self.elapsed_s
        if last or self.timeline.due(elapsed_s):
            with suppress(LivenessError):  # an interface that was removed has no counters: keep the last ones
                self._now = interface_counters(self.interface)
            self.timeline.observe(elapsed_s, self.shared, self._now)

    def totals(self) -> Totals:
        """Return the totals of the session, as of the last look."""
        shared = self.shared
        lost = np.zeros(shared.send_errors.shape[1], np.int64)
        if self.losses is not None:
            lost = self.losses.accounts.lost_by_probe
        return Totals(
            elapsed_s=self.elapsed_s,
            frames=int(shared.completed.sum() - lost.sum()),
            errors=(shared.send_errors.sum(axis=0) + lost).tolist(),
            repaired=int(shared.repaired.sum()),
            given_up_s=round(float(shared.given_up_s.mean()), 3),
            dropped=int(shared.dropped.sum()),
            interface_frames=max(0, self._now.tx_packets - self._before.tx_packets),
            nic_drops=self.nic_drops,
            rate_changes=list(self.rate_changes),
            rate_search=None if self.tuner is None else self.tuner.record(),
            path=list(self.path.events),
            timeline=self.timeline.record(),
            counters=dict(unrecorded(shared)) or UNSET,
        )
