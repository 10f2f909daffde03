"""The queue of drawn targets: their addresses, from the newest target back to the one whose last repeat is due."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, unowned
from liveness.order.due import DRAWN, FROM, Due
from liveness.space.intervals import Intervals
from liveness.space.lookup import addresses_of, is_within

NO_TARGET: Final = 0
"""Stands in the queue for a withdrawn target: 0.0.0.0 is not the address of any host (RFC 1122, section 3.2.1.3)."""
SWEPT: Final = 1 << 18
"""Number of places of the queue that are checked at once, which bounds the memory needed to a few megabytes."""


AT_ONCE: Final = 128
"""Number of targets whose addresses are looked up together: enough for their loads from memory to overlap."""


class TargetQueue(NamedTuple):
    """Addresses by position, the target list, and the withdrawn addresses, in the form that kernels take."""

    addresses: NDArray[np.uint32]  # a circular buffer: its length is a power of two
    first: NDArray[np.uint32]  # the target list: first addresses of its intervals
    before: NDArray[np.uint64]  # the number of targets before each interval
    withdrawn_first: NDArray[np.uint32]  # addresses that must not be probed any more, as sorted, disjoint intervals
    withdrawn_last: NDArray[np.uint32]


def queue_of(listed: Intervals, places: int, withdrawn: Intervals) -> TargetQueue:
    """Return an empty queue of at least `places` places for targets of `listed`."""
    ring = np.zeros(1 << places.bit_length(), np.uint32)
    return TargetQueue(ring, listed.first, listed.cumulative, withdrawn.first, withdrawn.last)


def withdraw(queue: TargetQueue, withdrawn: Intervals) -> TargetQueue:
    """Return the queue without `withdrawn` targets: they get no more probes, and no repeats of earlier ones.

    Their positions stay in the queue, so that the times of probes to other targets do not change.
    """
    for part in np.array_split(queue.addresses, -(-len(queue.addresses) // SWEPT)):
        part[withdrawn.contains(part)] = NO_TARGET
    return queue._replace(withdrawn_first=withdrawn.first, withdrawn_last=withdrawn.last)


@kernel
def take_drawn(queue: TargetQueue, due: Due) -> None:
    """Put newly drawn targets into the queue: convert each index to its address, or to NO_TARGET if it is withdrawn."""
    queue, due = unowned(queue), unowned(due)
    mask, begin, drawn = len(queue.addresses) - 1, due.counts[FROM], due.counts[DRAWN]
    withdrawn = len(queue.withdrawn_first) > 0
    addresses = np.empty(AT_ONCE, np.uint32)
    for at in range(0, drawn, AT_ONCE):
        count = min(AT_ONCE, drawn - at)
        addresses_of(due.drawn[at : at + count], queue.first, queue.before, addresses[:count])
        for i in range(count):
            address = addresses[i]
            if withdrawn and is_within(int64(address), queue.withdrawn_first, queue.withdrawn_last):
                address = np.uint32(NO_TARGET)
            queue.addresses[(begin + at + i) & mask] = address  # the length is a power of two: & mask is the modulo


@kernel
def has_gaps(queue: TargetQueue, position: int, count: int) -> bool:
    """Return whether any of `count` targets from a position on was withdrawn."""
    mask = len(queue.addresses) - 1
    gaps = False
    for i in range(count):  # without a branch, so that the loop can be vectorised
        gaps |= queue.addresses[(position + i) & mask] == NO_TARGET
    return gaps
