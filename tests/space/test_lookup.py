"""Look-ups in sorted intervals: many at once give what one gives, and what `Intervals` gives."""

from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.kernel import uint64
from liveness.space.intervals import Intervals
from liveness.space.lookup import address_of, addresses_of, is_within


@given(st.lists(st.tuples(st.integers(1, 2**20), st.integers(1, 2**20)), min_size=1, max_size=70), st.data())
def test_addresses_of_many_indices(gaps_and_sizes: list[tuple[int, int]], data: st.DataObject) -> None:
    bounds = list(accumulate(number for pair in gaps_and_sizes for number in pair))
    listed = Intervals.from_bounds(bounds[::2], [end - 1 for end in bounds[1::2]])
    edges = sorted({0, listed.count - 1, *listed.cumulative.tolist()})
    drawn = data.draw(st.lists(st.sampled_from(edges) | st.integers(0, listed.count - 1), max_size=140))
    indices = np.array(drawn, np.uint32)
    addresses = np.full(len(indices), 7, np.uint32)
    addresses_of(indices, listed.first, listed.cumulative, addresses)
    assert addresses.tolist() == listed.address_at(indices).tolist()
    assert addresses.tolist() == [int(address_of(uint64(i), listed.first, listed.cumulative)) for i in drawn]


def test_everything_there_is() -> None:
    everything, ends = Intervals.everything(), np.array([0, 2**32 - 1], np.uint32)
    addresses = np.zeros(2, np.uint32)
    addresses_of(ends, everything.first, everything.cumulative, addresses)
    assert addresses.tolist() == ends.tolist()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 8])
def test_is_within_at_every_edge(count: int) -> None:
    starts = range(100, 100 + 10 * count, 10)
    listed = Intervals.from_bounds(list(starts), [start + 4 for start in starts])
    for address in (0, 2**32 - 1, *range(95, 110 + 10 * count)):
        expected = any(start <= address <= start + 4 for start in starts)
        assert bool(is_within(address, listed.first, listed.last)) == expected
