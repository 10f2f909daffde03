"""Samples of a target list: the addresses that a run probes if it takes only the first targets of its order."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64
from liveness.order.permutation import Permutation, next_element
from liveness.space.intervals import Intervals
from liveness.space.lookup import address_of, is_within
from liveness.space.targets import Targets

DEFAULT_PREFIX: Final = 3
"""Block prefix of a config that does not set one."""


def probed_within(listed: Intervals, planned: int, seed: int, block_prefix: int, part: Intervals) -> int:
    """Return how many of a run's targets lie in a part of the address space.

    `planned` of the listed addresses are targets: all of them, or the first ones in the permutation of each block.
    """
    if planned >= listed.count:
        return listed.intersection(part).count
    if planned <= 0 or not len(part):
        return 0
    targets = Targets.build(listed, Intervals.empty(), lab=True)
    found = 0
    for block, quota in zip(targets.blocks(block_prefix), targets.limit(planned, block_prefix).tolist(), strict=True):
        if quota and len(block.intervals.intersection(part)):
            walk = Permutation.of_block(block.intervals.count, seed, block.name)
            found += count_first(walk, quota, block.intervals, part)
    return found


def count_first(walk: Permutation, quota: int, targets: Intervals, part: Intervals) -> int:
    """Return how many of the first `quota` targets of a block's permutation lie in a part of the address space."""
    if quota >= targets.count:
        return targets.intersection(part).count
    if not len(targets.intersection(part)):
        return 0
    return int(
        _count_first(
            uint64(walk.start),
            uint64(walk.generator),
            uint64(walk.prime),
            walk.count,
            quota,
            targets.first,
            targets.cumulative,
            part.first,
            part.last,
        )
    )


@kernel
def _count_first(
    start: int,
    step: int,
    prime: int,
    count: int,
    wanted: int,
    first: NDArray[np.uint32],
    before: NDArray[np.uint64],
    part_first: NDArray[np.uint32],
    part_last: NDArray[np.uint32],
) -> int:
    """Return how many of the first `wanted` targets of a permutation lie in sorted, disjoint intervals."""
    element = start
    found = 0
    while wanted > 0:
        if element <= uint64(count):  # larger elements are no targets
            wanted -= 1
            if is_within(int64(address_of(element - uint64(1), first, before)), part_first, part_last):
                found += 1
        element = next_element(element, step, prime)
    return found
