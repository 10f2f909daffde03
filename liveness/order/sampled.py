"""Samples of a target list: the addresses that a run probes if it takes only the first targets of its order."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64
from liveness.order.permutation import Permutation, Shard, next_element
from liveness.space.intervals import Intervals, union
from liveness.space.lookup import address_of, is_within
from liveness.space.targets import Targets

DEFAULT_PREFIX: Final = 3
"""Block prefix of a config that does not set one."""


def probed_within(
    listed: Intervals, planned: int, seed: int, block_prefix: int, part: Intervals, *, index: int = 0, shards: int = 1
) -> int:
    """Return how many of a run's targets lie in a part of the address space.

    `planned` of the listed addresses are targets: all of them, or the first ones in the permutation of each block. The
    run is shard `index` of `shards`.
    """
    if planned >= listed.count and shards == 1:
        return listed.intersection(part).count
    return sum(
        count_within(walk, block, part, targets=quota, index=index, shards=shards)
        for walk, block, quota in _blocks_with(listed, planned, seed, block_prefix, part)
    )


def probed_addresses(
    listed: Intervals, planned: int, seed: int, block_prefix: int, part: Intervals, *, index: int = 0, shards: int = 1
) -> Intervals:
    """Return the targets of a run that lie in a part of the address space: see `probed_within`."""
    return union(
        addresses_within(walk, block, part, targets=quota, index=index, shards=shards)
        for walk, block, quota in _blocks_with(listed, planned, seed, block_prefix, part)
    )


def _blocks_with(
    listed: Intervals, planned: int, seed: int, block_prefix: int, part: Intervals
) -> Iterator[tuple[Permutation, Intervals, int]]:
    """Yield permutation, addresses and number of targets of each block that has any of a part of the address space."""
    if planned <= 0 or not len(part):
        return
    targets = Targets.build(listed, Intervals.empty(), lab=True)
    for block, quota in zip(
        targets.blocks(block_prefix), targets.limit(min(planned, listed.count), block_prefix).tolist(), strict=True
    ):
        if quota and len(block.intervals.intersection(part)):
            yield Permutation.of_block(block.intervals.count, seed, block.name), block.intervals, quota


def count_within(
    walk: Permutation, listed: Intervals, part: Intervals, *, targets: int, index: int = 0, shards: int = 1
) -> int:
    """Return how many targets of a shard lie in a part of the address space.

    The shard has every `shards`-th element of the permutation of the addresses `listed`, see `Permutation.shard`.
    """
    inside = listed.intersection(part)
    if not len(inside) or (targets >= listed.count and shards == 1):
        return inside.count
    return _within(walk.shard(index, shards, targets), listed, inside, np.zeros(0, np.uint32))


def addresses_within(
    walk: Permutation, listed: Intervals, part: Intervals, *, targets: int, index: int = 0, shards: int = 1
) -> Intervals:
    """Return the targets of a shard that lie in a part of the address space: see `count_within`."""
    inside = listed.intersection(part)
    if not len(inside) or (targets >= listed.count and shards == 1):
        return inside
    shard = walk.shard(index, shards, targets)
    found = np.zeros(min(inside.count, shard.elements), np.uint32)
    addresses = np.sort(found[: _within(shard, listed, inside, found)])
    return Intervals.from_bounds(addresses, addresses)


def _within(shard: Shard, listed: Intervals, inside: Intervals, found: NDArray[np.uint32]) -> int:
    return int(
        _find_within(
            uint64(shard.start),
            uint64(shard.step),
            uint64(shard.prime),
            shard.count,
            shard.elements,
            listed.first,
            listed.cumulative,
            inside.first,
            inside.last,
            found,
        )
    )


@kernel
def _find_within(
    start: int,
    step: int,
    prime: int,
    count: int,
    elements: int,
    first: NDArray[np.uint32],
    before: NDArray[np.uint64],
    part_first: NDArray[np.uint32],
    part_last: NDArray[np.uint32],
    found: NDArray[np.uint32],
) -> int:
    """Return how many targets of a shard lie in sorted, disjoint intervals; write the first of them to `found`."""
    element = start
    inside = 0
    for _ in range(elements):
        if element <= uint64(count):  # larger elements are no targets
            address = int64(address_of(element - uint64(1), first, before))
            if is_within(address, part_first, part_last):
                if inside < len(found):
                    found[inside] = address
                inside += 1
        element = next_element(element, step, prime)
    return inside
