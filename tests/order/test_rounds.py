"""The order of a survey: every address once a round, evenly spaced, the same anywhere."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from liveness.order.due import ATTEMPT, DRAWN, FROM, POSITION, PROBE, STRIPS, TICKS, empty_due
from liveness.order.order import Order, Share
from liveness.order.rounds import Rounds
from liveness.order.slots import OCTETS, blocks_of_shard, slot_of, slot_tables

START_NS = 1_796_000_000_000_000_000
PINNED = [302, 766, 59, 399, 616, 128, 368, 711]
NO_MARKS: NDArray[np.int64] = np.zeros((0, 0), np.int64)


def rounds_of(
    numbers: list[int], probes: int = 1, seed: int = 7, rounds: int = 3, interval_ns: int = 1_000_003
) -> Rounds:
    blocks = np.array(numbers, np.uint32)
    return Rounds(blocks, slot_tables(blocks, probes, seed), START_NS, interval_ns, rounds, marks_of_rounds=7)


def drawn(order: Rounds, batch: int) -> list[tuple[int, int, int, int]]:
    """Return (position, index, probe, attempt) of the whole survey, in the order in which it is sent."""
    walk, due, found = order.walk(0, Share(), 1.0, NO_MARKS), empty_due(batch, batch), []
    while not walk.finished:
        assert walk.draw(due, batch, order.end, 0) > 0
        begin = int(due.counts[FROM])
        indices = due.drawn[: due.counts[DRAWN]].tolist()
        for strip in due.strips[: due.counts[STRIPS]].tolist():
            places = range(strip[POSITION], strip[POSITION] + strip[TICKS])
            found += [(at, indices[at - begin], strip[PROBE], strip[ATTEMPT]) for at in places]
    return found


BLOCKS = st.sets(st.integers(0, (1 << 24) - 1), min_size=1, max_size=9).map(sorted)


@settings(max_examples=25, deadline=None)
@given(BLOCKS, st.integers(1, 9), st.integers(0, 1 << 62), st.integers(1, 700))
def test_every_address_gets_every_probe_once_a_round_at_its_slot(
    numbers: list[int], probes: int, seed: int, batch: int
) -> None:
    order = rounds_of(numbers, probes, seed)
    found = drawn(order, batch)
    assert [position for position, *_ in found] == list(range(order.end))
    everything = sorted((index, probe) for index in range(OCTETS * len(numbers)) for probe in range(probes))
    for number in range(order.rounds):
        of_round = found[number * order.slots : (number + 1) * order.slots]
        assert sorted((index, probe) for _, index, probe, _ in of_round) == everything
        assert {attempt for *_, attempt in of_round} == {number}
    slots = [order.address_slots(probe) for probe in range(probes)]
    for position, index, probe, _ in found[: order.slots]:
        assert slots[probe][index] == position
        assert slot_of(order.tables, index // OCTETS, index % OCTETS, probe) == position
    gaps = {
        later - earlier
        for block in range(len(numbers))
        for earlier, later in pairwise(position for position, index, _, _ in found if index // OCTETS == block)
    }
    assert gaps == {len(numbers)}, "a /24 gets its probes evenly spaced, also from round to round"
    assert order.first_indices(50).tolist() == [index for _, index, probe, _ in found if probe == 0][:50]


@settings(max_examples=100, deadline=None)
@given(BLOCKS, st.integers(1, 9), st.integers(1_000, 86_400_000_000_000), st.integers(0, 1 << 62))
def test_the_clock_says_what_is_due(numbers: list[int], probes: int, interval_ns: int, at: int) -> None:
    order = rounds_of(numbers, probes, interval_ns=interval_ns, rounds=40)
    position = at % order.end
    due_ns = order.due_ns(position)
    assert order.due_by(due_ns) > position
    assert order.due_by(due_ns - 1) <= position
    assert order.due_by(START_NS - 1) == 0
    assert order.due_by(order.end_ns) == order.end
    assert order.round_at(due_ns) == position // order.slots


def timetable(order: Rounds) -> list[tuple[int, int, int, int, int]]:
    """Return (time, /24, last octet, probe, attempt) of everything that an order sends."""
    return [
        (order.due_ns(position), int(order.numbers[index // OCTETS]), index % OCTETS, probe, attempt)
        for position, index, probe, attempt in drawn(order, 100)
    ]


def shard_of(numbers: list[int], probes: int, seed: int, index: int, of: int, interval_ns: int) -> Rounds:
    listed = np.array(numbers, np.uint32)
    own = listed[blocks_of_shard(listed, seed, index, of)]
    tables = slot_tables(listed, probes, seed, index, of)
    return Rounds(own, tables, START_NS, interval_ns, 2, marks_of_rounds=7, shard=index, shards=of)


@settings(max_examples=25, deadline=None)
@given(
    st.sets(st.integers(0, (1 << 24) - 1), min_size=5, max_size=9).map(sorted),
    st.integers(1, 3),
    st.integers(0, 1 << 62),
    st.integers(1, 5),
    st.integers(1_000, 86_400_000_000_000),
)
def test_shards_together_send_what_one_machine_sends_at_the_same_times(
    numbers: list[int], probes: int, seed: int, of: int, interval_ns: int
) -> None:
    whole = rounds_of(numbers, probes, seed, rounds=2, interval_ns=interval_ns)
    shards = [shard_of(numbers, probes, seed, index, of, interval_ns) for index in range(of)]
    assert sorted(row for shard in shards for row in timetable(shard)) == sorted(timetable(whole))
    assert sorted(number for shard in shards for number in shard.numbers.tolist()) == numbers, "no /24 is divided"
    sizes = [len(shard.numbers) for shard in shards]
    assert max(sizes) - min(sizes) <= 1
    for shard in shards:
        places = np.searchsorted(whole.numbers, shard.numbers)
        rows = (places[:, None] * OCTETS + np.arange(OCTETS)).ravel()
        assert np.array_equal(shard.phases_ms(), whole.phases_ms()[rows])
        for probe in range(probes):
            assert np.array_equal(shard.address_slots(probe), whole.address_slots(probe)[rows])


@settings(max_examples=100, deadline=None)
@given(
    st.sets(st.integers(0, (1 << 24) - 1), min_size=5, max_size=9).map(sorted),
    st.integers(0, 4),
    st.integers(1_000, 86_400_000_000_000),
    st.integers(0, 1 << 62),
)
def test_the_clock_says_what_is_due_in_a_shard(numbers: list[int], index: int, interval_ns: int, at: int) -> None:
    order = shard_of(numbers, 2, 7, index, 5, interval_ns)
    position = at % order.end
    due_ns = order.due_ns(position)
    assert order.due_by(due_ns) > position
    assert order.due_by(due_ns - 1) <= position
    assert order.due_by(order.end_ns) == order.end
    assert order.round_at(due_ns) == position // order.slots
    first, end = order.slots_between(position // order.slots, due_ns, due_ns + 1)
    indices = [
        place
        for probe in range(order.probes)
        for place in np.flatnonzero((order.address_slots(probe) >= first) & (order.address_slots(probe) < end))
    ]
    assert len(indices) == order.due_by(due_ns) - order.due_by(due_ns - 1), "a gap has the slots that are due in it"


def test_the_order_depends_on_seed_and_blocks_alone() -> None:
    """The values were written down: another machine, another version must not probe in another order."""
    order = rounds_of([0xC00002, 0xC63364, 0xCB0071], seed=73)
    assert order.first_indices(8).tolist() == PINNED
    assert rounds_of([0xC00002, 0xC63364, 0xCB0071], seed=74).first_indices(8).tolist() != PINNED
    alone = rounds_of([0xC63364], seed=73)
    assert alone.tables.octets[0].tolist() == order.tables.octets[1].tolist()


def test_slots_that_have_passed_are_left_out() -> None:
    order = rounds_of([1, 2])
    walk, due = order.walk(0, Share(), 1.0, NO_MARKS), empty_due(64, 64)
    assert walk.skip_to(700) == 700
    assert walk.draw(due, 64, 703, 0) == 4
    assert walk.skip_to(100) == 0
    assert walk.draw(due, 64, 703, 0) == 0
    assert due.counts[STRIPS] == 0
    assert walk.skip_to(10**9) == order.end - 704
    assert walk.finished


def test_a_batch_never_holds_two_rounds() -> None:
    """A batch has one attempt: the round before must not be sent as the next one."""
    order = rounds_of([1])
    walk, due = order.walk(0, Share(), 1.0, NO_MARKS), empty_due(64, 64)
    walk.skip_to(250)
    assert walk.draw(due, 64, 300, 0) == 6
    assert due.strips[0, ATTEMPT] == 0
    assert walk.draw(due, 64, 300, 0) == 45
    assert due.strips[0, ATTEMPT] == 1


def test_a_survey_has_one_sender() -> None:
    with pytest.raises(ValueError, match="one sender"):
        rounds_of([1]).walk(0, Share(0, 2), 1.0, NO_MARKS)


def test_it_is_an_order() -> None:
    order: Order = rounds_of([5, 6])
    assert order.parts[0].targets == 512
    assert order.parts[0].listed.address_at(order.first_indices(1))[0] >> 8 in (5, 6)
