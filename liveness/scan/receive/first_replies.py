"""Sink that counts the targets proven to have answered a first attempt, while replies come in.

A table of recently seen targets recognises duplicates. A place of the table is chosen by a keyed hash, so that an
attacker cannot choose targets that share a place. Each place holds WAYS targets in full and replaces the one that has
been silent longest. Hosts that repeat their replies therefore stay in the table and are counted once.
"""

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64
from liveness.packets.siphash import siphash24
from liveness.replies import REPLY_DTYPE, Kind
from liveness.scan.receive.sink import Sink, SinkContext, SinkKind

if TYPE_CHECKING:
    from liveness.scan.plan import Plan

PLACES: Final = 1 << 17
"""Places of the table, a power of two."""
WAYS: Final = 8
"""Targets per place. The table takes 8 MB and holds far more targets than answer between a reply and its copies."""
PROBE_BITS: Final = 16
"""Lower bits of an entry: the probes that its target has answered. The higher bits are the target's address."""

_ERROR: Final = int(Kind.ERROR)
_DOMAIN: Final = 0xFFFFFFFF
"""Takes the place of the probe code in the hash input. No probe has this code, so the hash reveals no cookie."""


def first_replies_table(places: int = PLACES) -> NDArray[np.uint64]:
    """Return an empty table, (places, WAYS); (0, WAYS) for a scan whose rate does not depend on replies."""
    return np.zeros((places, WAYS), np.uint64)


@kernel
def count_first(
    replies: NDArray[np.void], heard: NDArray[np.uint64], key: NDArray[np.uint64], counts: NDArray[np.int64]
) -> None:
    """Add replies to first attempts to `counts` (one per probe), each pair of target and probe once.

    `replies` are accepted replies (REPLY_DTYPE), `heard` is the table of those counted so far (modified), `key` is the
    key of the run, (2,) uint64. ICMP errors are not counted: routers send them at a fixed rate that does not depend on
    what the network can carry (RFC 1812, 4.3.2.8).
    """
    if len(heard) == 0:  # the rate of this scan is fixed: nothing is counted
        return
    for i in range(len(replies)):
        reply = replies[i]
        # Repeats would count a target again, and a reply to a repeat does not show that the first attempt arrived.
        if int64(reply["attempt"]) != 0 or int64(reply["kind"]) == _ERROR:
            continue
        target, probe = int64(reply["target"]), int64(reply["probe"])
        hashed = siphash24(uint64(target) | (uint64(_DOMAIN) << uint64(32)), key[0], key[1])
        place = int64(hashed & uint64(len(heard) - 1))  # the number of places is a power of two
        if _is_new(heard[place], target, probe):
            counts[probe] += 1


@kernel
def _is_new(entries: NDArray[np.uint64], target: int, probe: int) -> bool:
    """Move a target to the front of its place and set the bit of a probe; return whether the bit was not set before."""
    at = 0  # find the target; if it is not there, stop at the last entry, which is the one to replace
    while at < len(entries) - 1 and int64(entries[at] >> uint64(PROBE_BITS)) != target:
        at += 1
    entry = entries[at]
    if int64(entry >> uint64(PROBE_BITS)) != target:
        entry = uint64(target) << uint64(PROBE_BITS)  # a new target, which has answered no probe yet
    for place in range(at, 0, -1):  # keep entries ordered by the time of their last reply, newest first
        entries[place] = entries[place - 1]
    bit = uint64(1) << uint64(probe)
    entries[0] = entry | bit
    return bool(entry & bit == uint64(0))


class FirstReplySink(Sink):
    """Table of one receiver. It counts into memory that the supervisor reads."""

    def __init__(self, key: bytes, counts: NDArray[np.int64], places: int = PLACES) -> None:
        self._heard = first_replies_table(places)
        self._key = np.frombuffer(key, "<u8")
        self._counts = counts

    def block(self, block: NDArray[np.uint8], packets: int, replies: NDArray[np.void]) -> None:
        """Count the first replies of a block."""
        del block, packets
        count_first(replies, self._heard, self._key, self._counts)


class FirstReplySinks(SinkKind):
    """Counts of first replies, which the search for a rate (`rate: auto`) uses."""

    def open(self, context: SinkContext) -> FirstReplySink | None:
        """Return the table of one receiver, or None if the rate is fixed."""
        if not context.plan.config.rate.auto:
            return None
        return FirstReplySink(context.plan.key, context.shared.first_replies[context.receiver])

    def warm_up(self, plan: "Plan") -> None:
        """Compile the kernel that counts."""
        nothing = np.zeros(0, REPLY_DTYPE)
        FirstReplySink(plan.key, np.zeros(0, np.int64), 0).block(np.zeros(0, np.uint8), 0, nothing)
