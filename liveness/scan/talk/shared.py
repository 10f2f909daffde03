"""Memory shared by the receivers and the talker: rings of events and verdicts, flags and counts.

Each ring has one writer and one reader. The writer stores a row and then the number of rows written; the reader takes
rows up to that number and then stores the number of rows read (`kernel.fence` between the two stores).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import fence
from liveness.scan.shared_memory import shared_zeros

EVENT, TARGET, PROBE, ATTEMPT, OURS, SEQUENCE, ACKNOWLEDGMENT, ARRIVED, WIDTH = range(9)
"""Columns of an event. OURS is our address, SEQUENCE what we acknowledge, ACKNOWLEDGMENT what the peer did. ARRIVED is
the time of arrival by the kernel, ns since 1970."""
OPENED, SHUT, ACKNOWLEDGED, SPOKE, ENDED, RESET = range(6)
"""Events: a SYN-ACK, one with a window of zero, an acknowledgment of the request, data, a FIN and an RST."""
EVENTS: Final = 1 << 16
"""Events of one receiver that wait for the talker, at most: several seconds of SYN-ACKs."""

VERDICT_TARGET, VERDICT_PROBE, VERDICT_ATTEMPT, VERDICT_WIDTH = range(4)
VERDICTS: Final = 1 << 16

COUNTS: Final = (
    *("talks", "repeats", "resets", "refused", "lost_events", "lost_verdicts"),
    *("no_room", "unsure", "withdrawn", "late", "held_back", "refused_withdrawn"),
)
"""What the manifest counts:

- talks: requests (or bare acknowledgments) sent; repeats: those sent again; resets: connections reset.
- refused: SYN-ACKs that were not talked to although they could be. Among them no_room: the memory was full; unsure: the
  service may have been talked to before; refused_withdrawn: the target was withdrawn. The others came after the end of
  the scan.
- lost_events, lost_verdicts: rows that found a ring full.
- withdrawn: talks that ended, and SYN-ACKs that were refused, because the target had opted out or was left out.
- late: requests that left more than LATE_NS after their SYN-ACK had arrived.
- held_back: resets that were not sent because the connection had been reset just before.
"""
TALKS, REPEATS, RESETS, REFUSED, LOST_EVENTS, LOST_VERDICTS = range(6)
NO_ROOM, UNSURE, WITHDRAWN, LATE, HELD_BACK, REFUSED_GONE = range(6, len(COUNTS))
LATE_NS: Final = 1_000_000_000


class TalkShared:
    """The memory of the talks of one session."""

    def __init__(self, receivers: int, events: int = EVENTS, verdicts: int = VERDICTS) -> None:
        self.events: NDArray[np.int64] = shared_zeros((receivers, events, WIDTH), np.int64)
        self.written: NDArray[np.int64] = shared_zeros((receivers,), np.int64)
        self.read: NDArray[np.int64] = shared_zeros((receivers,), np.int64)
        self.lost: NDArray[np.int64] = shared_zeros((receivers,), np.int64)
        """Events that found the ring full, by receiver."""
        self.verdicts: NDArray[np.int64] = shared_zeros((verdicts, VERDICT_WIDTH), np.int64)
        """Targets that stayed mute, from the talker to the first receiver."""
        self.given: NDArray[np.int64] = shared_zeros((1,), np.int64)
        self.taken: NDArray[np.int64] = shared_zeros((1,), np.int64)
        self.flags: NDArray[np.int64] = shared_zeros((2,), np.int64)
        self.counts: NDArray[np.int64] = shared_zeros((len(COUNTS),), np.int64)
        """COUNTS, written by the talker; LOST_EVENTS stays 0 there, since receivers count those."""
        self.under_way: NDArray[np.int64] = shared_zeros((1,), np.int64)
        """Talks that are not over yet, written by the talker."""
        self.resumed = False
        """Whether an earlier session of the run may have talked to services. Set before the talker begins."""

    @property
    def finishing(self) -> bool:
        """Whether no new talk may begin, because the scan has ended; talks under way come to their end."""
        return bool(self.flags[0])

    def finish(self) -> None:
        """Let no new talk begin."""
        self.flags[0] = 1

    @property
    def aborted(self) -> bool:
        """Whether all talks have to end at once."""
        return bool(self.flags[1])

    def abort(self) -> None:
        """End all talks at once."""
        self.flags[1] = 1

    @property
    def backlog(self) -> int:
        """Frames that are still to be sent, at most: a reset for each event, a repeat and a reset for each talk."""
        return int((self.written - self.read).sum()) + 2 * self.under_way.item()

    def take_verdicts(self) -> NDArray[np.int64]:
        """Return the verdicts since the last call, (verdicts, VERDICT_WIDTH)."""
        begin, end = self.taken.item(), self.given.item()
        fence()
        rows = self.verdicts[np.arange(begin, end) % len(self.verdicts)]
        fence()
        self.taken[0] = end
        return rows

    def give_verdicts(self, rows: NDArray[np.int64]) -> None:
        """Hand verdicts to the first receiver; those that find no room are counted."""
        begin = self.given.item()
        room = len(self.verdicts) - (begin - self.taken.item())
        self.counts[LOST_VERDICTS] += max(0, len(rows) - room)
        rows = rows[:room]
        self.verdicts[np.arange(begin, begin + len(rows)) % len(self.verdicts)] = rows
        fence()
        self.given[0] = begin + len(rows)

    def totals(self) -> NDArray[np.int64]:
        """Return the COUNTS of this session so far."""
        totals = self.counts.copy()
        totals[LOST_EVENTS] += self.lost.sum()
        return totals
