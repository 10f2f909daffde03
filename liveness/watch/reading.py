"""Owns what can be read off a running scan once a second: counts, rates, hit rates, and how long it will take."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from liveness.scan.progress import Progress

EVERY_S: Final = 1.0
WINDOW_S: Final = 60.0
"""The time to the end is reckoned by the pace of the last minute: pauses between blocks are in it."""


@dataclass(frozen=True, slots=True)
class ProbeReading:
    """One probe: frames planned, its counters by the names they are shown under, frames and replies a second."""

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
        """Replies a frame sent, None before the first: near the share of targets that answer, higher in floods."""
        return self.replies / self.sent if self.sent else None


@dataclass(frozen=True, slots=True)
class Reading:
    """A scan as it stands; rates are those since the reading before."""

    progress: Progress
    probes: tuple[ProbeReading, ...]
    sent_pps: float
    replies_pps: float
    eta_s: float | None
    """Seconds until the last frame leaves, None as long as nothing tells."""

    @property
    def replies(self) -> int:
        """Replies accepted for all probes."""
        return sum(probe.replies for probe in self.probes)

    @property
    def hit_rate(self) -> float | None:
        """Replies a frame sent, all probes together."""
        return self.replies / self.progress.sent if self.progress.sent else None

    @property
    def drops(self) -> int:
        """Packets lost on this host: in the receive ring, by the interface, and frames that never left."""
        counts = self.progress.counts
        return int(counts["kernel_drops"] + counts["nic_drops"] + counts["send_errors"])


@dataclass(slots=True)
class Meter:
    """Makes readings of snapshots; a snapshot that comes too early makes none."""

    _last: Progress | None = None
    _window: deque[tuple[float, int]] = field(default_factory=deque)
    """Times and frames sent by then."""

    def read(self, progress: Progress) -> Reading | None:
        """Return a reading if it is time for one, as it is when the last sender has ended."""
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
