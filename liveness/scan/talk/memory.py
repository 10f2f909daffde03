"""The memory of the talker: a table of recent conversations, and a log of those under way.

The table prevents a second talk with a service. The log, in order of time, finds what is due: all talks have the same
delays. Both have a fixed size. If either is full, a SYN-ACK is refused: its connection is reset, and the service is not
talked to.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64
from liveness.packets.siphash import siphash24

PLACES: Final = 1 << 17
"""Places of the table, a power of two."""
WAYS: Final = 8
LOGGED: Final = 1 << 18
"""Conversations under way, at most: 5 seconds of 50,000 SYN-ACKs a second."""
NEVER: Final = -(1 << 62)
"""A time before all others. The clock may begin with the host, so that 0 was just now."""

KEY, STARTED, STATE, OURS, NEXT, LAST_RESET, OTHER_RESET, FIELDS = range(8)
"""Columns of a conversation. KEY is 0 where there is none; NEXT is what we acknowledge. LAST_RESET is when its
connection was reset, OTHER_RESET when one of another attempt was."""
OPEN, HEARD, OVER = range(3)
"""States: our request may be lost, it was acknowledged, or the connection was reset."""

WRITTEN, REPEATED, FINISHED, SWEPT, POINTERS = range(5)
"""Numbers of conversations that were written to the log, looked at for a repeat, for their end, and for an opt-out."""
_DOMAIN: Final = 0xFFFD0000
"""With the probe's place added, takes the place of the probe code in the hash input, which no probe has."""


class Conversations(NamedTuple):
    """The memory of the talker. Times are ns of the monotonic clock."""

    table: NDArray[np.int64]  # (places, WAYS, FIELDS)
    forgotten: NDArray[np.int64]  # (places,) when the newest conversation was begun that a place has replaced
    log: NDArray[np.int64]  # (LOGGED, 5) place, way, start, repeat and KEY of conversations under way, a ring
    pointers: NDArray[np.int64]  # (POINTERS,)
    counts: NDArray[np.int64]  # COUNTS
    key: NDArray[np.uint64]  # (2,)


def conversations(key: bytes, counts: NDArray[np.int64], places: int = PLACES, logged: int = LOGGED) -> Conversations:
    """Return the memory of a talker that has not talked yet."""
    return Conversations(
        np.zeros((places, WAYS, FIELDS), np.int64),
        np.full(places, NEVER, np.int64),
        np.zeros((logged, 5), np.int64),
        np.zeros(POINTERS, np.int64),
        counts,
        np.frombuffer(key, "<u8"),
    )


@kernel
def place_of(held: Conversations, target: int, probe: int) -> int:
    """Return the place of the table where the conversation with a service is, if there is one."""
    hashed = siphash24(uint64(target) | (uint64(_DOMAIN + probe) << uint64(32)), held.key[0], held.key[1])
    return int64(hashed & uint64(len(held.table) - 1))


@kernel
def take_place(
    held: Conversations, place: int, way: int, event: NDArray[np.int64], key: int, now_ns: int, state: int
) -> None:
    """Write a new conversation to the table, in place of an old one."""
    entry = held.table[place, way]
    if entry[KEY] != 0:
        held.forgotten[place] = max(held.forgotten[place], entry[STARTED])
    entry[KEY], entry[STARTED], entry[STATE] = key, now_ns, state
    entry[OURS], entry[NEXT], entry[LAST_RESET], entry[OTHER_RESET] = event[4], event[5], 0, 0
