"""How many targets a loss concerns, and which frames are missing behind an interface, by brute force."""

import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveness.runs.losses import LostSpan
from liveness.scan.losses.accounts import LASTING_NS, Level
from liveness.scan.losses.extent import extent_of, frames_by_probe
from liveness.scan.plan import Plan
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from tests.scan.test_census_in_memory import CONTROL_PORT, FIRST, small_config

COUNT = 200
LAGS = [0, 3, 6, 9, 40, 43, 46, 49]


def plan() -> Plan:
    targets = Targets.build(Intervals.from_bounds([FIRST], [FIRST + COUNT - 1]), Intervals.empty(), lab=True)
    return Plan(small_config(senders=1), targets, CONTROL_PORT, bytes(16))


def span(first: int, length: int, share: float = 1.0) -> LostSpan:
    return LostSpan(sender=0, block=0, first=first, last=first + length, lags=LAGS, begins=LAGS, share=share)


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 60)), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_the_extent_is_that_of_the_schedule_walked_tick_by_tick(intervals: list[tuple[int, int]]) -> None:
    spans = [span(first, length) for first, length in intervals]
    ticks = {tick for first, length in intervals for tick in range(first, first + length)}
    lost = {
        (tick - lag, lane % 4, lane // 4)
        for tick, (lane, lag) in itertools.product(ticks, enumerate(LAGS))
        if 0 <= tick - lag < COUNT
    }
    concerned = {target for target, _, _ in lost}
    missed = {target for target, probe, _ in lost if {(target, probe, 0), (target, probe, 1)} <= lost}
    extent = extent_of(spans, plan())
    assert extent.affected == pytest.approx(len(concerned))
    assert extent.missed == pytest.approx(len(missed))
    assert extent.probes == pytest.approx(len(lost))
    (only,) = itertools.islice(spans, 1)
    assert frames_by_probe([only], plan()).sum() <= len(LAGS) * intervals[0][1]


def test_a_share_is_an_expectation() -> None:
    extent = extent_of([span(60, 20, share=0.25)], plan())
    assert extent.probes == pytest.approx(0.25 * 20 * len(LAGS))
    assert 20 * 0.25 < extent.affected < 0.25 * 20 * len(LAGS)


def test_losses_of_other_targets_at_the_same_time_add_up() -> None:
    """Half of the targets is behind each of two gateways, and both of them were out; a second report adds nothing."""
    whole = extent_of([span(60, 100)], plan())
    halves = [
        msgspec.structs.replace(span(60, 100, share=0.5), lowest=lowest, highest=lowest + COUNT // 2 - 1)
        for lowest in (FIRST, FIRST + COUNT // 2)
    ]
    for spans in (halves, halves[::-1], [halves[0], *halves], [*halves, span(60, 100)]):
        extent = extent_of(spans, plan())
        assert extent.probes == pytest.approx(whole.probes)
        assert extent.affected == pytest.approx(whole.affected)
        assert extent.missed == pytest.approx(whole.missed)
    alone = extent_of([halves[0], halves[0]], plan())
    assert alone.probes == pytest.approx(whole.probes / 2)
    assert alone.affected == pytest.approx(whole.affected / 2), "the same targets in each lane"
    assert alone.missed == pytest.approx(whole.missed / 2)


def test_a_loss_of_some_targets_and_one_of_all_are_one_for_them() -> None:
    """All lost the first attempt, and a tenth lost the second one too: a tenth was missed."""
    lags = [0] * 4 + [1_000] * 4
    common = msgspec.structs.replace(span(0, COUNT), lags=lags, begins=lags)
    some = msgspec.structs.replace(common, first=1_000, last=1_000 + COUNT, share=0.1, lowest=FIRST, highest=FIRST + 19)
    extent = extent_of([common, some], plan())
    assert extent.affected == pytest.approx(COUNT)
    assert extent.missed == pytest.approx(0.1 * COUNT)
    assert extent.probes == pytest.approx(4 * COUNT + 0.1 * 4 * COUNT)


class Device:
    """A device, the frames of ours that it gets, and others' frames."""

    def __init__(self) -> None:
        self.level = Level("interface v0")
        self.now_ns = self.completed = self.counted = 0

    def second(self, ours: int, *, lost: int = 0, others: int = 0, unfinished: int = 0) -> int:
        """Let a second pass; return the frames found lost in it."""
        found = 0
        self.completed += ours
        self.counted += ours - lost + others
        for _ in range(4):
            self.now_ns += 250_000_000
            handed = self.completed + unfinished
            gap = self.level.compare(self.now_ns, self.completed, self.counted, handed)
            found += gap.frames if gap is not None else 0
        return found


def test_a_gap_between_completed_and_counted_is_found_once_with_its_interval() -> None:
    device = Device()
    assert [device.second(100) for _ in range(10)] == [0] * 10
    begun_ns = device.now_ns
    device.second(100, lost=80)
    found = sum(device.second(100) for _ in range(5))
    assert found == 80
    assert sum(device.second(100) for _ in range(10)) == 0
    assert device.level.lost == 80
    assert begun_ns + LASTING_NS > begun_ns


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 2_000), st.integers(0, 64)), min_size=3, max_size=30))
def test_other_traffic_and_frames_on_their_way_never_look_like_a_loss(seconds: list[tuple[int, int, int]]) -> None:
    device = Device()
    assert sum(device.second(ours, others=others, unfinished=way) for ours, others, way in seconds) == 0


def test_counters_that_are_updated_every_two_seconds_are_no_loss() -> None:
    level, lost = Level("slow"), 0
    counted = 0
    for quarter in range(120):
        completed = 250 * (quarter + 1)
        if quarter % 8 == 0:
            counted = completed
        gap = level.compare(quarter * 250_000_000, completed, counted, completed)
        lost += gap.frames if gap is not None else 0
    assert lost == 0


def test_a_device_that_counts_nothing_of_ours_is_not_believed() -> None:
    level = Level("blind")
    assert all(level.compare(n * 250_000_000, 100 * n, 0, 100 * n) is None for n in range(100))
