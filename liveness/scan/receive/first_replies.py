"""First replies: a sink that counts how many targets are proven to have answered an original, as replies come in.

A table of the targets heard lately recognises duplicates. It is keyed, so that nobody can choose targets that share a
place; a place holds several targets in full, of which the one that was silent longest leaves for a new one. So hosts
that repeat their replies stay in the table, and count once.
"""

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64
from liveness.packets.siphash import siphash24
from liveness.replies import REPLY_DTYPE, Kind
from liveness.scan.receive.sink import Seat, Sink, SinkKind

if TYPE_CHECKING:
    from liveness.scan.plan import Plan

PLACES: Final = 1 << 17
"""Places of the table, a power of two."""
WAYS: Final = 8
"""Targets that a place holds: in all eight megabytes, many times what answers between a reply and its copies."""
PROBE_BITS: Final = 16
"""The lower bits of an entry: which probes its target has answered. The target lies above them."""

_ERROR: Final = int(Kind.ERROR)
_DOMAIN: Final = 0xFFFFFFFF
"""In place of the probe code in a cookie, where no probe has it: the hash tells nothing about any cookie."""


def first_replies_table(places: int = PLACES) -> NDArray[np.uint64]:
    """Return an empty table, (places, WAYS); (0, WAYS) is the table of a scan whose rate depends on no replies."""
    return np.zeros((places, WAYS), np.uint64)


@kernel
def count_first(
    replies: NDArray[np.void], heard: NDArray[np.uint64], key: NDArray[np.uint64], counts: NDArray[np.int64]
) -> None:
    """Add to `counts` (one a probe) the replies to originals, each target and probe once.

    `replies` are accepted ones, REPLY_DTYPE; `heard` is the table of those counted so far, `key` the run's, (2,). ICMP
    errors do not count: routers send so many a second, whatever the network can carry (RFC 1812, 4.3.2.8).
    """
    if len(heard) == 0:
        return
    for i in range(len(replies)):
        reply = replies[i]
        if int64(reply["attempt"]) != 0 or int64(reply["kind"]) == _ERROR:
            continue
        target, probe = int64(reply["target"]), int64(reply["probe"])
        hashed = siphash24(uint64(target) | (uint64(_DOMAIN) << uint64(32)), key[0], key[1])
        place = int64(hashed & uint64(len(heard) - 1))
        if _is_new(heard[place], target, probe):
            counts[probe] += 1


@kernel
def _is_new(entries: NDArray[np.uint64], target: int, probe: int) -> bool:
    """Note that a target answered a probe, as the latest of its place; return whether that was not known."""
    at = 0
    while at < len(entries) - 1 and int64(entries[at] >> uint64(PROBE_BITS)) != target:
        at += 1
    entry = entries[at]
    if int64(entry >> uint64(PROBE_BITS)) != target:
        entry = uint64(target) << uint64(PROBE_BITS)
    for behind in range(at, 0, -1):
        entries[behind] = entries[behind - 1]
    bit = uint64(1) << uint64(probe)
    entries[0] = entry | bit
    return bool(entry & bit == uint64(0))


class FirstReplySink(Sink):
    """The table of one receiver; it counts into the memory that the supervisor reads."""

    def __init__(self, key: bytes, counts: NDArray[np.int64], places: int = PLACES) -> None:
        self._heard = first_replies_table(places)
        self._key = np.frombuffer(key, "<u8")
        self._counts = counts

    def block(self, block: NDArray[np.uint8], packets: int, replies: NDArray[np.void]) -> None:
        """Count the first replies of a block."""
        del block, packets
        count_first(replies, self._heard, self._key, self._counts)


class FirstReplySinks(SinkKind):
    """The counts that the search for a rate (`rate: auto`) rests on."""

    def open(self, seat: Seat) -> FirstReplySink | None:
        """Return the table of one receiver, None where the rate is fixed."""
        if not seat.plan.config.rate.auto:
            return None
        return FirstReplySink(seat.plan.key, seat.shared.first_replies[seat.receiver])

    def warm_up(self, plan: "Plan") -> None:
        """Compile the kernel that counts."""
        nothing = np.zeros(0, REPLY_DTYPE)
        FirstReplySink(plan.key, np.zeros(0, np.int64), 0).block(np.zeros(0, np.uint8), 0, nothing)
