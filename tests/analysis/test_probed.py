"""The probed space of a run by /24, target by target."""

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveness.analysis.counting.probed import Probed
from liveness.space.intervals import Intervals

LAST = (1 << 32) - 1
ADDRESSES = st.integers(0, 1 << 12) | st.integers(LAST - (1 << 12), LAST) | st.integers(0, LAST)


@given(st.lists(st.tuples(ADDRESSES, st.integers(0, 2_000)), max_size=12))
@settings(max_examples=40)
def test_a_24_is_probed_if_any_of_its_targets_is(parts: list[tuple[int, int]]) -> None:
    bounds = [(first, min(first + length, LAST)) for first, length in parts]
    expected = {prefix for first, last in bounds for prefix in range(first >> 8, (last >> 8) + 1)}
    intervals = Intervals.from_bounds([first for first, _ in bounds], [last for _, last in bounds])
    inside = Probed.prefixes24(SimpleNamespace(intervals=intervals))  # type: ignore[arg-type]
    assert inside is not None
    assert inside.shape == (1 << 24,)
    assert set(inside.nonzero()[0].tolist()) == expected


@pytest.mark.parametrize(("intervals", "count"), [(Intervals.everything(), 1 << 24), (Intervals.empty(), 0)])
def test_all_or_none(intervals: Intervals, count: int) -> None:
    inside = Probed.prefixes24(SimpleNamespace(intervals=intervals))  # type: ignore[arg-type]
    assert inside is not None
    assert inside.sum() == count
