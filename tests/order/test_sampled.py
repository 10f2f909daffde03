"""Targets of samples within a part of the address space, against the order that a run has."""

from hypothesis import given, settings
from hypothesis import strategies as st

from liveness.order.permutation import Permutation
from liveness.order.sampled import probed_within
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets

BOUNDS = st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 300)), min_size=1, max_size=5)


def intervals(bounds: list[tuple[int, int]]) -> Intervals:
    return Intervals.from_bounds([first for first, _ in bounds], [first + size for first, size in bounds])


@settings(max_examples=60)
@given(BOUNDS, BOUNDS, st.floats(0, 1.2), st.integers(0, 99), st.sampled_from([3, 23, 24]))
def test_it_is_the_count_over_the_order_of_the_run(
    allow: list[tuple[int, int]], part: list[tuple[int, int]], share: float, seed: int, prefix: int
) -> None:
    listed, wanted = intervals(allow), intervals(part)
    planned = min(listed.count, round(share * listed.count))
    targets = Targets.build(listed, Intervals.empty(), lab=True)
    probed: set[int] = set()
    for block, quota in zip(targets.blocks(prefix), targets.limit(planned, prefix).tolist(), strict=True):
        order = Permutation.of_block(block.intervals.count, seed, block.name).shard(0, 1).indices()
        probed.update(block.intervals.address_at(order[:quota]).tolist())
    assert len(probed) == planned
    inside = {address for first, size in part for address in range(first, first + size + 1)}
    assert probed_within(listed, planned, seed, prefix, wanted) == len(probed & inside)
