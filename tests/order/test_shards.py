"""Shards of an order: how many targets each has, and which, against walks of the whole permutation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveness.order.block import Block
from liveness.order.logarithm import exponents_of
from liveness.order.once_per_block import OncePerBlock
from liveness.order.order import Share
from liveness.order.permutation import Permutation, prime_above
from liveness.space.intervals import Intervals


@given(st.integers(2, 5_000), st.integers(0, 100))
def test_exponents_are_those_of_a_walk(count: int, seed: int) -> None:
    walk = Permutation.of_block(count, seed, "10.0.0.0/8")
    powers = [pow(walk.generator, exponent, walk.prime) for exponent in range(walk.prime - 1)]
    found = exponents_of(np.array(powers, np.uint64), walk.generator, walk.prime)
    assert found.tolist() == list(range(walk.prime - 1))


@given(st.integers(1 << 28, 1 << 31), st.lists(st.integers(1, 1 << 31), min_size=1, max_size=20))
@settings(max_examples=10, deadline=None)
def test_exponents_in_a_group_of_the_size_of_a_census_give_their_elements(count: int, numbers: list[int]) -> None:
    walk = Permutation.of_block(count, 3, "0.0.0.0/1")
    elements = [number % (walk.prime - 1) + 1 for number in numbers]
    found = exponents_of(np.array(elements, np.uint64), walk.generator, walk.prime)
    assert [pow(walk.generator, int(exponent), walk.prime) for exponent in found] == elements


@given(st.integers(1, 3_000), st.integers(1, 9), st.integers(0, 50), st.floats(0, 1))
def test_shards_know_how_many_targets_they_have(count: int, shards: int, seed: int, part: float) -> None:
    walk = Permutation.of_block(count, seed, "10.0.0.0/8")
    for targets in (None, max(1, round(part * count))):
        walked = [walk.shard(index, shards, targets).indices() for index in range(shards)]
        known = [walk.targets_in(index, shards, targets) for index in range(shards)]
        assert known == [len(indices) for indices in walked]
        together = np.sort(np.concatenate(walked))
        assert together.tolist() == np.sort(walk.shard(0, 1, targets).indices()).tolist()


@given(st.integers(1, 2_000), st.integers(1, 5), st.integers(1, 3), st.floats(0, 1))
def test_senders_of_all_machines_have_what_their_machine_has(
    count: int, machines: int, senders: int, part: float
) -> None:
    quota = max(1, round(part * count))
    listed = Intervals.from_bounds([1_000], [1_000 + count - 1])
    of_all = []
    for machine in range(machines):
        block = Block("10.0.0.0/8", listed, quota, 7, machine, machines)
        order = OncePerBlock((block,), probes=2, attempts=1, queue=5, spacing_s=0.0, rate_pps=1.0)
        own = []
        for sender in range(senders):
            share = Share(sender, senders, machine, machines)
            indices = block.permutation.shard(share.index, share.of, quota).indices()
            assert len(indices) <= order.most_targets(0, share)
            own += indices.tolist()
        addresses = {1_000 + index for index in own}
        assert len(addresses) == len(own) == block.targets
        inside = Intervals.from_bounds([1_000 + count // 4], [1_000 + count // 2])
        wanted = sorted(addresses & set(range(1_000 + count // 4, 1_000 + count // 2 + 1)))
        assert order.count_in(inside) == len(wanted)
        assert order.probed_in(inside) == Intervals.from_bounds(wanted, wanted)
        if own:
            first = block.permutation.shard(machine, machines, quota).indices()[:10]
            assert order.first_indices(10).tolist() == first.tolist()
        of_all += own
    assert len(of_all) == len(set(of_all)) == quota


@pytest.mark.parametrize("shards", [2, 3, 7])
def test_shards_of_the_largest_block_differ_by_few_targets(shards: int) -> None:
    count = 1 << 31
    walk = Permutation.of_block(count, 1, "0.0.0.0/1")
    known = [walk.targets_in(index, shards) for index in range(shards)]
    assert sum(known) == count
    assert max(known) - min(known) <= prime_above(count) - count
