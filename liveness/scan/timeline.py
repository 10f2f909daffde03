"""The timeline of a run: what was sent, received and lost in each second, or in longer intervals of a long run."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from liveness.net.links import InterfaceCounters
from liveness.runs.counter_views import interval_columns, intervals
from liveness.runs.course import Timeline
from liveness.scan.shared import Shared

EVERY_S: Final = 1.0
MOST_INTERVALS: Final = 720
"""Largest number of intervals: a run of ten minutes has intervals of a second, a run of a day of a few minutes."""


@dataclass(slots=True)
class TimelineRecord:
    """Cumulative counts at the end of each interval. The caller calls `observe` whenever `due` returns True."""

    before: InterfaceCounters
    every_s: float = EVERY_S
    _rows: list[tuple[float, ...]] = field(default_factory=list)

    def due(self, elapsed_s: float) -> bool:
        """Return whether an interval has ended."""
        return elapsed_s >= (self._rows[-1][0] if self._rows else 0.0) + self.every_s

    def observe(self, elapsed_s: float, shared: Shared, now: InterfaceCounters) -> None:
        """Keep the counts at `elapsed_s` since the start; if there are too many rows, drop every second one."""
        before = self.before
        shared.nic_drops[0] = max(0, now.rx_lost - before.rx_lost)  # counters restart from zero with the interface
        shared.interface_sent[0] = max(0, now.tx_packets - before.tx_packets)
        shared.interface_received[0] = max(0, now.rx_packets - before.rx_packets)
        self._rows.append((elapsed_s, *intervals(shared).values()))
        if len(self._rows) > MOST_INTERVALS:
            self._rows = self._rows[1::2]
            self.every_s *= 2

    def record(self) -> Timeline:
        """Return the counts of each interval, as recorded in the manifest."""
        if not self._rows:
            return Timeline()
        rows = np.array(self._rows)
        totals = rows[:, 1:].astype(np.int64)
        # A sender that ends with frames in its ring subtracts them from its counts, which therefore may decrease.
        # These frames are subtracted from earlier rows, too, so that no interval has a negative count.
        totals = np.minimum.accumulate(totals[::-1], axis=0)[::-1]
        counts = np.diff(totals, axis=0, prepend=0).T.tolist()
        columns = dict(zip(interval_columns(), counts, strict=True))
        return Timeline(end_s=[round(at, 3) for at in rows[:, 0].tolist()], **columns)
