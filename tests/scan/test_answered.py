"""The table of answered probes against a dictionary: it never says that a target answered which did not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.scan.send.answered import MAX_PROBES, MIN_ENTRIES, _mix, entries_for, has_answered, mark_answered

ADDRESSES = st.integers(0, 2**32 - 1)
SIZES = st.sampled_from([MIN_ENTRIES, MIN_ENTRIES * 2, MIN_ENTRIES * 8])
MASK = 2**32 - 1


def unmix(mixed: int) -> int:
    """Return the address that is mixed into a number: MurmurHash3's finalizer, step by step backwards."""
    address = mixed ^ mixed >> 16
    address = address * pow(0xC2B2AE35, -1, 2**32) & MASK
    address ^= address >> 13 ^ address >> 26
    address = address * pow(0x85EBCA6B, -1, 2**32) & MASK
    return address ^ address >> 16


@given(ADDRESSES)
def test_the_mix_is_a_bijection(address: int) -> None:
    assert unmix(int(_mix(address))) == address
    assert int(_mix(unmix(address))) == address


def test_neighbours_spread_over_the_table() -> None:
    places = {int(_mix(address)) % MIN_ENTRIES for address in range(0x0A000000, 0x0A000000 + 4096)}
    assert len(places) > 3800  # 4,096 at random would take about 3,970 of 65,536


@st.composite
def marks(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    """Return a table's size, and marks (target, probe) of targets that share a few places of it."""
    size = draw(SIZES)
    places = draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=3, unique=True))
    tags = st.integers(0, 2**32 // size - 1) | st.integers(0, 3)
    targets = st.builds(lambda place, tag: unmix(tag * size + place), st.sampled_from(places), tags)
    return size, draw(st.lists(st.tuples(targets, st.integers(0, MAX_PROBES - 1)), max_size=40))


@given(marks(), st.lists(ADDRESSES, max_size=10))
def test_only_what_was_marked_has_answered(marked: tuple[int, list[tuple[int, int]]], others: list[int]) -> None:
    size, answers = marked
    table = np.zeros(size, np.uint32)
    held: dict[int, tuple[int, set[int]]] = {}  # by place: whose entry it is, and the probes in it
    for target, probe in answers:
        mark_answered(table, target, probe)
        place = int(_mix(target)) % size
        owner, probes = held.get(place, (target, set()))
        held[place] = (target, probes | {probe} if owner == target else {probe})
    for target in {target for target, _ in answers} | set(others):
        owner, probes = held.get(int(_mix(target)) % size, (target, set()))
        for probe in range(MAX_PROBES):
            expected = owner == target and probe in probes
            assert has_answered(table, target, probe) == expected
            assert not expected or (target, probe) in answers


def test_an_empty_table_knows_of_nobody() -> None:
    table = np.zeros(MIN_ENTRIES, np.uint32)
    for target in (0, 1, unmix(0), unmix(1), unmix(MASK)):
        assert not any(has_answered(table, target, probe) for probe in range(MAX_PROBES))


@pytest.mark.parametrize(
    ("queue", "entries"),
    [(0, 65536), (1, 65536), (16384, 65536), (16385, 131072), (1_000_000, 4_194_304), (1 << 20, 1 << 22)],
)
def test_a_table_has_four_entries_a_target_and_room_for_the_tag(queue: int, entries: int) -> None:
    assert entries_for(queue) == entries
