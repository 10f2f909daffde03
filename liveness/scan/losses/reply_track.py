"""Track of the replies: from what was sent and what came back, the moments at which a loss began and ended."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from liveness.scan.losses.order_track import OrderTrack
from liveness.scan.receive.arrivals import Arrivals, Course, arrived

NS: Final = 1_000_000_000
SPAN_NS: Final = 2 * NS
"""Length of the spans over which replies are counted."""
PAST_NS: Final = 10 * NS
"""Time before the path was last seen to work, over which the hit rate is taken."""
LEAST_REPLIES: Final = 64
"""Fewest replies, received or expected, from which a moment can be estimated."""


class _Past(NamedTuple):
    """Replies per frame before a time, and the mean round-trip time in ns; 0 if no reply carries it."""

    hit_rate: float
    trip_ns: int


@dataclass(frozen=True, slots=True)
class ReplyTrack:
    """Frames handed over and replies that arrived, over time."""

    sent: OrderTrack
    arrivals: Arrivals

    def come_since(self, since_ns: int, now_ns: int) -> bool:
        """Return whether replies now come at half the rate before `since_ns` or more."""
        courses = self.arrivals.since(min(now_ns, since_ns) - SPAN_NS)
        usual = arrived(courses, since_ns) - arrived(courses, since_ns - SPAN_NS)
        recent = arrived(courses, now_ns) - arrived(courses, now_ns - SPAN_NS)
        return recent > 0 and 2 * recent >= usual

    def broken_from(self, since_ns: int, until_ns: int) -> int | None:
        """Return from when on probes got no reply, in an interval at whose start they got replies.

        At the earlier hit rate, the replies that arrived in the interval are those to the probes sent until the path
        broke, and to those that were on their way at its start: what was sent in the last round-trip time before it.
        Returns None if there are too few replies for an estimate.
        """
        courses = self.arrivals.since(since_ns - PAST_NS)
        past = self._past(courses, since_ns)
        if past is None:
            return None
        expected = (self.sent.handed(until_ns) - self.sent.handed(since_ns)) * past.hit_rate
        if expected < LEAST_REPLIES:
            return None
        mark_ns = self.sent.marked(since_ns - past.trip_ns)
        answered = (arrived(courses, until_ns) - arrived(courses, mark_ns + past.trip_ns)) / past.hit_rate
        return self.sent.when_handed(self.sent.handed(mark_ns) + answered, since_ns, until_ns)

    def back_from(self, quiet_ns: int, now_ns: int, since_ns: int) -> int | None:
        """Return from when on probes got replies again, of which none had arrived at `quiet_ns` and some have by now.

        The hit rate is that before `since_ns`. Returns None if it is not known.
        """
        courses = self.arrivals.since(since_ns - PAST_NS)
        past = self._past(courses, since_ns)
        if past is None:
            return None
        mark_ns = self.sent.marked(now_ns - past.trip_ns)
        answered = (arrived(courses, mark_ns + past.trip_ns) - arrived(courses, quiet_ns)) / past.hit_rate
        return self.sent.when_handed(self.sent.handed(mark_ns) - answered, quiet_ns, now_ns)

    def _past(self, courses: list[Course], since_ns: int) -> _Past | None:
        """Return hit rate and round-trip time before `since_ns`, or None if too few replies arrived."""
        trips = [course.trips_ns for course in courses if len(course.trips_ns)]
        trip_ns = int(np.concatenate(trips).mean()) if trips else 0
        from_ns = max(since_ns - PAST_NS, self.sent.since_ns + trip_ns, *(course.since_ns for course in courses))
        if from_ns >= since_ns:
            return None
        begin_ns, end_ns = self.sent.marked(from_ns - trip_ns), self.sent.marked(since_ns - trip_ns)
        sent = self.sent.handed(end_ns) - self.sent.handed(begin_ns)
        replies = arrived(courses, end_ns + trip_ns) - arrived(courses, begin_ns + trip_ns)
        return _Past(replies / sent, trip_ns) if replies >= LEAST_REPLIES and sent > 0 else None
