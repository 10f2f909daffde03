"""Ticks: lanes at their lags behind one order, judged by a plain list of which target is probed at which tick."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from liveness.kernel import uint64
from liveness.order.due import ATTEMPT, DRAWN, POSITION, PROBE, STRIPS, TICKS, WIDTH, empty_due
from liveness.order.lanes import Lane, marks_for, plan_lanes
from liveness.order.permutation import Permutation
from liveness.order.ticks import (
    ACTIVE,
    DUE,
    FINISHED,
    LANE,
    TARGETS,
    TICK,
    UNKNOWN,
    Ticks,
    before_first_tick,
    begin_tick,
    draw_due,
    lane_due,
    probed_by,
    skip_ticks,
    take_lags,
    widen_spacing,
)
from liveness.space.intervals import Intervals
from liveness.space.lookup import address_of

Emission = tuple[int, int, int, int, int]
"""Tick, probe, attempt, address, virtual time."""


class Played:
    """A walk, and the targets that it has drawn so far; the clock is the tick, so marks show the tick of a passing."""

    def __init__(self, ticks: Ticks, block: Intervals) -> None:
        self.ticks = ticks
        self.block = block
        self.state = ticks.state
        self.marks = ticks.marks
        self.drawn: list[int] = []
        self.due = empty_due(8, 0)

    def take_drawn(self) -> None:
        self.drawn += self.block.address_at(self.due.drawn[: self.due.counts[DRAWN]]).tolist()
        self.due.counts[DRAWN] = 0

    def begin_tick(self) -> None:
        begin_tick(self.ticks, self.due, int(self.state[TICK]) + 2)
        self.take_drawn()

    def skip(self, tick: int) -> None:
        while not skip_ticks(self.ticks, self.due, tick):
            self.take_drawn()
        self.take_drawn()


def start(block: Intervals, lanes: tuple[Lane, ...], shard: tuple[int, int] = (0, 1), mark_every: int = 10) -> Played:
    part = Permutation.of_block(block.count, 73, "0.0.0.0/3").shard(*shard)
    marks = np.zeros((len(lanes), marks_for(part.elements, mark_every)), np.int64)
    return Played(before_first_tick(part, lanes, marks, mark_every), block)


def emissions(walk: Played) -> Iterator[Emission]:
    """Run a walk to its end, lane by lane."""
    ticks = walk.ticks
    while not walk.state[FINISHED]:
        if walk.state[LANE] == walk.state[ACTIVE]:
            walk.begin_tick()
            continue
        due = int(lane_due(walk.state, len(ticks.lane_lags)))
        lane = int(ticks.active[walk.state[LANE]])
        walk.state[LANE] += 1
        tick = int(walk.state[TICK])
        target = walk.drawn[tick - int(ticks.lane_lags[lane])]
        yield tick, int(ticks.lane_probes[lane]), int(ticks.lane_attempts[lane]), target, due


def move_on(walk: Played) -> None:
    """Begin the next tick if this one is done, as a sender does before it finds that nothing of it is due."""
    if walk.state[LANE] == walk.state[ACTIVE] and not walk.state[FINISHED]:
        walk.begin_tick()


def block_of(sizes: list[int]) -> Intervals:
    """Return disjoint intervals of these sizes, 1,000 addresses apart."""
    first = np.cumsum([0, *(size + 1_000 for size in sizes[:-1])]) + 10_000
    return Intervals.from_bounds(first, first + np.array(sizes) - 1)


SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=5)


@given(SIZES, st.integers(1, 9), st.integers(1, 4), st.integers(0, 80), st.integers(0, 12), st.integers(1, 3))
@example([1], 9, 2, 1_000_000, 5_000, 1)
@example([1], 1, 1, 0, 0, 3)
def test_every_lane_probes_every_target_once_in_the_shared_order_at_its_lag(
    sizes: list[int], probes: int, attempts: int, queue: int, spacing: int, shards: int
) -> None:
    block = block_of(sizes)
    spacing = min(spacing, 50)
    seen: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index in range(shards):
        part = Permutation.of_block(block.count, 73, "0.0.0.0/3").shard(index, shards)
        order = block.address_at(part.indices()).tolist() if part.elements else []
        lanes = plan_lanes(probes, attempts, queue, spacing, len(order))
        walk = start(block, lanes, (index, shards))
        lags = {(lane.probe, lane.attempt): lane.lag for lane in lanes}
        for tick, probe, attempt, target, _ in emissions(walk):
            assert target == order[tick - lags[probe, attempt]]
            seen[probe, attempt].append(target)
        assert walk.state[TARGETS] == len(order)
    everyone = block.address_at(np.arange(block.count)).tolist()
    assert {key: sorted(targets) for key, targets in seen.items()} == {
        (probe, attempt): everyone for probe in range(probes) for attempt in range(attempts)
    }


@given(st.integers(1, 9), st.integers(1, 4), st.integers(0, 2_000_000), st.integers(0, 5_000), st.integers(1, 2**29))
def test_lags(probes: int, attempts: int, queue: int, spacing: int, targets: int) -> None:
    lanes = plan_lanes(probes, attempts, queue, spacing, targets)
    assert [(lane.attempt, lane.probe) for lane in lanes] == [(a, p) for a in range(attempts) for p in range(probes)]
    everything_left = targets + (probes - 1) * spacing
    repeat_lag = max(min(queue, everything_left), probes * spacing)
    for lane in lanes:
        assert lane.lag == lane.attempt * repeat_lag + lane.probe * spacing
    assert all(after.lag - before.lag >= spacing for before, after in pairwise(lanes))


@given(SIZES, st.integers(1, 5), st.integers(1, 3), st.integers(0, 80), st.integers(0, 12))
def test_no_probe_is_sent_faster_than_its_rate(
    sizes: list[int], probes: int, attempts: int, queue: int, spacing: int
) -> None:
    """One packet at the rate of one probe takes as many units of virtual time as there are lanes."""
    block = block_of(sizes)
    lanes = plan_lanes(probes, attempts, queue, spacing, block.count)
    due_of: dict[int, list[int]] = defaultdict(list)
    ticks: dict[int, int] = {}
    for tick, probe, _, _, due in emissions(start(block, lanes)):
        due_of[probe].append(due)
        ticks.setdefault(tick, due)
    for dues in due_of.values():
        assert dues == sorted(dues)
        span = dues[-1] - dues[0]
        # n packets take n - 1 gaps of len(lanes) units; within one tick they may bunch by one tick's worth
        assert span >= (len(dues) - 1 - attempts) * len(lanes)


def test_a_lone_block_keeps_the_full_rate_before_and_after_repeats_begin() -> None:
    """Originals alone take one unit a tick, originals with repeats two: each probe's packets are evenly spaced."""
    block = block_of([1_000])
    dues = [due for _, _, _, _, due in emissions(start(block, plan_lanes(1, 2, 300, 0, 1_000)))]
    assert len(dues) == 2_000
    assert {b - a for a, b in pairwise(dues)} == {2}


