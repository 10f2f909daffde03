"""Arrivals of replies in shared memory: how many accepted replies had arrived at a time, by the kernel's timestamps.

A receiver reads a reply up to 20 ms after it has arrived, and later on a busy machine. Counts by the time of arrival do
not depend on that.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from liveness.scan.shared_memory import seal, shared_zeros

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCKS: Final = 4_096
"""Blocks of packets that are kept for each receiver."""
FIRST, LAST, ACCEPTED, TRIP, SEAL = range(5)
"""Columns of a block's row: arrival of its first and its last accepted reply, replies accepted so far, the mean
round-trip time of some replies in the block (-1 if unknown), and a checksum. Times are ns of the monotonic clock."""
SAMPLED: Final = 16
"""Replies of a block whose round-trip times are averaged, at most."""
UNKNOWN: Final = -1
NEVER_NS: Final = (1 << 63) - 1
"""Time from which the arrivals at a receiver are known, if none of its rows can be read yet."""
LONGEST_TRIP_NS: Final = 1_000_000_000
"""Longer round-trip times count as this long: a few slow hosts say nothing about the others."""


@dataclass(frozen=True, slots=True)
class Course:
    """Arrivals of one receiver since `since_ns`: numbers of replies at ascending times, linear between them."""

    since_ns: int
    times: "NDArray[np.int64]"
    replies: "NDArray[np.int64]"
    trips_ns: "NDArray[np.int64]"
    """Known round-trip times of the blocks."""


class Arrivals:
    """Arrivals at all receivers: each receiver writes its own rows, and the supervisor reads them."""

    def __init__(self, receivers: int, blocks: int = BLOCKS) -> None:
        self._rows: NDArray[np.int64] = shared_zeros((receivers, blocks, SEAL + 1), np.int64)
        self._written: NDArray[np.int64] = shared_zeros((receivers,), np.int64)

    def note(self, receiver: int, replies: "NDArray[np.void]", offset_ns: int, now_ns: int = NEVER_NS) -> None:
        """Record the accepted replies (REPLY_DTYPE) of a block, in the order of their arrival.

        `offset_ns` is the time of day less the time of the monotonic clock. A reply that seems to arrive after `now_ns`
        was stamped before the time of day was set back.
        """
        if len(replies) == 0:
            return
        rows = self._rows[receiver]
        number = int(self._written[receiver])
        before = int(rows[(number - 1) % len(rows), ACCEPTED]) if number else 0
        trips = replies["rtt_ns"][:: -(-len(replies) // SAMPLED)]
        known = trips[trips != UNKNOWN]
        row = rows[number % len(rows)]
        row[FIRST] = min(int(replies["time_ns"][0]) - offset_ns, now_ns)
        row[LAST] = min(int(replies["time_ns"][-1]) - offset_ns, now_ns)
        row[ACCEPTED] = before + len(replies)
        row[TRIP] = np.minimum(known, LONGEST_TRIP_NS).mean() if len(known) else UNKNOWN
        row[SEAL] = seal(number, row[:SEAL])
        self._written[receiver] = number + 1

    def since(self, since_ns: int) -> list[Course]:
        """Return the arrivals at each receiver from `since_ns` on, as far as they are kept."""
        return [self._course(rows, int(self._written[place]), since_ns) for place, rows in enumerate(self._rows)]

    @staticmethod
    def _course(rows: "NDArray[np.int64]", written: int, since_ns: int) -> Course:
        """Return the arrivals in the rows of one receiver, read from the newest back to `since_ns`."""
        found: list[list[int]] = []
        for number in range(written - 1, max(0, written - len(rows)) - 1, -1):
            row = rows[number % len(rows)].copy()
            if seal(number, row[:SEAL]) != row[SEAL]:  # overwritten meanwhile, or not visible yet
                if found:
                    break
                continue
            found.append(row.tolist())
            if row[LAST] < since_ns:
                break
        if written and not found:
            return Course(NEVER_NS, *(np.empty(0, np.int64) for _ in range(3)))
        found.reverse()
        blocks = np.array(found, np.int64).reshape(-1, SEAL + 1)
        whole = len(found) == written  # nothing is missing since the start
        complete = whole or blocks[0, LAST] < since_ns
        start = 0 if whole else blocks[0, ACCEPTED]
        before = np.concatenate([[start], blocks[:, ACCEPTED]])[: len(blocks)]
        times = np.maximum.accumulate(np.stack([blocks[:, FIRST], blocks[:, LAST]], axis=1).ravel())
        replies = np.stack([before, blocks[:, ACCEPTED]], axis=1).ravel()
        trips = blocks[:, TRIP]
        return Course(since_ns if complete else int(blocks[0, LAST]), times, replies, trips[trips != UNKNOWN])


def arrived(courses: list[Course], at_ns: int) -> float:
    """Return how many replies had arrived at all receivers at a time."""
    return sum(float(np.interp(at_ns, one.times, one.replies)) for one in courses if len(one.times))
