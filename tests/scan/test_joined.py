"""Losses that overlap: a certain end is better than an uncertain one near it, and nothing is left out of the repair."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.runs.losses import LostSpan
from liveness.scan.losses.spans import joined


def span(first: int, last: int, edge: int = 0, margin: int = 0) -> LostSpan:
    return LostSpan(sender=0, block=0, first=first, last=last, lags=[0], begins=[0], edge=edge, margin=margin)


@pytest.mark.parametrize(
    ("silence", "found"),
    [
        (span(80, 400, edge=50), (100, 830)),  # it began near the beginning of the certain one
        (span(20, 400, edge=50), (20, 830)),  # it began long before
        (span(300, 860, edge=50), (100, 830)),
        (span(300, 2_000, edge=50), (100, 2_000)),  # it lasted longer
        (span(90, 840, edge=50), (100, 830)),
    ],
)
def test_an_uncertain_end_gives_way(silence: LostSpan, found: tuple[int, int]) -> None:
    for pair in ((span(100, 830), silence), (silence, span(100, 830))):
        both = joined(*pair)
        assert (both.first, both.last) == found


def test_two_uncertain_ends_are_both_kept() -> None:
    for pair in ((span(0, 400, edge=500), span(400, 1_400, edge=300)), (span(400, 1_400), span(0, 400))):
        both = joined(*pair)
        assert (both.first, both.last) == (0, 1_400)


spans = st.builds(
    lambda first, length, edge, margin: span(first, first + length, edge, margin),
    st.integers(0, 100),
    st.integers(0, 100),
    st.integers(0, 40),
    st.integers(0, 40),
)


@given(spans, spans)
def test_a_joined_span_repairs_what_both_would(one: LostSpan, other: LostSpan) -> None:
    both = joined(one, other)
    for part in (one, other):
        assert both.first - both.margin <= part.first - part.margin
        assert both.last + both.margin >= part.last + part.margin
    assert both.margin >= 0
    assert both.first <= both.last
