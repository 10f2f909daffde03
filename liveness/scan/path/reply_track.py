"""Track of the replies: counts over time, from which the moment at which the path broke is estimated."""

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

NS: Final = 1_000_000_000
SPAN_NS: Final = 2 * NS
"""Length of the spans over which replies are counted."""
REMEMBERED: Final = 128
"""Number of samples that are kept: more than ten seconds."""
LEAST_REPLIES: Final = 64
"""Fewest replies, received or expected, from which a moment can be estimated."""
LATE_NS: Final = 26_000_000
"""Longest time from a reply's arrival until it is counted: a receive ring keeps it for 20 ms if its block does not fill
(`net.rx_packet`), and its receiver may wait for a core."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Frames handed over and replies accepted until a time, in ns of the monotonic clock."""

    at_ns: int
    sent: int
    replies: int


@dataclass(slots=True)
class ReplyTrack:
    """Samples of the last seconds, ten per second."""

    _samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def note(self, at_ns: int, sent: int, replies: int) -> None:
        """Record the frames sent and the replies accepted until now."""
        self._samples.append(Sample(at_ns, sent, replies))

    def come_since(self, since_ns: int) -> bool:
        """Return whether replies now come at half the rate before `since_ns` or more."""
        if not self._samples:
            return False
        latest = self._samples[-1]
        first = next(sample for sample in self._samples if sample.at_ns >= latest.at_ns - SPAN_NS)
        before = [sample.replies for sample in self._samples if since_ns - SPAN_NS <= sample.at_ns <= since_ns]
        usual = before[-1] - before[0] if before else 0
        recent = latest.replies - first.replies
        return recent > 0 and 2 * recent >= usual

    def broken_from(self, since_ns: int, until_ns: int) -> int:
        """Return from when on probes got no reply, in an interval at whose start the path worked.

        At the earlier hit rate, the replies in the interval are those to the probes sent until the path broke. Returns
        `since_ns` if there are too few replies for an estimate.
        """
        samples = [sample for sample in self._samples if sample.at_ns <= until_ns]
        begin = next((place for place, sample in enumerate(samples) if sample.at_ns >= since_ns), len(samples))
        if begin == 0 or begin == len(samples):
            return since_ns
        oldest, start, end = samples[0], samples[begin - 1], samples[-1]
        sent, replies = start.sent - oldest.sent, start.replies - oldest.replies
        expected = (end.sent - start.sent) * replies / sent if sent > 0 else 0.0
        if replies < LEAST_REPLIES or expected < LEAST_REPLIES:
            return since_ns
        late = (
            sent * LATE_NS / max(1, start.at_ns - oldest.at_ns)
        )  # frames whose replies were on their way at the start
        reached = start.sent - late + (end.replies - start.replies) * sent / replies  # sent until the path broke
        for before, after in pairwise(samples[begin - 1 :]):
            if after.sent >= reached and after.sent > before.sent:
                share = max(0.0, (reached - before.sent) / (after.sent - before.sent))
                return max(since_ns, before.at_ns + int(share * (after.at_ns - before.at_ns)))
        return until_ns
