"""Track of the replies: how many came by when, so that the moment at which the way broke is known from what came."""

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

NS: Final = 1_000_000_000
SPAN_NS: Final = 2 * NS
"""Replies are counted over such spans."""
REMEMBERED: Final = 128
"""Samples: more than ten seconds."""
LEAST_REPLIES: Final = 64
"""Fewer replies, or fewer that are expected, say nothing about a moment."""
LATE_NS: Final = 20_000_000
"""How long a receive ring may hold a reply until its block is full (`net.rx_packet`)."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What had been handed over and what had been accepted at one time, in ns of the monotonic clock."""

    at_ns: int
    sent: int
    replies: int


@dataclass(slots=True)
class ReplyTrack:
    """Samples of the last while, ten a second."""

    _samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def note(self, at_ns: int, sent: int, replies: int) -> None:
        """Note what was sent and accepted until now."""
        self._samples.append(Sample(at_ns, sent, replies))

    def come_since(self, since_ns: int) -> bool:
        """Return whether replies come lately at half the rate of before `since_ns` or more."""
        if not self._samples:
            return False
        latest = self._samples[-1]
        first = next(sample for sample in self._samples if sample.at_ns >= latest.at_ns - SPAN_NS)
        before = [sample.replies for sample in self._samples if since_ns - SPAN_NS <= sample.at_ns <= since_ns]
        usual = before[-1] - before[0] if before else 0
        lately = latest.replies - first.replies
        return lately > 0 and 2 * lately >= usual

    def broken_from(self, since_ns: int, until_ns: int) -> int:
        """Return from when on what was sent got no reply, in an interval at whose beginning the way was whole.

        The replies in it, at the hit rate of before, are those to what was sent until the way broke. `since_ns` where
        there are too few of them to know.
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
        reached = start.sent - late + (end.replies - start.replies) * sent / replies  # sent until the way broke
        for before, after in pairwise(samples[begin - 1 :]):
            if after.sent >= reached and after.sent > before.sent:
                share = max(0.0, (reached - before.sent) / (after.sent - before.sent))
                return max(since_ns, before.at_ns + int(share * (after.at_ns - before.at_ns)))
        return until_ns
