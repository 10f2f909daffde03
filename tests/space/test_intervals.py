"""Interval algebra against brute force over a small universe, and against ``ipaddress``."""

import ipaddress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.space.intervals import ADDRESS_SPACE, Intervals

TOP = ADDRESS_SPACE - 1
# Small universes at both ends of the address space and across the sign bit, where arithmetic goes wrong.
ORIGINS = (0, (1 << 31) - 32, ADDRESS_SPACE - 64)


@st.composite
def bounds(draw: st.DrawFn, origin: int) -> list[tuple[int, int]]:
    pairs = draw(st.lists(st.tuples(st.integers(0, 63), st.integers(0, 63)), max_size=12))
    return [(origin + min(pair), origin + max(pair)) for pair in pairs]


@st.composite
def two_sets(draw: st.DrawFn) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    origin = draw(st.sampled_from(ORIGINS))
    return draw(bounds(origin)), draw(bounds(origin))


def build(pairs: list[tuple[int, int]]) -> Intervals:
    return Intervals.from_bounds([low for low, _ in pairs], [high for _, high in pairs])


def members(pairs: list[tuple[int, int]]) -> set[int]:
    return {address for low, high in pairs for address in range(low, high + 1)}


def expand(intervals: Intervals) -> set[int]:
    return members(list(zip(intervals.first.tolist(), intervals.last.tolist(), strict=True)))


def assert_normal(intervals: Intervals) -> None:
    """Sorted, disjoint, a gap between neighbours, 32 bits wide."""
    assert intervals.first.dtype == intervals.last.dtype == np.uint32
    first, last = intervals.first.astype(np.int64), intervals.last.astype(np.int64)
    assert (first <= last).all()
    assert (first[1:] > last[:-1] + 1).all()


@given(two_sets())
def test_algebra_equals_sets_of_integers(pairs: tuple[list[tuple[int, int]], list[tuple[int, int]]]) -> None:
    mine, theirs = members(pairs[0]), members(pairs[1])
    a, b = build(pairs[0]), build(pairs[1])
    for result, expected in (
        (a, mine),
        (a.union(b), mine | theirs),
        (a.intersection(b), mine & theirs),
        (a.difference(b), mine - theirs),
    ):
        assert_normal(result)
        assert expand(result) == expected
        assert result.count == len(expected)


@given(two_sets())
def test_complement_is_its_own_inverse(pairs: tuple[list[tuple[int, int]], list[tuple[int, int]]]) -> None:
    a = build(pairs[0])
    assert_normal(a.complement())
    assert a.complement().complement() == a
    assert a.count + a.complement().count == ADDRESS_SPACE
    assert a.intersection(a.complement()) == Intervals.empty()


@given(two_sets())
def test_lookups_equal_a_sorted_list(pairs: tuple[list[tuple[int, int]], list[tuple[int, int]]]) -> None:
    a, ordered = build(pairs[0]), sorted(members(pairs[0]))
    asked = sorted(members(pairs[1]))
    assert a.contains(asked).tolist() == [address in set(ordered) for address in asked]
    assert a.address_at(np.arange(len(ordered))).tolist() == ordered
    assert a.rank(asked).tolist() == [sum(other < address for other in ordered) for address in asked]
    assert a.rank(a.address_at(np.arange(len(ordered)))).tolist() == list(range(len(ordered)))
    assert a.rank([0, ADDRESS_SPACE]).tolist() == [0, len(ordered)]
    assert a.cumulative.tolist() == a.rank(a.first).tolist()


@given(two_sets())
def test_prefixes_are_the_shortest_exact_cover(pairs: tuple[list[tuple[int, int]], list[tuple[int, int]]]) -> None:
    a = build(pairs[0])
    networks = [ipaddress.ip_network(prefix) for prefix in a.prefixes()]
    expected = [
        network
        for low, high in zip(a.first.tolist(), a.last.tolist(), strict=True)
        for network in ipaddress.summarize_address_range(ipaddress.IPv4Address(low), ipaddress.IPv4Address(high))
    ]
    assert networks == expected


@given(st.integers(0, TOP), st.integers(0, TOP))
def test_prefixes_of_any_range_equal_those_of_ipaddress(first: int, second: int) -> None:
    low, high = sorted((first, second))
    expected = ipaddress.summarize_address_range(ipaddress.IPv4Address(low), ipaddress.IPv4Address(high))
    assert Intervals.from_bounds([low], [high]).prefixes() == [str(network) for network in expected]


def test_the_whole_address_space_is_counted_exactly() -> None:
    everything = Intervals.everything()
    assert everything.count == 1 << 32
    assert everything.prefixes() == ["0.0.0.0/0"]
    assert everything.complement() == Intervals.empty()
    assert Intervals.empty().complement() == everything
    assert everything.address_at([0, TOP]).tolist() == [0, TOP]


def test_the_empty_set_answers_everything() -> None:
    empty = Intervals.empty()
    assert (len(empty), empty.count, empty.prefixes(), empty.cumulative.tolist()) == (0, 0, [], [])
    assert empty.contains([1, 2]).tolist() == [False, False]
    assert empty.address_at([]).tolist() == []
    assert empty.rank([5]).tolist() == [0]
    assert Intervals.from_bounds([], []) == empty


def test_neighbours_and_overlaps_merge_in_any_order() -> None:
    merged = Intervals.from_bounds([20, 0, 5, 11, 30], [25, 4, 9, 11, 40])
    assert (merged.first.tolist(), merged.last.tolist()) == ([0, 11, 20, 30], [9, 11, 25, 40])


def test_a_long_interval_swallows_those_inside() -> None:
    merged = Intervals.from_bounds([0, 1, 5, 101], [100, 2, 6, 102])
    assert (merged.first.tolist(), merged.last.tolist()) == ([0], [102])


@pytest.mark.parametrize("index", [-1, 3])
def test_an_index_outside_is_an_error(index: int) -> None:
    with pytest.raises(IndexError, match="there are 3 addresses"):
        Intervals.from_bounds([1], [3]).address_at([index])


def test_bounds_the_wrong_way_round_are_an_error() -> None:
    with pytest.raises(ValueError, match="first not above the last"):
        Intervals.from_bounds([2], [1])
    with pytest.raises(ValueError, match="must be addresses"):
        Intervals.from_bounds([2], [ADDRESS_SPACE])


def test_comparison_with_something_else_is_false() -> None:
    assert Intervals.empty() != "no addresses"
