"""Readings of a running scan, one per second: counts, rates, hit rates, and the remaining time."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from liveness.scan.progress import Progress

EVERY_S: Final = 1.0
WINDOW_S: Final = 60.0
"""Time over which the pace is measured to estimate the remaining time. It includes pauses between blocks."""


@dataclass(frozen=True, slots=True)
class ProbeReading:
    """Reading of one probe: frames planned, its counters by the names shown, and frames and replies per second."""

    name: str
    planned: int
    counts: Mapping[str, int]
    sent_pps: float
    replies_pps: float

    @property
    def sent(self) -> int:
        """Frames sent."""
        return self.counts["sent"]

    @property
    def replies(self) -> int:
        """Replies accepted, duplicates included."""
        return self.counts["replies"]

    @property
    def hit_rate(self) -> float | None:
        """Replies per frame sent, None before the first frame. Duplicates raise it above the share of live targets."""
        return self.replies / self.sent if self.sent else None


@dataclass(frozen=True, slots=True)
class Reading:
    """Reading of a scan. Rates are averages since the previous reading."""

    progress: Progress
    probes: tuple[ProbeReading, ...]
    sent_pps: float
    replies_pps: float
    eta_s: float | None
    """Seconds until the last frame is sent, or None while it cannot be estimated."""

    @property
    def replies(self) -> int:
        """Replies accepted for all probes, duplicates included."""
        return sum(probe.replies for probe in self.probes)

    @property
    def hit_rate(self) -> float | None:
        """Replies per frame sent over all probes, or None before the first frame."""
        return self.replies / self.progress.sent if self.progress.sent else None

    @property
    def drops(self) -> int:
        """Packets lost on this host: in the receive ring, at the interface, and frames that were not sent."""
        counts = self.progress.counts
        return int(counts["kernel_drops"] + counts["nic_drops"] + counts["send_errors"])


@dataclass(slots=True)
class Meter:
    """Converter of snapshots to readings. A snapshot less than EVERY_S after the last one gives no reading."""

    _last: Progress | None = None
    _window: deque[tuple[float, int]] = field(default_factory=deque)
    """Times (seconds since the session's start) and frames sent until then."""

    def read(self, progress: Progress) -> Reading | None:
        """Return a reading if EVERY_S has passed or the last sender has ended, otherwise None."""
        last = self._last
        if last is not None and progress.sending and progress.elapsed_s - last.elapsed_s < EVERY_S:
            return None
        span_s = progress.elapsed_s - last.elapsed_s if last is not None else 0.0
        before = {probe.name: probe for probe in last.probes} if last is not None else {}

        def rate(now: int, then: int) -> float:
            return max(0, now - then) / span_s if span_s > 0 else 0.0

        probes = []
        for probe in progress.probes:
            then = before.get(probe.name, probe)
            pace = rate(probe.sent, then.sent), rate(probe.replies, then.replies)
            probes.append(ProbeReading(probe.name, probe.planned, probe.counts, *pace))
        self._last = progress
        return Reading(
            progress,
            tuple(probes),
            sum(probe.sent_pps for probe in probes),
            sum(probe.replies_pps for probe in probes),
            self._eta_s(progress),
        )

    def _eta_s(self, progress: Progress) -> float | None:
        remaining = max(0, progress.planned - progress.sent)
        if not progress.sending or not remaining:
            return 0.0
        self._window.append((progress.elapsed_s, progress.sent))
        while progress.elapsed_s - self._window[0][0] > WINDOW_S:
            self._window.popleft()
        first_s, first_sent = self._window[0]
        sent, span_s = progress.sent - first_sent, progress.elapsed_s - first_s
        return remaining * span_s / sent if sent > 0 else None