def test_an_idle_gap_passes_in_time() -> None:
    """One target, two probes 50 ticks apart: 49 ticks in which nothing is sent still take their time."""
    block = block_of([1])
    (first, second) = emissions(start(block, plan_lanes(2, 1, 0, 50, 1)))
    assert (first[0], second[0]) == (0, 50)
    assert second[4] - first[4] == 50 * 2


@given(SIZES, st.integers(1, 4), st.integers(1, 2), st.integers(0, 40), st.integers(0, 9), st.integers(1, 20))
def test_marks_show_when_each_lane_passed_them(
    sizes: list[int], probes: int, attempts: int, queue: int, spacing: int, mark_every: int
) -> None:
    block = block_of(sizes)
    lanes = plan_lanes(probes, attempts, queue, spacing, block.count)
    walk = start(block, lanes, mark_every=mark_every)
    list(emissions(walk))
    for number, lane in enumerate(lanes):
        passed = walk.marks[number].tolist()
        for mark, at in enumerate(range(0, block.count, mark_every)):
            assert passed[mark] == at + lane.lag + 1, (lane, mark)
        end = -(-block.count // mark_every)
        assert passed[end] >= block.count - 1 + lane.lag + 1
        assert len(passed) == end + 1 or not any(passed[end + 1 :])


@given(st.lists(st.integers(1, 1_000), min_size=1, max_size=40), st.data())
def test_index_to_address(sizes: list[int], data: st.DataObject) -> None:
    block = block_of(sizes)
    index = data.draw(st.integers(0, block.count - 1))
    assert int(address_of(uint64(index), block.first, block.cumulative)) == int(block.address_at(index)[0])


@given(
    SIZES,
    st.integers(1, 5),
    st.integers(1, 3),
    st.integers(0, 80),
    st.integers(0, 9),
    st.dictionaries(st.integers(0, 300), st.integers(1, 12), max_size=4),
    st.integers(1, 20),
    st.booleans(),
)
def test_wider_spacing_leaves_nobody_out_and_probes_nobody_twice(
    sizes: list[int],
    probes: int,
    attempts: int,
    queue: int,
    spacing: int,
    widenings: dict[int, int],
    mark_every: int,
    begun: bool,
) -> None:
    """At some emissions the spacing grows; from then on probes to one target lie at least so far apart."""
    block = block_of(sizes)
    lanes = plan_lanes(probes, attempts, queue, spacing, block.count)
    walk = start(block, lanes, mark_every=mark_every)
    asked, wanted, done, apart = dict(widenings), 0, [], {}
    for number, emission in enumerate(emissions(walk)):
        wanted += asked.pop(number, 0)
        if begun:
            move_on(walk)
        half_done = 0 < walk.state[LANE] < walk.state[ACTIVE]
        if wanted and widen_spacing(walk.ticks, wanted):
            assert not half_done
            spacing, wanted = spacing + wanted, 0
        assert not wanted or half_done
        apart[number] = spacing
        done.append(emission)
    order = block.address_at(Permutation.of_block(block.count, 73, "0.0.0.0/3").shard(0, 1).indices()).tolist()
    ticks: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for number, (tick, probe, attempt, target, _) in enumerate(done):
        ticks[probe, attempt].append((tick, number))
        assert target == order[len(ticks[probe, attempt]) - 1]
    assert {key: len(found) for key, found in ticks.items()} == {
        (probe, attempt): block.count for probe in range(probes) for attempt in range(attempts)
    }
    for (probe, attempt), found in ticks.items():
        if probe or attempt:
            before = ticks[probe - 1, attempt] if probe else ticks[probes - 1, attempt - 1]
            for (tick, number), (earlier, _) in zip(found, before, strict=True):
                assert tick - earlier >= apart[max(0, number - 1)]
    for number, lane in enumerate(lanes):
        passed = walk.marks[number].tolist()
        for mark, at in enumerate(range(0, block.count, mark_every)):
            assert passed[mark] == ticks[lane.probe, lane.attempt][at][0] + 1, (lane, mark)
    dues = [due for *_, due in done]
    assert dues == sorted(dues)


@given(
    SIZES,
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(0, 60),
    st.integers(0, 6),
    st.dictionaries(st.integers(0, 200), st.integers(1, 9), max_size=3),
    st.integers(0, 300),
    st.booleans(),
)
@example([40], 3, 2, 20, 0, {0: 5, 30: 2}, 4, False)  # cut in the first tick, when a pause has begun
def test_an_interrupted_walk_continues_at_its_position(
    sizes: list[int],
    probes: int,
    attempts: int,
    queue: int,
    spacing: int,
    widenings: dict[int, int],
    cut: int,
    begun: bool,
) -> None:
    """Both parts together probe everyone as the whole walk would, though its lanes have paused before or do so now."""
    block = block_of(sizes)
    lanes = plan_lanes(probes, attempts, queue, spacing, block.count)
    walk = start(block, lanes)
    done, wanted, asked = [], 0, dict(widenings)
    for number, emission in enumerate(emissions(walk)):
        done.append(emission)
        wanted += asked.pop(number, 0)
        if begun:
            move_on(walk)
        if wanted and widen_spacing(walk.ticks, wanted):
            wanted = 0
        if number >= cut and not 0 < walk.state[LANE] < walk.state[ACTIVE]:
            break
    tick, finished = int(walk.state[TICK]), bool(walk.state[FINISHED])
    again = start(block, lanes)
    take_lags(again.ticks, walk.ticks.lane_lags.tolist(), walk.ticks.lane_begins.tolist())
    again.skip(tick)
    counted = {(lane.probe, lane.attempt): int(probed_by(again.ticks, number)) for number, lane in enumerate(lanes)}
    rest = [] if finished else list(emissions(again))
    order = block.address_at(Permutation.of_block(block.count, 73, "0.0.0.0/3").shard(0, 1).indices()).tolist()
    for key, probed_before in counted.items():
        before = [target for _, probe, attempt, target, _ in done if (probe, attempt) == key]
        after = [target for _, probe, attempt, target, _ in rest if (probe, attempt) == key]
        assert before == order[: len(before)]
        twice = len(before) + len(after) - len(order)  # of the tick in which it was cut
        assert 0 <= twice <= 1
        assert after == order[len(before) - twice :] or finished
        assert finished or probed_before == len(before) - twice


def test_time_never_runs_back() -> None:
    walk = start(block_of([40]), plan_lanes(3, 2, 10, 4, 40))
    dues = [due for _, _, _, _, due in emissions(walk)]
    assert dues == sorted(dues)
    assert walk.state[DUE] > dues[-1]


@given(
    SIZES,
    st.integers(1, 5),
    st.integers(1, 3),
    st.integers(0, 90),
    st.integers(0, 9),
    st.lists(st.integers(1, 200), min_size=1, max_size=5),
    st.integers(0, 40),
)
def test_what_is_handed_out_at_once_is_what_single_steps_would_be(
    sizes: list[int], probes: int, attempts: int, queue: int, spacing: int, batches: list[int], ahead: int
) -> None:
    """Batches of any size, some held back by time, have the frames of the walk lane by lane, in the same order."""
    block = block_of(sizes)
    lanes = plan_lanes(probes, attempts, queue, spacing, block.count)
    expected = [emission[1:4] for emission in emissions(start(block, lanes))]
    walk = start(block, lanes)
    walk.due = empty_due(256 + 64, 256 + len(lanes))
    handed_out: list[tuple[int, int, int]] = []
    calls = 0
    while not walk.state[FINISHED]:
        frames = batches[calls % len(batches)]
        until = UNKNOWN if calls % 2 else int(lane_due(walk.state, len(lanes))) + ahead
        count = draw_due(walk.ticks, walk.due, frames, until, 1)
        assert count <= frames
        strips = walk.due.strips[: walk.due.counts[STRIPS]].tolist()
        walk.take_drawn()
        before, row = len(handed_out), 0
        while row < len(strips):
            group = strips[row : row + strips[row][WIDTH]]
            for tick in range(group[0][TICKS]):
                for strip in group:
                    assert (strip[TICKS], strip[WIDTH]) == (group[0][TICKS], len(group))
                    handed_out.append((strip[PROBE], strip[ATTEMPT], walk.drawn[strip[POSITION] + tick]))
            row += len(group)
        assert len(handed_out) - before == count
        calls += 1
    assert handed_out == expected
