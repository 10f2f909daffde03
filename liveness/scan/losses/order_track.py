"""Track of the order: the ticks that each sender sent over time, which map an interval of time to targets."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np

from liveness.runs.losses import LostSpan
from liveness.scan.losses.spans import joined
from liveness.scan.send.positions import Activity
from liveness.scan.shared import Shared

WalkKey = tuple[int, int]
"""A sender, and the number of the repair that it sent, 0 for its walk through the order."""

MARKS: Final = 18_000
"""Marks kept per sender: a quarter of an hour of sending, at two a tenth of a second. A pause adds no marks."""


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
            handed = shared.handed(sender)
            left = int(shared.completed[sender] + shared.dropped[sender])
            self._add(marks, Mark(now_ns, shared.activities.now(sender), handed, left))

    def insert(self, sender: int, at_ns: int, tick: int, handed: int) -> None:
        """Add the position that a sender itself recorded at a time, between the marks around it in the same walk."""
        marks = self._marks[sender]
        place = next((place for place, mark in enumerate(marks) if mark.at_ns > at_ns), len(marks))
        if not 0 < place < len(marks):
            return
        before, after = marks[place - 1], marks[place]
        one, two = before.activity, after.activity
        if one is None or two is None or not one.same_walk(two) or not one.tick <= tick <= two.tick:
            return
        if len(marks) == marks.maxlen:
            marks.popleft()
            place -= 1
        marks.insert(place, Mark(at_ns, replace(one, tick=tick), handed, min(handed, after.left)))

    def handed(self, at_ns: int) -> float:
        """Return how many frames all senders had handed over at a time, by interpolation between marks."""
        return sum(
            float(np.interp(at_ns, [mark.at_ns for mark in marks], [mark.handed for mark in marks]))
            for marks in self._marks
            if marks
        )

    def when_handed(self, frames: float, start_ns: int, end_ns: int) -> int:
        """Return the time in an interval at which `frames` frames had been handed over: its nearer end if outside."""
        times = {mark.at_ns for marks in self._marks for mark in marks if start_ns < mark.at_ns < end_ns}
        before_ns, before = start_ns, self.handed(start_ns)
        for at_ns in (*sorted(times), end_ns):
            handed = self.handed(at_ns)
            if handed >= frames:
                share = (frames - before) / (handed - before) if handed > before else 0.0
                return before_ns + int(max(0.0, share) * (at_ns - before_ns))
            before_ns, before = at_ns, handed
        return end_ns

    def marked(self, at_ns: int) -> int:
        """Return the time of the last mark until a time: what was handed over by then is known, not interpolated."""
        return max((mark.at_ns for marks in self._marks for mark in marks if mark.at_ns <= at_ns), default=at_ns)

    @property
    def since_ns(self) -> int:
        """Time of the oldest mark that is kept of every sender, 0 if there is none."""
        return max((marks[0].at_ns if marks else 0 for marks in self._marks), default=0)

    @staticmethod
    def _add(marks: deque[Mark], mark: Mark) -> None:
        if marks and marks[-1].activity is not None and mark.activity is not None:  # share lists that rarely change
            last = marks[-1].activity
            if (last.lags, last.begins) == (mark.activity.lags, mark.activity.begins):
                now = mark.activity
                mark = replace(mark, activity=replace(now, lags=last.lags, begins=last.begins))
        if len(marks) > 1 and marks[-1].same(mark) and marks[-2].same(mark):
            marks.pop()  # nothing has moved: keep one mark at each end of the standstill
        marks.append(mark)

    def walks(self, start_ns: int, end_ns: int, ends_ns: Sequence[int] = ()) -> dict[WalkKey, list[LostSpan]]:
        """Return the spans that were sent or waiting in a ring in an interval of time, by the walk they belong to.

        Frames that were in a ring when the interval began are included. With `ends_ns`, the interval has an end of its
        own for each sender.
        """
        found: dict[WalkKey, list[LostSpan]] = {}
        for sender, marks in enumerate(self._marks):
            until_ns = ends_ns[sender] if ends_ns else end_ns
            begun_ns = _handed_over_from(marks, start_ns)
            for before, after in pairwise(marks):
                if after.at_ns <= begun_ns or before.at_ns >= until_ns:
                    continue
                for repair, span in _between(sender, before, after, (begun_ns, until_ns)):
                    spans = found.setdefault((sender, repair), [])
                    if spans and spans[-1].overlaps(span):
                        spans[-1] = joined(spans[-1], span)
                    else:
                        spans.append(span)
        return found

    def spans(self, start_ns: int, end_ns: int) -> list[LostSpan]:
        """Return all spans that were sent or waiting in a ring in an interval of time."""
        return [span for spans in self.walks(start_ns, end_ns).values() for span in spans]


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


def _between(sender: int, before: Mark, after: Mark, interval: tuple[int, int]) -> Iterator[tuple[int, LostSpan]]:
    """Yield what a sender sent between two marks, limited to an interval of time by linear interpolation.

    With each span comes the number of the repair in which it was sent, 0 for the order itself.
    """
    earlier, later = before.activity, after.activity
    if earlier is not None and later is not None and earlier.same_walk(later):
        if later.tick == earlier.tick and after.handed == before.handed:
            return
        length_ns, ticks = after.at_ns - before.at_ns, later.tick - earlier.tick
        begun = max(0.0, (interval[0] - before.at_ns) / length_ns)
        ended = min(1.0, (interval[1] - before.at_ns) / length_ns)
        first, last = earlier.tick + int(ticks * begun), earlier.tick + int(ticks * ended) + 1
        yield earlier.repair, _span(sender, earlier, (first, last), ticks // 2 + 1)
        return
    if earlier is not None and earlier.tick < earlier.last:  # this walk ended between the marks
        yield earlier.repair, _span(sender, earlier, (earlier.tick, earlier.last), 0)
    if later is not None:
        yield later.repair, _span(sender, later, (later.first, later.tick + 1), 0)


def _span(sender: int, activity: Activity, ticks: tuple[int, int], margin: int) -> LostSpan:
    return LostSpan(
        sender=sender,
        block=activity.block,
        first=max(activity.first, ticks[0]),
        last=min(activity.last, ticks[1]),
        lags=list(activity.lags),
        begins=list(activity.begins),
        margin=margin,
    )
