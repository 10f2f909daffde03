"""Runs, prefixes and counts of sets, judged by ipaddress and by plain Python."""

import ipaddress
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from liveness.ipsets.builder import Builder
from liveness.ipsets.runs import counts, from_runs, prefixes, runs, touched
from tests.ipsets.support import RANGES, SMALL_RANGES, Range, bitmap


def merged(ranges: list[Range]) -> list[Range]:
    """Return the runs of ranges, by going through them."""
    result: list[Range] = []
    for low, high in sorted(ranges):
        if result and low <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(high, result[-1][1]))
        else:
            result.append((low, high))
    return result


def listed(addresses: BitMap) -> list[Range]:
    return [pair for first, last in runs(addresses) for pair in zip(first.tolist(), last.tolist(), strict=True)]


def networks(addresses: BitMap) -> list[ipaddress.IPv4Network]:
    return [
        ipaddress.IPv4Network((address, size))
        for base, length in prefixes(addresses)
        for address, size in zip(base.tolist(), length.tolist(), strict=True)
    ]


@given(RANGES)
def test_runs_are_the_merged_ranges_and_make_the_set_again(ranges: list[Range]) -> None:
    addresses = bitmap(ranges)
    expected = merged(ranges)
    assert listed(addresses) == expected
    bounds = np.array(expected, np.uint32).reshape(-1, 2)
    assert from_runs(bounds[:, 0], bounds[:, 1]) == addresses


@given(RANGES)
def test_prefixes_are_those_of_ipaddress(ranges: list[Range]) -> None:
    expected = [
        network
        for low, high in merged(ranges)
        for network in ipaddress.summarize_address_range(ipaddress.IPv4Address(low), ipaddress.IPv4Address(high))
    ]
    assert networks(bitmap(ranges)) == expected


@pytest.mark.parametrize("holes", [[], [0], [2**24 - 1, 2**24], [2**31], [2**32 - 1], [5, 7, 2**24 + 3, 2**32 - 2]])
def test_sets_of_nearly_everything(holes: list[int]) -> None:
    addresses = BitMap(range(2**32)) - BitMap(holes)
    expected, low = [], 0
    for hole in [*holes, 2**32]:
        if low < hole:
            expected.append((low, hole - 1))
        low = hole + 1
    assert listed(addresses) == expected
    bounds = np.array(expected, np.uint32)
    assert from_runs(bounds[:, 0], bounds[:, 1]) == addresses
    assert sum(network.num_addresses for network in networks(addresses)) == 2**32 - len(holes)
    assert touched(addresses, 24) == 2**24
    assert touched(addresses, 32) == 2**32 - len(holes)


@given(SMALL_RANGES, st.integers(0, 32))
def test_counts_by_prefix(ranges: list[Range], length: int) -> None:
    addresses = bitmap(ranges)
    expected = Counter(address >> 32 - length << 32 - length for address in addresses)
    found = [
        (address, count)
        for base, held in counts(addresses, length)
        for address, count in zip(base.tolist(), held.tolist(), strict=True)
    ]
    assert found == sorted(expected.items())
    assert touched(addresses, length) == len(expected)


def test_counts_of_a_set_larger_than_a_chunk() -> None:
    addresses = BitMap(range(1000, 2**25 + 1000, 2))
    found = np.concatenate([held for _, held in counts(addresses, 24)])
    assert found.size == 2**17 + 1
    assert found.sum() == len(addresses)
    assert set(found[4:-1].tolist()) == {128}
    assert [held.tolist() for _, held in counts(addresses, 7)] == [[2**24 - 500, 500]]


@given(st.lists(RANGES, max_size=4))
def test_a_builder_is_the_union_of_what_it_is_given(parts: list[list[Range]]) -> None:
    builder, expected = Builder(), BitMap()
    for ranges in parts:
        bounds = np.array(ranges, np.uint32).reshape(-1, 2)
        builder.add(bounds[:, 0], bounds[:, 1])
        expected |= bitmap(ranges)
    assert builder.finish() == expected
    assert builder.finish() == BitMap()


def test_a_builder_merges_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liveness.ipsets.builder.BUFFERED_RANGES", 3)
    builder = Builder()
    for low in range(0, 100, 10):
        builder.add_range(low, low + 4)
    assert len(builder._low) < 3
    assert builder.finish() == bitmap([(low, low + 4) for low in range(0, 100, 10)])
