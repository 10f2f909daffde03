"""Targets and blocks against plain Python over sets of integers."""

import fractions
import ipaddress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.errors import UsageError
from liveness.space.intervals import Intervals
from liveness.space.prefixes import parse_lines
from liveness.space.targets import Targets

pairs = st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 4095)), max_size=8)
ORIGIN = (9 << 24) + (255 << 16) + (255 << 8) - 2048  # the universe reaches over the start of 10.0.0.0/8
PRIVATE = 10 << 24


def listed(*entries: str) -> Intervals:
    return parse_lines(entries)


def spread(bounds: list[tuple[int, int]]) -> tuple[Intervals, set[int]]:
    ordered = [(ORIGIN + min(pair), ORIGIN + max(pair)) for pair in bounds]
    intervals = Intervals.from_bounds([low for low, _ in ordered], [high for _, high in ordered])
    return intervals, {address for low, high in ordered for address in range(low, high + 1)}


def expand(intervals: Intervals) -> list[int]:
    addresses: list[int] = intervals.address_at(np.arange(intervals.count)).tolist()
    return addresses


@given(pairs, pairs, st.booleans())
def test_targets_are_allowed_minus_blocked_minus_special(
    allow: list[tuple[int, int]],
    block: list[tuple[int, int]],
    lab: bool,
) -> None:
    allowed, allowed_set = spread(allow)
    blocked, blocked_set = spread(block)
    unblocked = allowed_set - blocked_set
    expected = unblocked if lab else {address for address in unblocked if address < PRIVATE}
    if not expected:
        with pytest.raises(UsageError, match="no target is left: "):
            Targets.build(allowed, blocked, lab=lab)
        return
    targets = Targets.build(allowed, blocked, lab=lab)
    assert expand(targets.intervals) == sorted(expected)
    assert targets.count == len(expected)
    assert targets.allowed == len(allowed_set)
    assert targets.blocked == len(allowed_set & blocked_set)
    assert targets.special == len(unblocked) - len(expected)
    assert targets.public == any(address < PRIVATE for address in unblocked)


@given(pairs.filter(bool), st.integers(1, 24))
def test_blocks_are_the_targets_of_each_prefix(allow: list[tuple[int, int]], prefix_length: int) -> None:
    allowed, allowed_set = spread(allow)
    blocks = Targets.build(allowed, Intervals.empty(), lab=True).blocks(prefix_length)
    expected: dict[str, list[int]] = {}
    for address in sorted(allowed_set):
        expected.setdefault(str(ipaddress.ip_network((address, prefix_length), strict=False)), []).append(address)
    assert {block.name: expand(block.intervals) for block in blocks} == expected
    assert [block.name for block in blocks] == list(expected)
    assert [block.name for block in blocks[:]] == [blocks[at].name for at in range(len(blocks))]
    assert blocks.counts.tolist() == [len(members) for members in expected.values()]
    assert blocks[-1].name == list(expected)[-1]
    with pytest.raises(IndexError):
        blocks[len(blocks)]


@given(pairs.filter(bool), st.integers(1, 10_000), st.integers(18, 24))
def test_quotas_are_the_largest_remainders(allow: list[tuple[int, int]], most: int, prefix_length: int) -> None:
    targets = Targets.build(spread(allow)[0], Intervals.empty(), lab=True)
    counts = targets.blocks(prefix_length).counts.tolist()
    quotas = targets.limit(most, prefix_length).tolist()
    chosen = min(most, sum(counts))
    exact = [fractions.Fraction(chosen * count, sum(counts)) for count in counts]
    order = sorted(range(len(counts)), key=lambda at: (-(exact[at] % 1), at))
    expected = [int(share) for share in exact]
    for at in order[: chosen - sum(expected)]:
        expected[at] += 1
    assert quotas == expected
    assert sum(quotas) == chosen
    assert all(quota <= count for quota, count in zip(quotas, counts, strict=True))


def test_no_limit_takes_everything() -> None:
    targets = Targets.build(listed("1.0.0.0/8", "100.0.0.0/10"), Intervals.empty())
    assert targets.limit(None, 3).tolist() == [1 << 24, 1 << 22]


def test_the_whole_address_space_has_3_7_billion_targets_in_seven_blocks_of_three_bits() -> None:
    targets = Targets.build(Intervals.everything(), Intervals.empty())
    assert targets.count == (1 << 32) - 592_708_864
    assert targets.public
    names = [block.name for block in targets.blocks(3)]
    assert names == [f"{number}.0.0.0/3" for number in (0, 32, 64, 96, 128, 160, 192)]
    assert sum(block.intervals.count for block in targets.blocks(3)) == targets.count
    small = targets.blocks(24)
    assert len(small) == small.counts.size
    assert int(small.counts.sum()) == targets.count
    assert small[0].name == "1.0.0.0/24"
    assert small[len(small) - 1].name == "223.255.255.0/24"


def test_the_last_block_reaches_the_end_of_the_address_space() -> None:
    blocks = Targets.build(listed("255.255.255.0-255.255.255.255", "0.0.0.0/32"), Intervals.empty(), lab=True).blocks(1)
    assert [(block.name, block.intervals.count) for block in blocks] == [("0.0.0.0/1", 1), ("128.0.0.0/1", 256)]


@pytest.mark.parametrize("prefix_length", [0, 25])
def test_a_block_is_a_1_to_24(prefix_length: int) -> None:
    with pytest.raises(ValueError, match="a block is a /1 to /24"):
        Targets.build(listed("1.0.0.0/8"), Intervals.empty()).blocks(prefix_length)


@pytest.mark.parametrize(
    ("allow", "block", "message"),
    [
        ([], [], "no target is left: the allow list is empty"),
        (["1.0.0.0/24"], ["1.0.0.0/8"], "no target is left: the blocklist covers all 256 allowed addresses"),
        (
            ["192.168.7.0/24"],
            ["1.0.0.0/8"],
            (
                "no target is left: all 256 allowed addresses are special-purpose space "
                "(192.168.0.0/16 Private-Use, RFC 1918), which is probed inside a lab only"
            ),
        ),
        (
            ["127.0.0.0/30", "1.0.0.0/29"],
            ["1.0.0.0/24"],
            (
                "no target is left: of 12 allowed addresses 8 are blocked and the others are special-purpose space "
                "(127.0.0.0/8 Loopback, RFC 1122, section 3.2.1.3), which is probed inside a lab only"
            ),
        ),
    ],
)
def test_an_empty_target_list_names_what_removed_everything(allow: list[str], block: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Targets.build(listed(*allow), listed(*block))
    assert str(caught.value) == message
