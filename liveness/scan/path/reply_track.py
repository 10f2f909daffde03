"""Track of the replies: from what was sent and what came back, the moment at which the path broke is estimated."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from liveness.scan.losses.order_track import OrderTrack
from liveness.scan.receive.arrivals import Arrivals, arrived

NS: Final = 1_000_000_000
SPAN_NS: Final = 2 * NS
"""Length of the spans over which replies are counted."""
PAST_NS: Final = 10 * NS
"""Time before the path was last seen to work, over which the hit rate is taken."""
LEAST_REPLIES: Final = 64
"""Fewest replies, received or expected, from which a moment can be estimated."""


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

    def broken_from(self, since_ns: int, until_ns: int) -> int:
        """Return from when on probes got no reply, in an interval at whose start the path worked.

        At the earlier hit rate, the replies that arrived in the interval are those to the probes sent until the path
        broke, and to those that were on their way at its start: what was sent in the last round-trip time before it.
        Returns `since_ns` if there are too few replies for an estimate.
        """
        courses = self.arrivals.since(since_ns - PAST_NS)
        trips = [one.trips_ns for one in courses if len(one.trips_ns)]
        trip_ns = int(np.concatenate(trips).mean()) if trips else 0
        from_ns = max(since_ns - PAST_NS, self.sent.since_ns + trip_ns, *(one.since_ns for one in courses))
        if from_ns >= since_ns:
            return since_ns
        reached = self.sent.handed(since_ns - trip_ns)
        sent = reached - self.sent.handed(from_ns - trip_ns)
        past = arrived(courses, since_ns) - arrived(courses, from_ns)
        hit_rate = past / sent if sent > 0 else 0.0
        expected = (self.sent.handed(until_ns) - self.sent.handed(since_ns)) * hit_rate
        if past < LEAST_REPLIES or expected < LEAST_REPLIES:
            return since_ns
        reached += (arrived(courses, until_ns) - arrived(courses, since_ns)) / hit_rate
        return self.sent.when_handed(reached, since_ns, until_ns)
