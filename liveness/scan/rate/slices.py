"""Slices of time that the search of `rate: auto` measures: differences of counters, and what makes them unusable."""

from dataclasses import dataclass, field
from typing import Final

from liveness.scan.rate.hits import Counts

SLICE_S: Final = 0.25
MIN_SLICE_SENT: Final = 50
"""Least number of packets in a slice, of the probe that is sent most often, unless it lasts LONGEST_SLICE_S."""
LONGEST_SLICE_S: Final = 5.0
DROPS_SHARE: Final = 0.001
MIN_DROPS: Final = 10
"""Packets lost on our own side in a slice that are too many: MIN_DROPS, and DROPS_SHARE of those sent and received."""
LEAP: Final = 3
"""If a slice has more than this times the packets that the rate allows, the window restarts: a sender has continued at
the position of an earlier session."""
UNEVEN: Final = 0.5
"""If a probe is sent less than this share of the most frequent one in a slice, the window restarts: lanes begin, pause
or end, so that hits do not belong to the originals of the same time."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Counters since the start of a run, at `time_s` of any monotonic clock."""

    time_s: float
    block: int
    """Number of the block that is sent. Blocks are different populations."""
    sent: Counts
    """Originals sent, by probe."""
    hits: Counts
    """First replies, by probe: distinct targets proven to have answered an original."""
    packets: int
    """Frames sent and packets received."""
    drops: int
    """Packets lost on our own side: by rings, the interface or its driver."""
    given_up_s: float
    """Time that senders skipped because they could not keep up with the rate, averaged over senders."""


@dataclass(frozen=True, slots=True)
class Slice:
    """What was counted between two samples."""

    seconds: float
    sent: Counts
    hits: Counts
    given_up_s: float
    irregular: bool
    """Whether the probes were not sent as the rate says, so that the window of measurement must restart."""
    own_drops: bool
    """Whether too many packets were lost on our own side."""


@dataclass(slots=True)
class Slices:
    """Makes slices of samples. A block is a population of its own: no slice spans two."""

    _last: Sample | None = field(default=None, init=False)

    def restart(self) -> None:
        """Discard the slice that has begun."""
        self._last = None

    def begins_block(self, sample: Sample) -> bool:
        """Return whether a sample is the first of another block; a slice begins with it then."""
        begins = self._last is not None and sample.block != self._last.block
        if begins:
            self._last = sample
        return begins

    def take(self, sample: Sample, rate_pps: float) -> Slice | None:
        """Return the slice that a sample ends, None while it is too short; the rate has been `rate_pps` in it."""
        last = self._last
        if last is None:
            self._last = sample
            return None
        seconds, sent = sample.time_s - last.time_s, sample.sent - last.sent
        most = sent.max()
        if seconds < SLICE_S or (most < MIN_SLICE_SENT and seconds < LONGEST_SLICE_S):
            return None
        self._last = sample
        uneven = not most or sent.min() < UNEVEN * most
        leap = most > LEAP * max(rate_pps * seconds, MIN_SLICE_SENT)
        lost = sample.drops - last.drops >= max(MIN_DROPS, DROPS_SHARE * (sample.packets - last.packets))
        hits, given_up_s = sample.hits - last.hits, sample.given_up_s - last.given_up_s
        return Slice(seconds, sent, hits, given_up_s, irregular=bool(uneven or leap), own_drops=lost)
