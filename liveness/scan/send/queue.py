"""The queue of drawn targets: their addresses, from the newest back to the one whose last repeat is due."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64, unowned
from liveness.order.due import DRAWN, FROM, Due
from liveness.space.intervals import Intervals
from liveness.space.lookup import address_of, is_within

NOBODY: Final = 0
"""Stands in the queue in place of a target that was withdrawn: 0.0.0.0 is nobody's address (RFC 1122, 3.2.1.3)."""
SWEPT: Final = 1 << 18
"""Places of the queue that are looked through at once: a few megabytes."""


class TargetQueue(NamedTuple):
    """Addresses by position, the target list that gives them, and the withdrawn ones, as kernels take them."""

    addresses: NDArray[np.uint32]  # a ring: its length is a power of two
    first: NDArray[np.uint32]  # the target list: first addresses of its intervals
    before: NDArray[np.uint64]  # and how many targets lie before each
    withdrawn_first: NDArray[np.uint32]  # addresses that are sent nothing any more, as sorted, disjoint intervals
    withdrawn_last: NDArray[np.uint32]


def queue_of(listed: Intervals, places: int, withdrawn: Intervals) -> TargetQueue:
    """Return an empty queue of at least so many places, over a target list."""
    ring = np.zeros(1 << places.bit_length(), np.uint32)
    return TargetQueue(ring, listed.first, listed.cumulative, withdrawn.first, withdrawn.last)


def withdraw(queue: TargetQueue, withdrawn: Intervals) -> TargetQueue:
    """Return the queue without `withdrawn` targets: nothing is sent to them, repeats of earlier probes included.

    Those addresses keep their positions, so that every other target is probed at the same time as otherwise.
    """
    for part in np.array_split(queue.addresses, -(-len(queue.addresses) // SWEPT)):
        part[withdrawn.contains(part)] = NOBODY
    return queue._replace(withdrawn_first=withdrawn.first, withdrawn_last=withdrawn.last)


@kernel
def take_drawn(queue: TargetQueue, due: Due) -> None:
    """Put the targets that an order has drawn into the queue: each index becomes its address, or NOBODY."""
    queue, due = unowned(queue), unowned(due)
    mask, begin = len(queue.addresses) - 1, due.counts[FROM]
    withdrawn = len(queue.withdrawn_first) > 0
    for i in range(due.counts[DRAWN]):
        address = address_of(uint64(due.drawn[i]), queue.first, queue.before)
        if withdrawn and is_within(int64(address), queue.withdrawn_first, queue.withdrawn_last):
            address = uint64(NOBODY)
        queue.addresses[(begin + i) & mask] = address


@kernel
def has_gaps(queue: TargetQueue, position: int, count: int) -> bool:
    """Return whether one of `count` targets from a position on was withdrawn."""
    mask = len(queue.addresses) - 1
    gaps = False
    for i in range(count):
        gaps |= queue.addresses[(position + i) & mask] == NOBODY
    return gaps
