"""Track of the order: the ticks that each sender sent over time, which map an interval of time to targets."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from liveness.runs.losses import LostSpan
from liveness.scan.send.activity import Activity
from liveness.scan.shared import Shared

MARKS: Final = 9_000
"""Marks kept per sender: a quarter of an hour of sending, longer than any pause. A pause adds no marks."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Position of one sender at a time, with the frames it had handed over and those that had left the ring."""

    at_ns: int
    activity: Activity | None
    handed: int
    left: int

    def same(self, other: "Mark") -> bool:
        """Return whether nothing has moved between two marks."""
        return (self.activity, self.handed, self.left) == (other.activity, other.handed, other.left)


class OrderTrack:
    """Recent marks of all senders. Times are ns of the monotonic clock."""

    def __init__(self, senders: int) -> None:
        self._marks: tuple[deque[Mark], ...] = tuple(deque(maxlen=MARKS) for _ in range(senders))

    def note(self, now_ns: int, shared: Shared) -> None:
        """Record the position of each sender. Called several times a second."""
        for sender, marks in enumerate(self._marks):
            handed = int(shared.sent[sender].sum() + shared.repaired[sender].sum())
            left = int(shared.completed[sender] + shared.dropped[sender])
            self._add(marks, Mark(now_ns, shared.activities.now(sender), handed, left))

    @staticmethod
    def _add(marks: deque[Mark], mark: Mark) -> None:
        if marks and marks[-1].activity is not None and mark.activity is not None:  # share lists that rarely change
            last = marks[-1].activity
            if (last.lags, last.begins) == (mark.activity.lags, mark.activity.begins):
                now = mark.activity
                activity = Activity(now.block, now.tick, now.first, now.last, last.lags, last.begins)
                mark = Mark(mark.at_ns, activity, mark.handed, mark.left)
        if len(marks) > 1 and marks[-1].same(mark) and marks[-2].same(mark):
            marks.pop()  # nothing has moved: keep one mark at each end of the standstill
        marks.append(mark)

    def spans(self, start_ns: int, end_ns: int, share: float = 1.0) -> list[LostSpan]:
        """Return the spans that were sent or waiting in a ring in an interval of time, of which `share` was lost.

        Frames that were in a ring when the interval began are included.
        """
        found: list[LostSpan] = []
        for sender, marks in enumerate(self._marks):
            begun_ns = _handed_over_from(marks, start_ns)
            spans: list[LostSpan] = []
            for before, after in pairwise(marks):
                if after.at_ns <= begun_ns or before.at_ns >= end_ns:
                    continue
                for span in _between(sender, before, after, (begun_ns, end_ns), share):
                    if spans and spans[-1].overlaps(span):
                        spans[-1] = joined(spans[-1], span)
                    else:
                        spans.append(span)
            found += spans
        return found


def joined(span: LostSpan, other: LostSpan) -> LostSpan:
    """Return one span that covers two of the same walk. Its lost share is weighted by their lengths."""
    first, last = min(span.first, other.first), max(span.last, other.last)
    lost = span.share * (span.last - span.first) + other.share * (other.last - other.first)
    return LostSpan(
        sender=span.sender,
        block=span.block,
        first=first,
        last=last,
        lags=span.lags,
        begins=span.begins,
        share=min(1.0, lost / max(1, last - first)),
        margin=max(span.margin, other.margin),
        tries=max(span.tries, other.tries),
    )


def _handed_over_from(marks: Sequence[Mark], start_ns: int) -> int:
    """Return when the oldest frame was handed over that was still in the ring at `start_ns`."""
    left = None
    for before, after in reversed(list(pairwise(marks))):
        if left is None:
            if before.at_ns > start_ns:
                continue
            passed = min(1.0, (start_ns - before.at_ns) / max(1, after.at_ns - before.at_ns))
            left = before.left + int(passed * max(0, after.left - before.left))
        if before.handed <= left:
            moved = after.handed - before.handed
            share = min(1.0, (left - before.handed) / moved) if moved > 0 else 1.0
            return min(start_ns, before.at_ns + int((after.at_ns - before.at_ns) * share))
    return min(start_ns, marks[0].at_ns) if marks else start_ns


def _between(sender: int, before: Mark, after: Mark, interval: tuple[int, int], share: float) -> Iterator[LostSpan]:
    """Yield what a sender sent between two marks, limited to an interval of time by linear interpolation."""
    earlier, later = before.activity, after.activity
    if earlier is not None and later is not None and earlier.same_walk(later):
        if later.tick == earlier.tick and after.handed == before.handed:
            return
        length_ns, ticks = after.at_ns - before.at_ns, later.tick - earlier.tick
        begun = max(0.0, (interval[0] - before.at_ns) / length_ns)
        ended = min(1.0, (interval[1] - before.at_ns) / length_ns)
        first, last = earlier.tick + int(ticks * begun), earlier.tick + int(ticks * ended) + 1
        yield _span(sender, earlier, (first, last), share, ticks // 2 + 1)
        return
    if earlier is not None and earlier.tick < earlier.last:  # this walk ended between the marks
        yield _span(sender, earlier, (earlier.tick, earlier.last), share, 0)
    if later is not None:
        yield _span(sender, later, (later.first, later.tick + 1), share, 0)


def _span(sender: int, activity: Activity, ticks: tuple[int, int], share: float, margin: int) -> LostSpan:
    return LostSpan(
        sender=sender,
        block=activity.block,
        first=max(activity.first, ticks[0]),
        last=min(activity.last, ticks[1]),
        lags=list(activity.lags),
        begins=list(activity.begins),
        share=share,
        margin=margin,
    )
